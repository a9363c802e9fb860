"""Readings as a gauge would give them, in few words."""

from __future__ import annotations

import datetime as dt

from gateway.slo.measured import ObjectiveName
from gateway.slo.reading import Reading

NAMES = tuple(ObjectiveName)


def told(
    at: dt.datetime,
    updated_at: dt.datetime | None = None,
    completeness: float | None = None,
    accuracy: float | None = None,
    availability: float | None = None,
    *,
    stale_after_s: float = 300.0,
) -> list[Reading]:
    """All four objectives measured at one instant."""
    stale_at = at + dt.timedelta(seconds=stale_after_s)
    lag_s = None if updated_at is None else (at - updated_at).total_seconds()
    ratios = zip(NAMES[1:], (completeness, accuracy, availability), strict=True)
    return [
        Reading(ObjectiveName.FRESHNESS, at, stale_at, lag_s, "slo", last_update_at=updated_at),
        *(Reading(name, at, stale_at, ratio, "rows", 100) for name, ratio in ratios),
    ]


def failed(at: dt.datetime, finding: str, *, names: tuple[ObjectiveName, ...] = NAMES[:3]) -> list[Reading]:
    """A measurement that failed."""
    return [Reading(name, at, at, failed=True, finding=finding) for name in names]


def calls(at: dt.datetime, *, bad: float, total: float, stale_after_s: float = 300.0) -> Reading:
    """Calls counted towards availability."""
    stale_at = at + dt.timedelta(seconds=stale_after_s)
    return Reading(ObjectiveName.AVAILABILITY, at, stale_at, source="probes and calls", bad=bad, total=total, failed=bad == total)


def share(name: ObjectiveName, at: dt.datetime, ratio: float | None, *, rows: int = 100, stale_after_s: float = 300.0) -> Reading:
    """A share of rows."""
    stale_at = at + dt.timedelta(seconds=stale_after_s)
    bad = 0.0 if ratio is None else (1 - ratio) * rows
    return Reading(name, at, stale_at, ratio, "rows", rows, bad=bad, total=0.0 if ratio is None else rows)
