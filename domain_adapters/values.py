"""Turns the wire's JSON values into Python values of a contract's types and back, one table for every reader and writer.

The gateway's slow gear, the server's request decoding and the conformance suite all use it. It rejects what does not fit the
type, without ever quoting the value, and touches nothing. Numbers with a fraction should arrive as `Decimal` (see `wire.raw_json`),
so that no decimal has been through a float.
"""

from __future__ import annotations

import binascii
import datetime as dt
import re
from base64 import b64decode
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from contracts.fields import Enumeration, Field, FieldType, Kind, List, Map, Record, Scalar, Unit
from domain_adapters.clocks import instant_parser, local_parser, parse_date, time_parser
from domain_adapters.errors import ValueMismatchError
from domain_adapters.numbers import decimal_parser, integer_parser, parse_float

__all__ = ["ValueMismatchError", "canonical_instant", "emit", "emitter_of", "parse", "parser_of"]

Parse = Callable[[Any], Any]

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


def parse(type_: FieldType, raw: Any) -> Any:
    """Turn a wire value into a Python value; null stays None.

    Raises: `ValueMismatchError`. Source: SPEC B6.
    """
    return parser_of(type_)(raw)


@lru_cache(maxsize=4096)
def parser_of(type_: FieldType) -> Parse:
    """Give the function that parses one type, for callers with many cells of it."""
    match type_:
        case Scalar(kind=kind):
            inner = _scalar_parser(kind, type_)
        case Enumeration(symbols=symbols):
            inner = _enumeration(frozenset(symbols))
        case Record(fields=fields):
            inner = _record(fields)
        case List(item=item, item_required=required):
            inner = _list(parser_of(item), required)
        case Map(value=value):
            inner = _map(parser_of(value))
    return lambda raw: None if raw is None else inner(raw)


def emit(type_: FieldType, value: Any) -> Any:
    """Turn a Python value into what our own ports put on the wire; None stays null.

    Raises: `ValueMismatchError` if the value is not of the type or cannot be written without loss.
    """
    return emitter_of(type_)(value)


@lru_cache(maxsize=4096)
def emitter_of(type_: FieldType) -> Parse:
    """Give the function that emits one type, for callers with many cells of it."""
    match type_:
        case Record(fields=fields):
            inner = _record_emitter(fields)
        case List(item=item, item_required=required):
            inner = _list(emitter_of(item), required)
        case Map(value=value):
            inner = _map(emitter_of(value))
        case _:
            inner = _scalar_emitter(type_)
    return lambda value: None if value is None else inner(value)


def canonical_instant(value: dt.datetime) -> str:
    """Write an instant as RFC 3339 in UTC with ``Z``, microseconds only when there are any.

    Raises: `ValueMismatchError` if it has no zone.
    """
    if value.utcoffset() is None:
        raise ValueMismatchError("an instant needs a zone")
    try:
        return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat() + "Z"
    except OverflowError:
        raise ValueMismatchError("the instant lies outside the years 1 to 9999") from None


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    raise ValueMismatchError.of("true or false")


def _string(raw: Any) -> str:
    if isinstance(raw, str):
        return raw
    raise ValueMismatchError.of("text")


def _bytes(raw: Any) -> str:
    if isinstance(raw, str):
        try:
            b64decode(raw, validate=True)
        except (binascii.Error, ValueError):
            pass
        else:
            return raw
    raise ValueMismatchError.of("base64 text")


def _uuid(raw: Any) -> str:
    if isinstance(raw, str) and _UUID.fullmatch(raw):
        return raw.lower()
    raise ValueMismatchError.of("a UUID")


def _json(raw: Any) -> Any:
    """Plain JSON again: exact numbers become floats, as JSON's readers know them."""
    if isinstance(raw, Decimal):
        return parse_float(raw)
    if isinstance(raw, int) and not -(1 << 63) <= raw < 1 << 64:
        raise ValueMismatchError.of("integers of 64 bits")
    if isinstance(raw, list):
        return [_json(item) for item in raw]
    if isinstance(raw, dict):
        return {key: _json(value) for key, value in raw.items()}
    return raw


def _enumeration(symbols: frozenset[str]) -> Parse:
    def parse_symbol(raw: Any) -> str:
        if isinstance(raw, str) and raw in symbols:
            return raw
        raise ValueMismatchError.of("one of the declared symbols")

    return parse_symbol


def _record(fields: tuple[Field, ...]) -> Parse:
    members = tuple((field.name, field.physical_name or field.name, parser_of(field.type)) for field in fields)

    def parse_record(raw: Any) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise ValueMismatchError.of("an object")
        return {name: inner(raw[name] if name in raw else raw.get(physical)) for name, physical, inner in members}

    return parse_record


def _list(inner: Parse, item_required: bool) -> Parse:
    def each(raw: Any) -> list[Any]:
        if not isinstance(raw, (list, tuple)):
            raise ValueMismatchError.of("an array")
        items = [inner(item) for item in raw]
        if item_required and None in items:
            raise ValueMismatchError.of("an array without nulls")
        return items

    return each


def _map(inner: Parse) -> Parse:
    def each(raw: Any) -> dict[str, Any]:
        if not isinstance(raw, dict) or not all(isinstance(key, str) for key in raw):
            raise ValueMismatchError.of("an object")
        return {key: inner(value) for key, value in raw.items()}

    return each


def _scalar_parser(kind: Kind, type_: Scalar) -> Parse:
    match kind:
        case Kind.INT:
            return integer_parser(32)
        case Kind.LONG:
            return integer_parser(64)
        case Kind.DECIMAL:
            return decimal_parser(type_)
        case Kind.TIME:
            return time_parser(type_.unit)
        case Kind.INSTANT:
            return instant_parser(type_.unit)
        case Kind.LOCAL_DATETIME:
            return local_parser(type_.unit)
        case _:
            return _SIMPLE[kind]


_SIMPLE: dict[Kind, Parse] = {
    Kind.BOOLEAN: _boolean,
    Kind.FLOAT: parse_float,
    Kind.STRING: _string,
    Kind.BYTES: _bytes,
    Kind.UUID: _uuid,
    Kind.DATE: parse_date,
    Kind.JSON: _json,
}


def _scalar_emitter(type_: Scalar | Enumeration) -> Parse:
    if isinstance(type_, Scalar):
        match type_.kind:
            case Kind.DECIMAL:
                return _decimal_emitter(type_)
            case Kind.DATE | Kind.TIME | Kind.LOCAL_DATETIME:
                return _clock_emitter(type_.kind)
            case Kind.INSTANT if type_.unit is not Unit.NANOS:
                return _instant_emitter
    return parser_of(type_)


def _decimal_emitter(type_: Scalar) -> Parse:
    fit = parser_of(type_)
    return lambda value: format(fit(value), "f")


def _instant_emitter(value: Any) -> str:
    if not isinstance(value, dt.datetime):
        raise ValueMismatchError.of("an instant with a zone")
    return canonical_instant(value)


def _clock_emitter(kind: Kind) -> Parse:
    def emit_clock(value: Any) -> str:
        match kind:
            case Kind.DATE if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
                return value.isoformat()
            case Kind.TIME if isinstance(value, dt.time) and value.tzinfo is None:
                return value.isoformat()
            case Kind.LOCAL_DATETIME if isinstance(value, dt.datetime) and value.tzinfo is None:
                return value.isoformat()
        raise ValueMismatchError.of(f"a {kind.value}")

    return emit_clock


def _record_emitter(fields: tuple[Field, ...]) -> Parse:
    members = tuple((field.name, emitter_of(field.type)) for field in fields)

    def emit_record(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueMismatchError.of("an object")
        return {name: inner(value.get(name)) for name, inner in members}

    return emit_record
