"""Level-1 ports that lie: foreign rows, rows of other keys, wrong counts, cursors without end."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from contracts.fields import Kind, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import FieldClassification
from contracts.predicates import Claim, Compare, Operator
from domain_adapters.port import Read
from gateway.engine.budget import Bounds
from tests.conftest import within

from .lying import LEVEL_0, LEVEL_1, STRING, Lying, Mesh, analyst, contract, link, page
from .ticks import ticking

ORDERS = {"id": STRING, "customer_id": STRING, "country": STRING}
CUSTOMERS = {"id": STRING, "name": STRING, "age": Scalar(Kind.INT)}


def order(number: int, customer: str = "c1", country: str = "DE") -> dict[str, Any]:
    return {"id": f"o{number}", "customer_id": customer, "country": country}


def _page_of(rows: list[dict[str, Any]], _: Read) -> bytes:
    return page(rows)


async def test_a_row_of_another_key_is_not_the_answer_of_a_look_up_by_key() -> None:
    port = Lying(lambda _: page([order(2), order(1)]))
    mesh = Mesh((contract("orders", ORDERS), port))
    answer = await mesh.ask('{ shop { one: ordersByKey(key: {id: "o1"}) { id } other: ordersByKey(key: {id: "o9"}) { id } } }')
    assert answer.data == {"shop": {"one": {"id": "o1"}, "other": None}}


async def test_partners_whose_key_was_not_asked_for_are_dropped_and_cost_nothing() -> None:
    orders = contract("orders", ORDERS, links=(link("customer", "shop/customers", {"customer_id": "id"}, inverse="orders"),))
    customers = Lying(lambda _: page([{"id": "stranger", "name": "X", "age": "not a number"}, {"id": "c1", "name": "Ann", "age": 3}]))
    mesh = Mesh((orders, Lying(lambda _: page([order(1)]))), (contract("customers", CUSTOMERS), customers))
    answer = await mesh.ask("{ shop { orders { nodes { id customer { name age } } } } }")
    assert mesh.failures == []
    assert answer.data == {"shop": {"orders": {"nodes": [{"id": "o1", "customer": {"name": "Ann", "age": 3}}]}}}
    assert answer.errors == []


async def test_more_partners_per_key_than_asked_are_cut_and_foreign_ones_left_out() -> None:
    orders = contract("orders", ORDERS, links=(link("customer", "shop/customers", {"customer_id": "id"}, inverse="orders"),))
    port = Lying(lambda _: page([order(9, "stranger"), *(order(number) for number in range(50))]))
    mesh = Mesh((orders, port), (contract("customers", CUSTOMERS), Lying(lambda _: page([{"id": "c1", "name": "Ann"}]))))
    answer = await mesh.ask("{ shop { customers { nodes { orders(first: 2) { nodes { id } pageInfo { hasNextPage } } } } } }")
    assert mesh.failures == []
    (found,) = answer.data["shop"]["customers"]["nodes"]
    assert found["orders"] == {"nodes": [{"id": "o0"}, {"id": "o1"}], "pageInfo": {"hasNextPage": True}}


async def test_the_same_row_twice_does_not_break_a_list_of_partners() -> None:
    orders = contract("orders", ORDERS, links=(link("customer", "shop/customers", {"customer_id": "id"}, inverse="orders"),))
    customers = Lying(lambda _: page([{"id": "c1", "name": "Ann"}, {"id": "c1", "name": "Bob"}]))
    mesh = Mesh((orders, Lying(lambda _: page([order(1), order(1)]))), (contract("customers", CUSTOMERS), customers))
    answer = await mesh.ask("{ shop { orders { nodes { id customer { name } } } } }")
    assert mesh.failures == []
    assert answer.data["shop"]["orders"]["nodes"] == [{"id": "o1", "customer": {"name": "Ann"}}] * 2


async def test_rows_that_a_port_ignores_the_row_rule_for_are_neither_shown_nor_counted_as_partners() -> None:
    rule = Compare("country", Operator.IN, Claim("countries"))
    orders = contract("orders", ORDERS, rule=rule, links=(link("customer", "shop/customers", {"customer_id": "id"}, inverse="orders"),))
    port = Lying(lambda _: page([order(1), order(2, country="US"), order(3, country="")]))
    mesh = Mesh((orders, port), (contract("customers", CUSTOMERS), Lying(lambda _: page([{"id": "c1", "name": "Ann"}]))))
    text = "{ shop { customers { nodes { orders { totalCount nodes { id } } } } orders { nodes { id } } } }"
    answer = await mesh.ask(text, caller=analyst(countries=["DE"]))
    assert answer.data["shop"]["orders"]["nodes"] == [{"id": "o1"}]
    assert answer.data["shop"]["customers"]["nodes"][0]["orders"]["nodes"] == [{"id": "o1"}]


@pytest.mark.parametrize("count", [-1, 1e308, "9", 2**70, 10**30, [], {}, True])
async def test_groups_with_impossible_counts_cost_the_total_and_nothing_else(count: object) -> None:
    orders = contract("orders", ORDERS, links=(link("customer", "shop/customers", {"customer_id": "id"}, inverse="orders"),))

    def answer(read: Read) -> bytes:
        if read.group_by:
            return page([], groups=[{"key": ["c1"], "values": {"n": count}}])
        return page(order(number) for number in range(5))

    mesh = Mesh((orders, Lying(answer)), (contract("customers", CUSTOMERS), Lying(lambda _: page([{"id": "c1", "name": "Ann"}]))))
    found = await mesh.ask("{ shop { customers { nodes { name orders(first: 1) { totalCount nodes { id } } } } } }")
    assert mesh.failures == []
    (customer,) = found.data["shop"]["customers"]["nodes"]
    assert customer == {"name": "Ann", "orders": {"totalCount": None, "nodes": [{"id": "o0"}]}}
    assert found.codes == ["UPSTREAM_INVALID"]


@pytest.mark.parametrize("groups", [{}, "x", [1], [{"key": "c1"}], [{"key": ["c1"], "values": [1]}], [{"key": [], "values": {"n": 1}}]])
async def test_groups_of_another_form_cost_the_total_and_nothing_else(groups: object) -> None:
    orders = contract("orders", ORDERS, links=(link("customer", "shop/customers", {"customer_id": "id"}, inverse="orders"),))

    def answer(read: Read) -> bytes:
        return page([], groups=groups) if read.group_by else page(order(number) for number in range(5))

    mesh = Mesh((orders, Lying(answer)), (contract("customers", CUSTOMERS), Lying(lambda _: page([{"id": "c1", "name": "Ann"}]))))
    found = await mesh.ask("{ shop { customers { nodes { name orders(first: 1) { totalCount nodes { id } } } } } }")
    assert mesh.failures == []
    assert found.data["shop"]["customers"]["nodes"][0]["orders"]["nodes"] == [{"id": "o0"}]


async def test_groups_that_lead_round_in_a_circle_end_as_a_broken_promise() -> None:
    orders = contract("orders", ORDERS, links=(link("customer", "shop/customers", {"customer_id": "id"}, inverse="orders"),))

    def answer(read: Read) -> bytes:
        if read.group_by:
            return page([], "again", groups=[{"key": ["c1"], "values": {"n": 5}}])
        return page(order(number) for number in range(5))

    port = Lying(answer)
    mesh = Mesh((orders, port), (contract("customers", CUSTOMERS), Lying(lambda _: page([{"id": "c1", "name": "Ann"}]))))
    found = await mesh.ask("{ shop { customers { nodes { orders(first: 1) { totalCount } } } } }", within_s=5)
    assert found.codes == ["UPSTREAM_INVALID"]
    assert len(port.asked) < 10


async def test_pages_without_rows_and_always_another_cursor_end_as_a_broken_promise() -> None:
    calls = iter(range(10**9))
    port = Lying(lambda _: page([], f"c{next(calls)}"))
    mesh = Mesh((contract("orders", ORDERS, key=()), port))
    found = await mesh.ask("{ shop { orders { totalCount nodes { id } } } }", within_s=10)
    assert set(found.codes) <= {"UPSTREAM_INVALID", "PORT_CANNOT"}
    assert len(port.asked) < 5_000


@pytest.mark.parametrize("count", [str(2**64), "1" * 25, "9" * 6_000, "-1", '"5"', "1.5", "null", "true", "[]", "{}"])
async def test_a_total_that_is_no_count_costs_itself_only(count: str) -> None:
    body = page([order(1)], count=0).replace(b'"count":0', f'"count":{count}'.encode())
    mesh = Mesh((contract("orders", ORDERS), Lying(lambda _: body)))
    found = await mesh.ask("{ shop { orders { totalCount nodes { id } } } }")
    assert mesh.failures == []
    assert found.data["shop"]["orders"] in ({"totalCount": None, "nodes": [{"id": "o1"}]}, None)
    assert found.codes == ["UPSTREAM_INVALID"]


@pytest.mark.parametrize("cursor", ["1" * 10_000, "1" * 6_000, "[1]", "1e999", '"\\ud800"', "-1"])
async def test_odd_cursors_of_ports_end_as_broken_promises(cursor: str) -> None:
    body = b'{"data":[{"id":"o1"}],"nextCursor":' + cursor.encode() + b"}"
    mesh = Mesh((contract("orders", ORDERS, key=()), Lying(lambda _: body)))
    found = await mesh.ask("{ shop { orders { edges { cursor } nodes { id } pageInfo { endCursor } } } }")
    assert mesh.failures == []
    assert found.codes == ["UPSTREAM_INVALID"]


@pytest.mark.parametrize("cell", ['"\\ud800"', '"\\udc00x"', "1e999", "9" * 5_000, "[" * 3_000 + "]" * 3_000, '{"a":1e999}'])
async def test_one_absurd_cell_of_free_json_costs_that_cell(cell: str) -> None:
    body = b'{"data":[{"id":"o1","doc":' + cell.encode() + b'},{"id":"o2","doc":1}]}'
    columns = {"id": STRING, "doc": Scalar(Kind.JSON)}
    mesh = Mesh((contract("orders", columns), Lying(lambda _: body)))
    found = await mesh.ask("{ shop { orders { nodes { id doc } } } }")
    assert mesh.failures == []
    assert found.refusal is None
    assert found.codes == ["UPSTREAM_INVALID"]
    if found.data["shop"]["orders"] is not None:
        assert found.data["shop"]["orders"]["nodes"] == [{"id": "o1", "doc": None}, {"id": "o2", "doc": 1}]


async def test_a_claim_that_fits_no_column_reads_nothing() -> None:
    """A port without the rule's values could only be asked for everything, and would have to be believed about its count."""
    rule = Compare("age", Operator.IN, Claim("ages"))
    port = Lying(lambda _: page([{"id": "c1", "name": "Ann", "age": 4}], count=1))
    mesh = Mesh((contract("customers", CUSTOMERS, rule=rule), port))
    text = '{ shop { customers { totalCount nodes { id } metadata { totalRecords } } customersByKey(key: {id: "c1"}) { id } } }'
    found = await mesh.ask(text, caller=analyst(ages=["old"]))
    assert found.data["shop"] == {"customers": {"totalCount": 0, "nodes": [], "metadata": {"totalRecords": 0}}, "customersByKey": None}


async def test_scans_stop_at_their_bound_whatever_the_port_says() -> None:
    port = Lying(lambda read: page((order(n) for n in range(1_000)), str(int(read.cursor or 0) + 1)))
    mesh = Mesh((contract("orders", ORDERS, key=()), port), bounds=Bounds(scan_rows_max=5_000), proved=False)
    found = await mesh.ask('{ shop { orders(where: {country: {eq: "DE"}}) { totalCount } } }')
    assert len(port.asked) < 10
    assert found.data is not None


@pytest.mark.parametrize("level", [0, 1])
async def test_a_row_rule_that_was_pushed_is_applied_again_to_rows_in_the_ports_own_order(level: int) -> None:
    """Products without a primary key, and level-0 endpoints that filter, are paged as they come."""
    rule = Compare("country", Operator.IN, Claim("countries"))
    able = replace(LEVEL_1, order_by=False) if level else replace(LEVEL_0, filters=frozenset({("country", Operator.IN)}))
    port = Lying(lambda _: page([order(1), order(2, country="US"), order(3, country="DE")]), able)
    mesh = Mesh((contract("orders", ORDERS, rule=rule, key=()), port))
    answer = await mesh.ask("{ shop { orders { nodes { id country } } } }", caller=analyst(countries=["DE"]))
    assert port.asked[0].where is not None
    assert [node["id"] for node in answer.data["shop"]["orders"]["nodes"]] == ["o1", "o3"]


@pytest.mark.parametrize("first", [5, 999, 1_000])
async def test_a_count_that_nobody_asked_for_is_not_believed(first: int) -> None:
    rule = Compare("country", Operator.IN, Claim("countries"))
    port = Lying(lambda _: page([order(1), order(2, country="US")], count=77))
    mesh = Mesh((contract("orders", ORDERS, rule=rule), port), proved=False)
    text = f"{{ shop {{ orders(first: {first}) {{ totalCount nodes {{ id }} metadata {{ totalRecords }} }} }} }}"
    answer = await mesh.ask(text, caller=analyst(countries=["DE"]))
    assert answer.data["shop"]["orders"] == {"totalCount": 1, "nodes": [{"id": "o1"}], "metadata": {"totalRecords": 1}}


async def test_cursors_do_not_change_with_values_that_are_masked() -> None:
    """A cursor is encrypted so that equal pages have equal cursors: what goes in must be what the caller sees."""
    columns = {"id": STRING, "secret": STRING, "country": STRING}
    masked = {"secret": FieldClassification(tags=("pii",), mask=Mask(MaskKind.REDACT))}
    cursors = []
    for secret in ("one", "two"):
        rows = [{"id": "o1", "secret": secret, "country": "DE"}, {"id": "o2", "secret": secret, "country": "DE"}]
        port = Lying(partial(_page_of, rows), LEVEL_0)
        mesh = Mesh((contract("orders", columns, key=(), classified=masked), port))
        answer = await mesh.ask("{ shop { orders { edges { cursor node { id secret } } } } }")
        cursors.append([edge["cursor"] for edge in answer.data["shop"]["orders"]["edges"]])
    assert cursors[0] == cursors[1]


async def test_which_of_several_partners_is_shown_does_not_follow_the_order_of_a_masked_key() -> None:
    links = (link("customer", "shop/customers", {"customer_id": "group"}),)
    masked = {"id": FieldClassification(tags=("pii",), mask=Mask(MaskKind.REDACT))}
    shown = set()
    for ann, bob in (("c1", "c2"), ("c2", "c1")):
        rows = [{"id": ann, "group": "c1", "name": "Ann"}, {"id": bob, "group": "c1", "name": "Bob"}]
        for sent in (rows, rows[::-1]):
            mesh = Mesh(
                (contract("orders", ORDERS, links=links), Lying(lambda _: page([order(1)]))),
                (contract("customers", {"id": STRING, "group": STRING, "name": STRING}, classified=masked), Lying(partial(_page_of, sent))),
            )
            answer = await mesh.ask("{ shop { orders { nodes { customer { name } } } } }")
            shown.add((ann, answer.data["shop"]["orders"]["nodes"][0]["customer"]["name"]))
    assert len(shown) == 2  # one for each data set, whatever order the port answers in


async def test_a_huge_page_of_malformed_cells_does_not_hold_up_others() -> None:
    rows = b",".join(b'{"id":"o%d","name":"x","age":"bad"}' % number for number in range(60_000))
    mesh = Mesh((contract("customers", CUSTOMERS), Lying(lambda _: b'{"data":[' + rows + b"]}")))
    async with ticking() as longest_s:
        found = await mesh.ask("{ shop { customers(first: 2) { nodes { id age } } } }")
    assert found.codes == ["UPSTREAM_INVALID"] * 2
    assert longest_s() < within(0.25)  # it was over 0.5


async def test_a_column_that_is_always_null_for_the_caller_cannot_be_told_malformed() -> None:
    masked = {"age": FieldClassification(tags=("pii",), mask=Mask(MaskKind.NULLIFY))}
    bodies = set()
    for age in (5, "malformed", None, [1]):
        port = Lying(partial(_page_of, [{"id": "c1", "name": "Ann", "age": age}]))
        mesh = Mesh((contract("customers", CUSTOMERS, classified=masked), port))
        bodies.add((await mesh.ask("{ shop { customers { nodes { id age } } } }")).body)
    assert len(bodies) == 1
