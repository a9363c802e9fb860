"""Turns where a product's rows are kept into one relation with the contract's columns: files, DuckDB databases, a live connection.

JSON and CSV files are copied into memory by our own value rules; Parquet files and tables are read in place. Once attached, an own
database can reach nothing else. Rejects missing columns and types that would have to be bent, by name (`SourceError`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb

from contracts.fields import Field
from contracts.model import Contract
from domain_adapters.columns import columns_of, quoted, read_sql
from domain_adapters.duck import hardened
from domain_adapters.errors import SourceError
from domain_adapters.rows import csv_rows, fill, json_rows, wire_rows
from domain_adapters.statements import Relation

__all__ = ["Attached", "Database", "File", "Live", "Rows", "Source", "attach", "source_of"]

Format = Literal["parquet", "csv", "json"]
_FORMATS: Mapping[str, Format] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file of rows."""

    path: Path
    format: Format


@dataclass(frozen=True, slots=True)
class Database:
    """A table or view (``name`` or ``schema.name``) of a DuckDB file, opened read-only."""

    path: Path
    table: str


@dataclass(frozen=True, slots=True)
class Live:
    """A table or view of a database that somebody else holds open and may write to; it stays theirs to close."""

    connection: duckdb.DuckDBPyConnection
    table: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of Python values by column name, copied once."""

    rows: Iterable[Mapping[str, Any]]


Source = File | Database | Live | Rows


@dataclass(frozen=True, slots=True)
class Attached:
    """A source ready to be read. ``owned``: close the connection with the port."""

    connection: duckdb.DuckDBPyConnection
    relation: Relation
    owned: bool


def source_of(text: str) -> Source:
    """Read ``FILE`` or ``DATABASE::table``, as the command line has it.

    Raises: `SourceError` for endings that we do not know.
    """
    path, mark, table = text.partition("::")
    if mark:
        if not path or not table:
            raise SourceError("a table is named DATABASE::table")
        return Database(Path(path), table)
    format_ = _FORMATS.get(Path(text).suffix.lower())
    if format_ is None:
        raise SourceError(f"data is a file ending in {', '.join(_FORMATS)}, or DATABASE::table")
    return File(Path(text), format_)


def attach(contract: Contract, source: Source, *, memory_max: str = "1GB") -> Attached:
    """Open a source as the contract's columns. Raises: `SourceError`."""
    match source:
        case Live(connection=connection, table=table):
            return Attached(connection, _relation(contract, _columns_in(connection, contract.fields, _named(table))), owned=False)
    connection = hardened(memory_max)
    try:
        sql = _own(connection, contract.fields, source)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except duckdb.Error as error:
        connection.close()
        raise SourceError(f"the source cannot be opened: {type(error).__name__}") from None
    except BaseException:
        connection.close()
        raise
    return Attached(connection, _relation(contract, sql), owned=True)


def _own(connection: duckdb.DuckDBPyConnection, fields: Sequence[Field], source: File | Database | Rows) -> str:
    match source:
        case Rows(rows=rows):
            return _copied(connection, fields, wire_rows(rows, fields))
        case Database(path=path, table=table):
            if not path.is_file():
                raise SourceError(f"there is no database {path.name}")
            connection.execute(f"ATTACH {quoted(str(path))} AS source (READ_ONLY)")
            return _columns_in(connection, fields, f"source.{_named(table)}")
        case File(path=path) if not path.is_file():
            raise SourceError(f"there is no file {path.name}")
        case File(path=path, format="parquet"):
            connection.execute("SET allowed_paths = [" + quoted(str(path)) + "]")
            return _columns_in(connection, fields, f"read_parquet({quoted(str(path))})")
        case File(path=path, format="csv"):
            return _copied(connection, fields, csv_rows(path, fields))
        case File(path=path):
            return _copied(connection, fields, json_rows(path, fields))


def _copied(connection: duckdb.DuckDBPyConnection, fields: Sequence[Field], rows: Iterable[tuple[Any, ...]]) -> str:
    fill(connection, "copied", fields, rows)
    return "SELECT * FROM copied"


def _named(table: str) -> str:
    return ".".join(quoted(part, '"') for part in table.split("."))


def _columns_in(connection: duckdb.DuckDBPyConnection, fields: Sequence[Field], relation: str) -> str:
    """Select the contract's columns from a relation, cast where its types differ."""
    cursor = connection.cursor()
    try:
        described = cursor.sql(f"SELECT * FROM {relation} LIMIT 0")
        types = dict(zip(described.columns, described.types, strict=True))
    except duckdb.CatalogException:
        raise SourceError("the source has no such table") from None
    finally:
        cursor.close()
    selected = []
    columns = columns_of(fields)
    for field in fields:
        found = next((name for name in (field.physical_name, field.name) if name in types), None)
        column = columns[field.name]
        if found is not None:
            selected.append(f"{read_sql(field, quoted(found, chr(34)), types[found])} AS {column.sql}")
        elif field.required:
            raise SourceError(f"the source has no column {field.physical_name or field.name!r}, which the contract requires")
        else:
            selected.append(f"CAST(NULL AS {column.storage}) AS {column.sql}")
    return f"SELECT {', '.join(selected)} FROM {relation}"


def _relation(contract: Contract, sql: str) -> Relation:
    return Relation(sql, columns_of(contract.fields), contract.primary_key, contract.times.updated)
