"""Row filters as contracts write them into predicates over typed columns.

``{country: {in: "$claims.countries"}}``: several columns, and several comparisons of one, must all hold; ``and``, ``or``,
``not`` combine. A text ``$claims.path`` stands for a claim; ``$$`` begins a text that begins with a dollar. Rejects unknown
columns, operators that the column's type does not have, and values that it cannot hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.access_document import ConditionDocument, RowFilterDocument
from contracts.errors import ProblemCode, quoted
from contracts.fields import Enumeration, Field, FieldType, Kind, List, Scalar
from contracts.literals import literal
from contracts.names import CLAIM_PATH
from contracts.predicates import FALSE, Claim, Compare, Not, Operator, Predicate, conjunction, disjunction
from contracts.report import Report
from contracts.yaml_source import Path

__all__ = ["operators_of", "row_filter"]

_EQUALITY = frozenset({Operator.EQ, Operator.NE, Operator.IN, Operator.NOT_IN, Operator.IS_NULL})
_ORDER = _EQUALITY | {Operator.LT, Operator.LTE, Operator.GT, Operator.GTE}
_TEXT = _ORDER | {Operator.CONTAINS, Operator.STARTS_WITH}
_VALUES_MAX = 1_000


def operators_of(type_: FieldType) -> frozenset[Operator]:
    """Name the operators that columns of ``type_`` have."""
    match type_:
        case Scalar(kind=Kind.STRING):
            return _TEXT
        case Scalar(kind=Kind.BOOLEAN) | Enumeration():
            return _EQUALITY
        case Scalar(kind=Kind.JSON | Kind.BYTES):
            return frozenset({Operator.IS_NULL})
        case Scalar():
            return _ORDER
        case List(item=Enumeration() | Scalar(kind=Kind.STRING)):
            return frozenset({Operator.CONTAINS, Operator.IS_NULL})
        case _:
            return frozenset({Operator.IS_NULL})


def row_filter(document: RowFilterDocument, columns: Mapping[str, Field], report: Report, path: Path) -> Predicate:
    """Make the predicate of a row filter; where something is wrong ``report`` says so and the part holds for no row."""
    parts: list[Predicate] = []
    for column, condition in (document.model_extra or {}).items():
        field = columns.get(column)
        if field is None:
            message = f"no column {quoted(column)}"
            report.add(ProblemCode.UNKNOWN_COLUMN, (*path, column), message, nearest=report.nearest(column, columns))
            parts.append(FALSE)
        else:
            parts.append(_condition(condition, field, report, (*path, column)))
    if document.and_ is not None:
        parts.extend(row_filter(part, columns, report, (*path, "and", index)) for index, part in enumerate(document.and_))
    if document.or_ is not None:
        parts.append(disjunction(*(row_filter(part, columns, report, (*path, "or", index)) for index, part in enumerate(document.or_))))
    if document.not_ is not None:
        parts.append(Not(row_filter(document.not_, columns, report, (*path, "not"))))
    if not parts:
        report.add(ProblemCode.CONTRADICTION, path, "an empty filter; leave it out if every row may be seen")
        return FALSE
    return conjunction(*parts)


def _condition(condition: ConditionDocument, field: Field, report: Report, path: Path) -> Predicate:
    compares: list[Predicate] = []
    known = operators_of(field.type)
    for name in type(condition).model_fields:
        if name not in condition.model_fields_set:
            continue
        operator = Operator(str(type(condition).model_fields[name].alias))
        here = (*path, operator.value)
        if operator not in known:
            listed = ", ".join(sorted(known))
            report.add(ProblemCode.UNFIT_COLUMN, here, f"column {quoted(field.name)} has no such operator, only {listed}")
            continue
        try:
            compares.append(Compare(field.name, operator, _value(getattr(condition, name), operator, field.type)))
        except ValueError as error:
            report.add(ProblemCode.WRONG_VALUE, here, str(error))
    if not condition.model_fields_set:
        report.add(ProblemCode.CONTRADICTION, path, "names no comparison")
    return conjunction(*compares) if compares else FALSE


def _value(given: Any, operator: Operator, type_: FieldType) -> Any:
    if operator is Operator.IS_NULL:
        if not isinstance(given, bool):
            raise ValueError("expected true or false")
        return given
    if isinstance(given, str) and given.startswith("$") and not given.startswith("$$"):
        return _claim(given)
    if operator not in (Operator.IN, Operator.NOT_IN):
        return _one(given, type_)
    if not isinstance(given, list) or not given or len(given) > _VALUES_MAX:
        raise ValueError(f'expected a list of one to {_VALUES_MAX} values, or a claim such as "$claims.countries"')
    return tuple(_one(item, type_) for item in given)


def _claim(given: str) -> Claim:
    path = given.removeprefix("$claims.")
    if path == given or len(path) > 200 or CLAIM_PATH.fullmatch(path) is None:
        raise ValueError('expected a claim such as "$claims.countries"; a text that begins with a dollar is written with two')
    return Claim(path)


def _one(given: Any, type_: FieldType) -> Any:
    if isinstance(given, str) and given.startswith("$"):
        if not given.startswith("$$"):
            raise ValueError("a claim stands for the whole value, not for one of a list")
        given = given[1:]
    if given is None:
        raise ValueError("nothing equals null; use isNull")
    return literal(given, type_.item if isinstance(type_, List) else type_)
