"""Settings in, a gateway without HTTP out: contracts loaded, ports opened, background work started and stopped.

`Service` is what the application and the command line hold. Touches the disk when built, the network from `start` on.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from contracts import CatalogReading, Contract, MeshPolicy, load_policy, read_catalog
from domain_adapters.addresses import AddressPolicy
from domain_adapters.endpoint import Endpoint
from domain_adapters.errors import PortError
from domain_adapters.kinds import Surroundings, is_served, open_port
from domain_adapters.port import Call, Port
from gateway.catalog.snapshot import Product, tolerant_snapshot_of
from gateway.compiler.explain import explain
from gateway.engine.budget import Bounds
from gateway.engine.engine import Engine
from gateway.engine.proof import counts_hold, row_rules_of
from gateway.engine.proof_totals import totals_hold
from gateway.errors import GatewayError
from gateway.exchange import Frame, Question
from gateway.observe import meters
from gateway.observe.logs import event, fault
from gateway.observe.metrics import Metrics
from gateway.settings import PortSettings, ProductSettings, Settings
from gateway.slo import series
from gateway.slo.board import Board
from gateway.slo.cadence import Cadence
from gateway.slo.upkeep import Upkeep

__all__ = ["Service", "build"]

Clock = Callable[[], dt.datetime]


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def build(settings: Settings, *, metrics: Metrics | None = None, clock: Clock = _utc_now) -> Service:
    """Load contracts and policy and open the ports; nothing is asked of them yet.

    Contracts that do not load, or clash with others, are left out and logged: one domain's mistake never takes the others down.
    **Raises** `contracts.PolicyInvalidError`, `ValueError` (an endpoint's URL).
    """
    with _without_collector():
        policy = load_policy(settings.policy_file)
        reading = read_catalog(settings.catalog_dir, policy)
        for problem in reading.problems:
            event("contract_left_out", problem=str(problem))
        return Service(settings, policy, reading, metrics=metrics or Metrics(products_max=settings.observe.products_max), clock=clock)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Let thousands of contracts be loaded without looking through all of them for garbage again and again: they stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Service:
    """A gateway over the ports of its settings. ``answerer``: what HTTP asks."""

    def __init__(self, settings: Settings, policy: MeshPolicy, reading: CatalogReading, *, metrics: Metrics, clock: Clock) -> None:
        self.settings = settings
        self.policy = policy
        self.reading = reading
        self.metrics = metrics
        self._ports = _opened(settings, reading.contracts)
        self.snapshot = tolerant_snapshot_of(reading.contracts, self._ports, keep_spelling=settings.names == "contract")
        for finding in self.snapshot.findings:
            event("left_out", finding=finding)
        slo = settings.slo
        cadence = Cadence(slo.freshness_s, slo.sample_s, slo.sample_rows)
        self.board = Board(reading.contracts, clock, cadence=cadence)
        self.upkeep = Upkeep(
            self.board,
            lambda: self.snapshot.products,
            clock=clock,
            cadence=cadence,
            timeout_s=slo.timeout_s,
            concurrency=slo.concurrent_max,
        )
        metrics.also(series.writer(self.board.products, clock, products_max=settings.observe.products_max))
        self.bounds = _bounds(settings)
        self.answerer = Engine(
            self.snapshot,
            policy,
            secret=settings.key("engine"),
            limits=settings.limits,
            bounds=self.bounds,
            clock=clock,
            board=self.board,
            kept_max_bytes=settings.cache.executables_max_bytes,
            fragments_max_bytes=settings.cache.fragments_max_bytes,
            on_compiled=metrics.compiled,
            on_executable=lambda hit: metrics.executable(hit=hit),
            on_read=self._note_read,
            on_internal=lambda error, id_: fault("internal_error", error, request_id=id_),
            on_dropped=lambda product, rows: event("rows_dropped", product=product, rows=rows),
        )
        observe = settings.observe
        self._meters = meters.configure(observe.metrics, clock, products_max=observe.products_max, every_s=observe.metrics_s)
        self._background: list[asyncio.Task[None]] = []
        self._probed = asyncio.Event()

    async def start(self) -> None:
        """Begin probing ports and polling their SLOs."""
        self._background = [asyncio.create_task(self._probe_forever()), asyncio.create_task(self.upkeep.run())]
        if self._meters is not None:
            self._background.append(asyncio.create_task(self._show_forever(self._meters)))

    async def aclose(self) -> None:
        """Stop the background work and close every port."""
        if self._meters is not None:
            await asyncio.to_thread(self._meters.stop)
        for task in self._background:
            task.cancel()
        for task in self._background:
            with suppress(asyncio.CancelledError):
                await task
        self._background = []
        self.answerer.close()
        for ports in self._ports.values():
            for port in ports:
                await port.aclose()

    async def _show_forever(self, shown: meters.Meters) -> None:
        while True:
            shown.show(self.board.products())
            await asyncio.sleep(self.settings.observe.metrics_s / 2)

    def readiness(self) -> dict[str, str]:
        """Name what is still missing before the gateway should get traffic; empty when ready."""
        missing: dict[str, str] = {}
        if not self._probed.is_set():
            missing["ports"] = "not every endpoint has been asked for its capabilities yet"
        if not self.upkeep.first_round_done.is_set():
            missing["slo"] = "not every reachable endpoint has been measured yet"
        if not self.snapshot.products:
            missing["catalog"] = "no contract could be loaded"
        return missing

    async def explain(self, question: Question, frame: Frame) -> str:
        """Explain how a question would be answered: plan, rulings and upstream calls."""
        await self.probe()
        return explain(self.answerer.explained(question, frame), self.snapshot)

    async def probe(self) -> bool:
        """Ask every port what it can do, and prove its counts; tell whether all of them answered."""
        return all(await asyncio.gather(*(self._probe_one(product) for product in self.snapshot.products.values())))

    async def _probe_forever(self) -> None:
        retry_s = 1.0
        while True:
            everybody_answered = False
            try:
                everybody_answered = await self.probe()
            except Exception as error:
                fault("probe_failed", error)
            self._probed.set()
            # Domains that start beside the gateway are found soon; those that stay away are asked ever more seldom.
            pause_s = self.settings.upstream.probe_s if everybody_answered else min(retry_s, self.settings.upstream.probe_s)
            retry_s = 1.0 if everybody_answered else retry_s * 2
            await asyncio.sleep(pause_s)

    async def _probe_one(self, product: Product) -> bool:
        answered = True
        rules = row_rules_of(product.contract, self.policy)
        for port in product.ports:
            proved = totals = False
            try:
                if (probe := getattr(port, "probe", None)) is not None:
                    await probe(Call(self.settings.timeouts.connect_s))
                proved = await counts_hold(product, port, rules, self.bounds)
                totals = proved and await totals_hold(product, port, rules, self.bounds)
                if not proved and port.capabilities.count:
                    event("counts_not_proved", product=product.id, port=port.name)
            except (PortError, GatewayError) as error:
                answered = False
                event("port_not_probed", product=product.id, port=port.name, reason=getattr(error, "reason", type(error).__name__))
            self.answerer.note_proof(product, port, proved=proved, totals=totals)
        return answered

    def _note_read(self, product: str, outcome: str, duration_s: float) -> None:
        self.metrics.read(product, outcome, duration_s)
        self.metrics.call(product, self.snapshot.products[product].contract.metadata.version, outcome)
        self.upkeep.calls.note(product, outcome)


def _opened(settings: Settings, contracts: tuple[Contract, ...]) -> dict[str, tuple[Port, ...]]:
    upstream = settings.upstream
    networks = tuple(ipaddress.ip_network(text) for text in upstream.networks)
    around = Surroundings(AddressPolicy(loopback=upstream.loopback, private=upstream.private, only=networks))
    found: dict[str, tuple[Port, ...]] = {}
    for contract in contracts:
        placed = settings.products.get(contract.key)
        if placed is not None:
            named = zip(contract.output_ports, contract.port_names, strict=True)
            found[contract.key] = tuple(open_port(contract, it, _endpoint(placed, name), around) for it, name in named if is_served(it))
            for name in placed.ports.keys() - set(contract.port_names):
                event("left_out", finding=f"the settings of port {name} of {contract.key}: its contract has no such output port")
    return found


def _endpoint(product: ProductSettings, name: str) -> Endpoint:
    port = product.ports.get(name, PortSettings())
    if port.endpoint is None:
        level = product.level if port.level is None else port.level
        return Endpoint(str(product.endpoint), auth=port.auth or product.auth, level=level)
    # What is told to one address is no other's business: credentials never go along.
    return Endpoint(str(port.endpoint), auth=port.auth, level=port.level)


def _bounds(settings: Settings) -> Bounds:
    limits = settings.limits
    return Bounds(
        rows_default=limits.rows_default,
        rows_max=limits.rows_max,
        stream_rows_max=limits.stream_rows_max,
        scan_rows_max=limits.scan_rows_max,
        keys_max=limits.keys_max,
        links_max=limits.links_max,
        link_depth_max=limits.link_depth_max,
        upstream_timeout_s=settings.timeouts.upstream_s,
        body_max_bytes=settings.upstream.page_max_bytes,
        request_bytes_max=settings.upstream.request_max_bytes,
    )
