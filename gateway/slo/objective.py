"""One objective over time: what each measurement and each passing instant makes of its status (SPEC D5, C4).

No clock of its own: instants come in. What must hold: a failed, missing or outdated measurement never improves a status; a breach is left
after two good measurements only; worse figures never give a better status.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from gateway.slo.budget import Spending
from gateway.slo.measured import Measured, ObjectiveName
from gateway.slo.reading import Reading
from gateway.slo.status import SloStatus, freshness_changes, freshness_status, ratio_status

__all__ = ["ObjectiveState", "Promise"]

_GOOD_TO_LEAVE = 2
_GOOD = (SloStatus.MET, SloStatus.AT_RISK)


@dataclass(frozen=True, slots=True)
class Promise:
    """What is promised. ``limit``: the most seconds of lag or the least ratio; None where that cannot be measured, and ``objection`` why.

    ``allowed_ratio``, ``window_s``: its error budget.
    """

    name: ObjectiveName
    text: str
    limit: float | None
    allowed_ratio: float
    window_s: float | None = None
    objection: str | None = None


class ObjectiveState:
    """What is known of one objective of one product."""

    __slots__ = ("_good", "_known", "_last_finding", "_sample", "_spending", "changes_at", "measured", "promise")

    def __init__(self, promise: Promise) -> None:
        self.promise = promise
        self._known: Reading | None = None
        self._last_finding: str | None = promise.objection
        self._sample: int | None = None
        # Good measurements in a row since a breach; None: not in breach.
        self._good: int | None = None
        is_lag = promise.name is ObjectiveName.FRESHNESS
        scale = (promise.limit or 1.0) if is_lag else max(promise.allowed_ratio, 1e-9)
        self._spending = Spending(promise.allowed_ratio, window_s=promise.window_s, scale=scale, lower_is_better=is_lag)
        self.changes_at: dt.datetime | None = None
        self.measured = Measured(promise.name, promise.text, promise.limit, SloStatus.UNKNOWN, finding=promise.objection)

    def remember(self, at: dt.datetime, *, bad: float, total: float, figure: float | None) -> None:
        """Take over what was counted before this process began."""
        self._spending.count(at, bad=bad, total=total, figure=figure)

    def take(self, reading: Reading, now: dt.datetime) -> bool:
        """Take a measurement in; one older than what is known is left aside. Tell whether the standing changed."""
        if self.promise.limit is None:
            return False
        self._note_breach(self._plain(now))
        known = self._known
        # What was measured in a future that our own clock took back counts for nothing.
        is_older = known is not None and reading.measured_at < known.measured_at <= now
        if is_older and not self._is_counted(reading):
            return self._settle(now)
        self._last_finding = reading.finding
        self._spending.count(min(reading.measured_at, now), bad=reading.bad, total=reading.total, figure=reading.figure)
        if reading.failed and not self._is_counted(reading):
            self._good = None if self._good is None else 0
            return self._settle(now)
        is_new = known is None or reading.measured_at != known.measured_at
        self._known = reading
        self._sample = reading.sample
        if self._good is not None:
            self._good = self._good + is_new if self._plain(now) in _GOOD else 0
            if self._good >= _GOOD_TO_LEAVE:
                self._good = None
        return self._settle(now)

    def move(self, now: dt.datetime) -> bool:
        """Let time pass; tell whether the standing changed."""
        return self._settle(now)

    def _is_counted(self, reading: Reading) -> bool:
        # A probe that failed is no failed measurement of availability: it is one.
        return self.promise.name is ObjectiveName.AVAILABILITY and reading.total > 0

    def _settle(self, now: dt.datetime) -> bool:
        plain = self._plain(now)
        self._note_breach(plain)
        status = plain if self._good is None else SloStatus.BREACHED
        self.changes_at = self._next_change(now)
        known, promise = self._known, self.promise
        before = self.measured
        finding = self._last_finding
        if finding is None and status is SloStatus.UNKNOWN and known is not None and now >= known.stale_at:
            finding = "the last measurement is too old"
        self.measured = Measured(
            promise.name,
            promise.text,
            promise.limit,
            status,
            figure=self._figure(now),
            source=None if known is None else known.source,
            sample=self._sample if promise.name is not ObjectiveName.AVAILABILITY else int(self._spending.total(now)) or self._sample,
            measured_at=None if known is None else known.measured_at,
            changes_at=self.changes_at,
            finding=finding,
            budget=self._spending.left(now),
            trend=self._spending.trend(now),
        )
        return self.measured != before

    def _figure(self, now: dt.datetime) -> float | None:
        known = self._known
        if known is None:
            return None
        if self.promise.name is not ObjectiveName.AVAILABILITY:
            return known.figure
        # Counted by ourselves over the window; a port may know of outages that we did not meet, and cannot talk away those that we did.
        bad = self._spending.bad_ratio(now)
        ours = None if bad is None else 1.0 - bad
        return min((it for it in (ours, known.figure) if it is not None), default=None)

    def _plain(self, now: dt.datetime) -> SloStatus:
        known, limit = self._known, self.promise.limit
        if known is None or limit is None:
            return SloStatus.UNKNOWN
        if self.promise.name is ObjectiveName.FRESHNESS:
            updated_at = known.last_update_at
            if updated_at is None:
                return SloStatus.UNKNOWN
            # Data of which we heard nothing for long may be fresh by now: its age counts up to when we still knew.
            status = freshness_status(limit, max(0.0, (min(now, known.stale_at) - updated_at).total_seconds()))
        else:
            status = ratio_status(limit, self._figure(now), burn_rate=self._spending.burn_rate(known.measured_at))
        return SloStatus.UNKNOWN if now >= known.stale_at and status in _GOOD else status

    def _note_breach(self, plain: SloStatus) -> None:
        # A good measurement that grew too old before the next one began the count anew.
        if plain is SloStatus.BREACHED:
            self._good = 0

    def _next_change(self, now: dt.datetime) -> dt.datetime | None:
        known, limit = self._known, self.promise.limit
        if known is None or limit is None:
            return None
        instants = [known.stale_at]
        if self.promise.name is ObjectiveName.FRESHNESS and known.last_update_at is not None:
            instants.extend(at for at in freshness_changes(limit, known.last_update_at) if at <= known.stale_at)
        return min((one for one in instants if one > now), default=None)
