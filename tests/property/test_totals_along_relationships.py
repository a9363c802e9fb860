"""Facts about totals per parent and along relationships: pages per parent, partners that are many, keys that are many, what is joined."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from contracts.fields import Field, Kind, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import FieldClassification
from domain_adapters.sources import Rows
from domain_adapters.sql import capabilities_for, open_sql
from gateway.catalog.snapshot import snapshot_of
from gateway.engine.budget import Bounds

from ..differential.plain_port import PlainPort
from ..differential.running import Answer, Asked, engine_of
from ..differential.shop import ANALYST, shop
from ..differential.worlds import NOW, World


async def opened(world: World, *, bounds: Bounds | None = None, plain: bool = False, **less: Any) -> Asked:
    ports: dict[str, Any] = {}
    for contract in world.contracts:
        rows = world.rows[contract.key]
        if plain:
            ports[contract.key] = (PlainPort(contract, rows, frozenset(), "totals"),)
            continue
        able = replace(capabilities_for(contract), **less)
        ports[contract.key] = (await open_sql(contract, Rows(rows), capabilities=able, clock=lambda: NOW, cursors=1),)
    return engine_of(snapshot_of(world.contracts, ports), world, bounds=bounds)


async def ask(asked: Asked, *operations: tuple[str, dict[str, Any]]) -> list[Answer]:
    found = [await asked.ask(ANALYST, text, None, variables) for text, variables in operations]
    for port in asked.ports:
        await port.aclose()
    return found


PER_PARENT = """query($after: String, $where: CustomerCustomersWhere) { customer { customers(where: $where) { nodes { customerId
  orders { groups(by: [{field: STATUS}], first: 1, after: $after) { key { status } count cursor } } } } } }"""


@pytest.mark.parametrize("plain", [False, True], ids=["level 1", "level 0"])
async def test_groups_of_one_parent_page_on_and_those_of_several_do_not(plain: bool) -> None:
    asked = await opened(shop(), plain=plain)
    one = {"where": {"customerId": {"eq": "C1"}}}
    first = (await asked.ask(ANALYST, PER_PARENT, None, one)).data["customer"]["customers"]["nodes"][0]["orders"]["groups"]
    cursor = first[0]["cursor"]
    other = {"where": {"customerId": {"eq": "C2"}}, "after": cursor}
    on, several, foreign = await ask(asked, (PER_PARENT, one | {"after": cursor}), (PER_PARENT, {"after": cursor}), (PER_PARENT, other))
    following = on.data["customer"]["customers"]["nodes"][0]["orders"]["groups"]
    assert [first[0]["key"]["status"], following[0]["key"]["status"]] == ["PAID", "PLACED"]
    for answer in (several, foreign):
        assert [error["extensions"]["code"] for error in answer.errors] == ["BAD_USER_INPUT"]
        assert answer.errors[0]["path"] == ["customer", "customers", "nodes", "orders", "groups"]


async def test_a_parent_without_rows_has_empty_totals() -> None:
    orders = 'orders(where:{orderId:{eq:"none"}}){aggregate{count sum{total}} groups(by:[{field:STATUS}]){count}}'
    text = "{customer{customers{nodes{customerId %s}}}}" % orders  # noqa: UP031  # braces stand for themselves in GraphQL
    (answer,) = await ask(await opened(shop()), (text, {}))
    assert answer.errors == []
    assert {repr(node["orders"]) for node in answer.data["customer"]["customers"]["nodes"]} == {
        "{'aggregate': {'count': 0, 'sum': {'total': None}}, 'groups': []}"
    }
    (answer,) = await ask(await opened(shop()), ('{customer{customers(where:{name:{eq:"nobody"}}){nodes{orders{aggregate{count}}}}}}', {}))
    assert answer.data == {"customer": {"customers": {"nodes": []}}}


BY_COUNTRY = "{order{orders{groups(by:[{path:[CUSTOMER], field:COUNTRY}]){key{customer{country}} count sum{total}}}}}"


async def test_more_foreign_keys_than_are_looked_up_at_once_are_found_by_reading_the_partner() -> None:
    (few,) = await ask(await opened(shop(), bounds=Bounds(keys_max=3)), (BY_COUNTRY, {}))
    (many,) = await ask(await opened(shop()), (BY_COUNTRY, {}))
    assert few.errors == []
    assert few.data == many.data


FAR = "{payment{payments{groups(first: 1000, by: %s){count}}}}"


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        (FAR % "[{path: [ORDER, CUSTOMER], field: COUNTRY}]", {}),
        (
            "query($by: [PaymentPayments_GroupBy!]!) " + FAR % "$by",
            {"by": [{"path": ["ORDER", "CUSTOMER"], "field": "COUNTRY"}]},
        ),
        ("query($path: [PaymentPayments_GroupPath!]) " + FAR % "[{path: $path, field: COUNTRY}]", {"path": ["ORDER", "CUSTOMER"]}),
    ],
    ids=["text", "variable", "path in a variable"],
)
async def test_groups_are_formed_by_what_lies_far_away_whether_or_not_its_key_is_selected(text: str, variables: dict[str, Any]) -> None:
    asked = await opened(shop())
    shown = "{payment{payments{groups(by: [{path: [ORDER, CUSTOMER], field: COUNTRY}]){key{order{customer{country}}} count}}}}"
    found, whole = await ask(asked, (text, variables), (shown, {}))
    assert found.errors == whole.errors == []
    groups = [answer.data["payment"]["payments"]["groups"] for answer in (found, whole)]
    assert [it["count"] for it in groups[0]] == [it["count"] for it in groups[1]]
    assert len(groups[0]) > 2


async def test_a_function_that_only_partners_have_may_be_asked_of_nothing_in_particular() -> None:
    world = shop()
    for at, contract in enumerate(world.contracts):
        if contract.key == "customer/customers":
            (friend,) = contract.relationships
            latest = friend.model_copy(update={"name": "latest", "to": "order/orders", "on": (("friend_id", "order_id"),), "inverse": None})
            world.contracts[at] = contract.model_copy(update={"relationships": (friend, latest)})
    (answer,) = await ask(await opened(world), ("{customer{customers{aggregate{sum{__typename} count}}}}", {}))
    assert answer.data == {"customer": {"customers": {"aggregate": {"sum": {"__typename": "CustomerCustomers_Sum"}, "count": 12}}}}


def mask_customer_ids(world: World) -> None:
    """Mask the key that customers are found by, at the customers' end only."""
    for at, contract in enumerate(world.contracts):
        if contract.key == "customer/customers":
            masked = (("customer_id", FieldClassification(mask=Mask(MaskKind.REDACT))),)
            world.contracts[at] = contract.model_copy(update={"classification": masked})


@pytest.mark.parametrize(
    "body",
    [
        "groups(by:[{path:[CUSTOMER], field:COUNTRY}, {field:CUSTOMER_ID}]){count}",
        "groups(by:[{path:[CUSTOMER], field:COUNTRY}]){countDistinct{customerId}}",
        'groups(by:[{path:[CUSTOMER], field:COUNTRY}], where:{customerId:{eq:"C1"}}){count}',
        "nodes{customer{name}} aggregate{countDistinct{customerId}}",
        "nodes{customer{name}} groups(by:[{field:CUSTOMER_ID}]){count}",
    ],
)
async def test_a_key_is_as_masked_as_its_other_end_wherever_the_answer_connects_them(body: str) -> None:
    world = shop()
    mask_customer_ids(world)
    (answer,) = await ask(await opened(world), (f"{{order{{orders{{{body}}}}}}}", {}))
    assert answer.refusal == "MASKED_FIELD_IN_PREDICATE"


async def test_groups_may_follow_a_key_that_is_masked() -> None:
    world = shop()
    mask_customer_ids(world)
    plain, masked = [(await ask(await opened(it), (BY_COUNTRY, {})))[0] for it in (shop(), world)]
    assert masked.errors == []
    assert masked.data == plain.data


@pytest.mark.parametrize("plain", [False, True], ids=["level 1", "level 0"])
async def test_a_total_that_is_too_large_for_its_type_is_an_error_at_its_place(plain: bool) -> None:
    world = shop()
    for at, contract in enumerate(world.contracts):
        if contract.key == "order/orders":
            huge = Field("total", Scalar(Kind.DECIMAL, 38, 0))
            world.contracts[at] = contract.model_copy(
                update={"fields": tuple(huge if it.name == "total" else it for it in contract.fields)}
            )
    for row in world.rows["order/orders"]:
        row["total"] = Decimal("9" * 38)
    (answer,) = await ask(await opened(world, plain=plain), ("{order{orders{totalCount aggregate{count sum{total}}}}}", {}))
    assert answer.data == {"order": {"orders": {"totalCount": 60, "aggregate": None}}}
    assert [error["extensions"]["code"] for error in answer.errors] == ["LIMIT_EXCEEDED"], "whoever adds up"
