"""How all products stand -> the series of ``/metrics`` and of OpenTelemetry, under the guide's names.

Read from the board when somebody looks. The lag is that of *now*: it grows while nothing newer is known of, so a measurement that stopped
does not look fresh. What is unknown has no sample, but for the status, which says UNKNOWN. Pure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gateway.slo.measured import Measured, ProductSlo
from gateway.slo.status import SloStatus

__all__ = ["SERIES", "STATUS_NUMBERS", "Series", "exposition", "labels_of", "writer"]

STATUS_NUMBERS = {SloStatus.MET: 0.0, SloStatus.AT_RISK: 1.0, SloStatus.UNKNOWN: 2.0, SloStatus.BREACHED: 3.0}
"""Statuses as numbers, the worse the higher, so that ``max`` is worst-of."""

Labels = tuple[tuple[str, str], ...]
Samples = Callable[[ProductSlo, dt.datetime], Iterable[tuple[Labels, float]]]


@dataclass(frozen=True, slots=True)
class Series:
    """One gauge. ``name``: as in the guide, with a dot. ``samples``: (product, now) -> labels beside the product's own, and values."""

    name: str
    help: str
    unit: str
    samples: Samples

    @property
    def prometheus(self) -> str:
        """The name in ``/metrics``."""
        return self.name.replace(".", "_")


def _lag(slo: ProductSlo, now: dt.datetime) -> Iterator[tuple[Labels, float]]:
    if slo.as_of is not None:
        yield (), max(0.0, (now - slo.as_of).total_seconds())


def _ratio(name: str) -> Samples:
    def samples(slo: ProductSlo, _now: dt.datetime) -> Iterator[tuple[Labels, float]]:
        measured: Measured | None = getattr(slo, name)
        if measured is not None and measured.figure is not None:
            yield (), measured.figure

    return samples


def _age(slo: ProductSlo, now: dt.datetime) -> Iterator[tuple[Labels, float]]:
    if slo.measured_at is not None:
        yield (), max(0.0, (now - slo.measured_at).total_seconds())


def _of_objectives(value: Callable[[Measured], float | None]) -> Samples:
    def samples(slo: ProductSlo, _now: dt.datetime) -> Iterator[tuple[Labels, float]]:
        for measured in slo.objectives:
            if (found := value(measured)) is not None:
                yield (("objective", measured.name.value),), found

    return samples


SERIES = (
    Series("data_product.freshness_lag_seconds", "Age of the newest data.", "s", _lag),
    Series("data_product.completeness_ratio", "Share of required values that are there.", "1", _ratio("completeness")),
    Series("data_product.accuracy_ratio", "Share of rows that are right.", "1", _ratio("accuracy")),
    Series("data_product.availability_ratio", "Share of good probes and calls over the objective's window.", "1", _ratio("availability")),
    Series(
        "data_product.slo_status",
        "The worst status of its objectives: 0 MET, 1 AT_RISK, 2 UNKNOWN, 3 BREACHED.",
        "1",
        lambda slo, _: (((), STATUS_NUMBERS[slo.status]),),
    ),
    Series(
        "data_product.objective_status",
        "The status of each objective: 0 MET, 1 AT_RISK, 2 UNKNOWN, 3 BREACHED.",
        "1",
        _of_objectives(lambda it: STATUS_NUMBERS[it.status]),
    ),
    Series(
        "data_product.error_budget_left_ratio",
        "Share of the error budget that is left: 1 untouched, 0 spent, below 0 overspent.",
        "1",
        _of_objectives(lambda it: None if it.budget is None else it.budget.left_ratio),
    ),
    Series(
        "data_product.error_budget_burn_rate",
        "How many times faster than allowed the error budget went over the last six hours.",
        "1",
        _of_objectives(lambda it: None if it.budget is None else it.budget.burn_rate),
    ),
    Series("data_product.measurement_age_seconds", "Time since it was last measured.", "s", _age),
)
"""Every gauge about data products."""


def labels_of(slo: ProductSlo) -> Labels:
    """Name a product in labels: its domain, its name there, its version."""
    domain, _, name = slo.product.partition("@")[0].partition("/")
    return (("domain", domain), ("product", name), ("version", slo.version or ""))


def writer(
    products: Callable[[], Iterable[ProductSlo]], clock: Callable[[], dt.datetime], *, products_max: int
) -> Callable[[], Callable[[], bytes]]:
    """Make what looks at all products, on the event loop, and gives what writes their gauges, anywhere."""

    def look() -> Callable[[], bytes]:
        shown, now = tuple(products()), clock()
        return lambda: exposition(shown, now, products_max=products_max)

    return look


def exposition(products: Iterable[ProductSlo], now: dt.datetime, *, products_max: int) -> bytes:
    """Write all gauges as Prometheus text. Of more than ``products_max`` products the others are counted only."""
    shown = list(products)
    left_out = max(0, len(shown) - products_max)
    del shown[products_max:]
    named = [(slo, _written(labels_of(slo))) for slo in shown]
    parts: list[bytes] = []
    for series in SERIES:
        name = series.prometheus
        lines = [f"# HELP {name} {series.help}", f"# TYPE {name} gauge"]
        for slo, own in named:
            for more, value in series.samples(slo, now):
                lines.append(f"{name}{{{own}{',' + _written(more) if more else ''}}} {value!r}")
        # Part by part: all of it in one piece would be copied at once, which holds up the event loop from any thread.
        parts.append("\n".join([*lines, ""]).encode())
    name = "data_product_metrics_left_out"
    told = "Products beyond observe.products_max, which have no series."
    return b"".join([*parts, f"# HELP {name} {told}\n# TYPE {name} gauge\n{name} {left_out}\n".encode()])


def _written(labels: Labels) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
