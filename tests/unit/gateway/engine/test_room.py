"""What all requests together may hold: beyond it a request is refused as a whole, for what others hold, and what it held is given back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from domain_adapters.allowance import Allowance, Share
from domain_adapters.errors import NoRoomError, PortBrokenPromiseError, PortCannotError, PortUnavailableError
from domain_adapters.port import Call, Read
from domain_adapters.sql import capabilities_for
from gateway.catalog.snapshot import snapshot_of
from gateway.engine.budget import Bounds, Budget, Budgets
from gateway.errors import GatewayError
from gateway.exchange import Form, Frame, Question, Reply, Stream
from tests.differential.running import Asked, engine_of
from tests.differential.shop import ANALYST, shop
from tests.property.several_ports import Named, named

from .depot import ANALYST as CALLER
from .depot import Depot, contract, depot, row

MB = 1_000_000
ROWS = [row(number, name="n" * 1_000, mail=f"m{number}@example.com", partner_id=number // 2) for number in range(1_200)]
LIST = "{ depot { items(first: 1000) { nodes { id name } } } }"
ALL = "{ depot { items(first: 1000000) { nodes { id name partner { name } } } } }"
OPERATIONS = {
    "rows": "{order{orders(first:5){nodes{orderId customer{name} payments(first:2){totalCount nodes{amount}}}}}}",
    "a count": "{order{orders(first:2){totalCount nodes{orderId}}}}",
    "two products": "{order{orders(first:2){nodes{orderId}}} payment{payments(first:1){nodes{amount}}}}",
    "totals": "{order{orders{aggregate{count sum{total}} groups(by:[{path:[CUSTOMER],field:NAME}]){key{customer{name}} count}}}}",
    "a condition": '{order{orders(first:3,where:{customer:{name:{gt:"A"}}}){totalCount nodes{orderId}}}}',
    "partners of which some": "{customer{customers(where:{orders:{some:{total:{gt:1}}}}){nodes{name orders{aggregate{count}}}}}}",
}


class Full(Named):
    """Has no room for the answer of this read of all ports' together."""

    def __init__(self, port: Named, name: str, told: list[str], at: list[int], error: Callable[[], Exception] = NoRoomError) -> None:
        super().__init__(port, name)
        self.told, self.at, self.error = told, at, error

    async def read(self, read: Read, call: Call) -> bytes:
        self.told.append(self.name)
        if len(self.told) - 1 == self.at[0]:
            raise self.error()
        return await super().read(read, call)


async def full_shop(*, plain: bool = False, bounds: Bounds | None = None) -> tuple[Asked, list[str], list[int]]:
    """Open the shop: two ports per product; the read of the number in the last of what is given fails."""
    world, told, at = shop(), list[str](), [-1]
    ports: dict[str, tuple[Any, ...]] = {}
    for it in world.contracts:
        able = capabilities_for(it)
        if plain:
            able = replace(able, aggregates=frozenset(), group_by=False, count=False)
        inner = await named(it, world, "inner", able)
        ports[it.key] = (Full(inner, "a", told, at), Full(inner, "b", told, at))
    return engine_of(snapshot_of(world.contracts, ports), world, bounds=bounds), told, at


async def asked_of(asked: Asked, text: str) -> Reply:
    return await asked.engine.answer(Question(text), Frame(ANALYST, asyncio.get_running_loop().time() + 30, "r"))


async def closed(asked: Asked) -> None:
    for port in asked.ports:
        await port.aclose()


@pytest.mark.parametrize("plain", [False, True], ids=["pushed", "plain"])
@pytest.mark.parametrize("text", OPERATIONS.values(), ids=OPERATIONS)
async def test_wherever_room_is_wanting_the_whole_request_is_refused_and_no_other_port_asked(text: str, *, plain: bool) -> None:
    asked, told, at = await full_shop(plain=plain, bounds=Bounds(keys_max=2))
    outcomes: list[str] = []
    asked.engine.readers._on_read = lambda _product, outcome, _s, _port, _level: outcomes.append(outcome)
    whole = await asked_of(asked, text)
    assert whole.has_data, whole.body
    count = len(told)
    for number in range(count):
        told.clear()
        outcomes.clear()
        at[0] = number
        reply = await asked_of(asked, text)
        assert reply.refusal is not None
        assert (reply.refusal.name, reply.has_data, dict(reply.headers)) == ("OVERLOADED", False, {"Retry-After": "1"})
        (error,) = json.loads(reply.body)["errors"]
        assert error["message"] == "The gateway holds as much data for requests as it may."
        assert error["extensions"].keys() == {"code", "hint", "requestId"}
        assert "path" not in error
        assert "b" not in told
        assert outcomes.count("overloaded") == 1
        assert not {"unavailable", "invalid"} & set(outcomes)
    at[0] = -1
    assert (await asked_of(asked, text)).body == whole.body
    assert not asked.failures
    await closed(asked)


async def room_of(bounds: Bounds | None = None, most: int = 4 * MB, **more: Any) -> tuple[Depot, Allowance]:
    allowance = Allowance(most)
    return await depot(ROWS, page_max=1_000, bounds=replace(bounds or Bounds(), allowance=allowance), **more), allowance


async def answered(mesh: Depot, text: str) -> Reply:
    return await mesh.engine.answer(Question(text), Frame(CALLER, asyncio.get_running_loop().time() + 30, "r"))


async def test_what_a_request_took_in_is_held_until_it_ends() -> None:
    mesh, allowance = await room_of(waits_at=2)
    task = asyncio.ensure_future(answered(mesh, "{ depot { items(first: 1000) { nodes { id name partner { name } } } } }"))
    await mesh.port.waiting.wait()
    assert MB < allowance.held_bytes < 2 * MB
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert allowance.held_bytes == 0


@pytest.mark.parametrize("fails_at", [None, 1, 2])
async def test_after_a_request_nothing_is_held_whatever_became_of_it(fails_at: int | None) -> None:
    mesh, allowance = await room_of(fails_at=fails_at)
    reply = await answered(mesh, "{ depot { items(first: 1000) { nodes { id name partner { name } } } } }")
    assert reply.has_data
    assert allowance.held_bytes == 0


async def test_a_request_is_refused_for_what_others_hold_and_answered_once_they_have_ended() -> None:
    mesh, allowance = await room_of()
    with Share(allowance) as others:
        others.reach(3 * MB)
        refused = await answered(mesh, LIST)
        assert refused.refusal is not None
        assert (refused.refusal.name, allowance.held_bytes) == ("OVERLOADED", 3 * MB)
        small = await answered(mesh, "{ depot { items(first: 20) { nodes { id name } } } }")
        assert (small.refusal, small.has_errors) == (None, False)
    reply = await answered(mesh, LIST)
    assert (reply.refusal, len(json.loads(reply.body)["data"]["depot"]["items"]["nodes"])) == (None, 1_000)
    assert allowance.held_bytes == 0


async def test_a_page_that_is_too_large_only_for_what_the_request_may_still_take_is_not_the_ports_fault() -> None:
    world, told, at = shop(), list[str](), [1]
    too_large = lambda: PortBrokenPromiseError("larger than the limit", reason="too_large")  # noqa: E731  # a fresh error each time
    ports: dict[str, tuple[Any, ...]] = {}
    for it in world.contracts:
        inner = await named(it, world, "inner", capabilities_for(it))
        ports[it.key] = (Full(inner, "a", told, at, too_large),)
    bounds = Bounds(request_bytes_max=1_000_000, body_max_bytes=1_000_000)
    asked = engine_of(snapshot_of(world.contracts, ports), world, bounds=bounds)
    outcomes: list[str] = []
    asked.engine.readers._on_read = lambda _product, outcome, _s, _port, _level: outcomes.append(outcome)
    found = json.loads((await asked_of(asked, "{order{orders(first:5){nodes{orderId customer{name}}}}}")).body)
    assert [error["extensions"]["code"] for error in found["errors"]] == ["LIMIT_EXCEEDED"]
    assert outcomes == ["ok", "refused"]
    await closed(asked)


# -- streams


@pytest.mark.parametrize("level", [0, 1])
async def test_a_stream_holds_a_page_and_a_batch_and_in_the_end_nothing(level: int) -> None:
    mesh, allowance = await depot_of_small_pages(level)
    found = await mesh.ask("{ depot { items(first: 1000000) { nodes { id name } } } }")
    assert isinstance(found, Stream)
    most = 0
    async with aclosing(found.rest) as rest:
        async for _ in rest:
            most = max(most, allowance.held_bytes)
    assert 300_000 < most < 600_000
    assert allowance.held_bytes == 0


async def depot_of_small_pages(level: int = 1, **more: Any) -> tuple[Depot, Allowance]:
    allowance = Allowance(MB)
    return await depot(ROWS, page_max=400, level=level, bounds=Bounds(allowance=allowance), **more), allowance


async def test_a_stream_that_is_closed_early_holds_nothing() -> None:
    mesh, allowance = await depot_of_small_pages()
    found = await mesh.ask(ALL)
    assert isinstance(found, Stream)
    while not allowance.held_bytes:  # until the next page has been read ahead
        await asyncio.sleep(0)
    await found.rest.aclose()
    assert allowance.held_bytes == 0


async def test_a_stream_that_fails_on_its_way_holds_nothing() -> None:
    mesh, allowance = await depot_of_small_pages(fails_at=3)
    found = await mesh.ask(ALL)
    assert isinstance(found, Stream)
    with pytest.raises(GatewayError):
        async for _ in found.rest:
            pass
    assert allowance.held_bytes == 0


@pytest.mark.parametrize(
    "text",
    [
        ALL,
        "{ depot { items { groups(by: [{field: NAME}], first: 10) { key { name } count } } } }",
        "{ depot { items(first: 10, orderBy: [{mail: ASC}]) { nodes { id } } } }",
        "{ depot { nothing } }",
    ],
)
@pytest.mark.parametrize("masked_key", [False, True])
async def test_after_any_stream_nothing_is_held(text: str, *, masked_key: bool) -> None:
    allowance = Allowance(20 * MB)
    mesh = await depot(ROWS, page_max=400, made=contract(masked_key=masked_key), bounds=Bounds(allowance=allowance))
    found = await mesh.ask(text)
    if isinstance(found, Stream):
        async for _ in found.rest:
            pass
    assert allowance.held_bytes == 0


async def test_a_stream_for_which_there_is_no_room_is_refused_before_it_begins_and_broken_off_after() -> None:
    mesh, allowance = await depot_of_small_pages()
    with Share(allowance) as others:
        others.reach(900_000)
        code, _ = await mesh.code(ALL, Form.CSV)
        assert code == "OVERLOADED"
        assert allowance.held_bytes == 900_000
    found = await mesh.ask(ALL, Form.CSV)
    assert isinstance(found, Stream)
    with Share(allowance) as others:
        others.reach(MB - allowance.held_bytes)
        with pytest.raises(GatewayError) as caught:
            async for _ in found.rest:
                pass
        assert (caught.value.code.name, caught.value.path) == ("OVERLOADED", None)
    assert allowance.held_bytes == 0


# -- budgets


async def test_a_closed_budget_counts_nothing_any_more() -> None:
    bounds = Bounds(allowance=Allowance(MB))
    budget = Budget(bounds, asyncio.get_running_loop().time() + 5)
    budget.spend(b"x" * 500_000)
    assert bounds.allowance.held_bytes == 500_000
    budget.close()
    budget.spend(b"x" * 500_000)
    assert bounds.allowance.held_bytes == 0


async def test_each_batch_of_a_stream_gives_back_what_the_one_before_took_and_what_lasts_stays() -> None:
    bounds = Bounds(allowance=Allowance(2 * MB))
    budgets = Budgets(lambda: Budget(bounds, asyncio.get_running_loop().time() + 5))
    budgets.current.spend(b"x" * 300_000)
    for _ in range(5):
        budgets.batch()
        budgets.current.spend(b"x" * 400_000)
        assert bounds.allowance.held_bytes == 700_000
    budgets.close()
    assert bounds.allowance.held_bytes == 0


@pytest.mark.parametrize("error", [PortUnavailableError("gone", reason="refused"), PortCannotError("not this", reason="filter")])
async def test_what_is_the_ports_own_still_goes_to_the_next_port(error: Exception) -> None:
    asked, told, at = await full_shop()
    for port in asked.ports:
        assert isinstance(port, Full)
        port.error = lambda: error
    at[0] = 0
    found = json.loads((await asked_of(asked, "{order{orders(first:2){nodes{orderId}}}}")).body)
    assert ("errors" not in found, told) == (True, ["a", "b"])
    await closed(asked)
