"""Totals do not depend on what a port can do: what it cannot is done here, with the same answer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from contracts.predicates import Operator
from domain_adapters.port import Capabilities, Port
from domain_adapters.sources import Rows
from domain_adapters.sql import capabilities_for, open_sql
from gateway.catalog.snapshot import snapshot_of

from ..differential.running import engine_of
from ..differential.shop import ANALYST, shop
from ..differential.test_totals_against_one_database import NESTED, PAIRS
from ..differential.worlds import NOW
from .office import Counted

LESS: dict[str, dict[str, Any]] = {
    "no aggregates": {"aggregates": frozenset()},
    "no sums": {"aggregates": frozenset({"count", "min", "max", "countDistinct"})},
    "no distinct counts": {"aggregates": frozenset({"count", "sum", "avg", "min", "max"})},
    "no averages": {"aggregates": frozenset({"count", "sum", "min", "max"})},
    "no groups": {"group_by": False},
    "no having": {"having": False},
    "no order": {"order_by": False},
    "no cutting": {"truncations": frozenset()},
    "no keys": {"keys": False, "limit_per_key": False},
    "no limits per key": {"limit_per_key": False},
    "no trees of conditions": {"boolean": False},
    "equality only": {"operators": frozenset({Operator.EQ, Operator.IN})},
    "no counts": {"count": False},
    "no columns chosen": {"select": False},
    "small pages": {"page_max": 7},
    "few keys": {"keys_max": 3},
    "nothing": {
        "aggregates": frozenset(),
        "group_by": False,
        "having": False,
        "order_by": False,
        "keys": False,
        "limit_per_key": False,
        "operators": frozenset(),
        "boolean": False,
        "count": False,
        "truncations": frozenset(),
    },
}


async def answered(less: dict[str, Any]) -> tuple[list[Any], int]:
    """Ask every question of ports that can do less; gives the data, and how many reads were of groups."""
    world = shop()
    ports: dict[str, tuple[Port, ...]] = {}
    for contract in world.contracts:
        able: Capabilities = replace(capabilities_for(contract), **less)
        opened = await open_sql(contract, Rows(world.rows[contract.key]), capabilities=able, clock=lambda: NOW, cursors=1)
        ports[contract.key] = (Counted(opened),)
    asked = engine_of(snapshot_of(world.contracts, ports), world)
    found = []
    for text in (*(operation for operation, _ in PAIRS.values()), NESTED):
        answer = await asked.ask(ANALYST, text)
        assert answer.errors == [], text
        found.append(answer.data)
    grouped = 0
    for (port,) in ports.values():
        assert isinstance(port, Counted)
        grouped += sum(bool(read.aggregates or read.group_by) for read in port.reads)
        await port.aclose()
    return found, grouped


@pytest.mark.parametrize("less", LESS.values(), ids=LESS)
async def test_totals_are_the_same_whatever_the_port_leaves_to_the_gateway(less: dict[str, Any]) -> None:
    whole, pushed = await answered({})
    found, _ = await answered(less)
    assert pushed >= len(PAIRS)
    assert all(map(same, found, whole))


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-12)
    return bool(one == other)
