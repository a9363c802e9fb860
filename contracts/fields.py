"""What a column holds: the types that Avro, JSON Schema and inline schemas all become.

Values, all frozen and hashable; nothing here reads a file. Logical types keep their units, so that no reader has to guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Enumeration", "Field", "FieldType", "Kind", "List", "Map", "Record", "Scalar", "Unit"]


class Kind(StrEnum):
    """The scalar kinds; each maps to one GraphQL scalar without loss."""

    BOOLEAN = "boolean"
    INT = "int"  # 32 bit, signed
    LONG = "long"  # 64 bit, signed
    FLOAT = "float"  # IEEE 754 double
    DECIMAL = "decimal"
    STRING = "string"
    BYTES = "bytes"  # base64 text on the wire and in GraphQL
    UUID = "uuid"
    DATE = "date"
    TIME = "time"
    INSTANT = "instant"  # with a zone; UTC wherever Meshgate writes it
    LOCAL_DATETIME = "local-datetime"  # wall clock, no zone
    JSON = "json"  # anything JSON can hold


class Unit(StrEnum):
    """Resolution of a time of day or an instant; also the unit of an epoch number on the wire."""

    SECONDS = "s"
    MILLIS = "ms"
    MICROS = "us"
    NANOS = "ns"


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. ``precision`` and ``scale`` belong to decimals, ``unit`` to times and instants."""

    kind: Kind
    precision: int | None = None
    scale: int | None = None
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class Enumeration:
    """One of ``symbols``, in declared order."""

    name: str
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A nested record."""

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class List:
    """An ordered list; items may be null only if ``item_required`` is False."""

    item: FieldType
    item_required: bool = True


@dataclass(frozen=True, slots=True)
class Map:
    """Text keys to values of one type; GraphQL sees it as JSON."""

    value: FieldType


FieldType = Scalar | Enumeration | Record | List | Map


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a product, or a member of a nested record.

    ``required``: the product promises a value in every row (GraphQL still sees it as nullable).
    ``physical_name``: its spelling at the source, when that differs from ``name``.
    """

    name: str
    type: FieldType
    required: bool = False
    physical_name: str | None = None
    description: str | None = None
