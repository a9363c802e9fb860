"""Tallies: counts and times that every request adds to, as plain numbers; Prometheus gets them when it asks.

Its own objects cost a lock, several calls and a look-up of labels each time. Added to from the event loop alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString

__all__ = ["Counts", "Times"]

Labels = tuple[str, ...]


class Counts(Collector):
    """A counter by labels."""

    def __init__(self, name: str, about: str, labels: Labels, registry: CollectorRegistry) -> None:
        self._name, self._about, self._labels = name, about, labels
        self._counts: dict[Labels, int] = {}
        registry.register(self)

    def add(self, *values: str) -> None:
        """Count one."""
        counts = self._counts
        counts[values] = counts.get(values, 0) + 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Show the counts."""
        family = CounterMetricFamily(self._name, self._about, labels=self._labels)
        for values, count in list(self._counts.items()):  # in one step: they are written beside the loop, which adds to them
            family.add_metric(values, count)
        yield family


class Times(Collector):
    """A histogram by labels; one without labels shows from the start. ``bounds``: seconds, ascending."""

    def __init__(self, name: str, about: str, labels: Labels, bounds: Sequence[float], registry: CollectorRegistry) -> None:
        self._name, self._about, self._labels, self._bounds = name, about, labels, tuple(bounds)
        self._names = [*map(floatToGoString, bounds), "+Inf"]
        self._found: dict[Labels, list[float]] = {}
        """Labels -> how many fell between two bounds, then the sum."""
        if not labels:
            self._found[()] = self._none()
        registry.register(self)

    def add(self, seconds: float, *values: str) -> None:
        """Note one duration."""
        found = self._found.get(values)
        if found is None:
            found = self._found[values] = self._none()
        found[bisect_left(self._bounds, seconds)] += 1
        found[-1] += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Show the histograms."""
        family = HistogramMetricFamily(self._name, self._about, labels=self._labels)
        for values, found in list(self._found.items()):
            family.add_metric(values, list(zip(self._names, accumulate(found[:-1]), strict=True)), found[-1])
        yield family

    def _none(self) -> list[float]:
        return [0] * (len(self._bounds) + 1) + [0.0]
