"""A condition over one row: the one form that row filters, ``where`` arguments and the wire share.

Three-valued as in SQL: a comparison with a null cell is unknown, and only rows whose condition is true are kept.
Text compares by code point. Pure: rejects nothing but operators that it does not know; touches nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = [
    "FALSE",
    "TRUE",
    "Among",
    "And",
    "Claim",
    "Compare",
    "Not",
    "Operator",
    "Or",
    "Predicate",
    "columns_of",
    "comparisons_in",
    "compile_test",
    "conjunction",
    "disjunction",
]


class Operator(StrEnum):
    """How a cell is compared; ``is_null`` takes a bool, ``in`` and ``not_in`` a tuple, all others one value."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    NOT_IN = "notIn"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    CONTAINS = "contains"
    STARTS_WITH = "startsWith"
    IS_NULL = "isNull"


@dataclass(frozen=True, slots=True)
class Claim:
    """A value that the caller's token supplies: the claim at ``path`` (dots descend)."""

    path: str


@dataclass(frozen=True, slots=True)
class Compare:
    """``column operator value``; the value is a Python value of the column's type, a tuple of them, or a `Claim`."""

    column: str
    operator: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class Among:
    """The cells of ``columns``, together, are one of ``values``; unknown if one of them is null.

    For keys of several columns, which no tree of comparisons says as shortly. The wire has no words for it: who holds the rows tests it.
    """

    columns: tuple[str, ...]
    values: AbstractSet[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class And:
    """All hold; of none: true."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One holds; of none: false."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold (unknown stays unknown)."""

    part: Predicate


Predicate = Compare | Among | And | Or | Not
TRUE = And(())
FALSE = Or(())


def conjunction(*parts: Predicate) -> Predicate:
    """Join conditions that must all hold, without needless nesting."""
    kept: list[Predicate] = []
    for part in parts:
        if part is FALSE or part == FALSE:
            return FALSE
        kept.extend(part.parts if isinstance(part, And) else (part,))
    return kept[0] if len(kept) == 1 else And(tuple(kept)) if kept else TRUE


def disjunction(*parts: Predicate) -> Predicate:
    """Join conditions of which one must hold, without needless nesting."""
    kept: list[Predicate] = []
    for part in parts:
        if part is TRUE or part == TRUE:
            return TRUE
        kept.extend(part.parts if isinstance(part, Or) else (part,))
    return kept[0] if len(kept) == 1 else Or(tuple(kept)) if kept else FALSE


def columns_of(predicate: Predicate) -> frozenset[str]:
    """Name every column that the condition reads."""
    match predicate:
        case Compare(column=column):
            return frozenset((column,))
        case Among(columns=columns):
            return frozenset(columns)
        case And(parts=parts) | Or(parts=parts):
            return frozenset().union(*map(columns_of, parts))
        case Not(part=part):
            return columns_of(part)


def comparisons_in(predicate: Predicate) -> int:
    """Count the comparisons that deciding a condition takes at most."""
    match predicate:
        case And(parts=parts) | Or(parts=parts):
            return sum(map(comparisons_in, parts))
        case Not(part=part):
            return comparisons_in(part)
    return 1


Test = Callable[[Any], bool | None]
_BINARY: Mapping[Operator, Callable[[Any, Any], Any]] = {
    Operator.EQ: operator.eq,
    Operator.NE: operator.ne,
    Operator.LT: operator.lt,
    Operator.LTE: operator.le,
    Operator.GT: operator.gt,
    Operator.GTE: operator.ge,
    Operator.CONTAINS: operator.contains,
    Operator.STARTS_WITH: lambda cell, value: cell.startswith(value),
}


def compile_test(predicate: Predicate, cell_of: Callable[[str], Callable[[Any], Any]]) -> Test:
    """Compile a condition to a function row -> True, False or None (unknown).

    ``cell_of(column)`` gives the function that takes a row to its cell. `Claim` values must be bound before.
    """
    match predicate:
        case Compare(column=column, operator=op, value=value):
            return _comparison(cell_of(column), op, value)
        case Among(columns=columns, values=values):
            return _membership(tuple(cell_of(column) for column in columns), values)
        case Not(part=part):
            inner = compile_test(part, cell_of)
            return lambda row: None if (known := inner(row)) is None else not known
        case And(parts=parts):
            tests = tuple(compile_test(part, cell_of) for part in parts)
            return tests[0] if len(tests) == 1 else lambda row: _all(tests, row)
        case Or(parts=parts):
            tests = tuple(compile_test(part, cell_of) for part in parts)
            return tests[0] if len(tests) == 1 else lambda row: _any(tests, row)


def _comparison(cell: Callable[[Any], Any], op: Operator, value: Any) -> Test:
    if op is Operator.IS_NULL:
        return lambda row: (cell(row) is None) is value
    if op is Operator.IN:
        wanted = frozenset(value)
        if not wanted:
            return lambda row: False
        return lambda row: None if (found := cell(row)) is None else found in wanted
    if op is Operator.NOT_IN:
        unwanted = frozenset(value)
        if not unwanted:
            return lambda row: True
        return lambda row: None if (found := cell(row)) is None else found not in unwanted
    holds = _BINARY[op]
    return lambda row: None if (found := cell(row)) is None else holds(found, value)


def _membership(cells: tuple[Callable[[Any], Any], ...], values: AbstractSet[tuple[Any, ...]]) -> Test:
    def test(row: Any) -> bool | None:
        key = tuple([cell(row) for cell in cells])
        return None if None in key else key in values

    return test


def _all(tests: tuple[Test, ...], row: Any) -> bool | None:
    result: bool | None = True
    for test in tests:
        known = test(row)
        if known is False:
            return False
        if known is None:
            result = None
    return result


def _any(tests: tuple[Test, ...], row: Any) -> bool | None:
    result: bool | None = False
    for test in tests:
        known = test(row)
        if known is True:
            return True
        if known is None:
            result = None
    return result
