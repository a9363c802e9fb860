"""Products with several ports that can do different things, some of which are away."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from contracts.model import Contract, Use
from contracts.predicates import Operator
from domain_adapters.breaker import Circuit
from domain_adapters.errors import PortUnavailableError
from domain_adapters.port import Call, Capabilities, Port, Read
from domain_adapters.sources import Rows
from domain_adapters.sql import capabilities_for, open_sql
from gateway.catalog.snapshot import snapshot_of

from ..differential.plain_port import PlainPort
from ..differential.running import Asked, engine_of, hash_of
from ..differential.worlds import NOW, World

__all__ = ["Named", "less_able", "mesh_of_many_ports", "named"]

ALL_USES = frozenset(Use)


class Named:
    """A port under a name of its own, which notes what it is asked, and may be away."""

    def __init__(self, port: Port, name: str, *, serves: frozenset[Use] = frozenset()) -> None:
        self.port = port
        self.name, self.serves = name, serves
        self.circuit = Circuit.CLOSED
        self.is_dead = False
        self.reads: list[Read] = []
        self.attempts = 0

    @property
    def capabilities(self) -> Capabilities:
        return self.port.capabilities

    @property
    def spelling(self) -> dict[str, str]:
        return self.port.spelling

    async def read(self, read: Read, call: Call) -> bytes:
        self.attempts += 1
        if self.is_dead or self.circuit is Circuit.OPEN:
            raise PortUnavailableError("nobody is there", reason="refused")
        self.reads.append(read)
        return await self.port.read(read, call)

    async def slo(self, call: Call) -> bytes:
        return await self.port.slo(call)

    async def aclose(self) -> None:
        await self.port.aclose()


def less_able(whole: Capabilities, random: Random) -> Capabilities:
    """Draw a part of what a port can do."""

    def some(items: frozenset[Any]) -> frozenset[Any]:
        share = random.choice((0.0, 0.5, 0.9, 1.0))
        return frozenset(it for it in sorted(items) if random.random() < share)

    def also(is_able: bool) -> bool:
        return is_able and random.random() < 0.6

    keys = also(whole.keys)
    operators = some(whole.operators)
    group_by = also(whole.group_by)
    order_by = also(whole.order_by)
    return replace(
        whole,
        select=also(whole.select),
        operators=operators,
        boolean=also(whole.boolean) and operators == frozenset(Operator),
        order_by=order_by,
        since=also(whole.since),
        keys=keys,
        keys_max=random.choice((2, 5, whole.keys_max)),
        limit_per_key=keys and order_by and also(whole.limit_per_key),
        count=also(whole.count),
        aggregates=some(whole.aggregates),
        group_by=group_by,
        truncations=some(whole.truncations) if group_by else frozenset(),
        having=group_by and also(whole.having),
        page_max=random.choice((3, 17, whole.page_max)),
    )


async def named(contract: Contract, world: World, name: str, able: Capabilities, *, serves: frozenset[Use] = frozenset()) -> Named:
    """Open a port over a product's rows."""
    port = await open_sql(contract, Rows(world.rows[contract.key]), capabilities=able, clock=lambda: NOW, cursors=1)
    return Named(port, name, serves=serves)


async def mesh_of_many_ports(world: World, random: Random) -> tuple[Asked, list[Named]]:
    """Give every product two to four different ports in any order, of which one that serves all uses always answers."""
    ports: dict[str, tuple[Port, ...]] = {}
    all_ports: list[Named] = []
    for contract in world.contracts:
        if contract.key in world.absent:
            continue
        whole = capabilities_for(contract)
        # Whether lists come by key is the same whichever port answers, as long as one of those that serve them sorts.
        here = [await named(contract, world, "sorts", replace(less_able(whole, random), order_by=whole.order_by))]
        here.append(await named(contract, world, "less", less_able(whole, random)))
        if random.random() < 0.6:
            uses = frozenset(random.sample(sorted(ALL_USES), random.randint(1, 4)))
            here.append(await named(contract, world, "some", less_able(whole, random), serves=uses))
        if random.random() < 0.6:
            plain = PlainPort(contract, world.rows[contract.key], world.lookups.get(contract.key, frozenset()), world.seed)
            here.append(Named(plain, "plain"))
        random.shuffle(here)
        answering = random.choice([it for it in here if not it.serves])
        for port in here:
            if port is not answering and random.random() < 0.3:
                port.is_dead, port.circuit = random.choice(((True, Circuit.CLOSED), (False, Circuit.OPEN), (True, Circuit.HALF_OPEN)))
        ports[contract.key] = tuple(here)
        all_ports += here
    asked = engine_of(snapshot_of(world.contracts, ports), world)
    for product in asked.mesh.snapshot.products.values():
        for one in product.ports:
            asked.engine.note_proof(product, one, proved=hash_of(f"{world.seed} {one.name}") % 2 == 0)
    return asked, all_ports
