"""Reads end in any order; what is answered does not depend on it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from contracts.fields import Kind, Scalar
from domain_adapters.errors import PortBrokenPromiseError
from domain_adapters.port import Call, Read

from .lying import LEVEL_0, LEVEL_1, STRING, Lying, Mesh, contract, link, page

ORDERS = {"id": STRING, "customer_id": STRING, "shop_id": STRING}


@dataclass(slots=True)
class Waiting(Lying):
    """A port that answers once ``after`` has been answered."""

    after: Waiting | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, read: Read, call: Call) -> bytes:
        if self.after is not None:
            await self.after.done.wait()
        try:
            return self.answer(read)
        finally:
            self.done.set()


def pair(one: Waiting, other: Waiting, *, first: int) -> tuple[Waiting, Waiting]:
    (other if first == 0 else one).after = one if first == 0 else other
    return one, other


def broken(_: Read) -> bytes:
    raise PortBrokenPromiseError("broken", reason="malformed")


async def asked(first: int) -> bytes:
    one, other = pair(Waiting(broken), Waiting(broken), first=first)
    mesh = Mesh((contract("orders", ORDERS), one), (contract("customers", ORDERS), other))
    found = await mesh.ask("{ shop { orders { nodes { id } } customers { nodes { id } } } }")
    assert found.codes == ["UPSTREAM_INVALID"] * 2
    return found.body


async def test_errors_are_in_the_order_of_their_paths() -> None:
    assert await asked(0) == await asked(1)


async def total_of_a_list_that_fails(first: int) -> bytes:
    """The list and its total are two reads of one port: the one that answers ``first`` fails first."""
    told = (asyncio.Event(), asyncio.Event())

    class Racing(Waiting):
        async def read(self, read: Read, call: Call) -> bytes:
            place = 1 if read.aggregates else 0
            if place != first:
                await told[first].wait()
            told[place].set()
            return broken(read)

    able = replace(LEVEL_1, aggregates=frozenset({"count", "sum"}))
    mesh = Mesh((contract("orders", {"id": STRING, "size": Scalar(Kind.INT)}), Racing(broken, able)))
    found = await mesh.ask("{ shop { orders { nodes { id } aggregate { sum { size } } } } }")
    assert found.data == {"shop": {"orders": None}}
    assert [it["path"] for it in found.errors] == [["shop", "orders"]]
    return found.body


async def test_what_failed_below_what_failed_is_not_told() -> None:
    assert await total_of_a_list_that_fails(0) == await total_of_a_list_that_fails(1)


async def bad_cells(first: int) -> bytes:
    rows = page([{"id": f"r{number}", "size": "bad"} for number in range(8)])
    one, other = pair(Waiting(lambda _: rows), Waiting(lambda _: rows), first=first)
    columns = {"id": STRING, "size": Scalar(Kind.INT)}
    mesh = Mesh((contract("orders", columns), one), (contract("customers", columns), other))
    found = await mesh.ask("{ shop { orders { nodes { size } } customers { nodes { size } } } }")
    assert len(found.errors) == 11
    assert found.errors[-1]["extensions"]["count"] == 6
    return found.body


async def test_which_bad_cells_are_shown_is_settled_by_their_paths() -> None:
    assert await bad_cells(0) == await bad_cells(1)


async def grouped(first: int) -> bytes:
    sent = page([{"id": "o", "customer_id": "c", "shop_id": "s"}])
    orders, returns = pair(Waiting(lambda _: sent, LEVEL_0), Waiting(lambda _: sent, LEVEL_0), first=first)
    named = {"id": STRING, "name": STRING}
    mesh = Mesh(
        (contract("orders", ORDERS, links=(link("shop", "shop/shops", {"shop_id": "id"}),)), orders),
        (contract("returns", ORDERS, links=(link("customer", "shop/customers", {"customer_id": "id"}),)), returns),
        (contract("customers", named), Lying(lambda _: page([{"id": "c", "name": "Ann"}]))),
        (contract("shops", named), Lying(lambda _: page([{"id": "s", "name": "North"}]))),
    )
    by_shop = "orders { groups(by: [{path: [SHOP], field: NAME}]) { key { shop { name } } } }"
    by_customer = "returns { groups(by: [{path: [CUSTOMER], field: NAME}]) { key { customer { name } } } }"
    found = await mesh.ask(f"{{ shop {{ {by_shop} {by_customer} }} }}")
    assert found.data["shop"]["orders"]["groups"] == [{"key": {"shop": {"name": "North"}}}]
    assert not found.errors
    return found.body


@pytest.mark.parametrize("first", [0, 1])
async def test_products_that_groups_are_formed_by_are_told_in_one_order(first: int) -> None:
    body = await grouped(first)
    assert body == await grouped(1 - first)
    assert body.index(b'"shop/customers"') < body.index(b'"shop/shops"')
