"""Writes that may wait: kept in memory within a bound, written in batches, again and again while the store is away.

What does not fit is dropped, the oldest first, and counted: nothing that is being written ever holds up what writes it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice

from gateway.store.errors import StoreError, StoreUnavailableError
from gateway.store.store import Statement, Store

__all__ = ["Outbox"]

_BATCH = 500
_REST_MAX_S = 30.0


class Outbox:
    """Statements on their way to the store. ``failed``: told of what a batch failed with, by the kind of error."""

    def __init__(
        self,
        store: Store,
        *,
        waiting_max: int = 20_000,
        every_s: float = 0.5,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        failed: Callable[[StoreError], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._waiting: deque[Statement] = deque()
        self._waiting_max = waiting_max
        self._every_s = every_s
        self._sleep = sleep
        self._failed = failed
        self.dropped = 0
        self._gone = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, statement: Statement) -> None:
        """Hand a statement over; at once."""
        if len(self._waiting) >= self._waiting_max:
            self._waiting.popleft()
            self._gone += 1
            self.dropped += 1
        self._waiting.append(statement)

    async def run(self) -> None:
        """Write until cancelled; the longer the store is away, the more seldom it is tried."""
        rest_s = self._every_s
        while True:
            await self._sleep(rest_s)
            rest_s = self._every_s if await self.flush() else min(_REST_MAX_S, rest_s * 2)

    async def flush(self) -> bool:
        """Write what waits; tell whether the store took it."""
        while self._waiting:
            batch, gone = list(islice(self._waiting, _BATCH)), self._gone
            try:
                await self._store.run(*batch)
            except StoreUnavailableError as error:
                self._failed(error)
                return False
            except StoreError as error:
                # One bad statement must not keep all others waiting for ever.
                self._failed(error)
                self.dropped += len(batch) - (self._gone - gone)
            # What was dropped meanwhile was at the front too.
            for _ in range(len(batch) - (self._gone - gone)):
                self._waiting.popleft()
            self._gone = gone + len(batch)
        return True
