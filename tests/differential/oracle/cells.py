"""Values as the answer has them: scalars on the wire, members of records by the names of their types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contracts.fields import Enumeration, FieldType, Kind, List, Map, Record, Scalar
from domain_adapters.values import emitter_of
from gateway.catalog.names import column_name
from gateway.catalog.snapshot import Snapshot

__all__ = ["member_of", "written"]


def written(type_: FieldType, value: Any, *, long_as_text: bool) -> Any:
    """Write a value of a column's type."""
    if value is None:
        return None
    match type_:
        case Scalar(kind=Kind.LONG) if long_as_text:
            return str(value)
        case Record() | Enumeration():
            return value
        case List(item=item):
            return [written(item, it, long_as_text=long_as_text) for it in value]
        case Map(value=held):
            return {key: emitter_of(held)(it) for key, it in value.items()}
    return emitter_of(type_)(value)


def member_of(record: dict[str, Any], type_name: str, name: str, snapshot: Snapshot, *, long_as_text: bool) -> Any:
    """Write one member of a record, whose GraphQL type is called ``type_name``."""
    member = next(it for it in _record(type_name, snapshot).fields if column_name(it.name) == name)
    return written(member.type, record[member.name], long_as_text=long_as_text)


def _record(type_name: str, snapshot: Snapshot) -> Record:
    for product in snapshot.products.values():
        for column in product.columns:
            for name, record in _records(column.type, f"{product.type_name}{_pascal(column.name)}"):
                if name == type_name:
                    return record
    raise AssertionError(type_name)


def _pascal(name: str) -> str:
    found = column_name(name)
    return found[0].upper() + found[1:]


def _records(type_: FieldType, name: str) -> Iterator[tuple[str, Record]]:
    while isinstance(type_, List):
        type_ = type_.item
    if isinstance(type_, Record):
        yield name, type_
        for member in type_.fields:
            yield from _records(member.type, f"{name}{_pascal(member.name)}")
