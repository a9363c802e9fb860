"""Contracts whose names would break the schema for everybody, and columns that nothing can be found by."""

from __future__ import annotations

import pytest

from contracts.fields import Enumeration, Field, FieldType, Kind, List, Map, Record, Scalar
from gateway.catalog.clashes import OWN_TYPES, CatalogError
from gateway.catalog.mesh import mesh_schema
from gateway.catalog.snapshot import tolerant_snapshot_of

from .lying import STRING, Lying, Mesh, contract, link, page

PLACE = Record("Place", (Field("street", STRING),))


def mesh_of(columns: dict[str, FieldType], name: str = "orders", domain: str = "shop") -> Mesh:
    made = contract(name, {"id": STRING, **columns}, domain=domain)
    return Mesh((made, Lying(lambda _: page([{"id": "o1"}]))))


@pytest.mark.parametrize(
    "columns",
    [
        {"where": PLACE},
        {"order_by": Enumeration("E", ("A",))},
        {"connection": List(PLACE)},
        {"edge": PLACE},
        {"key": PLACE},
        {"status": Enumeration("E", ("A",)), "status_filter": PLACE},
        {"a": Record("A", (Field("b", PLACE),)), "a_b": PLACE},
        {"a": Record("A", (Field("b", STRING, physical_name="x"), Field("c", STRING, physical_name="x")))},
        {"a": Record("A", (Field("b_c", STRING), Field("bC", STRING)))},
    ],
)
def test_columns_whose_types_would_share_a_name_are_refused_with_both_sides_named(columns: dict[str, FieldType]) -> None:
    with pytest.raises(CatalogError, match=r" and .*(rename|leave)"):
        mesh_of(columns)


@pytest.mark.parametrize(
    ("domain", "name"),
    [("date", "time"), ("product", "metadata"), ("string", "filter"), ("mesh", "slo"), ("shop", "domain"), ("page", "info")],
)
def test_a_product_cannot_take_the_name_of_a_type_of_the_gateway(domain: str, name: str) -> None:
    with pytest.raises(CatalogError, match="rename"):
        mesh_of({}, name, domain)


def test_every_type_of_the_gateway_is_among_those_that_cannot_be_taken() -> None:
    found = {name for name in mesh_schema()._schema.type_map if not name.startswith("__")}
    assert found <= OWN_TYPES


async def test_columns_named_like_arguments_operators_and_keywords_are_columns() -> None:
    names = ("and", "or", "not", "nodes", "first", "in", "class", "None", "import", "self", "__typename", "_", "日本", "1x")
    mesh = mesh_of(dict.fromkeys(names, STRING))
    text = '{ shop { orders(where: {and: [{first: {eq: "a"}}], in: {isNull: true}}, orderBy: [{and: ASC}]) { nodes { class none } } } }'
    found = await mesh.ask(text)
    assert mesh.failures == []
    assert found.data["shop"]["orders"]["nodes"] == [{"class": None, "none": None}]


@pytest.mark.parametrize("type_", [List(STRING), PLACE, Map(STRING), Scalar(Kind.JSON)])
async def test_a_relationship_over_values_that_nothing_is_found_by_is_left_out(type_: FieldType) -> None:
    made = contract("orders", {"id": STRING, "other": type_}, links=(link("self", "shop/orders", {"other": "other"}),))
    mesh = Mesh((made, Lying(lambda _: page([{"id": "o1"}]))))
    assert len(mesh.engine.snapshot.findings) == 1
    found = await mesh.ask("{ shop { orders { nodes { id self { id } } } } }")
    assert (mesh.failures, found.codes) == ([], ["GRAPHQL_VALIDATION_FAILED"])


def test_a_product_that_clashes_is_left_out_with_a_finding_and_the_others_are_served() -> None:
    contracts = [
        contract(name, {"id": STRING}, domain=domain) for domain, name in (("shop", "things"), ("date", "time"), ("shop", "others"))
    ]
    snapshot = tolerant_snapshot_of(contracts, {})
    assert set(snapshot.products) == {"shop/things", "shop/others"}
    (finding,) = snapshot.findings
    assert finding.startswith("date/time is left out: ")
