"""A JSON Schema into columns.

Types and formats that a column can have are understood, references within the document followed; combinations that
mean several types are refused with their place. Numbers are floats unless ``format: decimal``, with ``x-precision`` and
``x-scale``, says otherwise. **Source** JSON Schema 2020-12; RFC 3339 for formats.
"""

from __future__ import annotations

from typing import Any, TypeGuard

from contracts.errors import ProblemCode, quoted
from contracts.fields import Enumeration, Field, FieldType, Kind, List, Map, Record, Scalar, Unit
from contracts.names import COLUMN_MAX, column_mistake
from contracts.report import Report
from contracts.schemas.growth import COLUMNS_MAX, DEPTH_MAX, VALUES_MAX, Sizes
from contracts.yaml_source import Path

__all__ = ["json_schema_fields"]

_JSON = Scalar(Kind.JSON)
_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
_FORMATS = {
    "date": Scalar(Kind.DATE),
    "date-time": Scalar(Kind.INSTANT, unit=Unit.MICROS),
    "time": Scalar(Kind.TIME, unit=Unit.MICROS),
    "local-date-time": Scalar(Kind.LOCAL_DATETIME, unit=Unit.MICROS),
    "uuid": Scalar(Kind.UUID),
    "byte": Scalar(Kind.BYTES),
}
_INT_MAX = 2**31 - 1
_UNSUPPORTED = ("allOf", "not", "if", "patternProperties", "prefixItems", "$dynamicRef", "$recursiveRef")


def json_schema_fields(data: Any, report: Report) -> tuple[Field, ...]:
    """Read the columns of an object schema; mistakes go to ``report``, and what has none is returned."""
    reader = _Reader(data, report)
    found = reader.nullable(data, (), name="Row", depth=0)
    if found is None:
        return ()
    if not isinstance(found[0], Record):
        report.add(ProblemCode.BAD_SCHEMA, (), 'expected a JSON Schema of type "object" with "properties"')
        return ()
    return found[0].fields


class _Reader:
    def __init__(self, root: Any, report: Report) -> None:
        self.root = root
        self.report = report
        self.open_references: list[str] = []
        self.resolved: dict[str, tuple[FieldType, bool] | None] = {}
        self.sizes = Sizes()

    def refuse(self, path: Path, message: str, *, nearest: str | None = None) -> None:
        self.report.add(ProblemCode.BAD_SCHEMA, path, message, nearest=nearest)

    def nullable(self, schema: Any, path: Path, *, name: str, depth: int) -> tuple[FieldType, bool] | None:
        """Read a type; the second value says that null is not among its values."""
        if depth > DEPTH_MAX:
            self.report.add(ProblemCode.LIMIT, path, f"nested deeper than {DEPTH_MAX}")
            return None
        if schema is True:
            return _JSON, False
        if not isinstance(schema, dict):
            self.refuse(path, "expected a schema object")
            return None
        for word in _UNSUPPORTED:
            if word in schema:
                self.report.add(ProblemCode.UNSUPPORTED, (*path, word), f"{quoted(word)} does not describe one type of column")
                return None
        if "$ref" in schema:
            return self.reference(schema["$ref"], (*path, "$ref"), name=name, depth=depth)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return self.union(schema[word], (*path, word), name=name, depth=depth)
        if "enum" in schema or "const" in schema:
            return self.enumeration(schema, path, name=name, depth=depth)
        return self.typed(schema, path, name=name, depth=depth)

    def reference(self, reference: Any, path: Path, *, name: str, depth: int) -> tuple[FieldType, bool] | None:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            self.report.add(ProblemCode.BAD_REFERENCE, path, 'only references inside the document ("#/$defs/...") are followed')
            return None
        if reference in self.open_references:
            self.refuse(path, f"{quoted(reference)} contains itself; recursive schemas cannot be served")
            return None
        if reference in self.resolved:
            return self.resolved[reference]
        target, steps = self.root, []
        for part in reference[2:].split("/"):
            step = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, dict) or step not in target:
                known = target if isinstance(target, dict) else ()
                self.report.add(
                    ProblemCode.BAD_REFERENCE, path, f"{quoted(reference)} is not there", nearest=self.report.nearest(step, known)
                )
                return None
            target = target[step]
            steps.append(step)
        self.open_references.append(reference)
        found = self.nullable(target, tuple(steps), name=steps[-1][:COLUMN_MAX] or name, depth=depth + 1)
        self.open_references.pop()
        self.resolved[reference] = found
        return found

    def union(self, members: Any, path: Path, *, name: str, depth: int) -> tuple[FieldType, bool] | None:
        if not isinstance(members, list):
            self.refuse(path, "expected a list of schemas")
            return None
        others = [(index, member) for index, member in enumerate(members) if member != {"type": "null"}]
        if len(others) != 1:
            self.refuse(path, "expected one type, or one type and null; a column holds values of one type")
            return None
        index, member = others[0]
        found = self.nullable(member, (*path, index), name=name, depth=depth + 1)
        return None if found is None else (found[0], found[1] and len(members) == 1)

    def enumeration(self, schema: dict[str, Any], path: Path, *, name: str, depth: int) -> tuple[FieldType, bool] | None:
        given = schema.get("enum", [schema.get("const")])
        if not isinstance(given, list) or len(given) > COLUMNS_MAX:
            self.refuse((*path, "enum"), f"expected a list of at most {COLUMNS_MAX} values")
            return None
        symbols = [value for value in given if value is not None]
        types = schema.get("type")
        may_be_null = len(symbols) < len(given) and (types is None or (isinstance(types, list) and "null" in types))
        if symbols and all(isinstance(symbol, str) and column_mistake(symbol) is None for symbol in symbols):
            if len(set(symbols)) != len(symbols):
                self.report.add(ProblemCode.DUPLICATE, (*path, "enum"), "a value stands twice")
                return None
            title = schema.get("title")
            return Enumeration(title if isinstance(title, str) and column_mistake(title) is None else name, tuple(symbols)), not may_be_null
        if "type" in schema:
            return self.typed(schema, path, name=name, depth=depth)
        self.refuse((*path, "enum"), 'values that are not text need a "type" beside them')
        return None

    def typed(self, schema: dict[str, Any], path: Path, *, name: str, depth: int) -> tuple[FieldType, bool] | None:
        given = schema.get("type")
        if given is None:
            if "properties" not in schema:
                return _JSON, False
            given = "object"
        types = given if isinstance(given, list) else [given]
        for one in types:
            if one not in _TYPES:
                self.refuse((*path, "type"), "unknown type", nearest=self.report.nearest(one, _TYPES) if isinstance(one, str) else None)
                return None
        others = [one for one in types if one != "null"]
        if len(others) != 1:
            self.refuse((*path, "type"), "expected one type, or one type and null; a column holds values of one type")
            return None
        made = self.plain(others[0], schema, path, name=name, depth=depth)
        return None if made is None else (made, "null" not in types)

    def plain(self, kind: str, schema: dict[str, Any], path: Path, *, name: str, depth: int) -> FieldType | None:
        match kind:
            case "string" | "number" if schema.get("format") == "decimal":
                return self.decimal(schema, path)
            case "string":
                if schema.get("contentEncoding") == "base64":
                    return Scalar(Kind.BYTES)
                named = schema.get("format")
                return _FORMATS.get(named, Scalar(Kind.STRING)) if isinstance(named, str) else Scalar(Kind.STRING)
            case "number":
                return Scalar(Kind.FLOAT)
            case "integer":
                return Scalar(Kind.INT if _fits_int(schema) else Kind.LONG)
            case "boolean":
                return Scalar(Kind.BOOLEAN)
            case "array":
                if "items" not in schema:
                    return List(_JSON, item_required=False)
                item = self.nullable(schema["items"], (*path, "items"), name=name, depth=depth + 1)
                return None if item is None else List(item[0], item_required=item[1])
            case _:
                return self.object(schema, path, name=name, depth=depth)

    def decimal(self, schema: dict[str, Any], path: Path) -> Scalar | None:
        precision, scale = schema.get("x-precision", 38), schema.get("x-scale", 9)
        if type(precision) is not int or type(scale) is not int or not 1 <= precision <= 76 or not 0 <= scale <= precision:
            self.refuse(path, 'decimal needs "x-precision" from 1 to 76 and "x-scale" from 0 to that')
            return None
        return Scalar(Kind.DECIMAL, precision=precision, scale=scale)

    def object(self, schema: dict[str, Any], path: Path, *, name: str, depth: int) -> FieldType | None:
        properties = schema.get("properties")
        if properties is None:
            values = schema.get("additionalProperties")
            if not isinstance(values, dict):
                return _JSON
            value = self.nullable(values, (*path, "additionalProperties"), name=name, depth=depth + 1)
            return None if value is None else Map(value[0])
        required = schema.get("required", [])
        if not isinstance(properties, dict) or not properties or len(properties) > COLUMNS_MAX:
            self.refuse((*path, "properties"), f"expected an object with at least one and at most {COLUMNS_MAX} members")
            return None
        if not isinstance(required, list) or not all(isinstance(one, str) for one in required):
            self.refuse((*path, "required"), "expected a list of property names")
            return None
        for one in required:
            if one not in properties:
                self.refuse((*path, "required"), f"no property {quoted(one)}", nearest=self.report.nearest(one, properties))
        made: list[Field] = []
        wanted = frozenset(required)
        for key, member in properties.items():
            field = self.field(key, member, (*path, "properties", key), depth=depth, is_required=key in wanted)
            if field is not None:
                made.append(field)
        title = schema.get("title")
        record = Record(title if isinstance(title, str) and column_mistake(title) is None else name, tuple(made))
        if self.sizes.of(record) > VALUES_MAX:
            self.report.add(ProblemCode.LIMIT, path, f"means more than {VALUES_MAX} nested values")
            return None
        return record

    def field(self, key: str, member: Any, path: Path, *, depth: int, is_required: bool) -> Field | None:
        if (mistake := column_mistake(key)) is not None:
            self.report.add(ProblemCode.BAD_NAME, path, mistake)
            return None
        found = self.nullable(member, path, name=key, depth=depth + 1)
        if found is None:
            return None
        description = member.get("description") if isinstance(member, dict) else None
        return Field(
            key,
            found[0],
            required=is_required and found[1],
            description=description if isinstance(description, str) else None,
        )


def _fits_int(schema: dict[str, Any]) -> bool:
    named = schema.get("format")
    if named in ("int32", "int16", "int8"):
        return True
    least, most = schema.get("minimum"), schema.get("maximum")
    if named == "int64" or not _is_number(least) or not _is_number(most):
        return False
    return least >= -_INT_MAX - 1 and most <= _INT_MAX


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
