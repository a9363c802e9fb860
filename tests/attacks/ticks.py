"""How long a thread's loop was kept by one piece of work, and other threads kept the interpreter from it, in CPU time: whatever else
the machine does."""

from __future__ import annotations

import asyncio
import threading
import time
from asyncio.events import Handle
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

__all__ = ["Held", "held", "ticking"]

_BEAT_S = 0.001


@dataclass(slots=True)
class Held:
    """``loop_s``: the longest that the loop's thread computed without a turn for others.

    ``apart_s``: the most that the process computed while the loop was to sleep for a millisecond.
    """

    loop_s: float = 0.0
    apart_s: float = 0.0


@asynccontextmanager
async def held() -> AsyncIterator[Held]:
    """Measure while the block runs. Every callback and every step of a task is a turn."""
    found = Held()
    thread = threading.get_ident()
    run = Handle._run

    def measured(handle: Handle) -> None:
        if threading.get_ident() != thread:
            run(handle)
            return
        began = time.thread_time()
        run(handle)
        found.loop_s = max(found.loop_s, time.thread_time() - began)

    async def beat() -> None:
        while True:
            began = time.process_time()
            await asyncio.sleep(_BEAT_S)
            found.apart_s = max(found.apart_s, time.process_time() - began)

    beating = asyncio.ensure_future(beat())
    Handle._run = measured  # type: ignore[method-assign]
    try:
        # What went before in this turn belongs to nobody.
        await asyncio.sleep(0)
        yield found
        await asyncio.sleep(0)
    finally:
        Handle._run = run  # type: ignore[method-assign]
        beating.cancel()


@asynccontextmanager
async def ticking() -> AsyncIterator[Callable[[], float]]:
    """Measure while the block runs; the function given says the most that the thread computed from one round of the loop to the next."""
    clock = time.thread_time
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
