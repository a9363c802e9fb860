"""A level-0 page of bytes, as teams really write it -> rows of wire values for the copy, and what was wrong with the others.

A row of which any cell does not fit its type is left out whole: with a null in its place a row rule could let through what it must
not. Rejects what is no page (`PortBrokenPromiseError`); quotes no value. Pure. Source: SPEC B2, B4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from typing import Any

import msgspec

from contracts.model import Contract
from domain_adapters.errors import PortBrokenPromiseError
from domain_adapters.rows import cell_converter
from domain_adapters.wire import raw_json

__all__ = ["Fate", "Intake", "Taken"]

_MISFITS = (ValueError, ArithmeticError, RecursionError, OverflowError)


class Fate(IntEnum):
    """What becomes of a row: it is kept, its key is taken out of the copy as deleted, or taken out because the row is malformed."""

    KEPT = 0
    DELETED = 1
    MALFORMED = 2


@dataclass(frozen=True, slots=True)
class Taken:
    """One page. ``rows``: wire values in contract order, then the fate, then a mark that tells malformed rows apart.

    ``print_``: of the keys in their order, None where the product has no key or the page no rows; two pages of one walk never have
    the same. ``expected``: how many rows the endpoint says there are in all.
    """

    rows: list[tuple[Any, ...]]
    next_cursor: str | None
    print_: bytes | None = None
    expected: int | None = None


class Intake:
    """Reads the pages of one product. ``spelling``: contract column -> its name in the endpoint's rows."""

    def __init__(self, contract: Contract, spelling: Mapping[str, str]) -> None:
        self._cells = [(spelling[field.name], cell_converter(field)) for field in contract.fields]
        names = [field.name for field in contract.fields]
        self._keys = [names.index(name) for name in contract.primary_key]
        self._deleted = None if contract.times.deleted is None else names.index(contract.times.deleted)
        # Of a row that is not kept, these alone are of use.
        self._telling = {*self._keys, *([] if contract.times.updated is None else [names.index(contract.times.updated)])}

    def page(self, body: bytes) -> Taken:
        """Take in one page. Raises: `PortBrokenPromiseError` where it is none."""
        found = _envelope(body)
        rows = [self._row(raw) for raw in found.data]
        return Taken(rows, found.next_cursor, self._print(rows), found.expected)

    def _row(self, raw: Any) -> tuple[Any, ...]:
        if not isinstance(raw, dict):
            return (*(None for _ in self._cells), Fate.MALFORMED, _mark(raw))
        cells: list[Any] = []
        wrong: list[int] = []
        for at, (name, convert) in enumerate(self._cells):
            try:
                value = raw.get(name)
                cells.append(None if value is None else convert(value))
            except _MISFITS:
                cells.append(None)
                wrong.append(at)
        fate = Fate.MALFORMED if wrong else Fate.KEPT
        if self._deleted is not None and cells[self._deleted] is not None and not self._telling.intersection(wrong):
            fate = Fate.DELETED
        if any(cells[at] is None for at in self._keys):
            fate = Fate.MALFORMED
        if fate is Fate.KEPT:
            return (*cells, fate, None)
        return (*(cell if at in self._telling else None for at, cell in enumerate(cells)), fate, _mark(raw))

    def _print(self, rows: Sequence[tuple[Any, ...]]) -> bytes | None:
        if not self._keys or not rows:
            return None
        return blake2b(msgspec.json.encode([[*(row[at] for at in self._keys), row[-1]] for row in rows]), digest_size=16).digest()


def _mark(raw: Any) -> int:
    """Condense a row that cannot be told by its key."""
    try:
        content = msgspec.json.encode(raw)
    except (TypeError, *_MISFITS):
        content = b"?"
    return int.from_bytes(blake2b(content, digest_size=8).digest()) >> 1


@dataclass(frozen=True, slots=True)
class _Envelope:
    data: list[Any]
    next_cursor: str | None
    expected: int | None


def _envelope(body: bytes) -> _Envelope:
    try:
        page = raw_json(body)
    except (ValueError, RecursionError):
        raise PortBrokenPromiseError("the endpoint's answer is not JSON", reason="not_json") from None
    if not isinstance(page, dict):
        raise PortBrokenPromiseError("the endpoint's answer is no page", reason="no_page")
    data = page["data"] if "data" in page else page.get("Data", False)
    if data is None:
        data = []  # an empty slice of Go is null
    if not isinstance(data, list):
        raise PortBrokenPromiseError("the endpoint's answer is no page of rows", reason="no_page")
    cursor = next((page[name] for name in ("nextCursor", "next_cursor", "NextCursor") if page.get(name) is not None), None)
    if isinstance(cursor, bool) or not isinstance(cursor, (str, int, type(None))):
        raise PortBrokenPromiseError("the endpoint gave a cursor that is no text", reason="bad_cursor")
    return _Envelope(data, None if cursor in (None, "") else str(cursor), _expected(page))


def _expected(page: Mapping[str, Any]) -> int | None:
    metadata = page.get("metadata", page.get("Metadata"))
    if not isinstance(metadata, dict):
        return None
    found = next((metadata[name] for name in ("totalRecords", "total_records", "TotalRecords") if name in metadata), None)
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 1 << 53 else None
