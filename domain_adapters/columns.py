"""Turns a contract's fields into SQL columns: how each is stored, read from a source, compared with a value, and written on the wire.

SQL never sees a contract's names as identifiers (columns are ``c0..cn``) and never a value (all are bound, in their wire form, and
cast). Rejects what DuckDB cannot hold, and sources whose type would have to be bent, with `SourceError`. Touches nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeGuard

from contracts.fields import Enumeration, Field, FieldType, Kind, List, Map, Record, Scalar, Unit
from domain_adapters.errors import ReadInvalidError, SourceError, ValueMismatchError
from domain_adapters.values import emitter_of

__all__ = ["Column", "DuckType", "columns_of", "digits_of", "quoted", "read_sql", "storage_of", "utc_sql", "wire_sql"]

_DIGITS_MAX = 38
_SCALE_UNSTATED = 9
_STORAGE = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.INT: "INTEGER",
    Kind.LONG: "BIGINT",
    Kind.FLOAT: "DOUBLE",
    Kind.STRING: "VARCHAR",
    Kind.BYTES: "VARCHAR",
    Kind.UUID: "VARCHAR",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.LOCAL_DATETIME: "TIMESTAMP",
    Kind.JSON: "JSON",
}
_PLAIN = frozenset({"BOOLEAN", "INTEGER", "BIGINT", "DOUBLE"})
_INTEGERS = frozenset({"tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint", "hugeint", "uhugeint"})
_FLOATS = frozenset({"float", "double"})
_CLOCKS = frozenset({"timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamp with time zone"})
_TEXTS = frozenset({"varchar", "enum"})
_ACCEPTED = {
    Kind.BOOLEAN: frozenset({"boolean"}),
    Kind.INT: _INTEGERS,
    Kind.LONG: _INTEGERS,
    Kind.FLOAT: _INTEGERS | _FLOATS | {"decimal"},
    Kind.DECIMAL: _INTEGERS | _FLOATS | {"decimal"},
    Kind.STRING: _TEXTS | {"uuid"},
    Kind.BYTES: frozenset({"blob"}),
    Kind.UUID: frozenset({"uuid"}),
    Kind.DATE: frozenset({"date"}),
    Kind.TIME: frozenset({"time", "time_ns"}),
    Kind.INSTANT: _CLOCKS | _INTEGERS,
    Kind.LOCAL_DATETIME: _CLOCKS - {"timestamp with time zone"} | _INTEGERS,
    Kind.JSON: frozenset(),
}
_MICROS = {Unit.SECONDS: "* 1000000", Unit.MILLIS: "* 1000", Unit.MICROS: ""}


class DuckType(Protocol):
    """What DuckDB says a source's column is."""

    @property
    def id(self) -> str:
        """The kind of type: ``bigint``, ``struct``..."""

    @property
    def children(self) -> Sequence[tuple[str, Any]]:
        """The parts of a nested or parametrised type."""


@dataclass(frozen=True)
class Column:
    """One named expression that a query can use: a contract's column, or a result of a grouped read."""

    name: str
    type: FieldType
    sql: str

    @cached_property
    def storage(self) -> str:
        """The SQL type."""
        return storage_of(self.type)

    @cached_property
    def wire(self) -> str:
        """The expression for its wire form."""
        return wire_sql(self.type, self.sql)

    @property
    def sent(self) -> str:
        """The SQL type that carries the column's wire values into a statement."""
        return self.storage if self.storage in _PLAIN else "VARCHAR"

    def bound(self, value: Any) -> Any:
        """Turn a Python value into the parameter for ``CAST(? AS storage)``. Raises: `ReadInvalidError`."""
        try:
            wire = emitter_of(self.type)(value)
        except ValueMismatchError as error:
            raise ReadInvalidError(f"a value for column {self.name!r} does not fit: {error}", reason="unfit_value") from None
        if wire is None:
            raise ReadInvalidError(f"null cannot be compared with column {self.name!r}", reason="unfit_value")
        return wire


def columns_of(fields: Sequence[Field]) -> dict[str, Column]:
    """Name the SQL column of every field: ``c0..cn`` in contract order."""
    return {field.name: Column(field.name, field.type, f"c{at}") for at, field in enumerate(fields)}


def quoted(text: str, mark: str = "'") -> str:
    """Quote a literal (or, with ``"``, an identifier)."""
    return mark + text.replace(mark, mark * 2) + mark


def storage_of(type_: FieldType) -> str:
    """Give the SQL type that holds the column; nested values are kept as JSON in their wire form.

    Raises: `SourceError` for decimals that DuckDB cannot hold.
    """
    match type_:
        case Enumeration():
            return "VARCHAR"
        case Scalar(kind=Kind.DECIMAL):
            digits, places = digits_of(type_)
            return f"DECIMAL({digits},{places})"
        case Scalar(kind=Kind.INSTANT, unit=unit):
            return "TIMESTAMP_NS" if unit is Unit.NANOS else "TIMESTAMPTZ"
        case Scalar(kind=kind):
            return _STORAGE[kind]
    return "JSON"


def digits_of(type_: FieldType) -> tuple[int, int]:
    """Give precision and scale as stored. Raises: `SourceError`."""
    precision, scale = (type_.precision, type_.scale) if isinstance(type_, Scalar) else (None, None)
    if precision is None:
        precision, scale = _DIGITS_MAX, _SCALE_UNSTATED if scale is None else scale
    if precision > _DIGITS_MAX or (scale or 0) > precision:
        raise SourceError(f"decimals of more than {_DIGITS_MAX} digits cannot be kept in DuckDB")
    return precision, scale or 0


def wire_sql(type_: FieldType, sql: str) -> str:
    """Give the expression that writes a stored column as JSON would have it: decimals and dates as text."""
    if not isinstance(type_, Scalar):
        return sql
    match type_.kind:
        case Kind.DECIMAL | Kind.DATE:
            return f"CAST({sql} AS VARCHAR)"
        case Kind.TIME:
            return _clock_sql(f"CAST({sql} AS VARCHAR)", sql, 15)
        case Kind.LOCAL_DATETIME:
            return _clock_sql(f"replace(CAST({sql} AS VARCHAR), ' ', 'T')", sql, 26)
        case Kind.INSTANT if type_.unit is Unit.NANOS:
            text = f"replace(CAST({sql} AS VARCHAR), ' ', 'T')"
            return f"(rpad(CASE WHEN contains({text}, '.') THEN {text} ELSE {text} || '.' END, 29, '0') || 'Z')"
        case Kind.INSTANT:
            text = f"replace(CAST(({sql} AT TIME ZONE 'UTC') AS VARCHAR), ' ', 'T')"
            return f"({_clock_sql(text, sql, 26)} || 'Z')"
    return sql


def _clock_sql(text: str, sql: str, width: int) -> str:
    # DuckDB cuts trailing zeros of a fraction; the canonical form has six digits or none.
    return f"(CASE WHEN microsecond({sql}) % 1000000 = 0 THEN {text} ELSE rpad({text}, {width}, '0') END)"


def read_sql(field: Field, sql: str, source: DuckType) -> str:
    """Give the expression that reads a source's column as the contract's type; a plain name where nothing needs to change.

    Raises: `SourceError`, naming the column and both types.
    """
    if not _is_flat(field.type):
        return f"CAST({_nested_sql(field.name, field.type, sql, source)} AS JSON)"
    return _flat_sql(field.name, field.type, sql, source)


def _is_flat(type_: FieldType) -> TypeGuard[Scalar | Enumeration]:
    return isinstance(type_, Enumeration) or (isinstance(type_, Scalar) and type_.kind is not Kind.JSON)


def _flat_sql(name: str, type_: Scalar | Enumeration, sql: str, source: DuckType) -> str:
    storage = storage_of(type_)
    kind = type_.kind if isinstance(type_, Scalar) else Kind.STRING
    if source.id == "varchar":
        return _text_sql(kind, type_, sql)
    if source.id not in _ACCEPTED[kind]:
        raise SourceError(f"column {name!r} is {source} at the source, the contract says {kind.value}")
    match kind:
        case Kind.BOOLEAN | Kind.DATE:
            return sql
        case Kind.FLOAT:
            return _finite(f"CAST({sql} AS DOUBLE)") if source.id in _FLOATS else f"CAST({sql} AS DOUBLE)"
        case Kind.DECIMAL if source.id == "decimal" and dict(source.children)["scale"] > digits_of(type_)[1]:
            raise SourceError(f"column {name!r} is {source} at the source, the contract's scale is smaller")
        case Kind.BYTES:
            return f"base64({sql})"
        case Kind.INSTANT | Kind.LOCAL_DATETIME:
            return _instant_sql(kind, type_, sql, source.id)
    return sql if str(source) == storage else f"CAST({sql} AS {storage})"


def _finite(sql: str) -> str:
    return f"CASE WHEN isfinite({sql}) THEN {sql} END"


def _text_sql(kind: Kind, type_: FieldType, sql: str) -> str:
    storage = storage_of(type_)
    match kind:
        case Kind.UUID:
            return f"lower({sql})"
        case Kind.FLOAT:
            return _finite(f"CAST({sql} AS DOUBLE)")
    return sql if storage == "VARCHAR" else f"CAST({sql} AS {storage})"


def _instant_sql(kind: Kind, type_: FieldType, sql: str, source: str) -> str:
    storage = storage_of(type_)
    if source in _INTEGERS:
        unit = type_.unit if isinstance(type_, Scalar) else None
        if unit is None:
            raise SourceError("an instant kept as a number needs a unit in the contract")
        if storage == "TIMESTAMP_NS":
            return f"make_timestamp_ns(CAST({sql} AS BIGINT))"
        whole = f"CAST({sql} AS BIGINT)"
        clock = _floor_sql(whole) if unit is Unit.NANOS else f"make_timestamp({whole} {_MICROS[unit]})"
        return clock if kind is Kind.LOCAL_DATETIME else f"({clock} AT TIME ZONE 'UTC')"
    if source == "timestamp_ns" and storage != "TIMESTAMP_NS":
        clock = _floor_sql(f"epoch_ns({sql})")
        return clock if kind is Kind.LOCAL_DATETIME else f"({clock} AT TIME ZONE 'UTC')"
    if storage == "TIMESTAMPTZ":
        return sql if source == "timestamp with time zone" else f"(CAST({sql} AS TIMESTAMP) AT TIME ZONE 'UTC')"
    if storage == "TIMESTAMP_NS" and source == "timestamp with time zone":
        return f"CAST(({sql} AT TIME ZONE 'UTC') AS TIMESTAMP_NS)"
    return f"CAST({sql} AS {storage})"


def utc_sql(column: Column) -> str:
    """Give an instant's wall clock in UTC, in microseconds."""
    if column.storage == "TIMESTAMP_NS":
        return _floor_sql(f"epoch_ns({column.sql})")
    return f"({column.sql} AT TIME ZONE 'UTC')"


def _floor_sql(nanos: str) -> str:
    # DuckDB's own casts round nanoseconds, which moves the last ones of a day into the next.
    return f"make_timestamp(({nanos} - ((({nanos}) % 1000) + 1000) % 1000) // 1000)"


def _nested_sql(name: str, type_: FieldType, sql: str, source: DuckType, depth: int = 0) -> str:
    """Write a nested source value in its wire form; text is taken to be JSON in that form already."""
    if str(source) == "JSON":
        return sql
    if source.id == "varchar" and not _is_flat(type_):
        return f"CAST({sql} AS JSON)"
    # A parameter must not be called as a column of the source is.
    item_sql = f'"$item{depth}"'
    match type_:
        case Record(fields=fields) if source.id == "struct":
            return _record_sql(name, fields, sql, dict(source.children), depth)
        case List(item=item) if source.id in ("list", "array"):
            inner = _nested_sql(f"{name}[]", item, item_sql, _child(source, "child"), depth + 1)
            return f"to_json(list_transform({sql}, lambda {item_sql}: {inner}))"
        case Map(value=value) if source.id == "map":
            inner = _nested_sql(f"{name}{{}}", value, f"{item_sql}.value", _child(source, "value"), depth + 1)
            entries = f"list_transform(map_entries({sql}), lambda {item_sql}: {{'key': CAST({item_sql}.key AS VARCHAR), 'value': {inner}}})"
            return f"to_json(map_from_entries({entries}))"
        case Scalar(kind=Kind.JSON):
            return f"to_json({sql})"
        case Scalar() | Enumeration():
            return wire_sql(type_, _flat_sql(name, type_, sql, source))
    raise SourceError(f"column {name!r} is {source} at the source, the contract has another shape")


def _child(source: DuckType, role: str) -> DuckType:
    children: Mapping[str, DuckType] = dict(source.children)
    return children[role]


def _record_sql(name: str, fields: Sequence[Field], sql: str, children: Mapping[str, DuckType], depth: int) -> str:
    members = []
    for field in fields:
        found = next((spelling for spelling in (field.physical_name, field.name) if spelling in children), None)
        if found is None:
            if field.required:
                raise SourceError(f"column {name!r} has no {field.name!r} at the source")
            members += [quoted(field.name), "NULL"]
            continue
        inner = _nested_sql(f"{name}.{field.name}", field.type, f"{sql}.{quoted(found, chr(34))}", children[found], depth)
        members += [quoted(field.name), inner]
    return f"CASE WHEN {sql} IS NOT NULL THEN json_object({', '.join(members)}) END"
