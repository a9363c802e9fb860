"""A column's type -> what the fast gear decodes it as, and what still has to be settled about each decoded value.

The fast gear's types refuse everything that is not plainly right; what they cannot check (a decimal's scale, an instant's
offset) a settling function does, raising `ValueError` or `ArithmeticError` where a value does not fit. Source: SPEC B6.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Context, Decimal, FloatOperation, Inexact, InvalidOperation, Overflow
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from contracts.fields import Enumeration, FieldType, Kind, List, Map, Record, Scalar, Unit
from domain_adapters.values import parser_of

__all__ = ["Settle", "can_loosen", "fast_type", "loose_settle", "record_class", "settle_of", "to_utc"]

Settle = Callable[[Any], Any]

LOOSE_TYPE: Any = int | float | str | None
_EXACT_FLOAT_MAX = 2.0**53

_FAST: dict[Kind, Any] = {
    Kind.BOOLEAN: bool,
    Kind.INT: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)],
    Kind.LONG: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)],
    Kind.FLOAT: float,
    Kind.DECIMAL: Decimal,
    Kind.STRING: str,
    Kind.BYTES: Annotated[str, Meta(pattern=r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$")],
    Kind.UUID: Annotated[str, Meta(pattern=r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")],
    Kind.DATE: dt.date,
    Kind.TIME: Annotated[dt.time, Meta(tz=False)],
    Kind.INSTANT: Annotated[dt.datetime, Meta(tz=True)],
    Kind.LOCAL_DATETIME: Annotated[dt.datetime, Meta(tz=False)],
    Kind.JSON: Any,
}
_NANOS_INSTANT = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")]
_LOOSENED = frozenset({Kind.INT, Kind.LONG, Kind.UUID, Kind.DATE, Kind.TIME, Kind.INSTANT, Kind.LOCAL_DATETIME})


def fast_type(type_: FieldType, records: dict[Record, type[msgspec.Struct]]) -> Any:
    """Return the type to decode as; ``records`` collects the classes made for nested records."""
    match type_:
        case Scalar(kind=Kind.INSTANT, unit=Unit.NANOS):
            return _NANOS_INSTANT
        case Scalar(kind=kind):
            return _FAST[kind]
        case Enumeration(symbols=symbols):
            return Literal[symbols]
        case List(item=item, item_required=required):
            inner = fast_type(item, records)
            return list[inner] if required else list[inner | None]  # type: ignore[valid-type]  # a type that is made at run time
        case Map(value=value):
            return dict[str, fast_type(value, records) | None]  # type: ignore[misc]  # as above
        case Record():
            return record_class(type_, records)


def record_class(type_: Record, records: dict[Record, type[msgspec.Struct]]) -> type[msgspec.Struct]:
    """Return the class of a nested record: members ``m0..mn`` in order, all optional.

    A member with a physical name is read under both; ``x`` + its place holds what came under the physical one.
    """
    if (found := records.get(type_)) is None:
        members: list[tuple[str, Any, Any]] = []
        others: list[tuple[str, Any, Any]] = []
        spelling: dict[str, str] = {}
        for place, member in enumerate(type_.fields):
            inner = fast_type(member.type, records) | None
            spelling[f"m{place}"] = member.name
            if member.physical_name in (None, member.name):
                members.append((f"m{place}", inner, None))
            else:
                members.append((f"m{place}", inner | UnsetType, UNSET))
                others.append((f"x{place}", inner, None))
                spelling[f"x{place}"] = str(member.physical_name)
        found = records[type_] = msgspec.defstruct("Record", [*members, *others], rename=spelling, gc=False)
    return found


def can_loosen(type_: FieldType) -> bool:
    """Whether a column may arrive in other forms than the canonical one (numbers for instants, ``10.0`` for 10)."""
    return isinstance(type_, Scalar) and type_.kind in _LOOSENED


def loose_settle(type_: FieldType) -> Settle:
    """Return the function that settles a value decoded as `LOOSE_TYPE`."""
    parse = parser_of(type_)

    def settle(value: Any) -> Any:
        if isinstance(value, float) and abs(value) > _EXACT_FLOAT_MAX:
            raise ValueError("a float cannot hold this number exactly")
        return parse(value)

    return settle


def settle_of(type_: FieldType) -> Settle | None:
    """Return what settles a non-null value of the fast type, None if nothing is left to settle."""
    match type_:
        case Scalar(kind=Kind.DECIMAL):
            return _decimal(type_)
        case Scalar(kind=Kind.INSTANT, unit=unit) if unit is not Unit.NANOS:
            return to_utc
        case List(item=item):
            inner = settle_of(item)
            return None if inner is None else lambda values: [None if it is None else inner(it) for it in values]
        case Map(value=value):
            held = settle_of(value)
            return None if held is None else lambda values: {key: None if it is None else held(it) for key, it in values.items()}
        case Record(fields=fields):
            twice = tuple((f"m{place}", f"x{place}") for place, it in enumerate(fields) if it.physical_name not in (None, it.name))
            members = tuple((f"m{place}", settle) for place, it in enumerate(fields) if (settle := settle_of(it.type)) is not None)
            return _record(twice, members)
    return None


def _record(twice: tuple[tuple[str, str], ...], members: tuple[tuple[str, Settle], ...]) -> Settle | None:
    if not members and not twice:
        return None

    def settle(record: Any) -> Any:
        for name, other in twice:
            if getattr(record, name) is UNSET:
                setattr(record, name, getattr(record, other))
        for name, inner in members:
            if (value := getattr(record, name)) is not None:
                setattr(record, name, inner(value))
        return record

    return settle


def _decimal(type_: Scalar) -> Settle:
    if type_.scale is None:
        return parser_of(type_)
    context = Context(prec=type_.precision or 38, traps=[Inexact, InvalidOperation, Overflow, FloatOperation])
    quantum = Decimal(1).scaleb(-type_.scale)
    quantize = context.quantize

    def settle(value: Decimal) -> Decimal:
        settled = quantize(value, quantum)
        if settled != settled:  # noqa: PLR0124  # not a number
            raise ValueError("not a number")
        return settled or abs(settled)  # no negative zero

    return settle


def to_utc(value: dt.datetime) -> dt.datetime:
    """Settle an instant."""
    return value if value.tzinfo is dt.UTC else value.astimezone(dt.UTC)
