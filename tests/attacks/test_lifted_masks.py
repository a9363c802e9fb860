"""``predicates: allow`` on a grant: what is masked filters, sorts, groups and counts, still shows masked, and is told to the audit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.fields import Kind, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import Aggregates, FieldClassification, Grant
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from gateway.engine.signals import Signals

from .lying import NOW, STRING, Mesh, contract, link

EMAIL = FieldClassification(tags=("pii",), mask=Mask(MaskKind.EMAIL))
NULLIFIED = FieldClassification(tags=("pii",), mask=Mask(MaskKind.NULLIFY))
ROWS = [
    {"id": "1", "mail": "ann@example.com", "wage": 10, "boss": None},
    {"id": "2", "mail": "abe@example.com", "wage": 30, "boss": "1"},
    {"id": "3", "mail": "bob@example.com", "wage": 20, "boss": "1"},
    {"id": "4", "mail": "abe@example.com", "wage": None, "boss": "2"},
]
LIFTED = Grant(role="analyst", fields=("*",), predicates=True)
PLAIN = Grant(role="analyst", fields=("*",))


_OPEN: list[Any] = []


@pytest.fixture(autouse=True)
async def _closed() -> AsyncIterator[None]:
    yield
    while _OPEN:
        await _OPEN.pop().aclose()


async def mesh_of(grant: Grant, told: list[tuple[str, tuple[str, ...]]], *, wage: FieldClassification = NULLIFIED) -> Mesh:
    staff = contract(
        "staff",
        {"id": STRING, "mail": STRING, "wage": Scalar(Kind.INT), "boss": STRING},
        classified={"mail": EMAIL, "wage": wage},
        grants=(grant,),
        links=(link("chief", "shop/staff", {"boss": "id"}, inverse="reports"),),
    )
    port: Any = await open_sql(staff, Rows(ROWS), clock=lambda: NOW, cursors=1)
    _OPEN.append(port)
    mesh = Mesh((staff, port))
    mesh.engine.signals = Signals(disclosed=lambda product, columns, _: told.append((product, columns)))
    return mesh


USES: list[tuple[str, Any, tuple[str, ...]]] = [
    (
        'staff(where: {mail: {eq: "abe@example.com"}}) { nodes { id mail } }',
        {"nodes": [{"id": "2", "mail": "a***@example.com"}, {"id": "4", "mail": "a***@example.com"}]},
        ("mail",),
    ),
    (
        "staff(orderBy: [{wage: DESC}], first: 2) { nodes { id wage } }",
        {"nodes": [{"id": "2", "wage": None}, {"id": "3", "wage": None}]},
        ("wage",),
    ),
    (
        "staff { aggregate { sum { wage } max { wage mail } } }",
        {"aggregate": {"sum": {"wage": 60}, "max": {"wage": None, "mail": "b***@example.com"}}},
        ("mail", "wage"),
    ),
    (
        "staff { groups(by: [{field: MAIL}]) { key { mail } count } }",
        {
            "groups": [
                {"key": {"mail": "a***@example.com"}, "count": 2},
                {"key": {"mail": "a***@example.com"}, "count": 1},
                {"key": {"mail": "b***@example.com"}, "count": 1},
            ]
        },
        ("mail",),
    ),
    (
        "staff { groups(by: [{path: [CHIEF], field: MAIL}], having: {count: {gt: 1}}) { key { chief { mail } } count } }",
        {"groups": [{"key": {"chief": {"mail": "a***@example.com"}}, "count": 2}]},
        ("mail",),
    ),
    ('staff(where: {chief: {mail: {startsWith: "ann"}}}) { nodes { id } }', {"nodes": [{"id": "2"}, {"id": "3"}]}, ("mail",)),
]


@pytest.mark.parametrize(("text", "expected", "columns"), USES)
async def test_what_a_grant_lifts_may_be_used_shows_masked_and_is_told(text: str, expected: Any, columns: tuple[str, ...]) -> None:
    told: list[tuple[str, tuple[str, ...]]] = []
    mesh = await mesh_of(LIFTED, told)
    answer = await mesh.ask(f"{{ shop {{ {text} }} }}")
    assert answer.errors == []
    assert answer.data["shop"]["staff"] == expected
    assert told == [("shop/staff", columns)]
    for value in (b"abe@", b"ann@", b"bob@"):
        assert value not in answer.body
    if "mail }" in text or "mail" in str(expected):
        assert b'"mask":"email"' in answer.body


@pytest.mark.parametrize("text", [it[0] for it in USES])
async def test_without_it_the_same_is_refused_and_nothing_is_told(text: str) -> None:
    told: list[tuple[str, tuple[str, ...]]] = []
    mesh = await mesh_of(PLAIN, told)
    assert (await mesh.ask(f"{{ shop {{ {text} }} }}")).refusal == "MASKED_FIELD_IN_PREDICATE"
    assert told == []


async def test_what_uses_nothing_masked_is_not_told() -> None:
    told: list[tuple[str, tuple[str, ...]]] = []
    mesh = await mesh_of(LIFTED, told)
    answer = await mesh.ask(
        '{ shop { staff(where: {id: {ne: "1"}}) { nodes { mail } aggregate { count } } staffByKey(key: {id: "2"}) { mail } } }'
    )
    assert answer.errors == []
    assert told == []


async def test_what_is_for_aggregates_only_is_not_lifted_beyond_enough_subjects() -> None:
    told: list[tuple[str, tuple[str, ...]]] = []
    guarded = FieldClassification(tags=("pii",), mask=Mask(MaskKind.NULLIFY), aggregates=Aggregates(min_group=10, functions=("sum",)))
    mesh = await mesh_of(LIFTED, told, wage=guarded)
    assert (await mesh.ask("{ shop { staff { aggregate { sum { wage } } } } }")).codes == ["GROUP_TOO_SMALL"]
    assert (await mesh.ask("{ shop { staff { aggregate { max { wage } } } } }")).refusal == "MASKED_FIELD_IN_PREDICATE"


async def test_a_partner_of_the_same_product_shows_masked_even_where_the_answer_joins_the_column_with_what_may_not_be_used() -> None:
    staff = contract(
        "staff",
        {"id": STRING, "mail": STRING, "boss": STRING},
        classified={"mail": EMAIL},
        grants=(LIFTED,),
        links=(link("chief", "shop/staff", {"boss": "id"}), link("box", "shop/boxes", {"mail": "address"})),
    )
    boxes = contract("boxes", {"address": STRING, "size": STRING}, key=("address",), classified={"address": EMAIL}, grants=(PLAIN,))
    ports: list[Any] = [
        await open_sql(staff, Rows([{name: row[name] for name in ("id", "mail", "boss")} for row in ROWS]), clock=lambda: NOW, cursors=1),
        await open_sql(boxes, Rows([{"address": "ann@example.com", "size": "large"}]), clock=lambda: NOW, cursors=1),
    ]
    _OPEN.extend(ports)
    mesh = Mesh((staff, ports[0]), (boxes, ports[1]))
    key = "by: [{path: [CHIEF], field: MAIL}]) { key { chief { mail } } max { chief { mail } } }"
    answer = await mesh.ask(f"{{ shop {{ staff {{ nodes {{ box {{ size }} }} groups({key} }} }} }}")
    assert [it["key"]["chief"]["mail"] for it in answer.data["shop"]["staff"]["groups"]] == ["a***@example.com", "a***@example.com", None]
    for value in (b"abe@", b"ann@", b"bob@"):
        assert value not in answer.body
