"""Objectives as numbers with units: what "< 1 hour", "> 99.5%", "99.95%" and "7 years" promise."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Objectives", "RatioObjective", "Retention", "TimeObjective"]


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


@dataclass(frozen=True, slots=True)
class Objectives:
    """What the product promises; None where it promises nothing. ``measure_every_s`` and ``sample_rows``: how to measure."""

    freshness: TimeObjective | None = None
    completeness: RatioObjective | None = None
    accuracy: RatioObjective | None = None
    availability: RatioObjective | None = None
    measure_every_s: float | None = None
    sample_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """Rows whose ``from_column`` is older than ``period_s`` seconds are not served."""

    text: str
    period_s: float
    from_column: str | None = None
