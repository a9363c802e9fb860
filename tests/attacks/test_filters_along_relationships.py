"""Conditions on related products: what must not leak through them, what they may cost, and what ports do to them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from contracts.fields import Kind, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import FieldClassification, Grant, Visibility
from contracts.predicates import Compare, Operator
from gateway.exchange import Form, Frame, Question, Stream

from .lying import LEVEL_0, STRING, Lying, Mesh, analyst, contract, link, page
from .purchases import FEW, INT, MASKED, ORDERS, PEOPLE, TO_PERSON, bought, few, held, ids, orders_of, people, people_of

HIDDEN = FieldClassification(tags=("pii",), mask=Mask(MaskKind.REDACT), visibility=Visibility.HIDDEN)


# -- what it means ---------------------------------------------------------------------------------------------------------


async def test_a_null_key_has_no_partner_and_a_key_without_partner_has_none_either() -> None:
    mesh, _, _ = few()
    assert ids(await mesh.ask("{ shop { orders(where: {person: {}}) { nodes { id } } } }")) == ["o1", "o2", "o5"]
    assert ids(await mesh.ask("{ shop { orders(where: {not: {person: {}}}) { nodes { id } } } }")) == ["o3", "o4"]
    assert ids(await mesh.ask('{ shop { orders(where: {not: {person: {land: {eq: "DE"}}}}) { nodes { id } } } }')) == ["o2", "o3", "o4"]
    assert ids(await mesh.ask("{ shop { people(where: {orders: {none: {}}}) { nodes { id } } } }"), "people") == ["c0", "c3"]
    assert ids(await mesh.ask("{ shop { people(where: {orders: {}}) { nodes { id } } } }"), "people") == ["c0", "c1", "c2", "c3"]


async def test_a_partner_whose_row_the_caller_may_not_see_is_not_there() -> None:
    ruled = people_of(rule=Compare("land", Operator.EQ, "DE"))
    for ignores_where in (False, True):  # also where the port forgets the rule
        persons = held(people(4), ignores_where=ignores_where)
        mesh = Mesh((ORDERS, held(FEW)), (ruled, persons))
        assert ids(await mesh.ask("{ shop { orders(where: {person: {}}) { nodes { id } } } }")) == ["o1", "o5"]
        assert ids(await mesh.ask("{ shop { orders(where: {not: {person: {}}}) { nodes { id } } } }")) == ["o2", "o3", "o4"]


async def test_keys_of_another_type_match_what_they_equal() -> None:
    numbered = contract("people", {"id": Scalar(Kind.DECIMAL, 9, 2), "land": STRING})
    orders = orders_of(TO_PERSON, person_id=INT)
    rows = [{"id": "o1", "person_id": 7}, {"id": "o2", "person_id": 8}]
    mesh = Mesh((orders, held(rows)), (numbered, held([{"id": "7.00", "land": "DE"}, {"id": "8.50", "land": "DE"}])))
    assert ids(await mesh.ask("{ shop { orders(where: {person: {}}) { nodes { id } } } }")) == ["o1"]


# -- what must not leak ----------------------------------------------------------------------------------------------------

GUESS = '{mail: {startsWith: "p1"}}'


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        (f"{{ shop {{ a: orders(where: {{person: {GUESS}}}) {{ totalCount }} }} }}", None),
        (
            f"{{ shop {{ ...F }} }} fragment F on ShopDomain {{ orders(where: {{or: [{{not: {{person: {GUESS}}}}}]}}) {{ totalCount }} }}",
            None,
        ),
        ("query ($w: ShopOrdersWhere) { shop { orders(where: $w) { totalCount } } }", {"w": {"and": [{"person": {"mail": {"eq": "x"}}}]}}),
        ("query ($w: ShopPeopleWhere!) { shop { orders(where: {person: $w}) { totalCount } } }", {"w": {"mail": {"eq": "x"}}}),
        ("query ($w: ShopOrdersWhere = {person: {mail: {isNull: true}}}) { shop { orders(where: $w) { totalCount } } }", None),
        (f"{{ shop {{ people(where: {{orders: {{some: {{person: {GUESS}}}}}}}) {{ totalCount }} }} }}", None),
        (
            f'{{ shop {{ people(where: {{id: {{eq: "c1"}}}}) {{ nodes {{ orders(where: {{person: {GUESS}}}) {{ totalCount }} }} }} }} }}',
            None,
        ),
        (f"{{ shop {{ orders {{ groups(by: [{{field: SIZE}}], where: {{person: {GUESS}}}) {{ count }} }} }} }}", None),
        (
            "query ($l: ShopOrders_ListWhere) { shop { people(where: {orders: $l}) { totalCount } } }",
            {"l": {"none": {"person": {"mail": {"eq": "x"}}}}},
        ),
    ],
)
async def test_what_is_masked_filters_nowhere_along_a_relationship_and_nothing_is_read(text: str, variables: Any) -> None:
    mesh, orders, persons = few()
    for _ in range(3):  # first seen, seen again, kept
        answer = await mesh.ask(text, variables)
        assert answer.refusal == "MASKED_FIELD_IN_PREDICATE", answer.body
    assert orders.asked == persons.asked == []


async def test_a_variable_that_is_seen_harmless_first_is_judged_again_each_time() -> None:
    mesh, orders, _ = few()
    text = "query ($w: ShopOrdersWhere) { shop { orders(where: $w) { nodes { id } } } }"
    for _ in range(3):
        assert ids(await mesh.ask(text, {"w": {"person": {"land": {"eq": "DE"}}}})) == ["o1", "o5"]
        assert ids(await mesh.ask(text, {"w": {"size": {"eq": 2}}})) == ["o3"]
        assert ids(await mesh.ask(text, {"w": {"person": {"orders": {"some": {"size": {"eq": 4}}}}}})) == ["o1", "o5"]
        asked = len(orders.asked)
        assert (await mesh.ask(text, {"w": {"person": {"mail": {"eq": "x"}}}})).refusal == "MASKED_FIELD_IN_PREDICATE"
        assert (await mesh.ask(text, {"w": {"person": {"orders": {"some": {"sise": {"eq": 4}}}}}})).refusal == "BAD_USER_INPUT"
        assert len(orders.asked) == asked


async def test_a_relationship_to_what_is_hidden_is_a_misspelling_in_conditions() -> None:
    orders = orders_of(link("secretLink", "shop/vault", {"person_id": "id"}, inverse="orders"))
    vault = contract("vault", {"id": STRING}, visibility=Visibility.HIDDEN, grants=())
    for text, variables in (
        ("{ shop { orders(where: {NAME: {}}) { totalCount } } }", None),
        ("{ shop { orders(where: {or: [{NAME: {NAME: {eq: 1}}}]}) { totalCount } } }", None),
        ("query ($w: ShopOrdersWhere) { shop { orders(where: $w) { totalCount } } }", '{"w": {"NAME": {}}}'),
        ("query ($w: ShopOrdersWhere = {NAME: {}}) { shop { orders(where: $w) { totalCount } } }", None),
        ("query ($w: ShopVaultWhere) { shop { orders { totalCount } } }", None),
    ):
        bodies = []
        for name in ("secretLink", "secretLinl"):
            mesh = Mesh((orders, held(FEW)), (vault, held([])))
            given = None if variables is None else eval(variables.replace("NAME", name))  # noqa: S307 - our own literals
            answer = await mesh.ask(text.replace("NAME", name), given)
            assert mesh.failures == []
            assert answer.refusal in ("GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT")
            bodies.append(answer.body.replace(name.encode(), b"@"))
        assert bodies[0] == bodies[1]


async def test_a_relationship_to_what_is_listed_without_access_is_a_denied_field_in_conditions() -> None:
    closed = contract("people", {"id": STRING, "land": STRING}, grants=(Grant(role="guest", fields=("*",)),))
    orders = held(FEW)
    mesh = Mesh((ORDERS, orders), (closed, held([])))
    for text, variables in (
        ("{ shop { orders(where: {person: {land: {eq: 1}}}) { totalCount } } }", None),
        ("query ($w: ShopOrdersWhere) { shop { orders(where: $w) { totalCount } } }", {"w": {"not": {"person": {}}}}),
    ):
        answer = await mesh.ask(text, variables)
        assert answer.refusal == "MASKED_FIELD_IN_PREDICATE"
        assert answer.errors[0]["extensions"]["field"] == "person"
    assert orders.asked == []


async def test_a_key_that_is_masked_at_either_end_neither_shows_nor_filters_where_a_condition_connects_it() -> None:
    masked = people_of(classified={"id": MASKED})
    mesh = Mesh((ORDERS, held(FEW)), (masked, held(people(4))))
    answer = await mesh.ask('{ shop { orders(where: {person: {land: {eq: "DE"}}}) { nodes { id personId } } } }')
    assert [it["personId"] for it in answer.data["shop"]["orders"]["nodes"]] == ["***", "***"]
    assert b'"path":"shop.orders.nodes.personId"' in answer.body
    for where in ('{person: {land: {eq: "DE"}}, personId: {eq: "c1"}}', '{person: {orders: {some: {personId: {eq: "c1"}}}}}'):
        for text, variables in (
            (f"{{ shop {{ orders(where: {where}) {{ totalCount }} }} }}", None),
            (
                "query ($a: ShopOrdersWhere!, $b: ShopOrdersWhere!) { shop { orders(where: {and: [$a, $b]}) { totalCount } } }",
                {"a": {"person": {}}, "b": {"personId": {"eq": "c1"}}},
            ),
        ):
            assert (await mesh.ask(text, variables)).refusal == "MASKED_FIELD_IN_PREDICATE"
    ordered = await mesh.ask("{ shop { orders(where: {person: {}}, orderBy: [{personId: ASC}]) { nodes { id } } } }")
    assert ordered.refusal == "MASKED_FIELD_IN_PREDICATE"
    grouped = await mesh.ask("{ shop { orders(where: {person: {}}) { groups(by: [{field: PERSON_ID}]) { count } } } }")
    assert grouped.refusal == "MASKED_FIELD_IN_PREDICATE"


async def test_a_cursor_belongs_to_the_condition_and_to_the_rules_that_its_partners_are_seen_under() -> None:
    mesh, _, _ = few()
    text = """query ($w: ShopOrdersWhere, $after: String) {
      shop { orders(where: $w, first: 1, after: $after) { edges { cursor node { id } } pageInfo { hasNextPage } } } }"""
    where = {"person": {"land": {"eq": "DE"}}}
    first = await mesh.ask(text, {"w": where})
    cursor = first.data["shop"]["orders"]["edges"][0]["cursor"]
    second = await mesh.ask(text, {"w": where, "after": cursor})
    assert [it["node"]["id"] for it in second.data["shop"]["orders"]["edges"]] == ["o5"]
    for other in ({"person": {"land": {"eq": "FR"}}}, {"person": {}}, {}, {"not": where}):
        assert (await mesh.ask(text, {"w": other, "after": cursor})).codes == ["BAD_USER_INPUT"]
    claimed = people_of(rule=Compare("land", Operator.IN, ("DE", "FR")))
    other_mesh = Mesh((ORDERS, held(FEW)), (claimed, held(people(4))))
    assert (await other_mesh.ask(text, {"w": where, "after": cursor})).codes == ["BAD_USER_INPUT"]


# -- what it may cost ------------------------------------------------------------------------------------------------------


async def test_a_streamed_form_is_filtered_the_same() -> None:
    mesh, _, persons = few()
    frame = Frame(analyst(), asyncio.get_running_loop().time() + 20, "r")
    text = '{ shop { orders(where: {person: {land: {eq: "DE"}}}) { nodes { id } } } }'
    stream = await mesh.engine.stream(Question(text, None, None), frame, Form.CSV)
    assert isinstance(stream, Stream)
    body = stream.first + b"".join([piece async for piece in stream.rest])
    assert body.replace(b'"', b"").split() == [b"id", b"o1", b"o5"]
    assert stream.products == ("shop/orders", "shop/people")
    assert len(persons.asked) == 1


@pytest.mark.parametrize(
    ("where", "limit"),
    [
        ("{or: [" + "{person: {}}," * 21 + "]}", "links_max"),
        ("{person: {orders: {some: {person: {orders: {some: {person: {}}}}}}}}", "link_depth_max"),
    ],
)
async def test_conditions_on_related_products_are_bounded_in_number_and_depth_before_any_read(where: str, limit: str) -> None:
    mesh, orders, persons = few()
    answer = await mesh.ask(f"{{ shop {{ orders(where: {where}) {{ nodes {{ id }} }} }} }}")
    assert answer.refusal == "LIMIT_EXCEEDED"
    assert answer.errors[0]["extensions"]["limit"] == limit
    assert orders.asked == persons.asked == []


async def test_variables_that_name_relationships_everywhere_are_refused_and_not_kept() -> None:
    mesh, orders, persons = few()
    value: dict[str, Any] = {}
    for _ in range(60):
        value = {"person": {"orders": {"some": value}}}
    deep = {f"v{at}": value for at in range(9)}
    text = "query ($w: ShopOrdersWhere) { shop { orders(where: $w) { nodes { id } } } }"
    before = mesh.engine._operations.kept_bytes
    for _ in range(3):
        answer = await mesh.ask(text, {"w": {"person": {}}} | deep)
        assert answer.refusal == "LIMIT_EXCEEDED"
    assert mesh.engine._operations.kept_bytes == before
    assert orders.asked == persons.asked == []


async def test_the_same_condition_is_resolved_once_in_one_request() -> None:
    mesh, _, persons = few()
    text = """{ shop {
      orders(where: {or: [{person: {land: {eq: "DE"}}}, {person: {land: {eq: "DE"}}, size: {gt: 3}}]}) {
        nodes { id } totalCount aggregate { count } groups(by: [{field: SIZE}]) { count } }
      again: orders(where: {person: {land: {eq: "DE"}}}) { totalCount }
    } }"""
    assert (await mesh.ask(text)).errors == []
    assert len(persons.asked) == 1


async def test_no_limit_is_pushed_below_a_condition_that_is_applied_here() -> None:
    payments = contract(
        "payments",
        {"id": STRING, "order_id": STRING, "line": INT},
        links=(link("refund", "shop/refunds", {"order_id": "order_id", "line": "line"}),),
    )
    refunds = contract("refunds", {"id": STRING, "order_id": STRING, "line": INT})
    rows = [{"id": f"p{at:03}", "order_id": f"o{at % 2}", "line": at} for at in range(40)]
    port = held(rows)
    back = held(
        [{"id": "r1", "order_id": "o1", "line": 39}, {"id": "r2", "order_id": "o0", "line": 39}, {"id": "r3", "order_id": "o0", "line": 38}]
    )
    mesh = Mesh((payments, port), (refunds, back))
    assert ids(await mesh.ask("{ shop { payments(first: 2, where: {refund: {}}) { nodes { id } } } }"), "payments") == ["p038", "p039"]
    # What a port can know of a key of two columns, it is told: each column's values.
    assert len(port.asked) == 1
    found = await mesh.ask("{ shop { payments(first: 2, where: {not: {refund: {}}}) { totalCount nodes { id } } } }")
    assert found.data["shop"]["payments"]["totalCount"] == 38


async def test_a_long_list_of_keys_never_gets_into_one_url() -> None:
    able = replace(LEVEL_0, filters=frozenset({("person_id", Operator.IN)}), filter_columns=frozenset({"person_id"}))
    for number, pushed in ((150, True), (450, False)):
        orders = held(bought((f"o{at}", f"c{at}") for at in range(0, 600, 2)), able)
        mesh = Mesh((ORDERS, orders), (PEOPLE, held(people(number))))
        answer = await mesh.ask("{ shop { orders(where: {person: {}}, orderBy: [{id: ASC}]) { totalCount } } }")
        assert answer.data["shop"]["orders"]["totalCount"] == number // 2
        assert all((read.where is not None) is pushed for read in orders.asked)
    comma = held([{"id": "o1", "person_id": "a,b", "size": 1}, {"id": "o2", "person_id": "c1", "size": 2}], able)
    mesh = Mesh((ORDERS, comma), (PEOPLE, held([{"id": "a,b"}, {"id": "c1"}])))
    assert ids(await mesh.ask("{ shop { orders(where: {person: {}}) { nodes { id } } } }")) == ["o1", "o2"]


async def test_a_level_0_port_looks_keys_up_in_chunks_instead_of_being_read_whole() -> None:
    able = replace(LEVEL_0, keys=True, key_columns=frozenset({("person_id",)}), keys_max=20)
    orders = held(bought((f"o{at:04}", f"c{at}") for at in range(2_000)), able)
    mesh = Mesh((ORDERS, orders), (PEOPLE, held(people(100))))
    answer = await mesh.ask(
        '{ shop { orders(where: {person: {land: {eq: "DE"}}}, orderBy: [{size: DESC}], first: 2) { totalCount nodes { id } } } }'
    )
    assert answer.data["shop"]["orders"] == {"totalCount": 50, "nodes": [{"id": "o0099"}, {"id": "o0097"}]}
    assert len(orders.asked) == 3
    assert all(read.keys is not None and len(read.keys.values) <= 20 for read in orders.asked)


# -- what ports do to it ---------------------------------------------------------------------------------------------------


async def test_a_failed_partner_costs_the_lists_that_it_filters_and_nothing_else() -> None:
    mesh = Mesh((ORDERS, held(FEW)), (PEOPLE, None))
    answer = await mesh.ask("{ shop { filtered: orders(where: {person: {}}) { nodes { id } } all: orders { totalCount } } }")
    assert answer.data == {"shop": {"filtered": None, "all": {"totalCount": 5}}}
    assert answer.codes == ["UPSTREAM_UNAVAILABLE"]
    assert answer.errors[0]["path"] == ["shop", "filtered"]
    assert answer.errors[0]["extensions"]["product"] == "shop/people"


async def test_groups_without_keys_are_a_broken_promise_and_show_nothing_of_what_came() -> None:
    for groups in ([{"key": []}], [{"values": {}}], [{"key": [{"secret": 1}]}], [{"key": [["secret"]]}]):
        bad = Lying(lambda _, groups=groups: page([], groups=groups))  # type: ignore[misc]  # mypy infers no lambda's defaults
        mesh = Mesh((ORDERS, bad), (PEOPLE, held(people(4))))
        answer = await mesh.ask("{ shop { people(where: {orders: {some: {}}}) { nodes { id } } } }")
        assert answer.codes == ["UPSTREAM_INVALID"]
        assert b"secret" not in answer.body
        assert mesh.failures == []


async def test_products_read_for_filtering_only_are_in_the_slo_block_with_the_list_that_they_filter() -> None:
    mesh, _, _ = few()
    text = "query ($w: ShopOrdersWhere) { shop { mine: orders(where: $w) { totalCount } } }"
    products = (await _extensions(mesh, text, {"w": {"person": {}}}))["slo"]["products"]
    assert {id_: it["paths"] for id_, it in products.items()} == {"shop/orders": ["shop.mine"], "shop/people": ["shop.mine"]}
    products = (await _extensions(mesh, text, {"w": {"size": {"eq": 1}}}))["slo"]["products"]
    assert list(products) == ["shop/orders"]


async def _extensions(mesh: Mesh, text: str, variables: Any) -> Any:
    return json.loads((await mesh.ask(text, variables)).body)["extensions"]["mesh"]


async def test_introspection_shows_conditions_on_related_products_as_far_as_the_caller_may_follow_them() -> None:
    closed = contract("vault", {"id": STRING}, grants=(Grant(role="guest", fields=("*",)),))
    orders = orders_of(TO_PERSON, link("safe", "shop/vault", {"person_id": "id"}))
    mesh = Mesh((orders, held(FEW)), (PEOPLE, held(people(4))), (closed, held([])))
    text = '{ __type(name: "%s") { inputFields { name type { name } } } }'
    shown = {it["name"]: it["type"]["name"] for it in (await mesh.ask(text % "ShopOrdersWhere")).data["__type"]["inputFields"]}
    assert shown["person"] == "ShopPeopleWhere"
    assert "safe" not in shown
    listed = (await mesh.ask(text % "ShopPeopleWhere")).data["__type"]["inputFields"]
    assert {"name": "orders", "type": {"name": "ShopOrders_ListWhere"}} in listed
    found = (await mesh.ask(text % "ShopOrders_ListWhere")).data["__type"]["inputFields"]
    assert found == [{"name": name, "type": {"name": "ShopOrdersWhere"}} for name in ("some", "none")]
