from __future__ import annotations

import json

import pytest

from contracts import ProblemCode, check_together, target_of

from .written import COLUMNS, contract


def link(on: str = "{customer_id: id}", *, to: str = "customer/customers", inverse: str = "orders") -> str:
    return f"  relationships: [{{name: customer, to: {to}, on: {on}, inverse: {inverse}}}]\n"


CUSTOMERS = contract(domain="customer", name="customers")


def test_a_relationship_to_a_known_product_is_right() -> None:
    together = check_together([contract(link()), CUSTOMERS])
    assert (together.problems, together.warnings) == ((), ())


@pytest.mark.parametrize(
    ("spec", "code", "at", "nearest"),
    [
        (link("{customer_id: idd}"), ProblemCode.UNKNOWN_COLUMN, "spec.relationships[0].on.customer_id", "id"),
        (link("{customer_id: count}"), ProblemCode.UNFIT_COLUMN, "spec.relationships[0].on.customer_id", None),
        (link("{count: at}"), ProblemCode.UNFIT_COLUMN, "spec.relationships[0].on.count", None),
        (link("{customer_id: labels}"), ProblemCode.UNFIT_COLUMN, "spec.relationships[0].on.customer_id", None),
        (link(inverse="country"), ProblemCode.CONTRADICTION, "spec.relationships[0].inverse", None),
    ],
)
def test_what_does_not_go_together_is_refused(spec: str, code: ProblemCode, at: str, nearest: str | None) -> None:
    (problem,) = check_together([contract(spec), CUSTOMERS]).problems
    assert (problem.code, problem.at, problem.nearest) == (code, at, nearest)
    assert (problem.file, problem.line) == ("order/orders@1.0.0", None)


def test_text_and_enumerations_and_whole_numbers_of_any_width_compare() -> None:
    wide = json.dumps({"type": "record", "name": "R", "fields": [*COLUMNS, {"name": "big", "type": "long"}]})
    customers = contract(domain="customer", name="customers", avro=wide)
    assert check_together([contract(link("{count: big, colour: country}")), customers]).problems == ()


def test_an_unknown_target_is_a_warning() -> None:
    together = check_together([contract(link(to="customer/customer")), CUSTOMERS])
    (warning,) = together.warnings
    assert (warning.code, warning.nearest) == (ProblemCode.UNKNOWN_PRODUCT, "customer/customers")
    assert together.problems == ()
    (warning,) = check_together([contract(link(to="customer/customers@3")), CUSTOMERS]).warnings
    assert "customer/customers@3" in warning.message


def test_unknown_products_of_subjects_and_consents_are_warnings() -> None:
    spec = "  subject: {column: customer_id, of: customer/customers}\n  consent: {product: customer/consents}\n"
    assert [warning.at for warning in check_together([contract(spec)]).warnings] == ["spec.subject.of", "spec.consent.product"]


def test_two_products_cannot_give_one_product_the_same_inverse() -> None:
    orders, returns = contract(link(), name="orders"), contract(link(), name="returns")
    (problem,) = check_together([orders, returns, CUSTOMERS]).problems
    assert (problem.code, problem.file) == (ProblemCode.CONTRADICTION, "order/returns@1.0.0")


def test_two_majors_of_one_product_share_their_inverse() -> None:
    assert check_together([contract(link()), contract(link(), version="2.0.0"), CUSTOMERS]).problems == ()


def test_a_relationship_without_inverse_adds_nothing_elsewhere() -> None:
    spec = "  relationships: [{name: customer, to: customer/customers, on: {customer_id: id}}]\n"
    assert check_together([contract(spec), CUSTOMERS]).problems == ()


def test_the_target_is_the_newest_version_of_the_major_asked_for() -> None:
    versions = [
        contract(domain="customer", name="customers", version=version) for version in ("1.9.0", "1.10.0-rc.1", "1.10.0", "2.0.0-beta+7")
    ]
    newest, first = contract(link()).relationships[0], contract(link(to="customer/customers@1")).relationships[0]
    found = [target_of(relationship, versions) for relationship in (newest, first)]
    assert [target.metadata.version for target in found if target is not None] == ["2.0.0-beta+7", "1.10.0"]
    assert target_of(first, versions[3:]) is None
