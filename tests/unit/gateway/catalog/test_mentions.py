"""What conditions follow, read from texts and condensed from variables."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import FieldNode, OperationDefinitionNode, parse

from gateway.catalog.mentions import NO_TRACE, Mention, Mentions, Trace, relation_names, trace_of
from gateway.catalog.snapshot import snapshot_of

from ....differential.shop import shop

SNAPSHOT = snapshot_of(shop().contracts, {})
NAMES = relation_names(SNAPSHOT)


def followed(text: str, variables: dict[str, Any] | None = None, *, totals: bool = False, keys: bool = False) -> Any:
    """Name what the first field's arguments follow, nested as there."""
    (operation,) = parse(text).definitions
    assert isinstance(operation, OperationDefinitionNode)
    node = operation.selection_set.selections[0]
    assert isinstance(node, FieldNode)
    mentions = Mentions(SNAPSHOT, operation, trace_of(variables, NAMES))
    product = SNAPSHOT.products["order/orders"]
    of = mentions.of_totals if totals else mentions.of_keys if keys else mentions.of
    return _plain(of(product, node))


def _plain(mentions: tuple[Mention, ...]) -> dict[str, Any]:
    return {it.relation.graphql_name: _plain(it.below) for it in mentions}


def test_relationships_are_those_that_conditions_may_follow() -> None:
    assert {"customer", "orders", "payments", "order", "friend", "friends", "CUSTOMER", "ORDER", "FRIEND"} == NAMES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ orders }", {}),
        ("{ orders(first: 1) }", {}),
        ('{ orders(where: {status: {eq: "x"}, no: {customer: {}}}) }', {}),
        ("{ orders(where: {customer: {}}) }", {"customer": {}}),
        ("{ orders(where: {or: [{not: {customer: {friend: {}}}}, {customer: {orders: {some: {payments: {none: {}}}}}}]}) }",
         {"customer": {"friend": {}, "orders": {"payments": {}}}}),
        ("{ orders(where: {payments: {all: {order: {}}, some: null}}) }", {"payments": {}}),
        ("{ orders(where: {payments: 3}) }", {"payments": {}}),
        ("{ orders(where: 7) }", {}),
    ],
)  # fmt: skip
def test_a_text_says_what_it_follows(text: str, expected: Any) -> None:
    assert followed(text) == expected


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("query ($w: W) { orders(where: $w) }", {"w": {"and": [{"customer": {"country": {"eq": "DE"}}}]}}, {"customer": {}}),
        ("query ($w: W) { orders(where: {and: [$w, {payments: {some: {}}}]}) }", {"w": {"customer": {}}}, {"customer": {}, "payments": {}}),
        ("query ($w: W) { orders(where: {payments: $w}) }", {"w": {"some": {"order": {}}}}, {"payments": {"order": {}}}),
        ("query ($w: W) { orders(where: {payments: {none: $w}}) }", {"w": {"order": {}}}, {"payments": {"order": {}}}),
        ("query ($w: W = {customer: {}}) { orders(where: $w) }", None, {"customer": {}}),
        ("query ($w: W = {some: {order: {}}}) { orders(where: {payments: $w}) }", {}, {"payments": {"order": {}}}),
        # What is given is not the default, and names that are no relationship here say nothing.
        ("query ($w: W = {customer: {}}) { orders(where: $w) }", {"w": {"status": {"eq": "x"}}}, {}),
        ("query ($w: W) { orders(where: $w) }", {"w": {"friends": {}, "friend": {"orders": {}}}}, {}),
        ("query ($w: W) { orders(where: $w) }", {"v": {"customer": {}}}, {}),
    ],
)
def test_variables_say_what_they_follow(text: str, variables: Any, expected: Any) -> None:
    assert followed(text, variables) == expected


def test_having_and_order_say_what_totals_are_taken_along() -> None:
    text = "query ($h: H, $o: [O] = [{sum: {customer: {friend: {total: ASC}}}}]) { groups(having: $h, orderBy: $o, first: 2) }"
    assert followed(text, totals=True) == {"customer": {"friend": {}}}
    assert followed(text, {"h": {"sum": {"customer": {}}}, "o": [{"count": "ASC"}]}, totals=True) == {"customer": {}}
    assert followed("{ groups(having: {or: [{max: {customer: {total: {gt: 1}}}}]}) }", totals=True) == {"customer": {}}
    assert followed("{ groups(first: 1) }", totals=True) == {}


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("{ groups(by: [{field: NAME}, {path: [CUSTOMER, FRIEND], field: NAME}, {path: [CUSTOMER], field: NAME}], first: 3) }", None),
        ("{ groups(by: {path: [CUSTOMER, FRIEND, NOWHERE, FRIEND], field: NAME}) }", None),
        ("{ groups(by: [], orderBy: [{key: {customer: {friend: {name: ASC}}}}]) }", None),
        ("{ groups(by: [], having: {not: {key: {customer: {friend: {name: {isNull: true}}}}}}) }", None),
        ("query ($b: [B!]!) { groups(by: $b) }", {"b": [{"path": ["CUSTOMER", "FRIEND"]}, {"field": "NAME", "path": ["CUSTOMER"]}]}),
        ("query ($b: B!) { groups(by: [$b]) }", {"b": {"path": ["CUSTOMER", "FRIEND"]}}),
        ("query ($b: [B!] = [{path: [CUSTOMER, FRIEND], field: NAME}]) { groups(by: $b) }", {}),
        ("query ($p: [P!]) { groups(by: [{path: $p, field: NAME}]) }", {"p": ["CUSTOMER", "FRIEND"]}),
        ("query ($p: [P!] = [CUSTOMER, FRIEND]) { groups(by: [{path: $p, field: NAME}]) }", {}),
        ("query ($p: P!, $q: P = FRIEND) { groups(by: [{path: [$p, $q], field: NAME}]) }", {"p": "CUSTOMER"}),
    ],
)
def test_keys_follow_what_their_paths_say_in_texts_and_variables(text: str, variables: Any) -> None:
    assert followed(text, variables, keys=True) == {"customer": {"friend": {}}}


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("{ groups(first: 1) }", None),
        ("{ groups(by: 3) }", None),
        ("{ groups(by: [{field: NAME, path: [PAYMENTS, ORDER]}]) }", None),
        ("query ($p: [P!]) { groups(by: [{path: $p, field: NAME}]) }", None),
        ("query ($p: P) { groups(by: [{path: [$p], field: NAME}]) }", {"p": "PAYMENTS"}),
        ("query ($b: [B!] = [{path: [CUSTOMER], field: NAME}]) { groups(by: $b) }", {"b": [{"field": "NAME"}]}),
        ("query ($b: [B!]) { groups(by: $b) }", {"b": [{"path": [7, "CUSTOMER"]}]}),
    ],
)
def test_keys_follow_nothing_that_does_not_lead_to_one_partner(text: str, variables: Any) -> None:
    assert followed(text, variables, keys=True) == {}


@pytest.mark.parametrize("variables", [None, {}, {"a": 1, "b": "secret"}, {"a": [1, 2]}, {"a": []}, {"a": ["secret", "CUSTOMER"]}])
def test_variables_without_objects_leave_no_trace(variables: Any) -> None:
    assert trace_of(variables, NAMES) is NO_TRACE


def test_a_trace_holds_names_of_relationships_and_no_value() -> None:
    value = {"customer": {"name": {"eq": "secret"}, "orders": {"some": {"customer": {}}}}, "or": [{"customer": {"friend": {}}}, 3]}
    inner = Trace((("customer", Trace((("friend", NO_TRACE), ("orders", Trace((("customer", NO_TRACE),)))))),))
    assert trace_of({"w": value, "v": [[{"friend": 1}], "x"]}, NAMES) == Trace((("v", Trace((("friend", NO_TRACE),))), ("w", inner)))


def test_a_variable_of_any_depth_is_condensed_without_recursion_to_its_end() -> None:
    value: dict[str, Any] = {}
    for _ in range(5_000):
        value = {"not": value}
    assert trace_of({"w": {"customer": value}}, NAMES) == Trace((("w", Trace((("customer", NO_TRACE),))),))
