"""Totals of partners' columns: what must not leak through them, and what they cost."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from contracts.fields import Kind, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import FieldClassification, Grant, Visibility
from contracts.predicates import Compare, Operator
from gateway.engine.budget import Bounds

from .lying import LEVEL_1, STRING, Mesh, contract, link
from .test_filters_along_relationships import held

MASKED = FieldClassification(tags=("pii",), mask=Mask(MaskKind.NULLIFY))
MONEY = Scalar(Kind.DECIMAL, 38, 2)
TO_PERSON = link("person", "shop/people", {"person_id": "id"}, inverse="orders")
ORDERS = contract("orders", {"id": STRING, "person_id": STRING}, links=(TO_PERSON,))
ROWS = [{"id": f"o{at}", "person_id": person} for at, person in enumerate(("p1", "p1", "p2", None, "p9"))]
PERSONS: list[dict[str, Any]] = [{"id": "p1", "wage": 10, "worth": "1.50"}, {"id": "p2", "wage": 25, "worth": None}]
COLUMNS = {"id": STRING, "wage": Scalar(Kind.INT), "worth": MONEY}


def mesh_of(people: Any = None, **changes: Any) -> tuple[Mesh, Any, Any]:
    orders, persons = held(ROWS), held(PERSONS)
    return Mesh((ORDERS, orders), (people or contract("people", COLUMNS), persons), **changes), orders, persons


async def test_each_partner_counts_as_often_as_it_has_rows_and_no_partner_counts_as_null() -> None:
    mesh, orders, persons = mesh_of()
    totals = "count sum { person { wage worth } } avg { person { wage } } countDistinct { person { wage } }"
    answer = await mesh.ask(f"{{ shop {{ orders {{ aggregate {{ {totals} }} }} }} }}")
    assert answer.errors == []
    assert answer.data["shop"]["orders"]["aggregate"] == {
        "count": 5,
        "sum": {"person": {"wage": 45, "worth": "3.00"}},
        "avg": {"person": {"wage": 15.0}},
        "countDistinct": {"person": {"wage": 2}},
    }
    # One read of counts by foreign key, one look-up of those keys.
    assert (len(orders.asked), len(persons.asked)) == (1, 1)


async def test_a_partner_that_the_caller_may_not_see_counts_as_none() -> None:
    mesh, _, _ = mesh_of(contract("people", COLUMNS, rule=Compare("wage", Operator.LT, 20)))
    answer = await mesh.ask("{ shop { orders { aggregate { sum { person { wage } } max { person { wage } } } } } }")
    assert answer.data["shop"]["orders"]["aggregate"] == {"sum": {"person": {"wage": 20}}, "max": {"person": {"wage": 10}}}


USES = [
    ("{ shop { orders { aggregate { sum { person { wage } } } } } }", None),
    ("{ shop { a: orders { ...F } } } fragment F on ShopOrdersConnection { aggregate { max { person { wage } } } }", None),
    ("{ shop { orders { groups(by: [{field: ID}], having: {sum: {person: {wage: {gt: 1}}}}) { count } } } }", None),
    ("{ shop { orders { groups(by: [{field: ID}], orderBy: [{min: {person: {wage: ASC}}}]) { count } } } }", None),
    (
        "query ($h: ShopOrders_Having) { shop { orders { groups(by: [{field: ID}], having: $h) { count } } } }",
        {"h": {"not": {"avg": {"person": {"wage": {"gt": 1}}}}}},
    ),
    (
        "query ($o: [ShopOrders_GroupsOrderBy!]) { shop { orders { groups(by: [{field: ID}], orderBy: $o) { count } } } }",
        {"o": [{"countDistinct": {"person": {"wage": "DESC"}}}]},
    ),
    ("{ shop { people { nodes { orders { aggregate { sum { person { wage } } } } } } } }", None),
]


@pytest.mark.parametrize(("text", "variables"), USES)
async def test_what_is_masked_of_the_partner_is_not_totalled_and_nothing_is_read(text: str, variables: Any) -> None:
    mesh, orders, persons = mesh_of(contract("people", COLUMNS, classified={"wage": MASKED}))
    for _ in range(2):
        assert (await mesh.ask(text, variables)).refusal == "MASKED_FIELD_IN_PREDICATE"
    assert orders.asked == persons.asked == []
    clear, _, _ = mesh_of()
    assert (await clear.ask(text, variables)).errors == []


async def test_totals_along_what_is_hidden_are_a_misspelling_and_along_what_is_listed_a_denied_field() -> None:
    closed = contract("people", COLUMNS, grants=(Grant(role="guest", fields=("*",)),))
    mesh, orders, _ = mesh_of(closed)
    for text, variables in USES[:6]:
        assert (await mesh.ask(text, variables)).refusal == "MASKED_FIELD_IN_PREDICATE"
    assert orders.asked == []
    hidden, _, _ = mesh_of(contract("people", COLUMNS, grants=(), visibility=Visibility.HIDDEN))
    for text, variables in USES[:4]:
        bodies = []
        for name in ("person", "persom"):
            answer = await hidden.ask(text.replace("person", name), variables)
            bodies.append(re.sub(rf"\b{name}\b".encode(), b"@", answer.body))
        assert bodies[0] == bodies[1]


async def test_a_key_masked_at_either_end_may_not_name_groups_whose_partners_are_totalled() -> None:
    mesh, orders, _ = mesh_of(contract("people", COLUMNS, classified={"id": MASKED}))
    answer = await mesh.ask("{ shop { orders { groups(by: [{field: PERSON_ID}]) { key { personId } sum { person { wage } } } } } }")
    assert answer.refusal == "MASKED_FIELD_IN_PREDICATE"
    answer = await mesh.ask('{ shop { orders(where: {personId: {eq: "p1"}}) { aggregate { sum { person { wage } } } } } }')
    assert answer.refusal == "MASKED_FIELD_IN_PREDICATE"
    answer = await mesh.ask("{ shop { orders { aggregate { max { person { id } } } } } }")
    assert answer.refusal == "MASKED_FIELD_IN_PREDICATE"
    assert orders.asked == []
    assert (await mesh.ask("{ shop { orders { aggregate { sum { person { wage } } } } } }")).errors == []


async def test_a_total_of_partners_that_does_not_fit_its_type_is_refused_by_name() -> None:
    most = "9" * 36
    persons = held([{"id": "p1", "wage": 1, "worth": most}])
    many = held([{"id": f"o{at}", "person_id": "p1"} for at in range(30)])
    mesh = Mesh((ORDERS, many), (contract("people", COLUMNS), persons))
    answer = await mesh.ask("{ shop { orders { aggregate { sum { person { worth } } } all: aggregate { max { person { worth } } } } } }")
    assert answer.codes == ["LIMIT_EXCEEDED"]
    assert answer.data["shop"]["orders"] == {"aggregate": None, "all": {"max": {"person": {"worth": f"{most}.00"}}}}


async def test_a_bad_cell_of_a_partner_is_refused_and_not_left_out_of_a_total() -> None:
    persons = held([{"id": "p1", "wage": "secret", "worth": "1.00"}, {"id": "p2", "wage": 1, "worth": "1.00"}])
    mesh = Mesh((ORDERS, held(ROWS)), (contract("people", COLUMNS), persons))
    text = "{ shop { orders { bad: aggregate { sum { person { wage } } } good: aggregate { sum { person { worth } } } } } }"
    answer = await mesh.ask(text)
    assert answer.codes == ["UPSTREAM_INVALID"]
    assert answer.data["shop"]["orders"] == {"bad": None, "good": {"sum": {"person": {"worth": "3.00"}}}}
    assert b"secret" not in answer.body
    grouped = await mesh.ask("{ shop { orders { groups(by: [{path: [PERSON], field: WAGE}]) { count } } } }")
    assert grouped.codes == ["UPSTREAM_INVALID"]


async def test_totals_are_taken_along_so_many_relationships_and_no_more() -> None:
    self_linked = contract(
        "people", {"id": STRING, "boss": STRING, "wage": Scalar(Kind.INT)}, links=(link("chief", "shop/people", {"boss": "id"}),)
    )
    rows = [{"id": f"p{at}", "boss": f"p{at + 1}", "wage": at} for at in range(9)]
    mesh = Mesh((self_linked, held(rows)))
    for hops, fits in ((4, True), (5, False)):
        inner = "chief { " * hops + "wage" + " }" * hops
        answer = await mesh.ask(f"{{ shop {{ people {{ aggregate {{ max {{ {inner} }} }} }} }} }}")
        if fits:
            assert answer.errors == []
            assert b'"wage":8' in answer.body
        else:
            assert answer.refusal == "LIMIT_EXCEEDED"


async def test_more_partners_than_may_be_looked_up_are_read_within_the_scan_budget() -> None:
    able = replace(LEVEL_1, page_max=100)
    orders = held([{"id": f"o{at}", "person_id": f"p{at}"} for at in range(400)], able)
    persons = held([{"id": f"p{at}", "wage": 1, "worth": "1.00"} for at in range(500)], able)
    text = "{ shop { orders { aggregate { sum { person { wage } } } } } }"
    mesh = Mesh((ORDERS, orders), (contract("people", COLUMNS), persons), bounds=Bounds(keys_max=50))
    assert (await mesh.ask(text)).data["shop"]["orders"]["aggregate"] == {"sum": {"person": {"wage": 400}}}
    mesh = Mesh((ORDERS, orders), (contract("people", COLUMNS), persons), bounds=Bounds(keys_max=50, scan_rows_max=450))
    assert (await mesh.ask(text)).codes == ["PORT_CANNOT"]


async def test_partners_read_for_totals_are_in_the_slo_block() -> None:
    mesh, _, _ = mesh_of()
    answer = await mesh.ask("{ shop { orders { aggregate { sum { person { wage } } } } } }")
    assert b'"shop/people"' in answer.body
