"""A world made ready to be asked: an engine over each level of port, and an oracle per caller and level."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts.policy import TagPolicy
from domain_adapters.addresses import AddressPolicy
from domain_adapters.endpoint import Endpoint
from domain_adapters.kinds import Surroundings
from domain_adapters.mirror import open_mirror
from domain_adapters.port import Port
from domain_adapters.serve import Served, site
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from gateway.caller import Caller
from gateway.catalog.snapshot import Snapshot, snapshot_of
from gateway.engine.budget import Bounds
from gateway.engine.engine import Engine
from gateway.engine.explaining.cost import Tariff
from gateway.engine.signals import Signals
from gateway.exchange import Frame, Question
from gateway.governance.views import View, Views
from gateway.settings_sections import Limits
from gateway.slo.board import Board

from ..conformance.serving import remote, serving
from .oracle import Approximate, Mesh, Oracle
from .plain_port import PlainPort
from .worlds import NOW, World

__all__ = ["Answer", "Asked", "Running", "differences", "engine_of", "over_http", "over_mirrors", "running"]

SECRET = b"a secret of 32 bytes, for tests!"


@dataclass(slots=True)
class Answer:
    """What an engine answered. ``refusal``: the code of a refused request."""

    data: Any
    errors: list[dict[str, Any]]
    refusal: str | None
    body: dict[str, Any]


@dataclass(slots=True)
class Asked:
    """One engine with what belongs to it."""

    engine: Engine
    mesh: Mesh
    ports: list[Port]
    failures: list[BaseException]
    views: Views
    oracles: dict[Caller, Oracle] = field(default_factory=dict)

    def view(self, caller: Caller) -> View:
        return self.views.of(caller, NOW)

    def oracle(self, caller: Caller) -> Oracle:
        if caller not in self.oracles:
            self.oracles[caller] = Oracle(self.mesh, self.view(caller), caller)
        return self.oracles[caller]

    async def ask(
        self, caller: Caller, text: str, name: str | None = None, variables: dict[str, Any] | None = None, *, long_as_text: bool = False
    ) -> Answer:
        deadline_s = asyncio.get_running_loop().time() + 60
        reply = await self.engine.answer(Question(text, name, variables), Frame(caller, deadline_s, "r", long_as_text=long_as_text))
        body = json.loads(b"".join(reply.pieces))
        if self.failures:
            raise AssertionError(f"the engine failed inside: {self.failures[0]!r}") from self.failures[0]
        return Answer(body.get("data"), body.get("errors", []), None if reply.refusal is None else reply.refusal.name, body)


@dataclass(slots=True)
class Running:
    """Both engines over a world."""

    world: World
    level1: Asked
    level0: Asked

    async def aclose(self) -> None:
        for asked in (self.level1, self.level0):
            for port in asked.ports:
                await port.aclose()


def engine_of(
    snapshot: Snapshot,
    world: World,
    *,
    bounds: Bounds | None = None,
    sorts: bool = True,
    tariff: Tariff | None = None,
    cost: Callable[[float, int, int | None], None] = lambda *_: None,
) -> Asked:
    """Make an engine over a snapshot. ``cost``: told of estimates, as `Signals` is."""
    failures: list[BaseException] = []
    board = Board(world.contracts, lambda: NOW)
    engine = Engine(
        snapshot,
        world.policy,
        secret=SECRET,
        # Generated operations say everything several times over.
        limits=Limits(overlaps_max=10**9, depth_max=60, levels_max=1_000, aliases_max=1_000, directives_max=1_000, selections_max=10_000),
        bounds=bounds or Bounds(),
        clock=lambda: NOW,
        board=board,
        tariff=tariff or Tariff(),
        signals=Signals(internal=lambda error, _id: failures.append(error), cost=cost),
    )
    ports = [port for product in snapshot.products.values() for port in product.ports]
    return Asked(engine, Mesh(world, snapshot, SECRET, sorts, board), ports, failures, Views(world.policy, world.contracts))


async def running(world: World) -> Running:
    """Open a world's ports."""
    sql: dict[str, tuple[Port, ...]] = {}
    plain: dict[str, tuple[Port, ...]] = {}
    for contract in world.contracts:
        if contract.key in world.absent:
            continue
        rows = world.rows[contract.key]
        sql[contract.key] = (await open_sql(contract, Rows(rows), clock=lambda: NOW, cursors=1),)
        plain[contract.key] = (PlainPort(contract, rows, world.lookups.get(contract.key, frozenset()), world.seed),)
    asked = [engine_of(snapshot_of(world.contracts, ports), world, sorts=sorts) for ports, sorts in ((sql, True), (plain, False))]
    for product in asked[0].mesh.snapshot.products.values():
        for port in product.ports:
            # Half the worlds count at the port, half from rows.
            asked[0].engine.note_proof(product, port, proved=hash_of(world.seed) % 2 == 0)
    return Running(world, *asked)


@contextlib.asynccontextmanager
async def over_http(world: World, level: int) -> AsyncIterator[Asked]:
    """Serve a world's products over one level of the protocol, and make an engine that reads them there."""
    served = [contract for contract in world.contracts if contract.key not in world.absent]
    ports = [await open_sql(contract, Rows(world.rows[contract.key]), clock=lambda: NOW, cursors=1) for contract in served]
    app = site(tuple(Served(contract, port, levels=frozenset({level})) for contract, port in zip(served, ports, strict=True)))
    async with serving(app) as url:
        found = {contract.key: (await remote(contract, url),) for contract in served}
        asked = engine_of(snapshot_of(world.contracts, found), world)
        for product in asked.mesh.snapshot.products.values():
            for port in product.ports:
                asked.engine.note_proof(product, port, proved=True)
        try:
            yield asked
        finally:
            for (port,) in found.values():
                await port.aclose()


@contextlib.asynccontextmanager
async def over_mirrors(world: World, folder: Path) -> AsyncIterator[Asked]:
    """Serve a world's products as endpoints that only page, and make an engine over mirrors of them."""
    # The gateway's policy may know no more of a tag than that it withholds it; whoever mirrors has to know them all.
    tags = {it.tag for it in world.policy.tags}
    unheard = {tag for contract in world.contracts for _, kind in contract.classification for tag in kind.tags} - tags
    policy = world.policy.model_copy(update={"tags": (*world.policy.tags, *(TagPolicy(tag=tag) for tag in sorted(unheard)))})
    around = Surroundings(policy=AddressPolicy(loopback=True))
    served = [contract for contract in world.contracts if contract.key not in world.absent]
    ports = [await open_sql(contract, Rows(world.rows[contract.key]), clock=lambda: NOW, cursors=1) for contract in served]
    app = site(tuple(Served(contract, port, levels=frozenset({0})) for contract, port in zip(served, ports, strict=True)))
    async with serving(app) as url, contextlib.AsyncExitStack() as stack:
        copies: dict[str, tuple[Port, ...]] = {}
        for contract in served:
            copy = await open_mirror(contract, Endpoint(url), folder, policy=policy, around=around, secret=SECRET, clock=lambda: NOW)
            stack.push_async_callback(copy.aclose)
            await copy.refresher.refresh()
            copies[contract.key] = (copy,)
        asked = engine_of(snapshot_of(world.contracts, copies), world)
        for product in asked.mesh.snapshot.products.values():
            for port in product.ports:
                asked.engine.note_proof(product, port, proved=hash_of(world.seed) % 2 == 0)
        yield asked


def hash_of(text: str) -> int:
    """Reduce a text to a number, the same in every process."""
    return sum(text.encode())


def differences(found: Any, expected: Any, cursors: Mapping[str, Any], seen: dict[str, str], path: str = "data") -> str | None:
    """Say where two data differ, None if nowhere; order of keys counts.

    ``cursors``: the expected side's; ``seen`` collects what stands in their place. Who served a page when may be anything.
    """
    match expected:
        case "some time" | "some port":
            return None if found is None or isinstance(found, str) else f"{path}: {found!r} is no text"
        case str() if expected in cursors:
            if not isinstance(found, str) or seen.setdefault(expected, found) != found:
                return f"{path}: {found!r} in place of a cursor"
            return None
        case Approximate():
            is_near = isinstance(found, float) and math.isclose(found, expected, rel_tol=1e-9)
            return None if is_near else f"{path}: {found!r} in place of about {expected!r}"
        case dict():
            if not isinstance(found, dict) or list(found) != list(expected):
                return f"{path}: {_short(found)} in place of {_short(expected)}"
            pairs = [(found[name], inner, f"{path}.{name}") for name, inner in expected.items()]
        case list():
            if not isinstance(found, list) or len(found) != len(expected):
                return f"{path}: {_short(found)} in place of {_short(expected)}"
            pairs = [(one, other, f"{path}[{at}]") for at, (one, other) in enumerate(zip(found, expected, strict=True))]
        case _:
            is_same = found == expected and isinstance(found, bool) is isinstance(expected, bool)
            return None if is_same else f"{path}: {_short(found)} in place of {_short(expected)}"
    return next((what for one, other, at in pairs if (what := differences(one, other, cursors, seen, at))), None)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 300 else text[:300] + "..."
