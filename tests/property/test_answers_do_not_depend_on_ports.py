"""The answer does not depend on which port or push-down served it: ports that can do different things, some of them away."""

from __future__ import annotations

import os
from random import Random
from typing import Any

import msgspec
import pytest

from domain_adapters.port import Port
from domain_adapters.sql import capabilities_for
from gateway.catalog.snapshot import snapshot_of

from ..differential.plain_port import PlainPort
from ..differential.ruling_cases import SEED
from ..differential.running import engine_of
from ..differential.shop import ANALYST, shop
from ..differential.test_engine_against_graphql_core import check_cases
from ..differential.test_totals_against_one_database import NESTED, PAIRS
from ..differential.worlds import World, world_of
from .several_ports import Named, less_able, mesh_of_many_ports, named

CASES = int(os.environ.get("MESHGATE_CASES") or 2_000) // 4
PER_WORLD = 20
FILTERED = (
    '{order{orders(first:4, where:{status:{in:[PAID]}, or:[{total:{gt:"1"}},{day:{lt:"2026-11-09"}}]}, orderBy:[{total:DESC}])'
    "{totalCount edges{cursor node{orderId total customer{name friend{country}}}}}}}"
)
NESTED_LISTS = (
    "{customer{customers(first:12){nodes{customerId orders(first:2, orderBy:[{day:DESC}])"
    "{totalCount nodes{orderId day payments{nodes{number}}}}}}}}"
)
PAID = '{order{orders(first:9, where:{customer:{country:{in:["DE","FR"]}}, payments:{some:{amount:{gt:"1"}}, none:{method:{eq:"CARD"}}}})'
FAR = (
    PAID + "{totalCount nodes{orderId payments{aggregate{count sum{amount}}}} aggregate{sum{total} max{customer{name}}}"
    " groups(by:[{path:[CUSTOMER], field:COUNTRY}]){key{customer{country}} count}}}}",
    "{customer{customers{nodes{customerId orders(where:{payments:{some:{}}}){totalCount aggregate{countDistinct{customer{country}}}}}}}}",
)
LISTS = (
    "{order{orders(first:7){totalCount nodes{orderId status} pageInfo{hasNextPage endCursor}}}}",
    FILTERED,
    NESTED_LISTS,
    '{order{orders(since:"2026-11-22T12:00:00Z", first:30){totalCount nodes{orderId}}}}',
    '{order{ordersByKey(key:{orderId:"O07"}){orderId payments(first:1){totalCount nodes{amount}}}}}',
)
QUESTIONS = (*LISTS, *FAR, NESTED, *(operation for operation, _ in PAIRS.values()))


@pytest.mark.parametrize("number", range(max(1, CASES // PER_WORLD)))
async def test_any_operation_is_answered_alike_whichever_ports_there_are(number: int) -> None:
    world = world_of(f"{SEED}-ports-{number}")
    asked, _ = await mesh_of_many_ports(world, Random(f"{world.seed} ports"))
    try:
        await check_cases(world, range(PER_WORLD), {"several ports": asked})
    finally:
        for port in asked.ports:
            await port.aclose()


@pytest.fixture(scope="module")
def world() -> World:
    return shop()


async def bytes_of(world: World, ports: dict[str, tuple[Port, ...]]) -> list[bytes]:
    """Answer all questions through some ports."""
    asked = engine_of(snapshot_of(world.contracts, ports), world)
    found = []
    for text in QUESTIONS:
        answer = await asked.ask(ANALYST, text)
        assert answer.errors == [], text
        found.append(msgspec.json.encode(answer.data))
    for port in asked.ports:
        await port.aclose()
    return found


_WHOLE: list[list[bytes]] = []


async def of_whole_ports(world: World) -> list[bytes]:
    """Answer all questions through ports that can do everything: once for all tests."""
    if not _WHOLE:
        _WHOLE.append(await bytes_of(world, {it.key: (await named(it, world, "whole", capabilities_for(it)),) for it in world.contracts}))
    return _WHOLE[0]


@pytest.mark.parametrize("seed", range(25))
async def test_answers_are_the_same_byte_for_byte_cursors_included(seed: int, world: World) -> None:
    random = Random(seed)
    some: dict[str, tuple[Port, ...]] = {}
    for contract in world.contracts:
        able = capabilities_for(contract)
        first = await named(contract, world, "first", able)
        first.is_dead = True  # it decides how lists are sorted, and never answers
        others: list[Any] = [await named(contract, world, f"port-{at}", less_able(able, random)) for at in range(random.randint(1, 3))]
        if random.random() < 0.5:
            plain = PlainPort(
                contract, world.rows[contract.key], frozenset({"order_id", "customer_id"}) & set(contract.field_by_name), "plain"
            )
            others.append(Named(plain, "plain"))
        random.shuffle(others)
        some[contract.key] = (first, *others)
    assert await bytes_of(world, some) == await of_whole_ports(world)
