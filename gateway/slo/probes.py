"""Availability counted from our own probes: the share that was answered, over a rolling window, in a bounded number of buckets."""

from __future__ import annotations

import datetime as dt
from collections import deque

__all__ = ["WINDOW_S", "Probes"]

WINDOW_S = 30 * 86_400.0
_BUCKETS = 60


class Probes:
    """The probes of one product; forgets by sixtieths of the window."""

    __slots__ = ("_buckets", "_width")

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._width = window_s / _BUCKETS
        self._buckets: deque[list[int]] = deque(maxlen=_BUCKETS)

    def count(self, at: dt.datetime, *, answered: bool) -> None:
        """Count one probe."""
        number = int(at.timestamp() // self._width)
        if not self._buckets or number > self._buckets[-1][0]:
            self._buckets.append([number, 0, 0])
        while self._buckets[0][0] <= number - _BUCKETS:
            self._buckets.popleft()
        bucket = self._buckets[-1]
        bucket[1] += answered
        bucket[2] += 1

    @property
    def ratio(self) -> float | None:
        """The share of probes that were answered; None before the first."""
        counted = sum(bucket[2] for bucket in self._buckets)
        return sum(bucket[1] for bucket in self._buckets) / counted if counted else None
