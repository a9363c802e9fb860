"""An Arrow IPC stream: one record batch per batch of rows, proper types, nested rows as dotted columns.

The schema's metadata holds the receipts; the last batch is empty and its metadata ``mesh.end`` says how many rows there were.
pyarrow is an extra of this package: it is imported when the first Arrow stream is asked for, beside the event loop.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from importlib import import_module
from types import ModuleType
from typing import Any

import msgspec

from contracts.fields import FieldType, Kind, List, Map, Record, Scalar, Unit
from gateway.compiler.flat import FlatList
from gateway.compiler.plan import MemberPick, TypenamePick
from gateway.engine.forms.cells import cells_reader
from gateway.engine.forms.writer import End
from gateway.errors import GatewayError

__all__ = ["ArrowStream", "load_arrow"]

Convert = Callable[[Any], Any]
Members = tuple[MemberPick | TypenamePick, ...]
_DECIMAL128_DIGITS = 38
_json = msgspec.json.Encoder(decimal_format="string").encode


async def load_arrow() -> ModuleType:
    """Import pyarrow without holding the event loop. **Raises** `GatewayError` NOT_ACCEPTABLE where it is not installed."""
    try:
        return await asyncio.to_thread(_loaded)
    except ImportError:
        raise GatewayError(
            "NOT_ACCEPTABLE",
            "This gateway writes no Arrow.",
            hint="Ask for text/csv or application/jsonl, or have the gateway installed as meshgate[arrow].",
        ) from None


def _loaded() -> ModuleType:
    found = import_module("pyarrow")
    # The first array makes pyarrow import pandas, where there is one: a quarter of a second that the event loop must not spend.
    found.array([None], found.int32())
    return found


class ArrowStream:
    """Writes an Arrow IPC stream. ``about``: texts for the schema's metadata."""

    tells_problems = True

    def __init__(self, pyarrow: ModuleType, flat: FlatList, about: Mapping[str, bytes]) -> None:
        self._arrow = pyarrow
        types = _Types(pyarrow)
        columns = [(column, *types.of(column.type, column.members)) for column in flat.columns]
        self._columns = [(cells_reader(column), convert, type_) for column, type_, convert in columns]
        self._schema = pyarrow.schema([(column.name, type_) for column, type_, _ in columns], metadata=dict(about))
        self._sink = _Sink()
        self._stream: Any = None

    def head(self) -> bytes:
        """Write the schema."""
        self._stream = self._arrow.ipc.new_stream(self._arrow.PythonFile(self._sink, mode="w"), self._schema)
        return self._sink.taken()

    def rows(self, rows: Sequence[Any]) -> bytes:
        """Write a record batch."""
        if rows:
            self._stream.write_batch(self._batch(rows))
        return self._sink.taken()

    def end(self, end: End) -> bytes:
        """Write the last, empty batch and the mark that ends the stream."""
        self._stream.write_batch(self._batch(()), custom_metadata={"mesh.end": _json(end.entry())})
        self._stream.close()
        return self._sink.taken()

    def failure(self, _error: GatewayError) -> None:
        """Tell nothing: a stream without its end is broken off."""

    def _batch(self, rows: Sequence[Any]) -> Any:
        arrays = []
        for read, convert, type_ in self._columns:
            cells = read(rows)
            if convert is not None:
                cells = [None if it is None else convert(it) for it in cells]
            arrays.append(self._arrow.array(cells, type_))
        return self._arrow.RecordBatch.from_arrays(arrays, schema=self._schema)


class _Sink:
    """A file that hands on what was written to it."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: the writer closes what it was given."""

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


class _Types:
    """A contract's types -> Arrow's, with what turns a shaped cell into one that Arrow takes; what has no type there is JSON text."""

    def __init__(self, pyarrow: ModuleType) -> None:
        self._arrow = pyarrow

    def of(self, type_: FieldType, members: Members) -> tuple[Any, Convert | None]:
        match type_:
            case Scalar():
                return self._scalar(type_)
            case List(item=item):
                inner, convert = self.of(item, members)
                if convert is None:
                    return self._arrow.list_(inner), None
                return self._arrow.list_(inner), lambda cells: [None if it is None else convert(it) for it in cells]
            case Record(fields=fields):
                return self._record(fields, members)
            case Map():
                return self._arrow.utf8(), _text
        return self._arrow.utf8(), None

    def _scalar(self, type_: Scalar) -> tuple[Any, Convert | None]:
        arrow = self._arrow
        match type_:
            case Scalar(kind=Kind.DECIMAL, scale=int(scale), precision=precision) if (precision or 0) <= _DECIMAL128_DIGITS:
                return arrow.decimal128(precision or _DECIMAL128_DIGITS, scale), Decimal
            case Scalar(kind=Kind.DECIMAL):
                return arrow.utf8(), str
            case Scalar(kind=Kind.INSTANT, unit=unit) if unit is not Unit.NANOS:
                return arrow.timestamp("us", "UTC"), None
            case Scalar(kind=Kind.BYTES):
                return arrow.binary(), base64.b64decode
            case Scalar(kind=Kind.JSON):
                return arrow.utf8(), _text
        plain = {
            Kind.BOOLEAN: arrow.bool_(),
            Kind.INT: arrow.int32(),
            Kind.LONG: arrow.int64(),
            Kind.FLOAT: arrow.float64(),
            Kind.DATE: arrow.date32(),
            Kind.TIME: arrow.time64("us"),
            Kind.LOCAL_DATETIME: arrow.timestamp("us"),
        }
        return plain.get(type_.kind, arrow.utf8()), None

    def _record(self, fields: tuple[Any, ...], members: Members) -> tuple[Any, Convert]:
        types: list[tuple[str, Any]] = []
        parts: list[tuple[str, str, Convert | None]] = []
        for place, pick in enumerate(members):
            if isinstance(pick, TypenamePick):
                type_, convert = self._arrow.utf8(), None
            else:
                type_, convert = self.of(pick.type, pick.members)
            types.append((pick.key, type_))
            parts.append((pick.key, f"k{place}", convert))

        def record(cell: Any) -> dict[str, Any]:
            found = {}
            for key, attribute, convert in parts:
                value = getattr(cell, attribute)
                found[key] = value if value is None or convert is None else convert(value)
            return found

        return self._arrow.struct(types), record


def _text(value: Any) -> str:
    return _json(value).decode()
