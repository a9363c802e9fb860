"""What operations were estimated to cost and what they read, as Prometheus histograms that cost next to nothing to keep.

Tallied in plain numbers and written when the metrics are read; used from one thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

__all__ = ["CostTally"]

_COSTS = (10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
_RATIOS = (0.001, 0.01, 0.1, 0.25, 0.5, 1.0, 2.0)


class _Histogram:
    """Numbers by bucket."""

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self._name, self._text, self._bounds = name, text, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count a number."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def family(self) -> Metric:
        """Write the histogram."""
        total, buckets = 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        family = HistogramMetricFamily(self._name, self._text)
        family.add_metric([], buckets, self._sum)
        return family


class CostTally(Collector):
    """Estimates beside what was read."""

    def __init__(self) -> None:
        self._costs = _Histogram("meshgate_operation_cost", "Estimated cost of operations: rows x columns x weight.", _COSTS)
        self._ratios = _Histogram("meshgate_operation_rows_ratio", "Rows read by an operation, of those estimated at most.", _RATIOS)
        self._estimated = self._read = 0

    def add(self, cost: float, rows_estimated: int, rows_read: int | None) -> None:
        """Take in one operation. ``rows_read``: None where that is not counted, as for streams."""
        self._costs.add(cost)
        if rows_read is not None and rows_estimated:
            self._ratios.add(rows_read / rows_estimated)
            self._estimated += rows_estimated
            self._read += rows_read

    def collect(self) -> Iterator[Metric]:
        """Write all of it."""
        yield self._costs.family()
        yield self._ratios.family()
        for name, text, value in (
            ("meshgate_operation_rows_estimated", "Rows that operations were estimated to read at most.", self._estimated),
            ("meshgate_operation_rows_read", "Rows and groups that the same operations read.", self._read),
        ):
            yield CounterMetricFamily(name, text, value=value)
