"""What each receiver was told last, in the shared store: of several gateways one tells, by lease, and another takes over if it fails.

Compare and set by the store's clock. Rejects with `gateway.store.errors.StoreError`s; whoever tells tries again.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from gateway.slo.alerting.told import Claim
from gateway.slo.status import SloStatus
from gateway.store.migrations import Migration, migrate
from gateway.store.store import Statement, Store

__all__ = ["ToldInStore"]

_STEPS = (
    Migration(
        1,
        "what receivers were told",
        ("CREATE TABLE alerts_told (subject TEXT PRIMARY KEY, status TEXT, at_us BIGINT, holder TEXT NOT NULL, until_ms BIGINT NOT NULL)",),
    ),
)
_ENTER = "INSERT INTO alerts_told (subject, status, at_us, holder, until_ms) VALUES (?, NULL, NULL, '', 0) ON CONFLICT DO NOTHING"
_TAKE = (
    "UPDATE alerts_told SET holder = ?, until_ms = now_ms() + ? WHERE subject = ? AND (status IS NULL OR status <> ?) "
    "AND (at_us IS NULL OR at_us <= ?) AND (until_ms <= now_ms() OR holder = ?)"
)
_LOOK = "SELECT status, at_us, until_ms - now_ms() FROM alerts_told WHERE subject = ?"
_CONFIRM = "UPDATE alerts_told SET status = ?, at_us = ?, until_ms = 0 WHERE subject = ? AND (at_us IS NULL OR at_us <= ?)"
_RELEASE = "UPDATE alerts_told SET until_ms = 0 WHERE subject = ? AND holder = ?"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class ToldInStore:
    """`Told` for all gateways that share a store. ``holder``: a name that no other process has."""

    def __init__(self, store: Store, holder: str) -> None:
        self._store = store
        self._holder = holder
        self._is_prepared = False

    async def claim(self, subject: str, status: SloStatus, at: dt.datetime, *, lease_s: float) -> Claim:
        """Take it on, if nobody else has."""
        await self._prepare()
        params = (self._holder, int(lease_s * 1_000), subject, status.value, _micros(at), self._holder)
        if status is SloStatus.MET:
            # Nothing is over that nobody heard of.
            (rows,) = await self._store.run(Statement(f"{_TAKE} AND status IS NOT NULL RETURNING status", params))
        else:
            _, rows = await self._store.run(Statement(_ENTER, (subject,)), Statement(f"{_TAKE} RETURNING status", params))
        if rows:
            return Claim(granted=True, told=_status(rows[0][0]))
        return self._refused(await self._store.rows(_LOOK, subject), status, at)

    async def confirm(self, subject: str, status: SloStatus, at: dt.datetime) -> None:
        """Note that it was told."""
        await self._store.run(Statement(_CONFIRM, (status.value, _micros(at), subject, _micros(at))))

    async def release(self, subject: str) -> None:
        """Give it back."""
        await self._store.run(Statement(_RELEASE, (subject, self._holder)))

    def _refused(self, rows: list[tuple[Any, ...]], status: SloStatus, at: dt.datetime) -> Claim:
        if not rows:
            return Claim(granted=False)
        told, told_at_us, left_ms = _status(rows[0][0]), rows[0][1], rows[0][2]
        is_settled = told is status or (told is None and status is SloStatus.MET) or (told_at_us is not None and told_at_us > _micros(at))
        if is_settled:
            return Claim(granted=False, told=told)
        return Claim(granted=False, told=told, retry_s=max(0.001, left_ms / 1_000))

    async def _prepare(self) -> None:
        if not self._is_prepared:
            await migrate(self._store, "alerts", _STEPS)
            self._is_prepared = True


def _status(text: str | None) -> SloStatus | None:
    return None if text is None else SloStatus(text)


def _micros(at: dt.datetime) -> int:
    return (at - _EPOCH) // dt.timedelta(microseconds=1)
