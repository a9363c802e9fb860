"""The newest update in a port's rows, found with as few calls as the port's capabilities allow.

Touches the port. Raises its `PortError`. Never gives an instant that the rows do not hold.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from contracts.model import Contract
from domain_adapters.port import Order, Port, Read
from domain_adapters.values import canonical_instant
from gateway.slo.rows import rows_of
from gateway.slo.sample import Sampler

__all__ = ["Newest", "NewestUpdate", "can_tell"]

_PAGES_MAX = 3
_DAY_S = 86_400.0
_EMPTY = "the product has no rows"


@dataclass(frozen=True, slots=True)
class Newest:
    """``at`` None: not known, and ``finding`` why."""

    at: dt.datetime | None
    finding: str | None = None


def can_tell(contract: Contract, port: Port) -> bool:
    """Whether rows can say how fresh a product is."""
    return contract.times.updated is not None and (port.capabilities.order_by or port.capabilities.since)


class NewestUpdate:
    """Looks for the newest update of one product; where it has to walk, it goes on from the newest that it met before."""

    def __init__(self, contract: Contract, limit_s: float, ask: Callable[[Port, Read], Awaitable[bytes]]) -> None:
        self._contract = contract
        # Data older than this is in breach anyway, however old it is.
        self._window = dt.timedelta(seconds=max(_DAY_S, limit_s * 1.01))
        self._ask = ask
        self._met: dt.datetime | None = None

    async def find(self, port: Port, now: dt.datetime) -> Newest:
        """Find it. **Raises** `PortError`."""
        updated = self._contract.times.updated
        assert updated is not None
        if port.capabilities.order_by:
            keys = tuple(Order(name) for name in self._contract.primary_key if name != updated)
            read = Read(select=self._select(port, updated), order_by=(Order(updated, descending=True), *keys), limit=1)
            return self._judged(await self._rows(port, read), port, now)
        return await self._walked(port, now)

    async def _walked(self, port: Port, now: dt.datetime) -> Newest:
        since = self._met if self._met is not None else now - self._window
        cursor: str | None = None
        found: Newest | None = None
        for _ in range(_PAGES_MAX):
            read = Read(limit=port.capabilities.page_max, since=canonical_instant(since), cursor=cursor)
            rows, cursor = rows_of(await self._ask(port, read))
            page = self._judged(rows, port, now) if rows else Newest(None, _EMPTY)
            if page.at is not None:
                found = page if found is None or found.at is None else Newest(max(found.at, page.at))
                self._met = found.at
            elif found is None or page.finding != _EMPTY:
                found = found if found is not None and found.at is not None else page
            if cursor is None:
                return await self._whole(found, port, now)
        return Newest(None, "more rows changed lately than can be looked through at once")

    async def _whole(self, found: Newest | None, port: Port, now: dt.datetime) -> Newest:
        if found is not None and found.finding != _EMPTY:
            return found
        if self._met is not None:
            # What was there is gone; from the beginning of the window next time.
            self._met = None
            return Newest(None, "rows that were there are gone")
        rows, _ = rows_of(await self._ask(port, Read(limit=1)))
        return Newest(now - self._window, "no row changed for longer than is looked at") if rows else Newest(None, _EMPTY)

    async def _rows(self, port: Port, read: Read) -> list[Any]:
        return rows_of(await self._ask(port, read))[0]

    def _judged(self, rows: list[Any], port: Port, now: dt.datetime) -> Newest:
        if not rows:
            return Newest(None, _EMPTY)
        sampler = Sampler(self._contract, port.spelling, now, dates_only=True)
        sampler.judge(rows)
        sample = sampler.sample()
        if any("future" in finding for finding in sample.findings):
            return Newest(None, "rows were updated in the future")
        if sample.newest is None:
            return Newest(None, "rows hold no instant with a zone of their update")
        return Newest(sample.newest)

    @staticmethod
    def _select(port: Port, updated: str) -> tuple[str, ...] | None:
        return (updated,) if port.capabilities.select else None
