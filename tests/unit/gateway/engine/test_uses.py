"""What requests are counted under: clients, shapes without values, and the fields of products that they name anywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.observe.usage import OTHER, Used, users_of
from tests.differential.running import Asked, running
from tests.differential.shop import ANALYST, shop

JOINED = """query Joined($big: Boolean!) { order { orders(first: 2) { nodes {
    total: orderId customer { name @include(if: $big) } payments { aggregate { sum { amount } } nodes { method } } } } } }"""


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    found = await running(shop())
    yield found.level0
    await found.aclose()


def used(asked: Asked) -> list[Used]:
    return asked.engine.usage.read()


async def test_an_operation_is_counted_with_every_field_it_selects_and_follows(asked: Asked) -> None:
    answer = await asked.ask(replace(ANALYST, client="dashboards"), JOINED, None, {"big": True})
    assert answer.errors == []
    (one,) = used(asked)
    assert (one.client, one.operation, one.requests) == ("dashboards", "Joined", 1)
    assert {it.rpartition("/")[2] for it in one.fields} >= {
        "orders.order_id",
        "orders.customer",
        "orders.customer_id",
        "orders.payments",
        "customers.name",
        "payments.method",
        "payments.amount",
    }


async def test_texts_that_differ_in_values_are_one_shape_and_no_value_is_kept(asked: Asked) -> None:
    for secret in ("secret-1", "secret-2"):
        await asked.ask(ANALYST, f'{{ order {{ orders(where: {{customerId: {{eq: "{secret}"}}}}) {{ nodes {{ orderId }} }} }} }}')
    (one,) = used(asked)
    assert one.requests == 2
    assert "secret" not in repr(used(asked))
    assert any(field.endswith("orders.customer_id") for field in one.fields)


async def test_what_values_name_is_counted_to_the_shape(asked: Asked) -> None:
    text = """{ order { orders(first: 1, orderBy: [{day: DESC}]) {
        groups(by: [{field: STATUS}, {path: [CUSTOMER], field: COUNTRY}]) { count } nodes { orderId } } } }"""
    answer = await asked.ask(ANALYST, text)
    assert answer.errors == []
    (one,) = used(asked)
    assert {it.rpartition("/")[2] for it in one.fields} >= {"orders.day", "orders.status", "orders.customer", "customers.country"}


async def test_what_is_skipped_is_not_used(asked: Asked) -> None:
    await asked.ask(ANALYST, JOINED, None, {"big": False})
    await asked.ask(ANALYST, JOINED, None, {"big": True})
    assert len(used(asked)) == 2
    assert len(users_of(used(asked), "customer/customers.name")) == 1


async def test_a_look_up_by_key_uses_the_key(asked: Asked) -> None:
    await asked.ask(ANALYST, '{ order { ordersByKey(key: {orderId: "o1"}) { status } } }')
    (one,) = used(asked)
    assert {it.rpartition("/")[2] for it in one.fields} == {"orders.order_id", "orders.status"}


async def test_what_is_refused_is_no_use(asked: Asked) -> None:
    await asked.ask(ANALYST, "{ order { orders(first: -1) { nodes { orderId } } } }")
    await asked.ask(ANALYST, "{ order { orders { nodes { nonsense } } } }")
    assert used(asked) == []


async def test_clients_beyond_the_bound_cost_nobody_a_count(asked: Asked) -> None:
    for number in range(300):
        await asked.ask(replace(ANALYST, client=f"c{number}"), "{ order { orders(first: 1) { nodes { orderId } } } }")
    found = {one.client: one.requests for one in used(asked)}
    assert sum(found.values()) == 300
    assert found[OTHER] > 1
