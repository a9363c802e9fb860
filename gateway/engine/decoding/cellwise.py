"""Rows of plain JSON values -> typed rows, cell by cell: the slow gear of decoding.

A bad cell is null and noted, a bad cell that rulings or joins need drops its row. No value gets into a message. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from contracts.fields import FieldType, List, Map, Record
from domain_adapters.values import parser_of
from gateway.engine.decoding.celltypes import can_loosen, fast_type, record_class

__all__ = ["Bad", "CellByCell", "Column", "Page"]

Bad = dict[int, tuple[Any, tuple[int, ...]]]
"""Rows by their identity, with the columns whose cells did not keep their type."""


class Page(msgspec.Struct):
    """One decoded page. ``dropped``: rows lost to that.

    ``groups`` as sent, and ``metadata``: plain JSON values.
    """

    rows: list[Any]
    next_cursor: str | None = None
    metadata: Any = None
    count: int | None = None
    groups: list[dict[str, Any]] | None = None
    bad: Bad = {}
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is read. ``others``: how rows may spell it that do not spell it as the contract does for this port."""

    index: int
    type: FieldType
    name: str
    others: frozenset[str]


class CellByCell:
    """Reads rows, some after the other. ``loose``: columns known to come in other forms than their own."""

    def __init__(
        self,
        row_class: Any,
        records: dict[Record, type[msgspec.Struct]],
        columns: Sequence[Column],
        *,
        loose: frozenset[int],
        must: frozenset[int],
    ) -> None:
        self._row_class = row_class
        self._records = records
        self._loose = loose
        self._must = must
        self._loosen: set[int] = set()
        self._misspelt: set[int] = set()
        self._columns = [(it.index, it.name, it.others, self._parser(it.index, it.type)) for it in columns]
        self._rows: list[Any] = []
        self._bad: Bad = {}
        self._wrong: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._dropped = 0

    def take(self, found: Iterable[Any]) -> None:
        """Read rows."""
        for item in found:
            if not isinstance(item, dict):
                self._dropped += 1
                continue
            cells: list[Any] = []
            wrong: list[int] = []
            for index, name, others, parse in self._columns:
                if name not in item and not others.isdisjoint(item):
                    cells.append(None)
                    wrong.append(index)
                    self._misspelt.add(index)
                    continue
                try:
                    cells.append(parse(item.get(name)))
                except (ValueError, ArithmeticError, RecursionError, OverflowError):
                    cells.append(None)
                    wrong.append(index)
            if self._must.intersection(wrong):
                self._dropped += 1
                continue
            row = self._row_class(*cells)
            self._rows.append(row)
            if wrong:
                columns = tuple(wrong)
                self._bad[id(row)] = row, self._wrong.setdefault(columns, columns)

    def onto(self, page: Page) -> tuple[Page, frozenset[int], frozenset[int]]:
        """Put what was read onto its page; say which columns came in other forms, and spellings, than their own."""
        page.rows, page.bad, page.dropped = self._rows, self._bad, self._dropped
        return page, frozenset(self._loosen), frozenset(self._misspelt)

    def _parser(self, index: int, type_: FieldType) -> Callable[[Any], Any]:
        parse = parser_of(type_)
        if isinstance(type_, (Record, List, Map)):
            rebuild = _rebuilder(type_, self._records)
            return lambda raw: rebuild(parse(raw))
        if index in self._loose or not can_loosen(type_):
            return parse
        strict = msgspec.json.Decoder(fast_type(type_, {}) | None)

        def parse_noting(raw: Any) -> Any:
            value = parse(raw)
            if index not in self._loosen:
                try:
                    strict.decode(msgspec.json.encode(raw))
                except msgspec.DecodeError:
                    self._loosen.add(index)
            return value

        return parse_noting


def _rebuilder(type_: FieldType, records: dict[Record, type[msgspec.Struct]]) -> Callable[[Any], Any]:
    """Turn parsed dicts of nested records into the record classes that shaping code reads."""
    match type_:
        case Record(fields=fields):
            made = record_class(type_, records)
            inner = tuple((member.name, _rebuilder(member.type, records)) for member in fields)
            return lambda value: None if value is None else made(*(rebuild(value.get(name)) for name, rebuild in inner))
        case List(item=item):
            each = _rebuilder(item, records)
            return lambda value: None if value is None else [each(it) for it in value]
        case Map(value=held):
            one = _rebuilder(held, records)
            return lambda value: None if value is None else {key: one(it) for key, it in value.items()}
    return lambda value: value
