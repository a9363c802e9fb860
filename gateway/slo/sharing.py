"""Replicas that share a store share measuring: each product is measured by one of them, by lease, and the others follow what it reads.

Products are dealt into shards, shards are leased, each replica takes its share of them. One that is killed loses its shards as their leases
run out. Where the store is away every replica measures all, as it would alone.
"""

from __future__ import annotations

import asyncio
import math
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import msgspec

from gateway.slo.board import Board
from gateway.slo.measured import ObjectiveName
from gateway.slo.reading import Reading
from gateway.store.errors import StoreError
from gateway.store.leases import Leases
from gateway.store.outbox import Outbox
from gateway.store.store import Statement, Store

__all__ = ["Sharing"]

_SHARDS = 32
_LEASE_S = 15.0
_RENEW_S = 5.0
_FOLLOW_S = 0.5
# Transactions become visible later than the clock says that they were made.
_OVERLAP_MS = 10_000
_REPLICA, _SHARD = "slo-replica/", "slo-shard/"
_PUBLISH = (
    "INSERT INTO slo_latest (product, kind, writer, changed_ms, readings) VALUES (?, ?, ?, now_ms(), ?) ON CONFLICT (product, kind) "
    "DO UPDATE SET writer = excluded.writer, changed_ms = excluded.changed_ms, readings = excluded.readings"
)
_FOLLOW = "SELECT product, kind, changed_ms, readings FROM slo_latest WHERE changed_ms > ? AND writer <> ? ORDER BY changed_ms"
_decode = msgspec.json.Decoder(list[Reading]).decode


def _shard_of(product: str) -> str:
    return f"{_SHARD}{zlib.crc32(product.encode()) % _SHARDS:02}"


class Sharing:
    """One replica's part. ``failed``: told of what the store failed with."""

    def __init__(
        self,
        store: Store,
        leases: Leases,
        board: Board,
        outbox: Outbox,
        *,
        lease_s: float = _LEASE_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        failed: Callable[[StoreError], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._leases = leases
        self._board = board
        self._outbox = outbox
        self._lease_s = lease_s
        self._sleep = sleep
        self._failed = failed
        self._is_alone = True
        self._held: frozenset[str] = frozenset()
        self._seen_ms = 0
        self._seen: dict[tuple[str, str], int] = {}

    def owns(self, product: str) -> bool:
        """Tell whether this replica measures a product at the moment."""
        return self._is_alone or self._leases.holds(_shard_of(product))

    def publish(self, product: str, readings: Sequence[Reading]) -> None:
        """Let the other replicas know of a measurement."""
        kind = "quick" if any(reading.objective is ObjectiveName.AVAILABILITY for reading in readings) else "sample"
        body = msgspec.json.encode(list(readings)).decode()
        self._outbox.put(Statement(_PUBLISH, (product, kind, self._leases.holder, body)))

    async def run(self) -> None:
        """Renew leases and follow the others until cancelled."""
        rounds = max(1, round(_RENEW_S * self._lease_s / _LEASE_S / _FOLLOW_S))
        while True:
            await self.deal()
            for _ in range(rounds):
                await self.follow()
                await self._sleep(_FOLLOW_S)

    async def deal(self) -> None:
        """Take this replica's share of the shards, and give back what is more."""
        try:
            await self._leases.take([f"{_REPLICA}{self._leases.holder}"], for_s=self._lease_s)
            replicas = await self._leases.holders(_REPLICA)
            holders = await self._leases.holders(_SHARD)
            share = math.ceil(_SHARDS / max(1, len(replicas)))
            mine = [name for name, holder in sorted(holders.items()) if holder == self._leases.holder]
            free = [name for name in (f"{_SHARD}{number:02}" for number in range(_SHARDS)) if name not in holders]
            keep = [*mine, *free][:share]
            await self._leases.give_back(mine[share:])
            self._held = await self._leases.take(keep, for_s=self._lease_s)
            self._is_alone = False
        except StoreError as error:
            self._is_alone = True
            self._failed(error)

    async def follow(self, *, counts: bool = True) -> None:
        """Take in what other replicas measured since the last time. ``counts``: whether budgets have not been told of it yet."""
        try:
            rows = await self._store.rows(_FOLLOW, self._seen_ms - _OVERLAP_MS, self._leases.holder)
        except StoreError as error:
            self._failed(error)
            return
        for product, kind, changed_ms, body in rows:
            self._seen_ms = max(self._seen_ms, changed_ms)
            if self._seen.get((product, kind)) == changed_ms:
                continue
            self._seen[product, kind] = changed_ms
            try:
                readings = _decode(body)
            except msgspec.DecodeError:
                continue  # a newer version of this software wrote it; what we cannot read we do not know
            self._board.take(product, readings if counts else [replace(it, bad=0.0, total=0.0) for it in readings])

    async def leave(self) -> None:
        """Let the others have this replica's shards at once."""
        try:
            await self._leases.give_back([*self._held, f"{_REPLICA}{self._leases.holder}"])
        except StoreError as error:
            self._failed(error)
