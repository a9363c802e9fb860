"""Error budgets: how much of what was counted was bad, over an objective's window and over the last six hours.

Counts live in rings of a bounded number of buckets, so a product costs the same memory after a minute and after a year. Instants come in
as arguments; time that goes backwards is counted as the newest time seen. Source: SPEC D5.
"""

from __future__ import annotations

import datetime as dt
from array import array

from gateway.slo.measured import BudgetLeft, Trend

__all__ = ["BURN_WINDOW_S", "WINDOW_S", "Spending"]

WINDOW_S = 30 * 86_400.0
"""The window of a budget for which the contract states none."""
BURN_WINDOW_S = 6 * 3_600.0
"""Over how long the rate of burning is looked at."""

_BUCKETS = 60
_BURN_BUCKETS = 24
# A figure has to move by a twentieth before its trend is more than noise.
_STEADY = 0.05


class _Ring:
    """Sums of (bad, total, figures, figures counted) by bucket of time; what is older than the window is forgotten."""

    __slots__ = ("_cells", "_newest", "_size", "_width")

    def __init__(self, window_s: float, buckets: int) -> None:
        self._width = window_s / buckets
        self._size = buckets
        self._newest = -1
        self._cells = array("d")

    def add(self, at_s: float, bad: float, total: float, figure: float | None) -> None:
        number = self._turn(at_s)
        if number <= self._newest - self._size:
            return
        cells, place = self._cells, 4 * (number % self._size)
        cells[place] += bad
        cells[place + 1] += total
        if figure is not None:
            cells[place + 2] += figure
            cells[place + 3] += 1

    def sums(self, at_s: float) -> tuple[float, float, float, float]:
        if self._newest < 0:
            return 0.0, 0.0, 0.0, 0.0
        self._turn(at_s)
        cells = self._cells
        return sum(cells[0::4]), sum(cells[1::4]), sum(cells[2::4]), sum(cells[3::4])

    def _turn(self, at_s: float) -> int:
        number = int(at_s // self._width)
        if self._newest < 0:
            self._cells = array("d", bytes(32 * self._size))
            self._newest = number
        for passed in range(max(self._newest + 1, number - self._size + 1), number + 1):
            self._cells[4 * (passed % self._size) : 4 * (passed % self._size) + 4] = array("d", bytes(32))
        self._newest = max(self._newest, number)
        return number


class Spending:
    """What was spent of one objective's budget. ``allowed_ratio``: the share that may be bad."""

    __slots__ = ("_allowed", "_burn", "_lower_is_better", "_scale", "_window", "window_s")

    def __init__(self, allowed_ratio: float, *, window_s: float | None = None, scale: float = 1.0, lower_is_better: bool = False) -> None:
        self.window_s = window_s or WINDOW_S
        self._allowed = allowed_ratio
        self._window = _Ring(self.window_s, _BUCKETS)
        self._burn = _Ring(min(BURN_WINDOW_S, self.window_s), _BURN_BUCKETS)
        self._scale = scale
        self._lower_is_better = lower_is_better

    def count(self, at: dt.datetime, *, bad: float, total: float, figure: float | None = None) -> None:
        """Count ``bad`` of ``total``; ``figure``: what was measured, for the trend."""
        at_s = at.timestamp()
        self._window.add(at_s, bad, total, figure)
        self._burn.add(at_s, bad, total, figure)

    def total(self, at: dt.datetime) -> float:
        """Tell over how much the window's share is counted."""
        return self._window.sums(at.timestamp())[1]

    def bad_ratio(self, at: dt.datetime) -> float | None:
        """Tell which share of the window was bad; None before anything was counted."""
        bad, total, _, _ = self._window.sums(at.timestamp())
        return bad / total if total else None

    def burn_rate(self, at: dt.datetime) -> float | None:
        """Tell how many times faster than allowed the budget was spent lately."""
        bad, total, _, _ = self._burn.sums(at.timestamp())
        return _rate(bad / total, self._allowed) if total else None

    def left(self, at: dt.datetime) -> BudgetLeft | None:
        """Tell what is left; None before anything was counted."""
        bad = self.bad_ratio(at)
        if bad is None:
            return None
        return BudgetLeft(self.window_s, self._allowed, bad, round(1.0 - _rate(bad, self._allowed), 6), self.burn_rate(at))

    def trend(self, at: dt.datetime) -> Trend | None:
        """Compare the figures of the last hours with those of the whole window; None before there are two."""
        _, _, summed, counted = self._window.sums(at.timestamp())
        _, _, late_sum, late = self._burn.sums(at.timestamp())
        if counted < 2 or not late:
            return None
        rise = (late_sum / late - summed / counted) / self._scale
        if abs(rise) < _STEADY:
            return Trend.STEADY
        return Trend.WORSENING if (rise > 0) == self._lower_is_better else Trend.IMPROVING


def _rate(bad_ratio: float, allowed_ratio: float) -> float:
    # Where nothing may be bad, anything bad spends the budget many times over; a number all the same, as JSON has no infinity.
    return round(bad_ratio / max(allowed_ratio, 1e-9), 6)
