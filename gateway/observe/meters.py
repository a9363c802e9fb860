"""Gauges about data products through OpenTelemetry, under the guide's names, where an exporter is set up.

OpenTelemetry asks from a thread of its own, the board belongs to the event loop: what is exported is what the loop last showed.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterable, Iterator

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricExporter, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from gateway.slo.measured import ProductSlo
from gateway.slo.series import SERIES, Series, labels_of

__all__ = ["Meters", "configure"]


class Meters:
    """What is exported. ``stop`` flushes and ends it."""

    def __init__(self, reader: MetricReader, clock: Callable[[], dt.datetime], *, products_max: int) -> None:
        self._clock = clock
        self._products_max = products_max
        self._shown: tuple[ProductSlo, ...] = ()
        self._provider = MeterProvider([reader], Resource.create({"service.name": "meshgate"}), shutdown_on_exit=False)
        meter = self._provider.get_meter("meshgate")
        for series in SERIES:
            meter.create_observable_gauge(series.name, [self._callback(series)], unit=series.unit, description=series.help)

    def show(self, products: Iterable[ProductSlo]) -> None:
        """Export these from now on; of more than ``products_max`` the first."""
        self._shown = tuple(products)[: self._products_max]

    def stop(self) -> None:
        """Export once more and end; may take as long as the exporter does."""
        self._provider.shutdown()

    def _callback(self, series: Series) -> Callable[[CallbackOptions], Iterator[Observation]]:
        def observe(_options: CallbackOptions) -> Iterator[Observation]:
            now = self._clock()
            for slo in self._shown:
                own = labels_of(slo)
                for more, value in series.samples(slo, now):
                    yield Observation(value, dict((*own, *more)))

        return observe


def configure(
    where: str, clock: Callable[[], dt.datetime], *, products_max: int, every_s: float, reader: MetricReader | None = None
) -> Meters | None:
    """Export ``where`` the settings say (``off``, ``console``, ``otlp``), or to ``reader``.

    Raises: RuntimeError, when ``otlp`` is asked for and its exporter is not installed.
    """
    if reader is None and where == "off":
        return None
    return Meters(reader or PeriodicExportingMetricReader(_exporter(where), every_s * 1_000), clock, products_max=products_max)


def _exporter(where: str) -> MetricExporter:
    if where == "console":
        return ConsoleMetricExporter(out=sys.stdout)
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # type: ignore[import-not-found,unused-ignore]  # an extra, which may be installed
    except ImportError:
        raise RuntimeError("observe.metrics is otlp: install opentelemetry-exporter-otlp-proto-http, or set it to off") from None
    exporter: MetricExporter = OTLPMetricExporter()
    return exporter
