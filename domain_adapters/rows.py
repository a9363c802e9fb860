"""Turns the rows of JSON and CSV files into wire values by the contract, and fills a DuckDB table with them.

Files are read by our own value rules rather than DuckDB's guesses: decimals stay exact, instants need a zone, and what does not fit
is refused with the row's number and column (`SourceError`), never its value. Touches the named file only.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from contracts.fields import Enumeration, Field, Kind, Scalar
from domain_adapters.columns import columns_of
from domain_adapters.errors import SourceError, ValueMismatchError
from domain_adapters.values import emitter_of, parser_of
from domain_adapters.wire import raw_json

__all__ = ["cell_converter", "csv_rows", "fill", "json_rows", "wire_rows"]

_BATCH = 5_000
_INTEGER = re.compile(r"-?\d{1,30}", re.ASCII)
_TEXTUAL = frozenset({Kind.STRING, Kind.BYTES, Kind.UUID, Kind.DECIMAL})
_CLOCKED = frozenset({Kind.DATE, Kind.TIME, Kind.INSTANT, Kind.LOCAL_DATETIME})


def json_rows(path: Path, fields: Sequence[Field]) -> Iterator[tuple[Any, ...]]:
    """Read a JSON file (an array of objects, or one object per line), each row as wire values in contract order."""
    body = path.read_bytes()
    try:
        is_array = body.lstrip()[:1] == b"["
        documents = raw_json(body) if is_array else [raw_json(line) for line in body.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        raise SourceError(f"{path.name} is neither a JSON array nor one JSON object per line") from None
    if not all(isinstance(document, dict) for document in documents):
        raise SourceError(f"{path.name} holds something other than objects")
    names = set().union(*documents) if documents else None
    return _parsed(documents, fields, names, {})


def csv_rows(path: Path, fields: Sequence[Field]) -> Iterator[tuple[Any, ...]]:
    """Read a CSV file with a header row; an empty cell is null, nested columns hold JSON."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            readers = {field.name: _text_reader(field) for field in fields}
            documents = (_record(header, row, reader.line_num) for row in reader if row)
            yield from _parsed(documents, fields, set(header), readers)
        except (csv.Error, UnicodeDecodeError):
            raise SourceError(f"{path.name} is not UTF-8 CSV near line {reader.line_num}") from None


def _record(header: Sequence[str], row: Sequence[str], line: int) -> dict[str, str | None]:
    if len(row) != len(header):
        raise SourceError(f"line {line} has {len(row)} cells, the header {len(header)}")
    return {name: cell or None for name, cell in zip(header, row, strict=True)}


def wire_rows(rows: Iterable[Mapping[str, Any]], fields: Sequence[Field]) -> Iterator[tuple[Any, ...]]:
    """Write rows of Python values by column name as wire values in contract order."""
    emitters = [(field.name, _cell_writer(field)) for field in fields]
    for number, row in enumerate(rows, 1):
        yield tuple(_cell(write, row.get(name), number, name) for name, write in emitters)


def fill(connection: duckdb.DuckDBPyConnection, table: str, fields: Sequence[Field], rows: Iterable[tuple[Any, ...]]) -> None:
    """Create ``table`` with columns ``c0..cn`` and insert rows of wire values."""
    columns = list(columns_of(fields).values())
    connection.execute(f"CREATE TABLE {table} ({', '.join(f'{column.sql} {column.storage}' for column in columns)})")
    casts = ", ".join(f"CAST({column.sql} AS {column.storage})" for column in columns)
    lists = ", ".join(f"unnest(CAST(? AS {column.sent}[])) AS {column.sql}" for column in columns)
    insert = f"INSERT INTO {table} SELECT {casts} FROM (SELECT {lists})"
    rows = iter(rows)
    while batch := list(itertools.islice(rows, _BATCH)):
        try:
            connection.execute(insert, [list(cells) for cells in zip(*batch, strict=True)])
        except duckdb.Error as error:
            raise SourceError(f"the rows do not fit the table: {type(error).__name__}") from None


def _parsed(
    documents: Iterable[Mapping[str, Any]], fields: Sequence[Field], names: set[str] | None, readers: Mapping[str, Callable[[str], Any]]
) -> Iterator[tuple[Any, ...]]:
    cells = []
    for field in fields:
        found = next((name for name in (field.physical_name, field.name) if name is not None and (names is None or name in names)), None)
        if found is None and field.required:
            raise SourceError(f"the source has no column {field.physical_name or field.name!r}, which the contract requires")
        cells.append((found, field.name, cell_converter(field, readers.get(field.name))))
    for number, document in enumerate(documents, 1):
        yield tuple(
            None if found is None or (raw := document.get(found)) is None else _cell(convert, raw, number, name)
            for found, name, convert in cells
        )


def cell_converter(field: Field, read: Callable[[str], Any] | None = None) -> Callable[[Any], Any]:
    """Give the function that turns a cell of JSON (or, by ``read``, of text) into a wire value; it raises `ValueMismatchError`."""
    parse, write = parser_of(field.type), _cell_writer(field)
    if read is None:
        return lambda raw: write(parse(raw))
    return lambda text: write(parse(read(text)))


def _cell(convert: Callable[[Any], Any], value: Any, number: int, name: str) -> Any:
    try:
        return convert(value)
    except ValueMismatchError as error:
        raise SourceError(f"row {number}, column {name!r}: {error}") from None


def _cell_writer(field: Field) -> Callable[[Any], Any]:
    write = emitter_of(field.type)
    if isinstance(field.type, Enumeration) or (isinstance(field.type, Scalar) and field.type.kind is not Kind.JSON):
        return write
    return lambda value: None if value is None else msgspec.json.encode(write(value)).decode()


def _text_reader(field: Field) -> Callable[[str], Any]:
    """Give the function that turns a CSV cell into what JSON would have held."""
    if isinstance(field.type, Enumeration):
        return str
    if isinstance(field.type, Scalar):
        if field.type.kind in _TEXTUAL:
            return str
        if field.type.kind in _CLOCKED:
            return lambda text: int(text) if _INTEGER.fullmatch(text) else text
        if field.type.kind is Kind.BOOLEAN:
            return lambda text: {"true": True, "false": False}.get(text.lower(), text)
    return _json_cell


def _json_cell(text: str) -> Any:
    try:
        return raw_json(text.encode())
    except (ValueError, RecursionError):
        raise ValueMismatchError.of("JSON") from None
