"""The scalars of the mesh, declared with Strawberry: what a contract's kinds are called in GraphQL, and what a literal of each means.

Input values become the Python values that ports and predicates use; anything else is refused with a message that quotes only
what the caller sent.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, NewType

import strawberry
from graphql import GraphQLError, ValueNode
from graphql.language import BooleanValueNode, FloatValueNode, IntValueNode, ListValueNode, NullValueNode, ObjectValueNode, StringValueNode
from strawberry.types.scalar import ScalarDefinition

from contracts.fields import Kind

__all__ = ["NAME_OF_KIND", "SCALARS", "Base64", "Date", "DateTime", "DecimalText", "Json", "LocalDateTime", "Long", "Time", "UuidText"]

Long = NewType("Long", int)
DecimalText = NewType("DecimalText", str)
Date = NewType("Date", str)
Time = NewType("Time", str)
DateTime = NewType("DateTime", str)
LocalDateTime = NewType("LocalDateTime", str)
UuidText = NewType("UuidText", str)
Base64 = NewType("Base64", str)
Json = NewType("Json", object)

NAME_OF_KIND: dict[Kind, str] = {
    Kind.BOOLEAN: "Boolean",
    Kind.INT: "Int",
    Kind.LONG: "Long",
    Kind.FLOAT: "Float",
    Kind.DECIMAL: "Decimal",
    Kind.STRING: "String",
    Kind.BYTES: "Base64",
    Kind.UUID: "UUID",
    Kind.DATE: "Date",
    Kind.TIME: "Time",
    Kind.INSTANT: "DateTime",
    Kind.LOCAL_DATETIME: "LocalDateTime",
    Kind.JSON: "JSON",
}
"""GraphQL name of each kind's scalar."""

_INSTANT = re.compile(r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)$")
_LOCAL = re.compile(r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?$")
_DATE = re.compile(r"^\d{4}-\d\d-\d\d$")
_TIME = re.compile(r"^\d\d:\d\d:\d\d(\.\d{1,6})?$")
_DECIMAL_DIGITS_MAX = 38
_DECIMAL_TEXT_MAX = 100
_DECIMAL = re.compile(r"^-?\d{1,38}(\.\d{1,38})?$")
_NAN = Decimal("nan")


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise GraphQLError(f"{name} cannot represent a value that is not text: {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > 400:
        return "a huge number"  # Python refuses to write what has thousands of digits
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _long(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise GraphQLError(f"Long cannot represent a value outside 64 bit integers: {_shown(value)}")
    return value


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise GraphQLError(f"Decimal cannot represent: {_shown(value)}")
    text = value if isinstance(value, str) else str(value) if not isinstance(value, int) or value.bit_length() < 400 else "nan"
    try:
        number = Decimal(text) if len(text) <= _DECIMAL_TEXT_MAX else _NAN
    except InvalidOperation:
        number = _NAN
    # The exponent is looked at before the number is written out: 1e999999999 would be a text of a gigabyte.
    if not number.is_finite() or abs(number.adjusted()) > _DECIMAL_DIGITS_MAX or not _DECIMAL.match(format(number, "f")):
        raise GraphQLError(f"Decimal cannot represent: {_shown(value)}")
    return number


def _pattern(name: str, pattern: re.Pattern[str], parse: Callable[[str], Any], example: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        text = _text(value, name)
        if pattern.match(text):
            try:
                return parse(text.upper() if name != "UUID" else text)
            except (ValueError, OverflowError):
                pass
        raise GraphQLError(f"{name} cannot represent {_shown(value)}: write it as {example}")

    return read


def _instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


def _uuid(value: Any) -> str:
    text = _text(value, "UUID")
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise GraphQLError(f"UUID cannot represent: {_shown(value)}") from None


def _base64(value: Any) -> str:
    text = _text(value, "Base64")
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise GraphQLError(f"Base64 cannot represent: {_shown(value)}") from None
    return text


def _literal(name: str, parse: Callable[[Any], Any], *kinds: type[ValueNode]) -> Callable[..., Any]:
    def read(node: ValueNode, _variables: Any = None) -> Any:
        if isinstance(node, kinds) and isinstance(node, (IntValueNode, FloatValueNode, StringValueNode)):
            try:
                return parse(int(node.value) if isinstance(node, IntValueNode) and name == "Long" else node.value)
            except GraphQLError as error:
                raise GraphQLError(error.message, node) from None
        raise GraphQLError(f"{name} cannot represent this literal", node)

    return read


def _json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
    match node:
        case NullValueNode():
            return None
        case BooleanValueNode(value=value):
            return value
        case IntValueNode(value=value):
            return int(value)
        case FloatValueNode(value=value):
            return float(value)
        case ListValueNode(values=values):
            return [_json_literal(item, variables) for item in values]
        case ObjectValueNode(fields=fields):
            return {field.name.value: _json_literal(field.value, variables) for field in fields}
    return getattr(node, "value", None)


def _canonical(value: Any) -> Any:
    """Serialise as the wire does: text for what JSON has no form for."""
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            return value.isoformat()
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _scalar(name: str, description: str, parse: Callable[[Any], Any], *kinds: type[ValueNode]) -> ScalarDefinition:
    return strawberry.scalar(
        name=name,
        description=description,
        serialize=_canonical,
        parse_value=parse,
        parse_literal=_json_literal if name == "JSON" else _literal(name, parse, *kinds),
    )


SCALARS: dict[object, ScalarDefinition] = {
    Long: _scalar(
        "Long", "A signed 64 bit integer; a JSON number, or text with the header Mesh-Long: string.", _long, IntValueNode, StringValueNode
    ),
    DecimalText: _scalar("Decimal", "An exact decimal number, as text.", _decimal, StringValueNode, IntValueNode, FloatValueNode),
    Date: _scalar("Date", "A day, YYYY-MM-DD.", _pattern("Date", _DATE, dt.date.fromisoformat, '"2026-11-23"'), StringValueNode),
    Time: _scalar("Time", "A time of day, HH:MM:SS.", _pattern("Time", _TIME, dt.time.fromisoformat, '"13:45:00"'), StringValueNode),
    DateTime: _scalar(
        "DateTime",
        "An instant, RFC 3339; always answered in UTC.",
        _pattern("DateTime", _INSTANT, _instant, '"2026-11-23T13:45:00Z"'),
        StringValueNode,
    ),
    LocalDateTime: _scalar(
        "LocalDateTime",
        "A date and time without zone.",
        _pattern("LocalDateTime", _LOCAL, dt.datetime.fromisoformat, '"2026-11-23T13:45:00"'),
        StringValueNode,
    ),
    UuidText: _scalar("UUID", "A UUID in canonical text.", _uuid, StringValueNode),
    Base64: _scalar("Base64", "Bytes as base64 text.", _base64, StringValueNode),
    Json: _scalar("JSON", "Anything that JSON can hold.", lambda value: value),
}
"""Strawberry definitions by the type that stands for each in annotations."""
