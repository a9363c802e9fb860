"""Contracts under one roof: names, versions, relationships seen from both ends, what is left out and why."""

from __future__ import annotations

import pytest

from contracts import Contract, parse_contract
from gateway.catalog.names import column_name, field_name, type_name
from gateway.catalog.snapshot import CatalogError, snapshot_of, tolerant_snapshot_of

TEXT = """
apiVersion: datamesh/v1
kind: DataContract
metadata: {{name: {name}, domain: {domain}, owner: a@example.com, version: "{version}"}}
spec:
  schema: {{type: inline, fields: [{{name: id, type: long, required: true}}, {{name: other_id, type: long}}{fields}]}}
  primaryKey: [id]
  {relations}
"""


def contract(name: str, domain: str = "shop", version: str = "1.0.0", relations: str = "", fields: str = "") -> Contract:
    text = TEXT.format(
        name=name, domain=domain, version=version, fields=fields, relations=f"relationships: [{relations}]" if relations else ""
    )
    return parse_contract(text, {})


def link(to: str, name: str = "other", **more: str) -> str:
    extra = "".join(f", {key}: {value}" for key, value in more.items())
    return f"{{name: {name}, to: {to}, on: {{other_id: id}}{extra}}}"


@pytest.mark.parametrize(
    ("name", "field"),
    [("orders-daily", "ordersDaily"), ("order_id", "orderId"), ("URL", "url"), ("2fa", "_2fa"), ("größe", "grUf6UdfE"), ("--", "u2du2d")],
)
def test_names_are_spelt_by_one_rule(name: str, field: str) -> None:
    assert field_name(name) == field


def test_types_join_the_words_of_domain_and_product() -> None:
    assert type_name("order", "orders-daily") == "OrderOrdersDaily"
    assert column_name("order_id", keep_spelling=True) == "order_id"
    assert column_name("order-id", keep_spelling=True) == "orderId"


def test_an_older_major_is_served_under_its_number_and_deprecated() -> None:
    snapshot = snapshot_of(
        [contract("things", version="1.9.0"), contract("things", version="2.0.1"), contract("things", version="2.0.0")], {}
    )
    assert set(snapshot.products) == {"shop/things", "shop/things@1"}
    assert snapshot.products["shop/things"].contract.metadata.version == "2.0.1"
    older = snapshot.products["shop/things@1"]
    assert (older.graphql_name, older.type_name, older.deprecated) == ("thingsV1", "ShopThingsV1", True)
    assert set(snapshot.domains["shop"].products) == {"things", "thingsV1"}


def test_a_relationship_is_seen_from_both_ends() -> None:
    snapshot = snapshot_of([contract("things", relations=link("shop/others", inverse="things")), contract("others")], {})
    forth = snapshot.products["shop/things"].relation_by_name["other"]
    back = snapshot.products["shop/others"].relation_by_name["things"]
    assert (forth.target, forth.pairs, forth.many) == ("shop/others", (("other_id", "id"),), False)
    assert (back.target, back.pairs, back.many) == ("shop/things", (("id", "other_id"),), True)
    assert back.own_columns == ("id",)
    assert back.target_columns == ("other_id",)


@pytest.mark.parametrize(
    ("to", "target"), [("shop/others@1", "shop/others@1"), ("shop/others@2", "shop/others"), ("shop/others", "shop/others")]
)
def test_a_relationship_may_name_a_major(to: str, target: str) -> None:
    snapshot = snapshot_of([contract("things", relations=link(to)), contract("others"), contract("others", version="2.0.0")], {})
    assert snapshot.products["shop/things"].relation_by_name["other"].target == target


@pytest.mark.parametrize("to", ["shop/nowhere", "shop/others@7"])
def test_a_relationship_that_leads_nowhere_is_left_out_with_a_finding(to: str) -> None:
    snapshot = snapshot_of([contract("things", relations=link(to)), contract("others"), contract("others", version="2.0.0")], {})
    assert snapshot.products["shop/things"].relations == ()
    assert "which is not here" in snapshot.findings[0]


def test_a_relationship_whose_name_is_taken_is_left_out_with_a_finding() -> None:
    snapshot = snapshot_of([contract("things", relations=link("shop/others", name="other-id")), contract("others")], {})
    assert snapshot.products["shop/things"].relations == ()
    assert "is taken" in snapshot.findings[0]


def test_domains_that_would_be_one_field_are_refused_or_left_out() -> None:
    clash = [contract("things", "my-shop"), contract("others", "my_shop")]
    with pytest.raises(CatalogError, match="rename"):
        snapshot_of(clash, {})
    snapshot = tolerant_snapshot_of(clash, {})
    assert len(snapshot.products) == 1
    assert len(snapshot.findings) == 1


def test_a_product_cannot_be_taken_for_the_look_up_by_key_of_another() -> None:
    with pytest.raises(CatalogError, match=r"look-up by key|both be called"):
        snapshot_of([contract("things"), contract("things-by-key")], {})


def test_columns_that_would_be_one_field_are_refused() -> None:
    with pytest.raises(CatalogError, match="rename"):
        snapshot_of([contract("things", fields=", {name: otherId, type: long}")], {})
