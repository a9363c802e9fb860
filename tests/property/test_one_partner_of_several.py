"""Where a relationship leads to one partner and several have the key, it is the same one everywhere, whatever order a port has."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from contracts.fields import Kind, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import FieldClassification
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from gateway.catalog.snapshot import snapshot_of

from ..differential.plain_port import PlainPort
from ..differential.running import engine_of
from ..differential.shop import ANALYST, shop
from ..differential.worlds import NOW, World

ASKED = (
    "{order{orders(first: 1000, orderBy: [{orderId: ASC}]){nodes{orderId first{number amount method}}"
    "groups(first: 1000, by:[{path:[FIRST], field:AMOUNT}, {path:[FIRST], field:METHOD}]){key{first{amount method}} count}}}}"
)


def world_of(seed: int, *, masked: bool) -> World:
    """Make a shop where an order has one payment out of several, which are in any order."""
    world = shop()
    for at, contract in enumerate(world.contracts):
        if contract.key == "order/orders":
            (customer,) = contract.relationships
            first = customer.model_copy(
                update={"name": "first", "to": "payment/payments", "on": (("order_id", "order_id"),), "inverse": None}
            )
            world.contracts[at] = contract.model_copy(update={"relationships": (customer, first)})
        if contract.key == "payment/payments" and masked:
            assert contract.field_by_name["number"].type == Scalar(Kind.INT)
            hidden = (("number", FieldClassification(mask=Mask(MaskKind.NULLIFY))),)
            world.contracts[at] = contract.model_copy(update={"classification": hidden})
    Random(seed).shuffle(world.rows["payment/payments"])
    return world


async def answered(world: World, *, level: int) -> Any:
    ports: dict[str, Any] = {}
    for contract in world.contracts:
        rows = world.rows[contract.key]
        if level:
            ports[contract.key] = (await open_sql(contract, Rows(rows), clock=lambda: NOW, cursors=1),)
        else:
            ports[contract.key] = (PlainPort(contract, rows, frozenset({"order_id"}), "partners"),)
    asked = engine_of(snapshot_of(world.contracts, ports), world)
    answer = await asked.ask(ANALYST, ASKED)
    assert answer.errors == []
    for port in asked.ports:
        await port.aclose()
    return answer.data["order"]["orders"]


@pytest.mark.parametrize("masked", [False, True], ids=["clear key", "masked key"])
async def test_it_is_the_same_in_rows_and_totals_over_every_port_and_order_of_rows(masked: bool) -> None:
    found = [await answered(world_of(seed, masked=masked), level=level) for seed in (1, 2, 3) for level in (0, 1)]
    assert all(it == found[0] for it in found)
    partners = [it["first"] and (it["first"]["amount"], it["first"]["method"]) for it in found[0]["nodes"]]
    counted = {(it["key"]["first"]["amount"], it["key"]["first"]["method"]): it["count"] for it in found[0]["groups"]}
    assert {key: partners.count(key if key != (None, None) else None) for key in counted} == counted


async def test_it_is_the_first_by_primary_key() -> None:
    world = world_of(4, masked=False)
    numbers = {node["orderId"]: node["first"] and node["first"]["number"] for node in (await answered(world, level=0))["nodes"]}
    paid = world.rows["payment/payments"]
    assert numbers == {order: min((it["number"] for it in paid if it["order_id"] == order), default=None) for order in numbers}
