"""Error budgets as alerts read them: how fast one may burn, over which windows, before somebody is called.

Pure. Source: the multi-window, multi-burn-rate method of the SRE workbook, chapter 5: an alert holds while the budget burns too fast
over a long window (it matters) *and* over a short one (it still does).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from contracts.model import Contract

__all__ = ["PERIOD_S", "SLICES_TARGET_RATIO", "Burn", "burns", "promised_ratio", "window_text", "windows_s"]

PERIOD_S = 30 * 86_400.0
"""What an error budget is counted over, unless the contract's objective states a window."""
SLICES_TARGET_RATIO = 0.99
"""Freshness is kept or not kept at each moment; this share of all moments it has to be kept, as contracts state no share for it."""

_DAY_S = 86_400
_HOUR_S = 3_600
# (severity, share of the budget that may go, long window, short window): 14.4x, 6x and 1x where the period is 30 days.
_POLICY = (("page", 0.02, _HOUR_S, 300), ("page", 0.05, 6 * _HOUR_S, 1_800), ("ticket", 0.1, 3 * _DAY_S, 6 * _HOUR_S))


@dataclass(frozen=True, slots=True)
class Burn:
    """One alert: ``factor`` times the speed that uses a budget up in exactly its period, over both windows (seconds)."""

    severity: str
    factor: float
    long_s: int
    short_s: int


def burns(budget_ratio: float, period_s: float) -> Iterator[Burn]:
    """List the alerts on a budget. One that even a total outage would not set off is left out."""
    for severity, share, long_s, short_s in _POLICY:
        factor = round(max(1.0, share * period_s / long_s), 3)
        if factor * budget_ratio < 1.0:
            yield Burn(severity, factor, long_s, short_s)


def windows_s() -> tuple[int, ...]:
    """List all windows that alerts look at, shortest first."""
    return tuple(sorted({window for _, _, long_s, short_s in _POLICY for window in (long_s, short_s)}))


def window_text(window_s: int) -> str:
    """Write a window as Prometheus does: ``5m``, ``6h``, ``3d``."""
    for unit, size in (("d", _DAY_S), ("h", _HOUR_S), ("m", 60)):
        if window_s % size == 0:
            return f"{window_s // size}{unit}"
    return f"{window_s}s"


def promised_ratio(contract: Contract, objective: str) -> tuple[float, float]:
    """Tell which share of moments (freshness), rows or events has to be good, and over which period in seconds."""
    stated = getattr(contract.objectives, objective)
    period_s = getattr(stated, "window_s", None) or PERIOD_S
    return (SLICES_TARGET_RATIO if objective == "freshness" else stated.target_ratio), period_s
