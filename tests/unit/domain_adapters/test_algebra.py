"""What can be asked of a type, and what comes out."""

from __future__ import annotations

import pytest

from contracts.fields import Enumeration, FieldType, Kind, List, Scalar
from contracts.predicates import Operator
from domain_adapters.algebra import AGGREGATES, aggregate_type, is_sortable, operators_of, truncations_of

MONEY, ANY = Scalar(Kind.DECIMAL, 10, 2), Scalar(Kind.DECIMAL)
LONG, FLOAT, INT, TEXT = Scalar(Kind.LONG), Scalar(Kind.FLOAT), Scalar(Kind.INT), Scalar(Kind.STRING)
NESTED = List(TEXT)

RESULTS: list[tuple[str, FieldType | None, FieldType | None]] = [
    ("count", None, LONG),
    ("count", NESTED, LONG),
    ("countDistinct", TEXT, LONG),
    ("countDistinct", NESTED, None),
    ("sum", None, None),
    ("sum", INT, LONG),
    ("sum", LONG, Scalar(Kind.DECIMAL, 38, 0)),
    ("sum", FLOAT, FLOAT),
    ("sum", MONEY, Scalar(Kind.DECIMAL, 38, 2)),
    ("sum", ANY, ANY),
    ("sum", TEXT, None),
    ("sum", Enumeration("E", ("A",)), None),
    ("avg", INT, FLOAT),
    ("avg", LONG, FLOAT),
    ("avg", MONEY, Scalar(Kind.DECIMAL, 38, 6)),
    ("avg", Scalar(Kind.DECIMAL, 20, 9), Scalar(Kind.DECIMAL, 38, 9)),
    ("avg", ANY, ANY),
    ("avg", Scalar(Kind.DATE), None),
    ("min", Scalar(Kind.DATE), Scalar(Kind.DATE)),
    ("max", TEXT, TEXT),
    ("max", Scalar(Kind.JSON), None),
    ("median", LONG, None),
]


@pytest.mark.parametrize(("function", "type_", "result"), RESULTS)
def test_a_total_has_one_type_everywhere(function: str, type_: FieldType | None, result: FieldType | None) -> None:
    assert aggregate_type(function, type_) == result


def test_nested_values_can_only_be_null_or_not() -> None:
    for type_ in (NESTED, Scalar(Kind.JSON)):
        assert operators_of(type_) == {Operator.IS_NULL}
        assert not is_sortable(type_)
        assert [name for name in AGGREGATES if aggregate_type(name, type_)] == ["count"]


def test_text_alone_can_be_searched() -> None:
    assert operators_of(TEXT) == set(Operator)
    assert Operator.CONTAINS not in operators_of(Enumeration("E", ("A",)))
    assert Operator.LT in operators_of(Scalar(Kind.UUID))


def test_dates_are_cut_to_days_and_instants_to_seconds() -> None:
    assert truncations_of(Scalar(Kind.DATE))[-1] == "day"
    assert truncations_of(Scalar(Kind.INSTANT))[-1] == "second"
    assert truncations_of(Scalar(Kind.LOCAL_DATETIME))[-1] == "second"
    assert truncations_of(LONG) == truncations_of(NESTED) == ()
