"""What each receiver was told last, so that of several gateways one tells it, once, and another takes over if that one fails."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.slo.status import SloStatus

__all__ = ["Claim", "Told", "ToldHere"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Whether to tell. ``granted``: tell it, and confirm; ``told``: what was told last. ``retry_s``: somebody else is at it until then."""

    granted: bool
    told: SloStatus | None = None
    retry_s: float | None = None


class Told(Protocol):
    """Shared by all gateways that tell the same receivers. ``subject``: receiver, product and objective."""

    async def claim(self, subject: str, status: SloStatus, at: dt.datetime, *, lease_s: float) -> Claim:
        """Take it on to tell that ``status`` holds since ``at``; refused if that, or something newer, was told."""

    async def confirm(self, subject: str, status: SloStatus, at: dt.datetime) -> None:
        """Note that it was told."""

    async def release(self, subject: str) -> None:
        """Give it back untold."""


@dataclass(slots=True)
class _Entry:
    status: SloStatus | None = None
    at: dt.datetime | None = None
    leased_until: dt.datetime | None = None


class ToldHere:
    """`Told` for one process: what it forgets when it ends is told again, once. Keeps at most ``subjects_max``, the latest used."""

    def __init__(self, clock: Callable[[], dt.datetime], *, subjects_max: int = 50_000) -> None:
        self._clock = clock
        self._subjects_max = subjects_max
        self._entries: dict[str, _Entry] = {}

    async def claim(self, subject: str, status: SloStatus, at: dt.datetime, *, lease_s: float) -> Claim:
        """Take it on, if nobody else has."""
        entry = self._entries.get(subject)
        now = self._clock()
        if entry is None:
            if status is SloStatus.MET:
                return Claim(granted=False)  # nothing is over that nobody heard of
            entry = _Entry()
        elif entry.status is status or (entry.at is not None and entry.at > at) or (entry.status is None and status is SloStatus.MET):
            return Claim(granted=False, told=entry.status)
        elif entry.leased_until is not None and entry.leased_until > now:
            return Claim(granted=False, told=entry.status, retry_s=(entry.leased_until - now).total_seconds())
        self._keep(subject, entry)
        entry.leased_until = now + dt.timedelta(seconds=lease_s)
        return Claim(granted=True, told=entry.status)

    async def confirm(self, subject: str, status: SloStatus, at: dt.datetime) -> None:
        """Note that it was told."""
        self._keep(subject, _Entry(status, at))

    async def release(self, subject: str) -> None:
        """Give it back."""
        entry = self._entries.get(subject)
        if entry is not None:
            entry.leased_until = None

    def _keep(self, subject: str, entry: _Entry) -> None:
        self._entries.pop(subject, None)
        self._entries[subject] = entry
        if len(self._entries) > self._subjects_max:
            del self._entries[next(iter(self._entries))]
