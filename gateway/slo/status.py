"""Figures judged against objectives: MET, AT_RISK, BREACHED or UNKNOWN, and when a state changes by itself as time passes.

Pure. A figure that cannot be true (no number, outside 0 to 1, negative age) is UNKNOWN. Source: SPEC D5.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from enum import StrEnum

__all__ = ["AT_RISK_SHARE", "SloStatus", "freshness_changes", "freshness_status", "ratio_status", "worst"]

AT_RISK_SHARE = 0.8
_LEAST = dt.timedelta(microseconds=1)


class SloStatus(StrEnum):
    """How a promise is being kept."""

    MET = "MET"
    AT_RISK = "AT_RISK"
    BREACHED = "BREACHED"
    UNKNOWN = "UNKNOWN"


_WORST_FIRST = (SloStatus.BREACHED, SloStatus.UNKNOWN, SloStatus.AT_RISK, SloStatus.MET)


def worst(statuses: Iterable[SloStatus]) -> SloStatus:
    """Choose the worst, in the order BREACHED, UNKNOWN, AT_RISK, MET; of none: UNKNOWN."""
    return min(statuses, key=_WORST_FIRST.index, default=SloStatus.UNKNOWN)


def ratio_status(target_ratio: float, ratio: float | None, *, burn_rate: float | None = None) -> SloStatus:
    """Judge a share: ``target_ratio`` is the least that keeps the promise; at risk while the error budget burns at 1x or more."""
    if ratio is None or not 0.0 <= ratio <= 1.0:
        return SloStatus.UNKNOWN
    if ratio < target_ratio:
        return SloStatus.BREACHED
    return SloStatus.AT_RISK if burn_rate is not None and burn_rate >= 1.0 else SloStatus.MET


def freshness_status(limit_s: float, age_s: float | None) -> SloStatus:
    """Judge an age: at risk from 80 % of the limit, breached beyond it."""
    if age_s is None or not math.isfinite(age_s) or age_s < 0:
        return SloStatus.UNKNOWN
    if age_s > limit_s:
        return SloStatus.BREACHED
    return SloStatus.AT_RISK if age_s >= AT_RISK_SHARE * limit_s else SloStatus.MET


def freshness_changes(limit_s: float, last_update_at: dt.datetime) -> tuple[dt.datetime, ...]:
    """Name the instants at which data last updated then goes at risk and into breach; none beyond the calendar's end."""
    found: list[dt.datetime] = []
    for after_s, more in ((AT_RISK_SHARE * limit_s, dt.timedelta(0)), (limit_s, _LEAST)):
        try:
            found.append(last_update_at + dt.timedelta(seconds=after_s) + more)
        except OverflowError:
            break
    return tuple(found)
