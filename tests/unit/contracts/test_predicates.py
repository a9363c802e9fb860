from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contracts.predicates import (
    FALSE,
    TRUE,
    And,
    Claim,
    Compare,
    Not,
    Operator,
    Or,
    Predicate,
    columns_of,
    compile_test,
    conjunction,
    disjunction,
)


def cell_of(column: str) -> Callable[[Any], Any]:
    return lambda row: row[column]


def known(predicate: Predicate, **row: object) -> bool | None:
    return compile_test(predicate, cell_of)(row)


IS_TRUE = Compare("a", Operator.EQ, 1)
IS_UNKNOWN = Compare("n", Operator.EQ, 1)
IS_FALSE = Compare("a", Operator.EQ, 2)
ROW = {"a": 1, "n": None}


@pytest.mark.parametrize(
    ("operator", "cell", "value", "holds"),
    [
        (Operator.EQ, 1, 1, True),
        (Operator.EQ, 1, 2, False),
        (Operator.NE, 1, 2, True),
        (Operator.LT, 1, 2, True),
        (Operator.LTE, 2, 2, True),
        (Operator.GT, 2, 2, False),
        (Operator.GTE, 2, 2, True),
        (Operator.IN, "DE", ("DE", "FR"), True),
        (Operator.IN, "IT", ("DE", "FR"), False),
        (Operator.IN, "IT", (), False),
        (Operator.NOT_IN, "IT", ("DE",), True),
        (Operator.NOT_IN, "DE", ("DE",), False),
        (Operator.NOT_IN, "DE", (), True),
        (Operator.CONTAINS, "straße", "aß", True),
        (Operator.CONTAINS, ["x", "y"], "y", True),
        (Operator.STARTS_WITH, "straße", "str", True),
        (Operator.STARTS_WITH, "straße", "tr", False),
        (Operator.IS_NULL, 1, True, False),
        (Operator.IS_NULL, 1, False, True),
        (Operator.IS_NULL, None, True, True),
        (Operator.IS_NULL, None, False, False),
        (Operator.LT, "Z", "a", True),
        (Operator.LT, "\uffff", "\U0001f600", True),
    ],
)
def test_comparisons(operator: Operator, cell: object, value: object, holds: bool) -> None:
    assert known(Compare("c", operator, value), c=cell) is holds


@pytest.mark.parametrize("operator", [operator for operator in Operator if operator is not Operator.IS_NULL])
def test_a_null_cell_makes_a_comparison_unknown(operator: Operator) -> None:
    value = ("x",) if operator in (Operator.IN, Operator.NOT_IN) else "x"
    assert known(Compare("c", operator, value), c=None) is None


@pytest.mark.parametrize(
    ("predicate", "result"),
    [
        (TRUE, True),
        (FALSE, False),
        (And((IS_TRUE, IS_UNKNOWN)), None),
        (And((IS_UNKNOWN, IS_FALSE)), False),
        (And((IS_TRUE, IS_TRUE)), True),
        (And((IS_TRUE,)), True),
        (Or((IS_FALSE, IS_UNKNOWN)), None),
        (Or((IS_UNKNOWN, IS_TRUE)), True),
        (Or((IS_FALSE, IS_FALSE)), False),
        (Or((IS_UNKNOWN,)), None),
        (Not(IS_TRUE), False),
        (Not(IS_FALSE), True),
        (Not(IS_UNKNOWN), None),
    ],
)
def test_logic_has_three_values(predicate: Predicate, result: bool | None) -> None:
    assert known(predicate, **ROW) is result


def test_conjunctions_and_disjunctions_are_flat() -> None:
    assert conjunction(IS_TRUE) == IS_TRUE
    assert conjunction(And((IS_TRUE, IS_FALSE)), IS_UNKNOWN) == And((IS_TRUE, IS_FALSE, IS_UNKNOWN))
    assert conjunction(TRUE, IS_TRUE) == IS_TRUE
    assert conjunction(IS_TRUE, FALSE) == FALSE
    assert conjunction() == TRUE
    assert disjunction(Or((IS_TRUE, IS_FALSE)), IS_UNKNOWN) == Or((IS_TRUE, IS_FALSE, IS_UNKNOWN))
    assert disjunction(FALSE, IS_TRUE) == IS_TRUE
    assert disjunction(IS_TRUE, TRUE) == TRUE
    assert disjunction() == FALSE


def test_every_column_that_is_read_is_named() -> None:
    predicate = And((Or((IS_TRUE, Not(IS_UNKNOWN))), Compare("c", Operator.IN, Claim("countries"))))
    assert columns_of(predicate) == {"a", "n", "c"}
    assert columns_of(TRUE) == frozenset()
