"""What of the SLOs goes through the shared store: history written and recalled, measuring shared with other replicas.

Where the store is away measuring goes on, each replica by itself; what is to be written waits, within a bound, and it is tried again.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
from collections.abc import Awaitable, Callable, Sequence

from gateway.slo.board import Board
from gateway.slo.history import History
from gateway.slo.reading import Reading
from gateway.slo.sharing import Sharing
from gateway.slo.tables import PART, STEPS
from gateway.store.errors import StoreError
from gateway.store.leases import Leases
from gateway.store.migrations import migrate
from gateway.store.outbox import Outbox
from gateway.store.store import Store

__all__ = ["Keeping"]

_REST_MAX_S = 60.0
_PRUNE_ROUNDS = 24 * 60


class Keeping:
    """One process's part. ``failed``: told, by a word, of what the store failed with; ``write_s``: how often history is written."""

    def __init__(
        self,
        store: Store,
        board: Board,
        *,
        clock: Callable[[], dt.datetime],
        failed: Callable[[str, StoreError], None] = lambda _what, _error: None,
        lease_s: float = 15.0,
        write_s: float = 60.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._board = board
        self._clock = clock
        self._failed = failed
        self._write_s = write_s
        self._sleep = sleep
        self._is_ready = False
        holder = secrets.token_hex(8)
        self._leases = Leases(store, holder)
        self._outbox = Outbox(store, failed=lambda error: failed("slo_history_waits", error), sleep=sleep)
        self._history = History(self._outbox, holder)
        self._sharing: Sharing | None = None
        if store.is_shared:
            self._sharing = Sharing(
                store,
                self._leases,
                board,
                self._outbox,
                lease_s=lease_s,
                sleep=sleep,
                failed=lambda error: failed("slo_sharing_paused", error),
            )
        board.listen(self._history)

    def owns(self, product: str) -> bool:
        """Tell whether this process measures a product at the moment."""
        return self._sharing is None or self._sharing.owns(product)

    def measured(self, product: str, readings: Sequence[Reading]) -> None:
        """Keep measurements, and let other replicas know."""
        self._history.measured(product, readings)
        if self._sharing is not None:
            self._sharing.publish(product, readings)

    async def begin(self) -> bool:
        """Make the tables ready, recall what was, take a share of the measuring; tell whether the store let us."""
        try:
            await migrate(self._store, PART, STEPS)
            await self._leases.prepare()
            await self._history.recall(self._store, self._board, self._clock())
            if self._sharing is not None:
                await self._sharing.deal()
                # What was measured last is part of the history just recalled.
                await self._sharing.follow(counts=False)
        except StoreError as error:
            self._failed("slo_store_unusable", error)
            return False
        self._is_ready = True
        return True

    async def run(self) -> None:
        """Write, share and follow until cancelled."""
        rest_s = 1.0
        while not self._is_ready:
            await self._sleep(rest_s)
            rest_s = min(_REST_MAX_S, rest_s * 2)
            await self.begin()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write())
            group.create_task(self._outbox.run())
            if self._sharing is not None:
                group.create_task(self._sharing.run())

    async def aclose(self) -> None:
        """Write what waits, let others measure, close the store."""
        if self._is_ready:
            self._history.write()
            await self._outbox.flush()
            if self._sharing is not None:
                await self._sharing.leave()
        await self._store.aclose()

    async def _write(self) -> None:
        rounds = 0
        while True:
            if rounds % _PRUNE_ROUNDS == 0:
                try:
                    await self._history.prune(self._store, self._clock())
                except StoreError as error:
                    self._failed("slo_history_waits", error)
            rounds += 1
            await self._sleep(self._write_s)
            self._history.write()
