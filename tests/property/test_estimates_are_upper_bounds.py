"""What an operation is estimated to read is never less than what it reads: rows and groups, and keys looked up, for any operation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from domain_adapters.port import Port
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from gateway.catalog.snapshot import snapshot_of
from gateway.engine.budget import Bounds
from gateway.engine.explaining.cost import Tariff

from ..differential.operations import operation_of
from ..differential.plain_port import PlainPort
from ..differential.ruling_cases import SEED
from ..differential.running import Asked, engine_of
from ..differential.shop import ANALYST, shop
from ..differential.test_filters_along_relationships import FEW, NESTED, WALK, Drawing
from ..differential.worlds import NOW, World, callers_of, world_of
from .office import Counted


@dataclass(slots=True)
class Watched:
    """An engine with what was told of the last operation: estimated and read."""

    asked: Asked
    ports: list[Counted]
    told: list[tuple[int, int | None]]

    async def check(self, *question: Any) -> int:
        """Ask, and compare; gives how many rows were read."""
        for port in self.ports:
            port.reads.clear()
        self.told.clear()
        answer = await self.asked.ask(*question)
        keys = sum(len(read.keys.values) for port in self.ports for read in port.reads if read.keys is not None)
        if not self.told:
            assert answer.refusal is not None
            return 0
        ((estimated, read),) = self.told
        assert read is not None
        assert read <= estimated, f"{read} rows read, {estimated} estimated"
        assert keys <= estimated, f"{keys} keys looked up, {estimated} estimated"
        return read


@asynccontextmanager
async def watched(world: World, level: int, bounds: Bounds, page_max: int | None = None, **less: Any) -> AsyncIterator[Watched]:
    """Open a world over ports of one level; the settings say how many rows each product has."""
    ports: dict[str, tuple[Port, ...]] = {}
    found: list[Counted] = []
    for contract in world.contracts:
        if contract.key in world.absent:
            continue
        rows = world.rows[contract.key]
        if level:
            port: Any = await open_sql(contract, Rows(rows), clock=lambda: NOW, cursors=1)
        else:
            port = PlainPort(contract, rows, world.lookups.get(contract.key, frozenset()), world.seed)
        counted = Counted(port, page_max=page_max)
        counted.capabilities = replace(counted.capabilities, **less)
        found.append(counted)
        ports[contract.key] = (counted,)
    told: list[tuple[int, int | None]] = []
    asked = engine_of(
        snapshot_of(world.contracts, ports),
        world,
        bounds=bounds,
        sorts=bool(level),
        # Values of a condition may be looked up as keys, if only in an empty table.
        tariff=Tariff(rows={key: max(len(rows), 5) for key, rows in world.rows.items()}),
        cost=lambda _, estimated, read: told.append((estimated, read)),
    )
    try:
        yield Watched(asked, found, told)
    finally:
        asked.engine.close()
        for port in found:
            await port.aclose()


KINDS: dict[str, tuple[int, int | None, dict[str, Any]]] = {
    "level 1": (1, None, {}),
    "level 1, small pages": (1, 5, {}),
    "level 1 without order": (1, None, {"order_by": False, "limit_per_key": False}),
    "level 1 without groups": (1, 7, {"group_by": False, "aggregates": frozenset(), "count": False}),
    "level 1 without keys": (1, None, {"keys": False, "limit_per_key": False}),
    "level 1 without filters": (1, None, {"operators": frozenset(), "boolean": False}),
    "level 0": (0, None, {}),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_no_operation_reads_more_than_it_was_estimated_to(kind: str) -> None:
    level, page_max, less = KINDS[kind]
    read = 0
    for number in range(5):
        world = world_of(f"{SEED}-estimates-{number}")
        callers = callers_of(world, 3)
        async with watched(world, level, Bounds(keys_max=(10, 10_000)[number % 2]), page_max, **less) as here:
            for case in range(16):
                random = Random(f"{world.seed} {case}")
                caller = random.choice(callers)
                operation = operation_of(here.asked.oracle(caller).schema, world, here.asked.mesh.snapshot, random)
                try:
                    read += await here.check(caller, operation.text, operation.name, operation.variables)
                except AssertionError as error:
                    error.add_note(f"world {world.seed!r} case {case}, {caller}\n{operation.text}\n{operation.variables}")
                    raise
    assert read > 250


@pytest.mark.parametrize("kind", KINDS)
async def test_no_condition_on_related_products_reads_more_than_it_was_estimated_to(kind: str) -> None:
    level, page_max, less = KINDS[kind]
    read = 0
    for bounds in (Bounds(), Bounds(keys_max=14), Bounds(keys_max=3)):
        async with watched(shop(), level, bounds, page_max, **less) as here:
            for case in range(5):
                for text in (WALK, NESTED, FEW):
                    seed = f"{SEED} {case} estimates"
                    drawing = Drawing(Random(seed))
                    variables: dict[str, Any] = {"where": drawing.condition("orders", "t0")[0]}
                    if text == WALK:
                        variables["more"] = drawing.condition("orders", "t0")[0]
                    try:
                        read += await here.check(ANALYST, text, None, variables)
                    except AssertionError as error:
                        error.add_note(f"seed {seed!r}\n{text}\n{variables}")
                        raise
    assert read > 250
