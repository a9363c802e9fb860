"""Metrics: counts and times of the gateway, as Prometheus text.

Labels are bounded: codes and outcomes are fixed lists, products are counted by name up to a bound and as ``other`` beyond.
"""

from __future__ import annotations

from collections.abc import Callable

import prometheus_client as prometheus
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gateway.observe.costs import CostTally
from gateway.observe.tallies import Counts, Times

__all__ = ["CONTENT_TYPE", "OUTCOMES", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
OUTCOMES = ("ok", "unavailable", "invalid", "refused", "deadline", "cancelled", "overloaded")
"""How an upstream read may end; ``overloaded``: for want of room here, which says nothing about the port."""

_LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_READS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_OTHER = "other"


class Metrics:
    """All metrics of one process, in a registry of their own."""

    def __init__(self, *, products_max: int = 5_000) -> None:
        self.registry = prometheus.CollectorRegistry()
        # Otherwise every series comes twice, with the time of its first use.
        prometheus.disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped there
        self._products_max = products_max
        self._products: set[str] = set()
        registry = self.registry
        self._requests = Counts("meshgate_requests", "GraphQL requests by code.", ("code",), registry)
        self._latency = Times("meshgate_request_seconds", "Time to answer.", (), _LATENCIES, registry)
        self._in_flight = prometheus.Gauge("meshgate_requests_in_flight", "Requests being answered.", registry=registry)
        self._reads = Counts("meshgate_upstream_reads", "Upstream reads.", ("product", "port", "level", "outcome"), registry)
        self._failovers = Counts(
            "meshgate_port_failovers",
            "Reads answered by another port than the best one, which is away or could not.",
            ("product", "port", "level"),
            registry,
        )
        self._read_times = Times("meshgate_upstream_read_seconds", "Time of an upstream read.", ("product",), _READS, registry)
        self._compiles = prometheus.Histogram("meshgate_compile_seconds", "Time to compile.", buckets=_LATENCIES, registry=registry)
        self._executables = Counts("meshgate_executables", "Look-ups of compiled operations.", ("outcome",), registry)
        self._events = prometheus.Counter(
            "data_product_availability_events",
            "Probes and calls that count for availability.",
            ["domain", "product", "version", "outcome"],
            registry=registry,
        )
        self._alerts = prometheus.Counter("meshgate_alerts", "Changes of state by receiver.", ["sink", "outcome"], registry=registry)
        self._others: list[Callable[[], Callable[[], bytes]]] = []
        self._costs = CostTally()
        registry.register(self._costs)
        prometheus.ProcessCollector(registry=registry)
        prometheus.GCCollector(registry=registry)

    def request(self, code: str, duration_s: float) -> None:
        """Count an answered request. ``code``: of the refusal, ``OK``, or ``PARTIAL`` for an answer with errors."""
        self._requests.add(code)
        self._latency.add(duration_s)

    def read(self, product: str, outcome: str, duration_s: float, port: str, level: int) -> None:
        """Count an upstream read. ``outcome``: one of `OUTCOMES`; ``port``: as the contract names it."""
        name = self._bounded(product)
        self._reads.add(name, _OTHER if name == _OTHER else port, str(level), outcome if outcome in OUTCOMES else _OTHER)
        self._read_times.add(duration_s, name)

    def failover(self, product: str, port: str, level: int) -> None:
        """Count a read that ``port`` answered in the place of another."""
        name = self._bounded(product)
        self._failovers.add(name, _OTHER if name == _OTHER else port, str(level))

    def events(self, product: str, version: str, *, bad: float, total: float) -> None:
        """Count probes and calls for a product's availability (``product``: ``domain/name``); both series are there from the first on."""
        name = self._bounded(product)
        domain, _, rest = name.partition("/")
        for outcome, counted in (("good", total - bad), ("bad", bad)):
            self._events.labels(domain, rest.partition("@")[0], version if rest else "", outcome).inc(max(0.0, counted))

    def alerts(self, sink: str, outcome: str, count: int) -> None:
        """Count changes of state that a receiver was told (``sent``), not told yet (``failed``) or will not be told (``dropped``)."""
        self._alerts.labels(sink, outcome).inc(count)

    def cost(self, cost: float, rows_estimated: int, rows_read: int | None) -> None:
        """Count what an operation was estimated to cost, and the rows it read."""
        self._costs.add(cost, rows_estimated, rows_read)

    def compiled(self, duration_s: float) -> None:
        """Count a compilation."""
        self._compiles.observe(duration_s)

    def executable(self, *, hit: bool) -> None:
        """Count a look-up of a compiled operation."""
        self._executables.add("hit" if hit else "miss")

    def gauge(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        """Show a number that is asked for when the metrics are read: ages, sizes of caches."""
        prometheus.Gauge(f"meshgate_{name}", help_text, registry=self.registry).set_function(value)

    def in_flight(self, value: Callable[[], float]) -> None:
        """Ask ``value`` for the number of requests being answered whenever the metrics are read."""
        self._in_flight.set_function(value)

    def also(self, take: Callable[[], Callable[[], bytes]]) -> None:
        """Show further series: ``take`` looks at what they are about, on the event loop, and gives what writes them, anywhere."""
        self._others.append(take)

    def rendering(self) -> Callable[[], bytes]:
        """Look at everything now; give what writes it as Prometheus text, which takes its time for many products: not the loop's."""
        others = [take() for take in self._others]
        return lambda: b"".join([generate_latest(self.registry), *(write() for write in others)])

    def render(self) -> bytes:
        """Write all metrics as Prometheus text."""
        return self.rendering()()

    def _bounded(self, product: str) -> str:
        if product in self._products:
            return product
        if len(self._products) >= self._products_max:
            return _OTHER
        self._products.add(product)
        return product
