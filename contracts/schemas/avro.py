"""An Avro schema into columns.

A union with null is a column that need not hold a value; all other unions, recursion and what Avro itself forbids are
refused, each with its place. Unknown logical types are their underlying type, as Avro says. **Source** Avro 1.12.
"""

from __future__ import annotations

import re
from typing import Any

from contracts.errors import ProblemCode, quoted
from contracts.fields import Enumeration, Field, FieldType, Kind, List, Map, Record, Scalar, Unit
from contracts.names import column_mistake
from contracts.report import Report
from contracts.schemas.growth import COLUMNS_MAX, DEPTH_MAX, VALUES_MAX, Sizes
from contracts.yaml_source import Path

__all__ = ["avro_fields"]

_PRIMITIVES = {
    "boolean": Scalar(Kind.BOOLEAN),
    "int": Scalar(Kind.INT),
    "long": Scalar(Kind.LONG),
    "float": Scalar(Kind.FLOAT),
    "double": Scalar(Kind.FLOAT),
    "bytes": Scalar(Kind.BYTES),
    "string": Scalar(Kind.STRING),
}
_LOGICAL: dict[tuple[str, str], Scalar] = {
    ("string", "uuid"): Scalar(Kind.UUID),
    ("int", "date"): Scalar(Kind.DATE),
    ("int", "time-millis"): Scalar(Kind.TIME, unit=Unit.MILLIS),
    ("long", "time-micros"): Scalar(Kind.TIME, unit=Unit.MICROS),
    ("long", "timestamp-millis"): Scalar(Kind.INSTANT, unit=Unit.MILLIS),
    ("long", "timestamp-micros"): Scalar(Kind.INSTANT, unit=Unit.MICROS),
    ("long", "timestamp-nanos"): Scalar(Kind.INSTANT, unit=Unit.NANOS),
    ("long", "local-timestamp-millis"): Scalar(Kind.LOCAL_DATETIME, unit=Unit.MILLIS),
    ("long", "local-timestamp-micros"): Scalar(Kind.LOCAL_DATETIME, unit=Unit.MICROS),
    ("long", "local-timestamp-nanos"): Scalar(Kind.LOCAL_DATETIME, unit=Unit.NANOS),
}
_COMPLEX = ("record", "enum", "array", "map", "fixed")
_PRECISION_MAX = 76
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def avro_fields(data: Any, report: Report) -> tuple[Field, ...]:
    """Read the columns of a record schema; mistakes go to ``report``, and what has none is returned."""
    if not isinstance(data, dict) or data.get("type") != "record":
        report.add(ProblemCode.BAD_SCHEMA, (), 'expected an Avro schema of type "record"')
        return ()
    type_ = _Reader(report).complex(data, (), namespace="", depth=0)
    return type_.fields if isinstance(type_, Record) else ()


class _Reader:
    def __init__(self, report: Report) -> None:
        self.report = report
        self.named: dict[str, FieldType | None] = {}  # None: named, and still being read
        self.sizes = Sizes()

    def refuse(self, path: Path, message: str, *, nearest: str | None = None) -> None:
        self.report.add(ProblemCode.BAD_SCHEMA, path, message, nearest=nearest)

    def nullable(self, schema: Any, path: Path, *, namespace: str, depth: int) -> tuple[FieldType, bool] | None:
        """Read a type that may be a union with null; the second value says that it is not."""
        if not isinstance(schema, list):
            type_ = self.type(schema, path, namespace=namespace, depth=depth)
            return None if type_ is None else (type_, True)
        others = [(index, member) for index, member in enumerate(schema) if member not in ("null", {"type": "null"})]
        if len(others) != 1:
            expected = "a union of null and one other type" if others else "a union with a type beside null"
            self.refuse(path, f"expected {expected}; a column holds values of one type")
            return None
        index, member = others[0]
        type_ = self.type(member, (*path, index), namespace=namespace, depth=depth)
        return None if type_ is None else (type_, len(schema) == 1)

    def type(self, schema: Any, path: Path, *, namespace: str, depth: int) -> FieldType | None:
        if depth > DEPTH_MAX:
            self.report.add(ProblemCode.LIMIT, path, f"nested deeper than {DEPTH_MAX}")
            return None
        if isinstance(schema, str):
            return self.reference(schema, path, namespace)
        if isinstance(schema, list):
            self.refuse(path, "a union directly inside a union is not allowed")
            return None
        if not isinstance(schema, dict):
            self.refuse(path, "expected a type name, an object or a union")
            return None
        name = schema.get("type")
        if name in _COMPLEX:
            return self.complex(schema, path, namespace=namespace, depth=depth)
        if isinstance(name, (dict, list)):
            return self.type(name, (*path, "type"), namespace=namespace, depth=depth + 1)
        if not isinstance(name, str):
            self.refuse(path, 'needs "type"')
            return None
        if schema.get("logicalType") == "decimal" and name == "bytes":
            return self.decimal(schema, path, digits_max=_PRECISION_MAX)
        logical = schema.get("logicalType")
        if isinstance(logical, str) and (name, logical) in _LOGICAL:
            return _LOGICAL[name, logical]
        return self.reference(name, (*path, "type"), namespace)

    def reference(self, name: str, path: Path, namespace: str) -> FieldType | None:
        if name in _PRIMITIVES:
            return _PRIMITIVES[name]
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if full not in self.named:
            full = name
        if full not in self.named:
            nearest = self.report.nearest(name, (*_PRIMITIVES, *_COMPLEX, *self.named))
            self.refuse(path, f"unknown type {quoted(name)}", nearest=nearest)
            return None
        found = self.named[full]
        if found is None:
            self.refuse(path, f"type {quoted(name)} contains itself; recursive schemas cannot be served")
        return found

    def complex(self, schema: dict[str, Any], path: Path, *, namespace: str, depth: int) -> FieldType | None:
        kind = schema["type"]
        if kind == "array":
            item = self.nullable(schema.get("items"), (*path, "items"), namespace=namespace, depth=depth + 1)
            return None if item is None else List(item[0], item_required=item[1])
        if kind == "map":
            value = self.nullable(schema.get("values"), (*path, "values"), namespace=namespace, depth=depth + 1)
            return None if value is None else Map(value[0])
        name = self.full_name(schema, path, namespace)
        if name is None:
            return None
        self.named[name] = None
        made: FieldType | None
        if kind == "record":
            made = self.record(schema, path, name, depth=depth)
        elif kind == "enum":
            made = self.enumeration(schema, path, name)
        else:
            made = self.fixed(schema, path)
        if made is None:
            del self.named[name]
        else:
            self.named[name] = made
        return made

    def full_name(self, schema: dict[str, Any], path: Path, namespace: str) -> str | None:
        name, space = schema.get("name"), schema.get("namespace", namespace)
        if not isinstance(name, str) or not isinstance(space, str):
            self.refuse(path, f'{schema["type"]} needs a "name" that is text')
            return None
        full = name if "." in name or not space else f"{space}.{name}"
        if not all(_NAME.fullmatch(part) for part in full.split(".")):
            self.report.add(ProblemCode.BAD_NAME, (*path, "name"), f"{quoted(full)} is no Avro name (letters, digits, underscores)")
            return None
        if full in self.named:
            self.report.add(ProblemCode.DUPLICATE, (*path, "name"), f"type {quoted(full)} is defined twice")
            return None
        return full

    def record(self, schema: dict[str, Any], path: Path, name: str, *, depth: int) -> Record | None:
        members = schema.get("fields")
        if not isinstance(members, list) or not members:
            self.refuse(path, 'a record needs "fields"')
            return None
        if len(members) > COLUMNS_MAX:
            self.report.add(ProblemCode.LIMIT, (*path, "fields"), f"has more than {COLUMNS_MAX} fields")
            return None
        seen: set[str] = set()
        fields: list[Field] = []
        for index, member in enumerate(members):
            field = self.field(member, (*path, "fields", index), namespace=name.rpartition(".")[0], depth=depth, seen=seen)
            if field is not None:
                fields.append(field)
        record = Record(name.rpartition(".")[2], tuple(fields))
        if self.sizes.of(record) > VALUES_MAX:
            self.report.add(ProblemCode.LIMIT, path, f"means more than {VALUES_MAX} nested values")
            return None
        return record

    def field(self, member: Any, path: Path, *, namespace: str, depth: int, seen: set[str]) -> Field | None:
        if not isinstance(member, dict) or not isinstance(member.get("name"), str) or "type" not in member:
            self.refuse(path, 'a field needs "name" and "type"')
            return None
        name: str = member["name"]
        if (mistake := column_mistake(name)) is not None:
            self.report.add(ProblemCode.BAD_NAME, (*path, "name"), mistake)
            return None
        if name in seen:
            self.report.add(ProblemCode.DUPLICATE, (*path, "name"), f"field {quoted(name)} is defined twice")
            return None
        seen.add(name)
        type_ = self.nullable(member["type"], (*path, "type"), namespace=namespace, depth=depth + 1)
        if type_ is None:
            return None
        doc = member.get("doc")
        return Field(name, type_[0], required=type_[1], description=doc if isinstance(doc, str) else None)

    def enumeration(self, schema: dict[str, Any], path: Path, name: str) -> Enumeration | None:
        symbols = schema.get("symbols")
        if not isinstance(symbols, list) or not symbols or len(symbols) > COLUMNS_MAX:
            self.refuse(path, f'an enum needs "symbols", at most {COLUMNS_MAX}')
            return None
        if not all(isinstance(symbol, str) and _NAME.fullmatch(symbol) for symbol in symbols):
            self.refuse((*path, "symbols"), "symbols are letters, digits and underscores")
            return None
        if len(set(symbols)) != len(symbols):
            self.report.add(ProblemCode.DUPLICATE, (*path, "symbols"), "a symbol stands twice")
            return None
        return Enumeration(name.rpartition(".")[2], tuple(symbols))

    def fixed(self, schema: dict[str, Any], path: Path) -> Scalar | None:
        size = schema.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= 1_000_000:
            self.refuse(path, 'fixed needs a "size" in bytes')
            return None
        if schema.get("logicalType") == "decimal":
            digits = len(str(2 ** (8 * min(size, 64) - 1) - 1)) - 1
            return self.decimal(schema, path, digits_max=min(digits, _PRECISION_MAX))
        if schema.get("logicalType") == "uuid" and size == 16:
            return Scalar(Kind.UUID)
        return Scalar(Kind.BYTES)

    def decimal(self, schema: dict[str, Any], path: Path, *, digits_max: int) -> Scalar | None:
        precision, scale = schema.get("precision"), schema.get("scale", 0)
        if type(precision) is not int or not 1 <= precision <= digits_max:
            self.refuse(path, f'decimal needs a "precision" from 1 to {digits_max}')
            return None
        if type(scale) is not int or not 0 <= scale <= precision:
            self.refuse(path, 'decimal needs a "scale" from 0 to its precision')
            return None
        return Scalar(Kind.DECIMAL, precision=precision, scale=scale)
