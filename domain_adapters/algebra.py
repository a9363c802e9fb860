"""What the columns of a type can be asked: comparisons, aggregates, truncations, and the type that comes out.

Client, server and conformance suite share it, so that a total has one wire form everywhere. Pure; rejects nothing, says None.
"""

from __future__ import annotations

from contracts.fields import Enumeration, FieldType, Kind, Scalar
from contracts.predicates import Operator

__all__ = ["AGGREGATES", "TRUNCATIONS", "aggregate_type", "is_sortable", "operators_of", "truncations_of"]

AGGREGATES = ("count", "countDistinct", "sum", "avg", "min", "max")
_DATE_PARTS = ("year", "quarter", "month", "week", "day")
_TIME_PARTS = ("hour", "minute", "second")
TRUNCATIONS = _DATE_PARTS + _TIME_PARTS

_COUNTED = Scalar(Kind.LONG)
_DECIMAL_DIGITS_MAX = 38
_AVERAGE_SCALE_MIN = 6
_NULLITY = frozenset({Operator.IS_NULL})
_EQUALITY = _NULLITY | {Operator.EQ, Operator.NE, Operator.IN, Operator.NOT_IN}
_ORDER = _EQUALITY | {Operator.LT, Operator.LTE, Operator.GT, Operator.GTE}
_TEXT = frozenset(Operator)


def is_sortable(type_: FieldType) -> bool:
    """Whether rows can be ordered, grouped and looked up by such a column: everything flat but JSON."""
    return isinstance(type_, Enumeration) or (isinstance(type_, Scalar) and type_.kind is not Kind.JSON)


def operators_of(type_: FieldType) -> frozenset[Operator]:
    """Name the comparisons that a column of this type can be filtered by; nested values can only be null or not."""
    if not is_sortable(type_):
        return _NULLITY
    if isinstance(type_, Scalar) and type_.kind is Kind.STRING:
        return _TEXT
    return _ORDER


def aggregate_type(function: str, type_: FieldType | None) -> FieldType | None:
    """Give the type of ``function`` over a column of ``type_`` (None: over rows), or None where there is no such thing.

    Sums widen (int to long, long to 38 digits), averages of decimals are decimals with at least six digits after the
    point, rounded half up; averages of all else are floats.
    """
    if function == "count":
        return _COUNTED
    if type_ is None or not is_sortable(type_):
        return None
    match function:
        case "countDistinct":
            return _COUNTED
        case "min" | "max":
            return type_
        case "sum":
            return _sum_type(type_)
        case "avg":
            return _average_type(type_)
    return None


def truncations_of(type_: FieldType) -> tuple[str, ...]:
    """Name the date parts that a grouping column of this type can be cut to."""
    if isinstance(type_, Scalar):
        if type_.kind is Kind.DATE:
            return _DATE_PARTS
        if type_.kind in (Kind.INSTANT, Kind.LOCAL_DATETIME):
            return TRUNCATIONS
    return ()


def _sum_type(type_: FieldType) -> Scalar | None:
    match type_:
        case Scalar(kind=Kind.INT):
            return Scalar(Kind.LONG)
        case Scalar(kind=Kind.LONG):
            return Scalar(Kind.DECIMAL, precision=_DECIMAL_DIGITS_MAX, scale=0)
        case Scalar(kind=Kind.DECIMAL, precision=None):
            return Scalar(Kind.DECIMAL)
        case Scalar(kind=Kind.DECIMAL, scale=scale):
            return Scalar(Kind.DECIMAL, precision=_DECIMAL_DIGITS_MAX, scale=scale or 0)
        case Scalar(kind=Kind.FLOAT):
            return Scalar(Kind.FLOAT)
    return None


def _average_type(type_: FieldType) -> Scalar | None:
    match type_:
        case Scalar(kind=Kind.DECIMAL, precision=None):
            return Scalar(Kind.DECIMAL)
        case Scalar(kind=Kind.DECIMAL, scale=scale):
            return Scalar(Kind.DECIMAL, precision=_DECIMAL_DIGITS_MAX, scale=max(scale or 0, _AVERAGE_SCALE_MIN))
        case Scalar(kind=Kind.INT | Kind.LONG | Kind.FLOAT):
            return Scalar(Kind.FLOAT)
    return None
