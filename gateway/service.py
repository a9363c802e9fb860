"""Settings in, a gateway without HTTP out: contracts loaded, ports opened, background work started and stopped.

`Service` is what the application and the command line hold. Touches the disk when built, the network from `start` on.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from contracts import CatalogReading, Contract, MeshPolicy, load_policy, read_catalog
from domain_adapters.allowance import Allowance
from domain_adapters.errors import PortError
from domain_adapters.port import Port
from gateway.catalog.change import Change, changed
from gateway.catalog.snapshot import tolerant_snapshot_of
from gateway.collector import collector
from gateway.contracts_copy import ContractsCopy
from gateway.engine.budget import Bounds
from gateway.engine.current import Current
from gateway.engine.engine import Engine
from gateway.engine.explaining.cost import Tariff
from gateway.engine.explaining.explain import explain
from gateway.engine.signals import Signals
from gateway.exchange import Frame, Question
from gateway.observe import meters
from gateway.observe.logs import event, fault
from gateway.observe.metrics import Metrics
from gateway.observe.usage import Usage
from gateway.observe.usage_keeping import UsageKeeping
from gateway.ports import Probing, opened
from gateway.settings import Settings
from gateway.settings_sections import ProductSettings
from gateway.slo import series
from gateway.slo.alerting.alerts import Alerts, sinks_of
from gateway.slo.alerting.told_in_store import ToldInStore
from gateway.slo.board import Board
from gateway.slo.cadence import Cadence
from gateway.slo.upkeep import Upkeep
from gateway.store.opening import open_store

__all__ = ["Service", "build"]

Clock = Callable[[], dt.datetime]
_TIDY_S = 60.0


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def build(settings: Settings, *, metrics: Metrics | None = None, clock: Clock = _utc_now) -> Service:
    """Load contracts and policy and open the ports; nothing is asked of them yet.

    Contracts that do not load, or clash with others, are left out and logged: one domain's mistake never takes the others down.
    **Raises** `contracts.PolicyInvalidError`, `ValueError` (an endpoint's URL).
    """
    with _without_collector():
        policy = load_policy(settings.policy_file)
        copy = ContractsCopy(settings, policy)
        reading = read_catalog(settings.catalog_dir, policy, judged=copy.judged)
        event("contracts_read", contracts=len(reading.contracts), unchanged=copy.judged.reused)
        for problem in reading.problems:
            event("contract_left_out", problem=str(problem))
        metrics = metrics or Metrics(products_max=settings.observe.products_max)
        return Service(settings, policy, reading, metrics=metrics, clock=clock, keep=copy.keep)


def _log_finding(product: str, owner: str, finding: str) -> None:
    event("slo_finding", product=product, owner=owner, finding=finding)


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

    def __init__(
        self,
        settings: Settings,
        policy: MeshPolicy,
        reading: CatalogReading,
        *,
        metrics: Metrics,
        clock: Clock,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        """``keep``: run once, beside the loop, when the gateway is ready."""
        self._keep = keep
        self.settings = settings
        self.policy = policy
        self.reading = reading
        self.metrics = metrics
        self.bounds = _bounds(settings)
        allowance = self.bounds.allowance
        metrics.gauge(
            "upstream_held_bytes", "What answers of ports take up in this process, arriving or worked on.", lambda: allowance.held_bytes
        )
        # Of several majors only the newest is read.
        newest = {contract.key: contract for contract in reading.contracts}
        self._ports = {key: opened(settings, it, settings.products.get(key), allowance) for key, it in newest.items()}
        self.snapshot = tolerant_snapshot_of(reading.contracts, self._ports, keep_spelling=settings.names == "contract")
        for finding in self.snapshot.findings:
            event("left_out", finding=finding)
        slo = settings.slo
        cadence = Cadence(slo.freshness_s, slo.sample_s, slo.sample_rows)
        self.board = Board(reading.contracts, clock, cadence=cadence, on_events=metrics.events, on_finding=_log_finding)
        store = None if settings.store.url is None else open_store(settings.store.url.get_secret_value())
        told = None if store is None else ToldInStore(store, secrets.token_hex(8))
        self.alerts = Alerts(sinks_of(settings.alerts), self.board.contract, clock=clock, told=told, on_outcome=metrics.alerts)
        self.board.listen(self.alerts)
        self.upkeep = Upkeep(
            self.board,
            lambda: self.snapshot.products,
            clock=clock,
            cadence=cadence,
            timeout_s=slo.timeout_s,
            concurrency=slo.concurrent_max,
            store=store,
            failed=fault,
            allowance=allowance,
        )
        metrics.also(series.writer(self.board.products, clock, products_max=settings.observe.products_max))
        self.usage = Usage()
        self._usage_kept = None
        if store is not None:
            self._usage_kept = UsageKeeping(store, self.usage, clock=clock, failed=fault, write_s=settings.observe.usage_s)
        engine = Engine(
            self.snapshot,
            policy,
            secret=settings.key("engine"),
            limits=settings.limits,
            bounds=self.bounds,
            clock=clock,
            board=self.board,
            kept_max_bytes=settings.cache.executables_max_bytes,
            fragments_max_bytes=settings.cache.fragments_max_bytes,
            introspection_products_max=settings.limits.introspection_products_max,
            views_max=settings.cache.views_max,
            usage=self.usage,
            tariff=_tariff(settings),
            signals=Signals(
                compiled=metrics.compiled,
                executable=lambda hit: metrics.executable(hit=hit),
                read=self._note_read,
                failover=metrics.failover,
                cost=metrics.cost,
                internal=lambda error, id_: fault("internal_error", error, request_id=id_),
                disclosed=lambda product, columns, id_: event("masked_fields_used", product=product, columns=columns, request_id=id_),
                drift=self.upkeep.drift.note,
                dropped=lambda product, rows: event("rows_dropped", product=product, rows=rows),
            ),
        )
        self.answerer = Current(engine)
        self._probing = Probing(policy, settings, self.bounds, self.answerer.note_proof)
        self._changing = asyncio.Lock()
        self._retired: set[asyncio.Task[None]] = set()
        observe = settings.observe
        self._meters = meters.configure(observe.metrics, clock, products_max=observe.products_max, every_s=observe.metrics_s)
        self._background: list[asyncio.Task[None]] = []
        self._probed = asyncio.Event()

    async def start(self) -> None:
        """Begin probing ports and polling their SLOs."""
        self._background = [asyncio.create_task(it) for it in (self._probe_forever(), self.upkeep.run(), self._tidy_forever())]
        self._background.append(asyncio.create_task(self.alerts.run()))
        self._background.append(asyncio.create_task(self._keep_when_ready()))
        if self._usage_kept is not None:
            self._background.append(asyncio.create_task(self._usage_kept.run()))
        if self._meters is not None:
            self._background.append(asyncio.create_task(self._show_forever(self._meters)))

    async def aclose(self) -> None:
        """Stop the background work and close every port."""
        if self._meters is not None:
            await asyncio.to_thread(self._meters.stop)
        background = [*self._background, *self._retired]
        for task in background:
            task.cancel()
        for task in background:
            with suppress(asyncio.CancelledError):
                await task
        self._background = []
        await self.alerts.aclose()
        if self._usage_kept is not None:
            await self._usage_kept.aclose()
        await self.upkeep.aclose()
        self.answerer.engine.close()
        for ports in self._ports.values():
            await _closed(ports)

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
        return explain(self.answerer.engine.explained(question, frame), self.snapshot)

    async def probe(self) -> bool:
        """Ask every port what it can do, and prove its counts; tell whether all of them answered."""
        return await self._probing.all(list(self.snapshot.products.values()))

    async def _keep_when_ready(self) -> None:
        await self._probed.wait()
        await self.upkeep.first_round_done.wait()
        await asyncio.to_thread(self._keep)

    async def _tidy_forever(self) -> None:
        while True:
            await asyncio.sleep(_TIDY_S)
            if self._usage_kept is not None:
                await self._usage_kept.write()  # what is too much to be kept here is kept there
            self.usage.tidy()
            if collector.relieve():
                event("collected_everything", times=collector.relieved)

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

    # -- one product changed -----------------------------------------------------------------------------------------------

    async def publish(self, contract: Contract, placed: ProductSettings | None = None) -> tuple[str, ...]:
        """Serve a contract from now on, in place of the same major of its product; every other product stays as it is.

        ``placed``: where the product is, unless the settings know. Requests under way finish on what they began on. Gives what was
        left out around it. **Raises** `gateway.catalog.snapshot.CatalogError` where it cannot stand beside the others.
        """
        others = [it for it in self._versions(contract.key) if it.major != contract.major]
        return await self._change(contract.key, [*others, contract], placed or self.settings.products.get(contract.key))

    async def withdraw(self, key: str) -> tuple[str, ...]:
        """Serve a product (``domain/name``) no more, as `publish`."""
        return await self._change(key, [], None)

    def _versions(self, key: str) -> list[Contract]:
        return [it.contract for it in self.snapshot.products.values() if it.contract.key == key]

    async def _change(self, key: str, contracts: list[Contract], placed: ProductSettings | None) -> tuple[str, ...]:
        async with self._changing:
            newest = max(contracts, key=lambda it: it.major, default=None)
            ports = () if newest is None else opened(self.settings, newest, placed, self.bounds.allowance)
            try:
                change = await self._prepared(key, contracts, ports)
                engine = await asyncio.to_thread(self.answerer.engine.successor, change)
            except BaseException:
                await _closed(ports)
                raise
            before = set(self.snapshot.findings)
            old, self._ports[key] = self._ports.get(key, ()), ports
            self.snapshot = change.snapshot
            self.board.change(key, contracts)
            self.answerer.follow(engine)
            self._retire(old)
            found = tuple(it for it in change.snapshot.findings if it not in before)
            for finding in found:
                event("left_out", finding=finding)
            await self._probing.all(change.snapshot.products[id_] for id_ in change.replaced if id_ in change.snapshot.products)
            return found

    async def _prepared(self, key: str, contracts: list[Contract], ports: tuple[Port, ...]) -> Change:
        keep_spelling = self.settings.names == "contract"
        make = partial(changed, self.snapshot, key, contracts, {key: ports}, revision=str(time.time_ns()), keep_spelling=keep_spelling)
        change = await asyncio.to_thread(make)
        for port in ports:  # so that nobody meets a port of which nothing is known
            with suppress(PortError):
                await self._probing.ask(port)
        return change

    def _retire(self, ports: tuple[Port, ...]) -> None:
        """Close ports when whoever may still read from them has finished."""

        async def close() -> None:
            try:
                await asyncio.sleep(max(self.settings.timeouts.stream_s, self.settings.timeouts.request_s))
            finally:
                await _closed(ports)

        if ports:
            task = asyncio.create_task(close())
            self._retired.add(task)
            task.add_done_callback(self._retired.discard)

    def _note_read(self, product: str, outcome: str, duration_s: float, port: str, level: int) -> None:
        self.metrics.read(product, outcome, duration_s, port, level)
        self.upkeep.calls.note(product, outcome)


async def _closed(ports: Iterable[Port]) -> None:
    for port in ports:
        await port.aclose()


def _tariff(settings: Settings) -> Tariff:
    placed = settings.products.items()
    return Tariff(
        is_enforced=settings.cost.mode == "enforce",
        cost_max=settings.cost.max,
        stream_cost_max=settings.cost.stream_max,
        rows={key: product.rows for key, product in placed if product.rows is not None},
        type_weights=settings.cost.weights,
        port_weights={(key, name): it.weight for key, product in placed for name, it in product.ports.items() if it.weight is not None},
    )


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
        allowance=Allowance(settings.upstream.process_max_bytes),
    )
