"""A decimal with more digits than its column -> the condition that says the same in the column's own digits.

Ports take values that their column could hold; who asks for more than 100.005 of a column with two places is answered all the same.
Three-valued, as the comparison itself. Pure.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from contracts.fields import FieldType, Kind, Scalar
from contracts.predicates import And, Compare, Operator, Or, Predicate

__all__ = ["fitted"]

_ROUNDED = {
    Operator.GT: ROUND_FLOOR,
    Operator.LTE: ROUND_FLOOR,
    Operator.GTE: ROUND_CEILING,
    Operator.LT: ROUND_CEILING,
}


def fitted(test: Compare, type_: FieldType) -> Predicate:
    """Say a comparison in values that a column of ``type_`` could hold."""
    if not isinstance(type_, Scalar) or type_.kind is not Kind.DECIMAL or type_.scale is None:
        return test
    places = -type_.scale
    value = test.value
    if isinstance(value, tuple):
        held = tuple(_at(it, places, ROUND_FLOOR) for it in value if not _is_between(it, places))
        if held or not value:
            return Compare(test.column, test.operator, held)
        return (_none if test.operator is Operator.IN else _any)(test.column, _at(value[0], places, ROUND_FLOOR))
    if not isinstance(value, Decimal):
        return test
    below = _at(value, places, ROUND_FLOOR)
    if not _is_between(value, places):
        return Compare(test.column, test.operator, below)
    match test.operator:
        case Operator.EQ:
            return _none(test.column, below)
        case Operator.NE:
            return _any(test.column, below)
    return Compare(test.column, test.operator, _at(value, places, _ROUNDED[test.operator]))


def _at(value: Decimal, places: int, rounding: str) -> Decimal:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= places:
        return value
    digits = Context(prec=len(value.as_tuple().digits) + abs(places) + 1)
    return value.quantize(Decimal(1).scaleb(places), rounding, digits)


def _is_between(value: Decimal, places: int) -> bool:
    """Whether a value lies between two that a column with so many digits could hold."""
    return bool(_at(value, places, ROUND_FLOOR) != value)


def _none(column: str, below: Decimal) -> Predicate:
    """Give what holds for no value, and is unknown for null."""
    return And((Compare(column, Operator.GT, below), Compare(column, Operator.LT, below)))


def _any(column: str, below: Decimal) -> Predicate:
    """Give what holds for every value, and is unknown for null."""
    return Or((Compare(column, Operator.LTE, below), Compare(column, Operator.GT, below)))
