"""How long a thread's loop was kept by one piece of work, in CPU time of that thread: whatever else the machine does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

__all__ = ["ticking"]


@asynccontextmanager
async def ticking(clock: Callable[[], float] = time.thread_time) -> AsyncIterator[Callable[[], float]]:
    """Measure while the block runs; the function given says the longest turn, in seconds.

    ``clock``: ``time.process_time`` counts what other threads do meanwhile as well, as they do while they hold the interpreter.
    """
    longest = 0.0
    last = clock()
    is_over = False

    def tick() -> None:
        nonlocal longest, last
        now = clock()
        longest, last = max(longest, now - last), now
        if not is_over:
            loop.call_soon(tick)

    loop = asyncio.get_running_loop()
    loop.call_soon(tick)
    try:
        yield lambda: longest if is_over else max(longest, clock() - last)
    finally:
        is_over = True
        longest = max(longest, clock() - last)  # the turn that the block ended in
