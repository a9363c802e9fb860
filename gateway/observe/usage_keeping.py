"""Usage counted here -> the shared store: added every so often, off the request path, and once more at the end.

What several processes count adds up. A process that is killed loses what it counted since it last wrote; a store that is away loses
nothing: it is written when the store is back, within the bounds of what is counted.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator

from gateway.observe.usage import Usage, Used
from gateway.observe.usage_tables import PART, STEPS, additions, pruned
from gateway.store.errors import StoreConflictError, StoreError
from gateway.store.migrations import migrate
from gateway.store.store import Store

__all__ = ["UsageKeeping"]

_STATEMENTS_AT_ONCE = 500
_DAY_S = 86_400.0


class UsageKeeping:
    """One process's part. ``failed``: told, by a word, of what the store failed with; ``write_s``: how often counts are written."""

    def __init__(
        self,
        store: Store,
        usage: Usage,
        *,
        clock: Callable[[], dt.datetime],
        failed: Callable[[str, StoreError], None] = lambda _what, _error: None,
        write_s: float = 60.0,
        days_max: int = 90,
        rows_max: int = 200_000,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._usage = usage
        self._clock = clock
        self._failed = failed
        self._write_s = write_s
        self._days_max = days_max
        self._rows_max = rows_max
        self._sleep = sleep
        self._writer = secrets.token_hex(8)
        self._waiting: deque[tuple[Used, ...]] = deque()
        self._number = 1
        self._is_ready = False
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        """Write until cancelled."""
        rounds = 0
        while True:
            await self._sleep(self._write_s)
            if await self.write() and rounds % max(1, round(_DAY_S / self._write_s)) == 0:
                await self._prune()
            rounds += 1

    async def write(self) -> bool:
        """Add what was counted and not written yet; tell whether the store took all of it."""
        async with self._writing:
            # While the store is away nothing is taken: counts wait where they are counted, within their bounds.
            if not self._waiting:
                self._waiting.extend(_batches(self._usage.take()))
            try:
                if self._waiting and not self._is_ready:
                    await migrate(self._store, PART, STEPS)
                    self._is_ready = True
                while self._waiting:
                    await self._add(self._waiting[0])
                    self._waiting.popleft()
                    self._number += 1
            except StoreError as error:
                self._failed("usage_waits", error)
                if type(error) is StoreError and self._is_ready:
                    # A statement that is refused today is refused tomorrow: it must not keep all others waiting.
                    self._waiting.popleft()
                return False
            return True

    async def aclose(self) -> None:
        """Write what is left."""
        if await self.write():
            await self.write()  # what was counted while older counts were written

    async def _add(self, some: tuple[Used, ...]) -> None:
        try:
            await self._store.run(*additions(self._writer, self._number, some))
        except StoreConflictError:
            rows = await self._store.rows("SELECT number FROM usage_writers WHERE writer = ?", self._writer)
            if not rows or rows[0][0] < self._number:
                raise  # somebody else's rows were in the way

    async def _prune(self) -> None:
        try:
            if self._is_ready:
                await pruned(self._store, self._clock().date(), days_max=self._days_max, rows_max=self._rows_max)
        except StoreError as error:
            self._failed("usage_waits", error)


def _batches(found: Iterable[Used]) -> Iterator[tuple[Used, ...]]:
    some: list[Used] = []
    statements = 0
    for one in found:
        some.append(one)
        statements += 1 + (1 + len(one.fields) if one.fields else 0)
        if statements >= _STATEMENTS_AT_ONCE:
            yield tuple(some)
            some, statements = [], 0
    if some:
        yield tuple(some)
