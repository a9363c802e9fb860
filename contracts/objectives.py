"""Objectives as numbers with units: what "< 1 hour", "> 99.5%", "99.95%" and "7 years" promise.

Rejects what promises nothing or the wrong way round (freshness of *more* than an hour); messages are fit to be shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from contracts.durations import parse_duration

__all__ = [
    "SPAN_MAX_S",
    "SPAN_MIN_S",
    "Objectives",
    "RatioObjective",
    "Retention",
    "TimeObjective",
    "Unreadable",
    "parse_ratio",
    "parse_ratio_objective",
    "parse_time_objective",
]


SPAN_MIN_S, SPAN_MAX_S = 60.0, 92 * 86_400.0
"""Windows and periods over which shares and rows can be counted."""


@dataclass(frozen=True, slots=True)
class TimeObjective:
    """At most ``limit_s`` seconds old; ``text`` is the contract's own wording."""

    text: str
    limit_s: float


@dataclass(frozen=True, slots=True)
class RatioObjective:
    """At least ``target_ratio`` (0 to 1), counted over ``window_s`` seconds where the contract states a window."""

    text: str
    target_ratio: float
    window_s: float | None = None
    expected_rows_min: int | None = None
    expected_rows_per_s: float | None = None
    """The period, in seconds, in which at least ``expected_rows_min`` rows are expected."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An objective that says nothing that can be measured: its wording, and what is wrong with it."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Objectives:
    """What the product promises; None where it promises nothing. ``measure_every_s`` and ``sample_rows``: how to measure.

    ``unreadable``: by name, what was meant as a promise and cannot be read; it is never known, and all else of the product is unharmed.
    """

    freshness: TimeObjective | None = None
    completeness: RatioObjective | None = None
    accuracy: RatioObjective | None = None
    availability: RatioObjective | None = None
    measure_every_s: float | None = None
    sample_rows: int | None = None
    unreadable: tuple[tuple[str, Unreadable], ...] = ()


@dataclass(frozen=True, slots=True)
class Retention:
    """Rows whose ``from_column`` is older than ``period_s`` seconds are not served; None: no column dates the rows."""

    text: str
    period_s: float
    from_column: str | None = None


_RATIO = re.compile(r"(>=|>|≥)?\s*([0-9]{1,3}(?:\.[0-9]{1,9})?)\s*%")


def parse_time_objective(text: str) -> TimeObjective:
    """Read ``< 1 hour``, ``<= 15 min``, ``1h`` or ``PT1H``: an age that the data does not exceed."""
    wanted = text.strip()
    if wanted.startswith((">", "≥")):
        raise ValueError('freshness is an upper limit: write "< ..."')
    return TimeObjective(text, parse_duration(wanted.removeprefix("<").removeprefix("=").removeprefix("≤")))


def parse_ratio_objective(text: str) -> RatioObjective:
    """Read ``> 99.5%``, ``>= 99.5 %`` or ``99.95%``: a share that the product does not fall below."""
    return RatioObjective(text, parse_ratio(text))


def parse_ratio(text: str) -> float:
    """Read a percentage as a ratio between 0 and 1."""
    wanted = text.strip()
    if wanted.startswith(("<", "≤")):
        raise ValueError('this objective is a lower limit: write "> ..."')
    match = _RATIO.fullmatch(wanted)
    if match is None:
        raise ValueError('expected a percentage such as "> 99.5%" or "99.95%"')
    percent = Decimal(match[2])
    if percent > 100 or (percent == 100 and match[1] == ">"):
        raise ValueError("more than 100% cannot be promised")
    if percent == 0:
        raise ValueError("at least 0% promises nothing")
    return float(percent / 100)
