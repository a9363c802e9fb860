"""The demo mesh: generates data once, runs three domains and the gateway as processes, says how to ask, stops them all.

Touches: the data folder, four ports, its own children. A dead domain is reported and left dead, so that partial answers can be
watched; a dead gateway ends the demo. Rejects ports in use and children that do not come up, with `DemoError`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from domain_adapters.domains.generate import Sizes, ensure
from gateway.children import Child, Program, Say, start

__all__ = ["QUERY", "ROLES", "DemoError", "Ports", "ShownRole", "TokenFor", "run"]

TokenFor = Callable[[str, Mapping[str, str], tuple[str, ...]], str]
"""Role, claims (a comma makes a list), purposes -> token text."""

QUERY = (
    "{ order { ordersDaily(first: 2) { nodes { orderId totalAmount customerEmail customer { name customerEmail } "
    "payments(first: 3) { nodes { method amount cardNumber } } } } } }"
)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoError(Exception):
    """The demo cannot start; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the demo listens."""

    order: int = 9001
    payment: int = 9002
    customer: int = 9003
    gateway: int = 8000


@dataclass(frozen=True, slots=True)
class ShownRole:
    """A caller that the demo shows how to be. ``claims``: as ``meshgate token --claim``; a comma makes a list."""

    role: str
    sees: str
    claims: Mapping[str, str] = field(default_factory=dict)
    purposes: tuple[str, ...] = ()


ROLES = (
    ShownRole("analyst", "rows of three countries, personal data masked", {"countries": "DE,FR,NL"}),
    ShownRole("fraud-investigator", "all rows, e-mail and phone clear", purposes=("fraud-prevention",)),
    ShownRole("break-glass", "all clear but card numbers", {"ticket": "INC-4711"}, ("incident-response",)),
)


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(
    *,
    data: Path = Path(".demo"),
    host: str = "127.0.0.1",
    ports: Ports | None = None,
    sizes: Sizes | None = None,
    token_for: TokenFor | None = None,
    gateway_command: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    say: Say = _print_line,
    grace_s: float = 8.0,
    ready_s: float = 60.0,
) -> int:
    """Run the demo until Ctrl-C, SIGTERM or SIGHUP, or until its gateway ends; give the exit status.

    ``gateway_command``: instead of ``meshgate serve``. ``environment``: what the gateway gets beyond this process's own and its
    addresses. ``grace_s``: time that children have to stop. Raises: `DemoError`; nothing is left running then either.
    """
    chosen = ports or Ports()
    _refuse_busy(host, chosen)
    try:
        ensure(data, sizes, say)
    except OSError as error:
        raise DemoError(f"the data cannot be written to {data} ({error.strerror}); choose another folder") from None
    except KeyboardInterrupt:
        return 0
    programs = _programs(data.resolve(), host, chosen, tuple(gateway_command or (sys.executable, "-m", "gateway.cli", "serve")))
    surroundings = {**os.environ, "PYTHONUNBUFFERED": "1", **_addresses(host, chosen), **(environment or {})}
    demo = _Demo(programs, surroundings, lambda: _greeting(f"http://{_literal(host)}", chosen, token_for), say, grace_s, ready_s)
    return asyncio.run(demo.run())


def _refuse_busy(host: str, ports: Ports) -> None:
    for name, port in ((item.name, getattr(ports, item.name)) for item in fields(ports)):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise DemoError(
                    f"port {port}, meant for {name}, cannot be used ({error.strerror}); stop what listens there or choose another"
                ) from None


def _programs(data: Path, host: str, ports: Ports, gateway_command: tuple[str, ...]) -> tuple[Program, ...]:
    base = f"http://{_literal(host)}"

    def domain(name: str, port: int, products: str, *more: str) -> Program:
        command = (sys.executable, "-m", f"domain_adapters.domains.{name}", "--host", host, "--port", str(port), "--data", str(data), *more)
        return Program(name, command, f"{base}:{port}/data-products/{products}/slo")

    return (
        domain("order", ports.order, "orders", "--payments", f"{base}:{ports.payment}/internal/orders-to-be-paid"),
        domain("payment", ports.payment, "payments"),
        domain("customer", ports.customer, "customers"),
        Program("gateway", gateway_command, f"{base}:{ports.gateway}/readyz"),
    )


def _addresses(host: str, ports: Ports) -> dict[str, str]:
    products = {"order/orders-daily": ports.order, "payment/payments": ports.payment, "customer/customers": ports.customer}
    endpoints = {f"MESHGATE_PRODUCTS__{product}__ENDPOINT": f"http://{_literal(host)}:{port}" for product, port in products.items()}
    return {**endpoints, "MESHGATE_HTTP__HOST": host, "MESHGATE_HTTP__PORT": str(ports.gateway), "MESHGATE_HTTP__METRICS_OPEN": "true"}


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _greeting(base: str, ports: Ports, token_for: TokenFor | None) -> list[str]:
    gateway = f"{base}:{ports.gateway}"
    lines = [
        "",
        f"GraphQL    {gateway}/graphql   (open it in a browser for GraphiQL)",
        f"Schema     {gateway}/schema.graphql",
        f"Metrics    {gateway}/metrics",
        f"Domains    order {base}:{ports.order}   payment {base}:{ports.payment}   customer {base}:{ports.customer}",
        f"Live feed  curl -s -X POST {base}:{ports.order}/demo/feed -d '{{\"running\": false}}'   (true starts it again)",
    ]
    body = shlex.quote(json.dumps({"query": QUERY}))
    for shown in ROLES if token_for is not None else ():
        assert token_for is not None
        token = token_for(shown.role, shown.claims, shown.purposes)
        ask = f"curl -s {gateway}/graphql -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d {body}"
        lines += ["", f"As {shown.role} ({shown.sees}):", ask]
    return [*lines, "", "Ctrl-C stops all."]


@dataclass(slots=True)
class _Demo:
    """One run: start all, greet, report who ends, stop all."""

    programs: tuple[Program, ...]
    environment: Mapping[str, str]
    greeting: Callable[[], list[str]]
    say: Say
    grace_s: float
    ready_s: float
    children: list[Child] = field(default_factory=list)
    told_to_stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._stop_signal)
        try:
            return await self._unless_told(self._serve())
        finally:
            self.say("stopping ...")
            await asyncio.gather(*(child.stop(self.grace_s) for child in self.children))
            self.say("stopped")

    def _stop_signal(self) -> None:
        if self.told_to_stop.is_set():
            for child in self.children:  # told twice: no more grace
                child.signal(signal.SIGKILL)
        self.told_to_stop.set()

    async def _unless_told(self, work: Awaitable[int]) -> int:
        serving, told = asyncio.ensure_future(work), asyncio.ensure_future(self.told_to_stop.wait())
        try:
            await asyncio.wait((serving, told), return_when=asyncio.FIRST_COMPLETED)
            return serving.result() if serving.done() else 0
        finally:
            for task in (serving, told):
                task.cancel()
            await asyncio.gather(serving, told, return_exceptions=True)

    async def _serve(self) -> int:
        self.say("starting " + ", ".join(program.name for program in self.programs) + " ...")
        *domains, gateway = self.programs
        try:
            async with asyncio.timeout(self.ready_s):
                # The gateway comes last: it measures every domain as it starts, and one still loading would count as down.
                for together in (domains, [gateway]):
                    for program in together:
                        self.children.append(await start(program, self.environment, self.say))
                    for waiting in asyncio.as_completed([self._ready(child) for child in self.children]):
                        await waiting
        except TimeoutError:
            raise DemoError(f"not everything was ready within {self.ready_s:g} seconds; see the lines above") from None
        for line in self.greeting():
            self.say(line)
        return await self._watch()

    async def _ready(self, child: Child) -> None:
        if not await child.ready():
            await child.ended()
            raise DemoError(f"{child.program.name} ended before being ready; see the lines above")

    async def _watch(self) -> int:
        running = {asyncio.ensure_future(child.ended()) for child in self.children}
        try:
            while True:
                ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for child in (task.result() for task in ended):
                    if child.program.name == "gateway":
                        self.say(f"the gateway ended with status {child.status}")
                        return 1
                    self.say(f"{child.program.name} ended with status {child.status}; the others go on without it")
        finally:
            for task in running:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*running, return_exceptions=True)
