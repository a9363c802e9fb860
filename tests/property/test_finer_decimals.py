"""A decimal finer than its column compares as it is written, in values that the column could hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.fields import Kind, Scalar
from contracts.predicates import Compare, Operator, Predicate, compile_test
from gateway.engine.asking.finer import fitted

ONE = (Operator.EQ, Operator.NE, Operator.LT, Operator.LTE, Operator.GT, Operator.GTE)
CELLS = st.one_of(st.none(), st.integers(-300, 300).map(lambda it: Decimal(it).scaleb(-2)))
VALUES = st.integers(-3_000_000, 3_000_000).flatmap(lambda it: st.sampled_from([Decimal(it).scaleb(-6), Decimal(it).scaleb(-2)]))
TYPE = Scalar(Kind.DECIMAL, 10, 2)


def held(test: Predicate, cell: Decimal | None) -> Any:
    return compile_test(test, lambda _: lambda row: row)(cell)


def constants(test: Any) -> list[Decimal]:
    if not isinstance(test, Compare):
        return [it for part in test.parts for it in constants(part)]
    return list(test.value) if isinstance(test.value, tuple) else [test.value]


@given(st.sampled_from(ONE), VALUES, CELLS)
def test_one_value(operator: Operator, value: Decimal, cell: Decimal | None) -> None:
    found = fitted(Compare("c", operator, value), TYPE)
    assert held(found, cell) == held(Compare("c", operator, value), cell)
    assert all(it.as_tuple().exponent >= -2 for it in constants(found))  # type: ignore[operator]  # finite ones


@given(st.sampled_from((Operator.IN, Operator.NOT_IN)), st.lists(VALUES, max_size=3).map(tuple), CELLS)
def test_lists_of_values(operator: Operator, values: tuple[Decimal, ...], cell: Decimal | None) -> None:
    found = fitted(Compare("c", operator, values), TYPE)
    assert held(found, cell) == held(Compare("c", operator, values), cell)
    assert all(it.as_tuple().exponent >= -2 for it in constants(found))  # type: ignore[operator]  # finite ones


@pytest.mark.parametrize("value", [Decimal("1E-5000"), Decimal("1E+5000"), Decimal("1." + "3" * 500), Decimal("-9" * 1 + "9" * 400 + ".5")])
def test_values_of_any_size(value: Decimal) -> None:
    for operator in ONE:
        held(fitted(Compare("c", operator, value), TYPE), Decimal("0.01"))


def test_other_columns_are_left_alone() -> None:
    for type_ in (Scalar(Kind.DECIMAL), Scalar(Kind.FLOAT), Scalar(Kind.STRING)):
        test = Compare("c", Operator.GT, "x" if type_.kind is Kind.STRING else 1.005)
        assert fitted(test, type_) is test
