"""CSV as RFC 4180 has it: a header line always, CRLF, UTF-8 without a byte order mark.

Text is always quoted, numbers, instants and booleans never, null is the empty unquoted cell: so null, the empty text and a text of
digits stay apart. Only in a file of one column null is ``""`` too, lest its line be empty. Lists, maps and records are JSON text.
Text that a spreadsheet would run as a formula gets an apostrophe before it, unless the exact form is asked for. The row count comes
too late for a header: what tells a broken transfer is its missing last chunk.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from contracts.fields import Enumeration, FieldType, Kind, Scalar, Unit
from gateway.compiler.flat import FlatList
from gateway.engine.forms.cells import cells_reader
from gateway.engine.forms.writer import End
from gateway.errors import GatewayError

__all__ = ["CsvText"]

Column = Callable[[list[Any]], list[str]]
"""Cells -> their texts, same order."""

# What spreadsheets take for the beginning of a formula, also in full width, or skip before one.
_FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_json = msgspec.json.Encoder(decimal_format="string").encode


class CsvText:
    """Writes CSV. ``exact``: leave text that looks like a formula as it is."""

    tells_problems = False

    def __init__(self, flat: FlatList, *, exact: bool = False) -> None:
        self._names = [column.name for column in flat.columns]
        text = _texts if exact else _defused
        self._columns = [(cells_reader(column), _writer(column.type, text)) for column in flat.columns]

    def head(self) -> bytes:
        """Write the header line."""
        return (",".join(self._names) + "\r\n").encode()

    def rows(self, rows: Sequence[Any]) -> bytes:
        """Write a line per row."""
        if not rows:
            return b""
        written = [write(read(rows)) for read, write in self._columns]
        if len(written) == 1:
            # Readers pass over empty lines, and a row less is worse than a null that reads as the empty text.
            written = [[cell or '""' for cell in written[0]]]
        return "".join([f"{','.join(line)}\r\n" for line in zip(*written, strict=True)]).encode()

    def end(self, _end: End) -> bytes:
        """Write nothing."""
        return b""

    def failure(self, _error: GatewayError) -> None:
        """Tell nothing: a line about the error would read as a row."""


def _writer(type_: FieldType, text: Column) -> Column:
    match type_:
        case Enumeration():
            return text
        case Scalar(kind=Kind.STRING | Kind.UUID | Kind.BYTES) | Scalar(kind=Kind.INSTANT, unit=Unit.NANOS):
            return text
        case Scalar(kind=Kind.BOOLEAN):
            return lambda cells: ["" if it is None else "true" if it else "false" for it in cells]
        case Scalar(kind=Kind.FLOAT):
            return lambda cells: ["" if it is None else repr(it) for it in cells]
        case Scalar(kind=Kind.INT | Kind.LONG | Kind.DECIMAL):
            return lambda cells: ["" if it is None else str(it) for it in cells]
        case Scalar(kind=Kind.INSTANT):
            return lambda cells: ["" if it is None else f"{it.isoformat()[:-6]}Z" for it in cells]
        case Scalar(kind=Kind.DATE | Kind.TIME | Kind.LOCAL_DATETIME):
            return lambda cells: ["" if it is None else it.isoformat() for it in cells]
    return lambda cells: ["" if it is None else _quoted(_json(it).decode()) for it in cells]


def _quoted(text: str) -> str:
    return f'"{text.replace(chr(34), chr(34) * 2)}"'


def _texts(cells: list[Any]) -> list[str]:
    return ["" if it is None else _quoted(it) if '"' in it else f'"{it}"' for it in cells]


def _defused(cells: list[Any]) -> list[str]:
    starts_formula = _FORMULA.match
    return _texts([f"'{it}" if it is not None and starts_formula(it) else it for it in cells])
