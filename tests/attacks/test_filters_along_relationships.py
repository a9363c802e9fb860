"""Conditions on related products: what must not leak through them, what they may cost, and what ports do to them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from contracts.fields import Kind, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import Contract, FieldClassification, Grant, Visibility
from contracts.predicates import Compare, Operator, compile_test
from domain_adapters.port import Capabilities, Read
from gateway.engine.budget import Bounds
from gateway.exchange import Form, Frame, Question, Stream

from .lying import LEVEL_0, LEVEL_1, STRING, Lying, Mesh, analyst, contract, link, page

HIDDEN = FieldClassification(tags=("pii",), mask=Mask(MaskKind.REDACT), visibility=Visibility.HIDDEN)
MASKED = FieldClassification(tags=("pii",), mask=Mask(MaskKind.REDACT))
INT = Scalar(Kind.INT)


def held(rows: list[dict[str, Any]], capabilities: Capabilities = LEVEL_1, *, ignores_where: bool = False) -> Lying:
    """A port that does what it is asked, in the plainest way."""

    def answer(read: Read) -> bytes:
        found = rows
        if read.where is not None and not ignores_where:
            test = compile_test(read.where, lambda name: lambda row: row.get(name))
            found = [row for row in found if test(row) is True]
        if read.keys is not None:
            wanted = set(read.keys.values)
            found = [row for row in found if tuple(row.get(name) for name in read.keys.columns) in wanted]
        if read.aggregates:
            counts = Counter(tuple(row.get(it.column) for it in read.group_by) for row in found)
            keys = sorted(counts, key=repr) if read.group_by else [()]
            start = int(read.cursor or 0)
            end = start + min(read.limit or 1_000, capabilities.page_max)
            groups = [{"key": list(key), "values": {it.name: counts[key] for it in read.aggregates}} for key in keys[start:end]]
            return page([], str(end) if end < len(keys) else None, groups=groups)
        for term in reversed(read.order_by):
            found = sorted(found, key=lambda row: (row.get(term.column) is None, row.get(term.column)), reverse=term.descending)
        start = int(read.cursor or 0)
        end = start + min(read.limit or capabilities.page_max, capabilities.page_max)
        return page(found[start:end], str(end) if end < len(found) else None, count=len(found))

    return Lying(answer, capabilities)


def people(number: int) -> list[dict[str, Any]]:
    return [{"id": f"c{at}", "mail": f"p{at}@example.com", "land": "DE" if at % 2 else "FR"} for at in range(number)]


def bought(pairs: Iterable[tuple[str, str | None]]) -> list[dict[str, Any]]:
    return [{"id": id_, "person_id": person, "size": at} for at, (id_, person) in enumerate(pairs)]


def orders_of(*links: Any, person_id: Scalar = STRING) -> Contract:
    return contract("orders", {"id": STRING, "person_id": person_id, "size": INT}, links=links)


def people_of(**changes: Any) -> Contract:
    given = {"classified": {"mail": MASKED}} | changes
    return contract("people", {"id": STRING, "mail": STRING, "land": STRING}, **given)


TO_PERSON = link("person", "shop/people", {"person_id": "id"}, inverse="orders")
ORDERS, PEOPLE = orders_of(TO_PERSON), people_of()
FEW = bought([("o1", "c1"), ("o2", "c2"), ("o3", None), ("o4", "c99"), ("o5", "c1")])


def few(**changes: Any) -> tuple[Mesh, Lying, Lying]:
    orders, persons = held(FEW), held(people(4))
    return Mesh((ORDERS, orders), (PEOPLE, persons), **changes), orders, persons


def ids(answer: Any, name: str = "orders") -> list[str]:
    assert answer.errors == [], answer.body
    return [it["id"] for it in answer.data["shop"][name]["nodes"]]


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


async def test_more_keys_than_may_be_passed_on_are_found_from_the_side_that_has_fewer() -> None:
    many, page_max = people(3_000), replace(LEVEL_1, page_max=100)
    orders, persons = held(FEW), held(many, page_max)
    mesh = Mesh((ORDERS, orders), (PEOPLE, persons), bounds=Bounds(keys_max=500))
    assert ids(await mesh.ask("{ shop { orders(where: {person: {}}) { nodes { id } } } }")) == ["o1", "o2", "o4", "o5"]
    # One page of the people shows that they are many; the orders' four keys are then looked up among them.
    assert (len(orders.asked), len(persons.asked)) == (2, 2)
    assert [read.keys.values for read in persons.asked if read.keys] == [(("c1",), ("c2",), ("c99",))]


async def test_no_rows_have_no_partners_to_look_up() -> None:
    orders, persons = held(FEW), held(people(3_000), replace(LEVEL_1, page_max=100))
    mesh = Mesh((ORDERS, orders), (PEOPLE, persons), bounds=Bounds(keys_max=500))
    answer = await mesh.ask("{ shop { orders(where: {person: {}, size: {gt: 99}}) { nodes { id } totalCount aggregate { count } } } }")
    assert answer.errors == []
    assert answer.data["shop"]["orders"] == {"nodes": [], "totalCount": 0, "aggregate": {"count": 0}}
    assert (len(orders.asked), len(persons.asked)) == (1, 1)


async def test_nested_lists_are_found_from_their_own_side_as_well() -> None:
    orders, persons = held(FEW), held(people(3_000), replace(LEVEL_1, page_max=100))
    mesh = Mesh((ORDERS, orders), (PEOPLE, persons), bounds=Bounds(keys_max=500))
    text = """{ shop { people(first: 4) { nodes { id
      orders(where: {person: {land: {eq: "DE"}}}) { nodes { id } totalCount aggregate { count } } } } } }"""
    answer = await mesh.ask(text)
    assert answer.errors == []
    found = {it["id"]: [one["id"] for one in it["orders"]["nodes"]] for it in answer.data["shop"]["people"]["nodes"]}
    assert found == {"c0": [], "c1": ["o1", "o5"], "c10": [], "c100": []}


def large() -> tuple[Mesh, Lying, Lying]:
    able = replace(LEVEL_1, page_max=100)
    orders = held(bought((f"o{at:04}", f"c{at}") for at in range(5_000)), able)
    persons = held(people(5_000), able)
    return Mesh((ORDERS, orders), (PEOPLE, persons), bounds=Bounds(keys_max=700)), orders, persons


async def test_a_page_is_filled_by_looking_up_its_rows_partners_where_both_sides_have_too_many_keys() -> None:
    mesh, orders, persons = large()
    text = """query ($w: ShopOrdersWhere, $after: String) { shop { orders(where: $w, first: 2, after: $after, orderBy: [{id: ASC}]) {
      nodes { id } pageInfo { hasNextPage endCursor } } } }"""
    where = {"person": {"land": {"eq": "DE"}}, "size": {"gte": 10}}
    first = await mesh.ask(text, {"w": where})
    assert ids(first) == ["o0011", "o0013"]
    info = first.data["shop"]["orders"]["pageInfo"]
    assert info["hasNextPage"] is True
    # From either side eight pages tell that there are too many; then the list is read on and its rows' partners looked up.
    assert len(orders.asked) + len(persons.asked) < 2 * 8 + 5 + 5
    assert ids(await mesh.ask(text, {"w": where, "after": info["endCursor"]})) == ["o0015", "o0017"]
    negated = {"not": {"person": {"land": {"eq": "DE"}}}}
    assert ids(await mesh.ask(text, {"w": negated})) == ["o0000", "o0002"]
    either = {"or": [{"id": {"eq": "o0007"}}, {"person": {"orders": {"some": {"size": {"in": [3, 9]}}}}}]}
    assert ids(await mesh.ask(text, {"w": either}))[:1] == ["o0003"]


async def test_a_page_filled_so_has_cursors_that_lead_on() -> None:
    mesh, _, _ = large()
    text = "query ($after: String) { shop { orders(where: {person: {}}, first: 2, after: $after) { edges { cursor node { id } } } } }"
    first = await mesh.ask(text)
    edges = first.data["shop"]["orders"]["edges"]
    second = await mesh.ask(text, {"after": edges[0]["cursor"]})
    assert [it["node"]["id"] for it in second.data["shop"]["orders"]["edges"]] == ["o0001", "o0002"]


async def test_a_page_that_would_need_the_whole_list_for_every_page_is_not_filled_so() -> None:
    able = replace(LEVEL_0, page_max=500, keys=True, key_columns=frozenset({("id",)}))
    orders, persons = held(bought((f"o{at:04}", f"c{at}") for at in range(2_000)), able), held(people(2_000), able)
    mesh = Mesh((ORDERS, orders), (PEOPLE, persons), bounds=Bounds(keys_max=700))
    answer = await mesh.ask("{ shop { orders(where: {person: {}}, orderBy: [{size: DESC}]) { nodes { id } } } }")
    assert answer.codes == ["LIMIT_EXCEEDED"]
    # In the endpoint's own order it is.
    assert ids(await mesh.ask("{ shop { orders(where: {person: {}}, first: 2) { nodes { id } } } }")) == ["o0000", "o0001"]


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


async def test_what_needs_all_of_too_many_keys_is_refused_by_the_limits_name_after_bounded_reads() -> None:
    mesh, orders, persons = large()
    text = "{ shop { orders(where: {person: {}}) { nodes { id } totalCount aggregate { count } } people(first: 1) { nodes { id } } } }"
    answer = await mesh.ask(text)
    assert [(it["path"][-1], it["extensions"]["limit"]) for it in answer.errors] == [("aggregate", "keys_max"), ("totalCount", "keys_max")]
    assert "Narrow" in answer.errors[0]["extensions"]["hint"]
    assert len(answer.data["shop"]["orders"]["nodes"]) == 20
    assert answer.data["shop"]["orders"]["totalCount"] is answer.data["shop"]["orders"]["aggregate"] is None
    assert answer.data["shop"]["people"]["nodes"]
    assert len(orders.asked) + len(persons.asked) < 2 * 8 + 5 + 5 + 2


async def test_rows_that_are_too_far_to_find_are_refused_by_the_limits_name_after_bounded_reads() -> None:
    mesh, orders, persons = large()
    for where in (
        '{person: {land: {ne: "XX"}}, not: {person: {land: {ne: "XX"}}}}',
        '{person: {land: {in: ["DE", "FR"]}, id: {gt: "c1"}, orders: {none: {size: {gte: 0}}}}}',
    ):
        orders.asked.clear()
        persons.asked.clear()
        answer = await mesh.ask(f"{{ shop {{ orders(where: {where}) {{ nodes {{ id }} }} }} }}")
        assert answer.errors[0]["extensions"]["limit"] == "keys_max"
        assert answer.data["shop"]["orders"] is None
        assert len(orders.asked) + len(persons.asked) < 3 * 8 + 10 + 10


async def test_a_few_rows_are_followed_along_two_relationships_that_lead_through_too_many_keys() -> None:
    able = replace(LEVEL_1, page_max=100)
    paid = contract("payments", {"id": STRING, "order_id": STRING}, links=(link("order", "shop/orders", {"order_id": "id"}),))
    payments = held([{"id": "p1", "order_id": "o0001"}, {"id": "p2", "order_id": "o0002"}, {"id": "p3", "order_id": None}])
    orders = held(bought((f"o{at:04}", f"c{at}") for at in range(5_000)), able)
    persons = held(people(5_000), able)
    mesh = Mesh((paid, payments), (ORDERS, orders), (PEOPLE, persons), bounds=Bounds(keys_max=700))
    text = '{ shop { payments(where: {order: {person: {land: {eq: "DE"}}}}) { nodes { id } totalCount aggregate { count } } } }'
    answer = await mesh.ask(text)
    assert ids(answer, "payments") == ["p1"]
    assert answer.data["shop"]["payments"]["totalCount"] == answer.data["shop"]["payments"]["aggregate"]["count"] == 1


async def test_what_cannot_be_scanned_is_refused_with_the_remedy() -> None:
    able = replace(LEVEL_0, page_max=50)
    mesh = Mesh(
        (ORDERS, held(bought((f"o{at}", f"c{at}") for at in range(900)), able)),
        (PEOPLE, held(people(900), able)),
        bounds=Bounds(scan_rows_max=200),
    )
    answer = await mesh.ask('{ shop { orders(where: {person: {land: {eq: "DE"}}}) { nodes { id } } } }')
    assert answer.codes == ["PORT_CANNOT"]
    assert "ask shop@example.com for a level 1 port" in answer.errors[0]["extensions"]["hint"]


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
