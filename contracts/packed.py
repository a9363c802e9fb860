"""A contract as bytes, and back without judging it again.

Only the values that contracts are made of go in, each class under a number of its own, so reading such bytes makes nothing else and
runs nothing. Equal parts become equal bytes and, read together, one value: thousands of columns are a few hundred kinds of column.
Pure. What these bytes say is believed: who keeps them where others could write has to seal them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from contracts import errors, masks, model, objectives, predicates
from contracts import fields as columns
from contracts.maintenance import Maintenance

__all__ = ["CLASSES", "Unpacking", "packed"]

CLASSES: tuple[type, ...] = (
    model.Contract,
    model.Metadata,
    model.Support,
    model.Times,
    model.Subject,
    model.Consent,
    model.Aggregates,
    model.FieldClassification,
    model.Grant,
    model.Restriction,
    model.Access,
    model.Relationship,
    model.QualityRule,
    model.InputPort,
    model.OutputPort,
    model.Visibility,
    model.Level,
    model.Cardinality,
    model.Use,
    columns.Field,
    columns.Scalar,
    columns.Enumeration,
    columns.Record,
    columns.List,
    columns.Map,
    columns.Kind,
    columns.Unit,
    masks.Mask,
    masks.MaskKind,
    objectives.Objectives,
    objectives.TimeObjective,
    objectives.RatioObjective,
    objectives.Unreadable,
    objectives.Retention,
    predicates.Compare,
    predicates.Among,
    predicates.And,
    predicates.Or,
    predicates.Not,
    predicates.Claim,
    predicates.Operator,
    Maintenance,
    errors.Problem,
    errors.ProblemCode,
)
"""Every class of a contract's values; its place is its number."""

_PLAIN = frozenset({str, int, float, bool, type(None)})
_NUMBERS = {class_: number for number, class_ in enumerate(CLASSES)}
_TUPLE, _SET, _DECIMAL, _DATE, _TIME, _DATETIME = range(100, 106)
_TEXTS: dict[type, tuple[int, Callable[[Any], str]]] = {
    Decimal: (_DECIMAL, str),
    dt.date: (_DATE, dt.date.isoformat),
    dt.time: (_TIME, dt.time.isoformat),
    dt.datetime: (_DATETIME, dt.datetime.isoformat),
}


def _members(class_: type) -> tuple[str, ...]:
    if issubclass(class_, Enum):
        return ("value",)
    return tuple(it.name for it in fields(class_)) if is_dataclass(class_) else tuple(class_.model_fields)  # type: ignore[attr-defined]


_MEMBERS = {class_: _members(class_) for class_ in CLASSES}
_encode = msgspec.msgpack.Encoder().encode


def packed(contract: model.Contract) -> bytes | None:
    """Write a contract as bytes; None where it holds what these bytes cannot say exactly, such as numbers of more than 64 bits."""
    try:
        return _encode(_extension(contract))
    except (OverflowError, UnicodeEncodeError, KeyError):
        return None


def _extension(value: Any) -> Any:
    class_ = type(value)
    if class_ in _PLAIN:
        return value
    if class_ is tuple:
        return msgspec.msgpack.Ext(_TUPLE, _encode([_extension(inner) for inner in value]))
    if class_ is frozenset:
        return msgspec.msgpack.Ext(_SET, _encode(sorted(map(_extension, value), key=_encode)))
    if class_ in _TEXTS:
        number, write = _TEXTS[class_]
        return msgspec.msgpack.Ext(number, _encode([write(value)]))
    number = _NUMBERS[class_]
    return msgspec.msgpack.Ext(number, _encode([_extension(getattr(value, name)) for name in _MEMBERS[class_]]))


class Unpacking:
    """Reads contracts that share what is equal in them."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, bytes], Any] = {}
        self._members = msgspec.msgpack.Decoder(tuple, ext_hook=self._value).decode
        self._whole = msgspec.msgpack.Decoder(ext_hook=self._value).decode

    def contract(self, content: bytes) -> model.Contract:
        """Read what `packed` wrote. **Raises** ValueError for anything else."""
        try:
            found = self._whole(content)
        except (msgspec.DecodeError, KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise ValueError("not a contract as it is packed here") from error
        if not isinstance(found, model.Contract):
            raise ValueError("not a contract as it is packed here")  # noqa: TRY004 -- one error for all that was not written here
        return found

    def _value(self, number: int, data: memoryview) -> Any:
        key = (number, bytes(data))
        try:
            return self._known[key]
        except KeyError:
            made = self._known[key] = _MAKERS[number](self._members(data))
            return made


def _maker(class_: type) -> Callable[[tuple[Any, ...]], Any]:
    if is_dataclass(class_) or issubclass(class_, Enum):
        return lambda members: class_(*members)
    names = _MEMBERS[class_]
    construct: Callable[..., Any] = class_.model_construct  # type: ignore[attr-defined]
    given = set(names)
    return lambda members: construct(given, **dict(zip(names, members, strict=True)))


_MAKERS: dict[int, Callable[[tuple[Any, ...]], Any]] = {
    **{number: _maker(class_) for class_, number in _NUMBERS.items()},
    _TUPLE: lambda members: members,
    _SET: frozenset,
    _DECIMAL: lambda members: Decimal(*members),
    _DATE: lambda members: dt.date.fromisoformat(*members),
    _TIME: lambda members: dt.time.fromisoformat(*members),
    _DATETIME: lambda members: dt.datetime.fromisoformat(*members),
}
