"""What is hidden cannot be told from a misspelling (SPEC A2)."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.masks import Mask, MaskKind
from contracts.model import FieldClassification, Grant, Visibility

from .lying import STRING, Lying, Mesh, contract, link, page

HIDDEN = FieldClassification(tags=("pii",), mask=Mask(MaskKind.REDACT), visibility=Visibility.HIDDEN)


def mesh_of() -> Mesh:
    def port() -> Lying:
        return Lying(lambda _: page([{"id": "o1", "secret": "s", "customer_id": "c1"}]))

    orders = contract(
        "orders",
        {"id": STRING, "secret": STRING, "country": STRING, "customer_id": STRING},
        classified={"secret": HIDDEN, "id": HIDDEN},
        grants=(Grant(role="analyst", fields=("country", "customer_id")),),
        links=(link("secretLink", "shop/vault", {"customer_id": "id"}, inverse="orders"),),
    )
    vault = contract("vault", {"id": STRING}, visibility=Visibility.HIDDEN, grants=())
    return Mesh((orders, port()), (vault, port()))


@pytest.mark.parametrize(
    ("text", "variables", "hidden", "misspelt"),
    [
        ("{ shop { orders { nodes { NAME } } } }", None, "secret", "secreu"),
        ('{ shop { orders(where: {NAME: {eq: "x"}}) { nodes { country } } } }', None, "secret", "secreu"),
        ("{ shop { orders(orderBy: [{NAME: ASC}]) { nodes { country } } } }", None, "secret", "secreu"),
        ("{ shop { NAME { nodes { id } } } }", None, "vault", "vaulu"),
        ('{ shop { NAMEByKey(key: {id: "x"}) { id } } }', None, "vault", "vaulu"),
        ("{ shop { orders { nodes { NAME { id } } } } }", None, "secretLink", "secretLinl"),
        ('{ __type(name: "ShopNAME") { name fields { name } } }', None, "Vault", "Vaulu"),
        ('{ mesh { product(domain: "shop", name: "NAME") { id } } }', None, "vault", "vaulu"),
        ("query ($w: ShopNAMEWhere) { shop { orders { nodes { country } } } }", None, "Vault", "Vaulu"),
        ("fragment F on ShopNAME { id } { shop { orders { nodes { country ...F } } } }", None, "Vault", "Vaulu"),
        ("query ($w: ShopOrdersWhere) { shop { orders(where: $w) { nodes { country } } } }", {"NAME": {"eq": "x"}}, "secret", "secreu"),
        (
            "query ($w: ShopOrdersWhere) { shop { orders(where: $w) { nodes { country } } } }",
            {"not": {"NAME": {"eq": "x"}}},
            "secret",
            "secreu",
        ),
    ],
)
async def test_what_is_hidden_is_answered_as_a_misspelling_is(text: str, variables: Any, hidden: str, misspelt: str) -> None:
    mesh = mesh_of()
    bodies = []
    for name in (hidden, misspelt):
        given = None if variables is None else {"w": eval(repr(variables).replace("NAME", name))}  # noqa: S307 - our own literals
        bodies.append((await mesh.ask(text.replace("NAME", name), given)).body.replace(name.encode(), b"@"))
    assert mesh.failures == []
    assert bodies[0] == bodies[1]


async def test_neither_catalogue_nor_introspection_names_what_is_hidden() -> None:
    mesh = mesh_of()
    found = await mesh.ask("{ mesh { products { id primaryKey fields { name } relationships { name to } } } }")
    assert found.data["mesh"]["products"] == [
        {"id": "shop/orders", "primaryKey": [], "fields": [{"name": "country"}, {"name": "customerId"}], "relationships": []}
    ]
    found = await mesh.ask("{ __schema { types { name description fields { name description } inputFields { name } } } }")
    assert b"secret" not in found.body.lower()
    assert b"vault" not in found.body.lower()
