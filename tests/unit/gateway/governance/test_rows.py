"""Row rules bound to a caller: SPEC A1, and closed wherever a claim does not fit."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from operator import itemgetter
from typing import Any

import pytest

from contracts.fields import Enumeration, FieldType, Kind, List, Scalar, Unit
from contracts.model import Grant
from contracts.predicates import FALSE, TRUE, And, Claim, Compare, Not, Operator, Or, Predicate
from gateway.governance.decide import decide
from gateway.governance.facts import Reading
from gateway.governance.rows import BoundRules, bind, bind_all, cell_tests, row_test

from .promises import OWN_COUNTRIES, TEXT, caller, contract, policy

PROMISE = contract()


def bound(value: Any, type_: FieldType = TEXT, op: Operator = Operator.EQ) -> Predicate:
    promise = contract(fields={"c": type_})
    return bind(Compare("c", op, Claim("x")), caller("analyst", x=value), promise)


def test_a_rule_without_claims_is_given_back_as_it_is() -> None:
    rule = Or((Compare("country", Operator.EQ, "DE"), Compare("order_id", Operator.IN, ("1", "2"))))
    assert bind(rule, caller("analyst"), PROMISE) is rule


def test_one_value_bound_to_in_is_a_list_of_one() -> None:
    assert bind(OWN_COUNTRIES, caller("analyst", countries="DE"), PROMISE) == Compare("country", Operator.IN, ("DE",))
    many = bind(OWN_COUNTRIES, caller("analyst", countries=["DE", "FR", "DE"]), PROMISE)
    assert many == Compare("country", Operator.IN, ("DE", "FR"))


@pytest.mark.parametrize(
    ("type_", "value", "cell"),
    [
        (TEXT, "DE", "DE"),
        (Enumeration("e", ("A", "B")), "B", "B"),
        (Scalar(Kind.BOOLEAN), True, True),
        (Scalar(Kind.BOOLEAN), "false", False),
        (Scalar(Kind.INT), 42, 42),
        (Scalar(Kind.INT), "42", 42),
        (Scalar(Kind.LONG), "-7", -7),
        (Scalar(Kind.FLOAT), "1.5", 1.5),
        (Scalar(Kind.FLOAT), 2, 2.0),
        (Scalar(Kind.DECIMAL, precision=10, scale=2), "4.5", Decimal("4.50")),
        (Scalar(Kind.UUID), "0F8FAD5B-D9CB-469F-A165-70867728950E", "0f8fad5b-d9cb-469f-a165-70867728950e"),
        (Scalar(Kind.DATE), "2026-11-23", dt.date(2026, 11, 23)),
        (Scalar(Kind.INSTANT), "2026-11-23T01:00:00+01:00", dt.datetime(2026, 11, 23, tzinfo=dt.UTC)),
        (Scalar(Kind.LOCAL_DATETIME), "2026-11-23T01:00:00", dt.datetime(2026, 11, 23, 1)),
        (Scalar(Kind.TIME), "10:00:00", dt.time(10)),
    ],
)
def test_a_claim_takes_the_columns_type(type_: FieldType, value: Any, cell: Any) -> None:
    found = bound(value, type_)
    assert isinstance(found, Compare)
    assert found.value == cell
    assert type(found.value) is type(cell)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (TEXT, 5),
        (TEXT, ["DE"]),
        (TEXT, None),
        (TEXT, {"a": 1}),
        (Enumeration("e", ("A",)), "C"),
        (Enumeration("e", ("A",)), 1),
        (Scalar(Kind.BOOLEAN), 1),
        (Scalar(Kind.BOOLEAN), "yes"),
        (Scalar(Kind.INT), True),
        (Scalar(Kind.INT), "4.5"),
        (Scalar(Kind.INT), "1e3"),
        (Scalar(Kind.INT), 2**31),
        (Scalar(Kind.LONG), 10**400),
        (Scalar(Kind.INT), "४२"),
        (Scalar(Kind.FLOAT), float("nan")),
        (Scalar(Kind.FLOAT), "Infinity"),
        (Scalar(Kind.DECIMAL, precision=4, scale=2), "123.456"),
        (Scalar(Kind.DATE), 0),
        (Scalar(Kind.DATE), "2026-02-30"),
        (Scalar(Kind.INSTANT, unit=Unit.MILLIS), 0),
        (Scalar(Kind.INSTANT), "2026-11-23T01:00:00"),
        (Scalar(Kind.UUID), "nonsense"),
        (Scalar(Kind.JSON), "x"),
        (Scalar(Kind.BYTES), "eA=="),
        (List(TEXT), "x"),
    ],
)
def test_a_claim_that_does_not_fit_makes_the_whole_rule_false(type_: FieldType, value: Any) -> None:
    assert bound(value, type_) == FALSE
    promise = contract(fields={"c": type_})
    rule = Not(Compare("c", Operator.EQ, Claim("x")))
    assert bind(rule, caller("analyst", x=value), promise) == FALSE


def test_a_misfit_is_not_saved_by_what_stands_beside_it() -> None:
    rule = Or((Compare("country", Operator.EQ, "DE"), And((Compare("order_id", Operator.EQ, Claim("x")),))))
    assert bind(rule, caller("analyst", x=5), PROMISE) == FALSE
    assert bind(rule, caller("analyst", x="5"), PROMISE) == Or(
        (Compare("country", Operator.EQ, "DE"), And((Compare("order_id", Operator.EQ, "5"),)))
    )


def test_one_bad_item_spoils_a_list_and_lists_are_bounded() -> None:
    assert bound(["DE", 5], op=Operator.IN) == FALSE
    assert bound(["DE", 5], op=Operator.NOT_IN) == FALSE
    assert bound([], op=Operator.NOT_IN) == FALSE
    assert bound(["x"] * 1_001, op=Operator.IN) == FALSE


def test_claims_within_a_list_are_spliced_in() -> None:
    rule = Compare("country", Operator.NOT_IN, ("US", Claim("blocked")))
    assert bind(rule, caller("analyst", blocked=["DE", "US"]), PROMISE) == Compare("country", Operator.NOT_IN, ("US", "DE"))
    mixed = And((rule, Compare("order_id", Operator.IN, ("1",)), Compare("order_id", Operator.EQ, "1")))
    assert isinstance(bind(mixed, caller("analyst", blocked="DE"), PROMISE), And)


def test_text_operators_need_text_that_says_something() -> None:
    assert bound("D", op=Operator.STARTS_WITH) == Compare("c", Operator.STARTS_WITH, "D")
    assert bound("", op=Operator.STARTS_WITH) == FALSE
    assert bound("1", Scalar(Kind.INT), Operator.CONTAINS) == FALSE
    assert bound(True, op=Operator.IS_NULL) == Compare("c", Operator.IS_NULL, value=True)
    assert bound("true", op=Operator.IS_NULL) == FALSE


def test_a_rule_over_an_unknown_column_is_false() -> None:
    assert bind(Compare("unheard_of", Operator.EQ, Claim("x")), caller("analyst", x="1"), PROMISE) == FALSE


def test_claims_descend_by_dots() -> None:
    rule = Compare("country", Operator.EQ, Claim("realm.country"))
    assert bind(rule, caller("analyst", realm={"country": "DE"}), PROMISE) == Compare("country", Operator.EQ, "DE")
    assert bind(rule, caller("analyst", realm="DE"), PROMISE) == FALSE


PAID = Compare("status", Operator.EQ, "PAID")
DEAR = Compare("amount", Operator.GT, 10)


def test_rows_and_cells_are_tested_by_the_bound_rules() -> None:
    promise = contract(
        Grant(role="analyst", fields=("*",), row_filter=PAID),
        Grant(role="fraud", fields=("*",), clear=("email",), row_filter=DEAR),
        Grant(role="owner", fields=("status",)),
        fields={"status": TEXT, "amount": Scalar(Kind.INT), "email": TEXT},
    )
    mesh = policy()

    def ruled(*roles: str) -> Any:
        return decide(promise, mesh, Reading(mesh, [promise]).facts(caller(*roles), dt.date(2026, 11, 23)))

    rows = [
        {"status": "PAID", "amount": 5},
        {"status": "NEW", "amount": 50},
        {"status": "PAID", "amount": 50},
        {"status": "NEW", "amount": 5},
        {"status": None, "amount": None},
    ]
    both = ruled("analyst", "fraud")
    rules = bind_all(both, caller("analyst", "fraud"), promise)
    served = row_test(both, rules, itemgetter)
    assert served is not None
    assert [served(row) for row in rows] == [True, True, True, False, False]
    clear, masked = cell_tests(both.field("email"), rules, itemgetter)
    assert [(clear(row), masked(row)) for row in rows[:3]] == [(False, True), (True, False), (True, True)]
    every = ruled("analyst", "owner")
    assert row_test(every, bind_all(every, caller("analyst", "owner"), promise), itemgetter) is None
    assert row_test(ruled("owner"), (), itemgetter) is None
    assert TRUE in every.row_rules


def test_a_row_whose_cells_cannot_be_compared_is_not_served() -> None:
    promise = contract(Grant(role="analyst", fields=("*",), row_filter=Not(DEAR)), fields={"amount": Scalar(Kind.INT)})
    mesh = policy()
    ruling = decide(promise, mesh, Reading(mesh, [promise]).facts(caller("analyst"), dt.date(2026, 11, 23)))
    served = row_test(ruling, ruling.row_rules, itemgetter)
    assert served is not None
    assert served({"amount": "much"}) is False
    assert served({"amount": 5}) is True


def test_without_access_no_row_passes() -> None:
    mesh = policy()
    ruling = decide(PROMISE, mesh, Reading(mesh, [PROMISE]).facts(caller("analyst"), dt.date(2026, 11, 23)))
    served = row_test(ruling, bind_all(ruling, caller("analyst"), PROMISE), itemgetter)
    assert served is not None
    assert served({"country": "DE"}) is False


def test_one_caller_binds_a_ruling_once_and_another_for_itself() -> None:
    promise = contract(Grant(role="analyst", fields=("*",), row_filter=OWN_COUNTRIES), Grant(role="owner", fields=("*",)))
    mesh, known = policy(), BoundRules(capacity=8)
    german, french = caller("analyst", countries="DE"), caller("analyst", countries="FR")
    ruling = decide(promise, mesh, Reading(mesh, [promise]).facts(german, dt.date(2026, 11, 23)))
    assert known.of(ruling, german, promise) is known.of(ruling, german, promise)
    assert known.of(ruling, german, promise) == (Compare("country", Operator.IN, ("DE",)),)
    assert known.of(ruling, french, promise) == (Compare("country", Operator.IN, ("FR",)),)
    every = decide(promise, mesh, Reading(mesh, [promise]).facts(caller("owner"), dt.date(2026, 11, 23)))
    assert known.of(every, german, promise) == ()
