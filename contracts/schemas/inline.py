"""Fields written in the contract itself into columns."""

from __future__ import annotations

import re

from contracts.document import InlineField, InlineType
from contracts.errors import ProblemCode, quoted
from contracts.fields import Enumeration, Field, FieldType, Kind, List, Map, Record, Scalar, Unit
from contracts.names import column_mistake
from contracts.report import Report
from contracts.schemas.growth import VALUES_MAX, Sizes
from contracts.yaml_source import Path

__all__ = ["inline_fields"]

_ALIASES = {
    "bool": Kind.BOOLEAN,
    "integer": Kind.INT,
    "bigint": Kind.LONG,
    "double": Kind.FLOAT,
    "text": Kind.STRING,
    "timestamp": Kind.INSTANT,
}
_KINDS = {**{kind.value: kind for kind in Kind}, **_ALIASES}
_NESTED = ("enum", "record", "list", "array", "map")
_TIMED = (Kind.TIME, Kind.INSTANT, Kind.LOCAL_DATETIME)
_DECIMAL = re.compile(r"decimal\(([0-9]{1,2}),\s*([0-9]{1,2})\)")


def inline_fields(documents: tuple[InlineField, ...], report: Report, path: Path) -> tuple[Field, ...]:
    """Read the columns; mistakes go to ``report``, and what has none is returned."""
    fields = _fields(documents, report, path)
    sizes = Sizes()
    if sum(sizes.of(field.type) for field in fields) > VALUES_MAX:
        report.add(ProblemCode.LIMIT, path, f"means more than {VALUES_MAX} nested values")
    return fields


def _fields(documents: tuple[InlineField, ...], report: Report, path: Path) -> tuple[Field, ...]:
    made: list[Field] = []
    seen: set[str] = set()
    for index, document in enumerate(documents):
        here = (*path, index)
        if (mistake := column_mistake(document.name)) is not None:
            report.add(ProblemCode.BAD_NAME, (*here, "name"), mistake)
            continue
        if document.name in seen:
            report.add(ProblemCode.DUPLICATE, (*here, "name"), f"field {quoted(document.name)} is defined twice")
            continue
        seen.add(document.name)
        type_ = _type(document, document.name, report, here)
        if type_ is not None:
            made.append(
                Field(
                    document.name,
                    type_,
                    required=document.required,
                    physical_name=document.physical_name,
                    description=document.description,
                )
            )
    return tuple(made)


def _type(document: InlineType, name: str, report: Report, path: Path) -> FieldType | None:
    match document.type:
        case "enum":
            symbols = document.symbols or ()
            if not symbols or len(set(symbols)) != len(symbols) or any(column_mistake(symbol) for symbol in symbols):
                report.add(ProblemCode.BAD_SCHEMA, path, 'enum needs "symbols", each once')
                return None
            return Enumeration(name, symbols)
        case "record":
            if not document.fields:
                report.add(ProblemCode.BAD_SCHEMA, path, 'record needs "fields"')
                return None
            return Record(name, _fields(document.fields, report, (*path, "fields")))
        case "list" | "array":
            item = _inner(document.items, "items", name, report, path)
            if item is None:
                return None
            is_required = isinstance(document.items, InlineType) and document.items.required
            return List(item, item_required=is_required or isinstance(document.items, str))
        case "map":
            value = _inner(document.values, "values", name, report, path)
            return None if value is None else Map(value)
        case _:
            return _scalar(document, report, path)


def _inner(inner: str | InlineType | None, key: str, name: str, report: Report, path: Path) -> FieldType | None:
    if inner is None:
        report.add(ProblemCode.BAD_SCHEMA, path, f"this type needs {quoted(key)}")
        return None
    if isinstance(inner, str):
        inner = InlineType(type=inner)
        return _scalar(inner, report, (*path, key))
    return _type(inner, name, report, (*path, key))


def _scalar(document: InlineType, report: Report, path: Path) -> Scalar | None:
    kind = _KINDS.get(document.type)
    if kind is None:
        if (sized := _DECIMAL.fullmatch(document.type)) is not None:
            return _decimal(int(sized[1]), int(sized[2]), report, path)
        nearest = report.nearest(document.type, (*_KINDS, *_NESTED))
        report.add(ProblemCode.BAD_SCHEMA, (*path, "type"), f"unknown type {quoted(document.type)}", nearest=nearest)
        return None
    if kind is Kind.DECIMAL:
        return _decimal(document.precision, document.scale or 0, report, path)
    if kind in _TIMED:
        return Scalar(kind, unit=Unit(document.unit or "us"))
    return Scalar(kind)


def _decimal(precision: int | None, scale: int, report: Report, path: Path) -> Scalar | None:
    if precision is None or not 1 <= precision <= 76 or scale > precision:
        report.add(ProblemCode.BAD_SCHEMA, path, 'decimal needs "precision" from 1 to 76 and "scale" from 0 to that')
        return None
    return Scalar(Kind.DECIMAL, precision=precision, scale=scale)
