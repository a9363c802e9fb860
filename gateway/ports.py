"""Contracts and settings -> open ports, and what each is known to do: asked and proved in rounds, a few at a time.

Whatever a port does costs its own product only. Touches the network.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterable

from contracts import Contract, MeshPolicy
from domain_adapters.addresses import AddressPolicy
from domain_adapters.allowance import Allowance
from domain_adapters.endpoint import Endpoint
from domain_adapters.errors import NoRoomError, PortError
from domain_adapters.kinds import Surroundings, is_served, open_port
from domain_adapters.port import Call, Port
from gateway.catalog.snapshot import Product
from gateway.engine.budget import Bounds
from gateway.engine.reading.proof import counts_hold, row_rules_of
from gateway.engine.totals.proof import totals_hold
from gateway.errors import GatewayError
from gateway.observe.logs import event
from gateway.settings import Settings
from gateway.settings_sections import PortSettings, ProductSettings

__all__ = ["Probing", "opened"]

_AT_ONCE = 64


def opened(settings: Settings, contract: Contract, placed: ProductSettings | None, allowance: Allowance) -> tuple[Port, ...]:
    """Open the ports of a contract where its product is ``placed``; none where that is nowhere.

    ``allowance``: what all ports together may hold. **Raises** `ValueError` (its URL).
    """
    if placed is None:
        return ()
    upstream = settings.upstream
    networks = tuple(ipaddress.ip_network(text) for text in upstream.networks)
    around = Surroundings(AddressPolicy(loopback=upstream.loopback, private=upstream.private, only=networks), allowance=allowance)
    for name in placed.ports.keys() - set(contract.port_names):
        event("left_out", finding=f"the settings of port {name} of {contract.key}: its contract has no such output port")
    named = zip(contract.output_ports, contract.port_names, strict=True)
    return tuple(open_port(contract, it, _endpoint(placed, name), around) for it, name in named if is_served(it))


def _endpoint(product: ProductSettings, name: str) -> Endpoint:
    port = product.ports.get(name, PortSettings())
    if port.endpoint is None:
        level = product.level if port.level is None else port.level
        return Endpoint(str(product.endpoint), auth=port.auth or product.auth, level=level)
    # What is told to one address is no other's business: credentials never go along.
    return Endpoint(str(port.endpoint), auth=port.auth, level=port.level)


class Probing:
    """Asks ports what they can do and proves their counts. ``note``: is told of every proof, as `Engine.note_proof`."""

    def __init__(self, policy: MeshPolicy, settings: Settings, bounds: Bounds, note: Callable[..., None]) -> None:
        self._policy = policy
        self._call = Call(settings.timeouts.connect_s)
        self._bounds = bounds
        self._note = note
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def all(self, products: Iterable[Product]) -> bool:
        """Probe every port of ``products``; tell whether all of them answered."""
        waiting = iter(products)

        async def some() -> bool:
            answered = True
            for product in waiting:
                answered = await self.one(product) and answered
                await asyncio.sleep(0)  # a product without endpoint is through at once
            return answered

        # Not a task for each: thousands of them would begin in one round of the loop.
        return all(await asyncio.gather(*(some() for _ in range(_AT_ONCE))))

    async def one(self, product: Product) -> bool:
        """Probe the ports of a product; tell whether all of them answered."""
        async with self._slots:
            answered = True
            rules = row_rules_of(product.contract, self._policy)
            for port in product.ports:
                proved = totals = False
                try:
                    await self.ask(port)
                    proved = await counts_hold(product, port, rules, self._bounds)
                    totals = proved and await totals_hold(product, port, rules, self._bounds)
                    if not proved and port.capabilities.count:
                        event("counts_not_proved", product=product.id, port=port.name)
                except (PortError, GatewayError) as error:
                    answered = False
                    if _is_ours(error):
                        continue  # what was known of the port holds
                    event("port_not_probed", product=product.id, port=port.name, reason=getattr(error, "reason", type(error).__name__))
                self._note(product, port, proved=proved, totals=totals)
            return answered

    async def ask(self, port: Port) -> None:
        """Ask a port what it can do, if it can be asked. **Raises** `PortError`."""
        if (probe := getattr(port, "probe", None)) is not None:
            await probe(self._call)


def _is_ours(error: PortError | GatewayError) -> bool:
    return isinstance(error, NoRoomError) or (isinstance(error, GatewayError) and error.code.name == "OVERLOADED")
