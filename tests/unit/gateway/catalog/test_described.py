"""What a view is told of its schema: kept in pieces, bounded, and never without end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from graphql import introspection_types

from contracts.masks import Mask, MaskKind
from contracts.model import FieldClassification, Grant
from gateway.catalog.clashes import OWN_TYPES
from gateway.catalog.described import _shared_types
from gateway.catalog.fragments import Circle, Fragments, circle_of
from gateway.catalog.scope import scope_of
from gateway.errors import GatewayError
from gateway.exchange import Frame
from tests.attacks.lying import STRING, Mesh, analyst, contract, link

TYPES = "{ __schema { types { name description fields { name description args { name } } inputFields { name } } } }"


def chain(length: int, *, masked: int | None = None) -> Mesh:
    """Link ``length`` products one to the next; of one of them the name is masked."""
    email = {"name": FieldClassification(tags=("pii",), mask=Mask(MaskKind.REDACT))}
    return Mesh(
        *(
            (
                contract(
                    f"p{number}",
                    {"id": STRING, "name": STRING, "next_id": STRING},
                    classified=email if number == masked else None,
                    links=(link("next", f"shop/p{number + 1}", {"next_id": "id"}),) if number + 1 < length else (),
                ),
                None,
            )
            for number in range(length)
        )
    )


def frame(*scope: str) -> Frame:
    return Frame(analyst(), 0.0, "r", scope=scope)


def test_types_are_written_once_for_all_scopes_in_which_they_are_the_same() -> None:
    mesh = chain(10)
    kept = mesh.engine._described._kept
    mesh.engine.sdl(frame("shop/p[0-8]"))
    before = len(kept)
    assert before == 9 + 1  # and the types that all share
    mesh.engine.sdl(frame("shop/p[0-9]"))
    # p9 is new; of p4 to p8 the groups reach it. What is further away stays as it is.
    assert len(kept) - before == 1 + 5


def test_pieces_are_bounded_by_bytes_and_the_one_used_longest_ago_goes_first() -> None:
    kept = Fragments(10_000)
    circles = [Circle((), (number,)) for number in range(5)]
    for circle in circles[:4]:
        kept.put("sdl", circle, {"A": (b"x" * 1_000, ("B",))})
    assert kept.get("sdl", circles[0]) is not None
    kept.put("sdl", circles[4], {"A": (b"x" * 1_000, ())})
    assert kept.bytes <= 10_000
    kept.put("sdl", circles[4], {"A": (b"x" * 4_000, ())})
    assert kept.get("sdl", circles[1]) is None
    assert kept.get("sdl", circles[0]) is not None
    assert kept.get("names", circles[0]) is None
    kept.put("sdl", circles[3], {"A": (b"x" * 20_000, ())})
    assert (len(kept), kept.bytes) == (0, 0)  # what is larger than all there is room for is not kept


def test_a_circle_ends_where_groups_reach_no_further() -> None:
    mesh = chain(1_000)
    view = mesh.engine._views.of(analyst(), mesh.engine._clock())

    def ruling_of(product: Any) -> Any:
        return view.ruling(product.contract)

    scope = scope_of(mesh.engine.snapshot, ruling_of, (), products_max=1_000)
    circle = circle_of(scope.products["shop/p0"], scope, ruling_of)
    assert [product.id for product, _ in circle.members] == [f"shop/p{number}" for number in range(6)]


async def test_a_masked_field_says_so_and_stands_in_no_input() -> None:
    mesh = chain(2, masked=1)
    found = await mesh.ask(TYPES)
    types = {type_["name"]: type_ for type_ in found.data["__schema"]["types"]}
    told = {field["name"]: field["description"] for field in types["ShopP1"]["fields"]}
    assert told == {"id": None, "name": "Masked for you (redact, because of pii).", "nextId": None}
    assert {field["name"] for field in types["ShopP1Where"]["inputFields"]} == {"id", "nextId", "and", "or", "not"}
    assert {field["name"] for field in types["ShopP0Where"]["inputFields"]} >= {"id", "name"}
    assert mesh.failures == []


async def test_a_listed_product_without_access_is_not_in_the_schema() -> None:
    shown = contract("orders", {"id": STRING, "ref": STRING}, links=(link("vault", "shop/vault", {"ref": "id"}, inverse="orders"),))
    vault = contract("vault", {"id": STRING, "secret": STRING}, grants=(Grant(role="guest", fields=("*",)),))
    mesh = Mesh((shown, None), (vault, None))
    found = await mesh.ask(TYPES)
    assert b"vault" not in found.body.lower()
    assert "vault" not in mesh.engine.sdl(frame()).lower()


async def test_an_answer_many_times_the_size_of_the_schema_is_refused() -> None:
    links = tuple(link(f"to{number}", f"shop/p{number % 3}", {f"c{number}": "id"}) for number in range(20))
    columns = {"id": STRING, **{f"c{number}": STRING for number in range(20)}}
    mesh = Mesh(*((contract(f"p{number}", columns, links=links), None) for number in range(3)))
    inner = " ".join(f"b{number}: fields {{ name type {{ kind description }} }}" for number in range(12))
    every = " ".join(f"a{number}: fields {{ type {{ {inner} }} }}" for number in range(7))
    found = await mesh.ask(f"{{ __schema {{ types {{ {every} }} }} }}")
    assert (found.codes, mesh.failures) == (["LIMIT_EXCEEDED"], [])
    deep = "fields { type { fields { type { fields { type { fields { type { fields { name } } } } } } } } }"
    assert (await mesh.ask(f"{{ __schema {{ types {{ {deep} }} }} }}")).codes == ["GRAPHQL_VALIDATION_FAILED"]


def test_no_product_can_take_the_name_of_a_type_that_all_share() -> None:
    assert set(_shared_types()) - set(introspection_types) - {"ID"} == OWN_TYPES - {"ID", "Query", "Mutation", "Subscription", "JSONFilter"}


async def test_a_null_where_introspection_takes_none_is_the_callers_mistake() -> None:
    mesh = chain(1)
    found = await mesh.ask("query ($d: Boolean = true) { __schema { types { fields(includeDeprecated: $d) { name } } } }", {"d": None})
    assert (found.codes, mesh.failures) == (["BAD_USER_INPUT"], [])


async def test_variables_left_out_leave_introspection_at_its_defaults() -> None:
    mesh = chain(1)
    text = "query ($d: Boolean = true, $n: String!) { __type(name: $n) { fields(includeDeprecated: $d) { name } } }"
    found = await mesh.ask(text, {"n": "ShopP0"})
    assert found.data == {"__type": {"fields": [{"name": "id"}, {"name": "name"}, {"name": "nextId"}]}}
    assert (await mesh.ask(text, {"n": "Nothing"})).data == {"__type": None}


def test_a_schema_of_too_many_products_is_refused_until_a_scope_narrows_it() -> None:
    mesh = chain(61)
    with pytest.raises(GatewayError) as refused:
        mesh.engine.sdl(frame())
    assert refused.value.code.name == "LIMIT_EXCEEDED"
    assert "Mesh-Scope" in json.dumps(refused.value.entry())
    assert "type ShopP60 {" in mesh.engine.sdl(frame("shop/p6*"))
