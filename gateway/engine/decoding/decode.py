"""A port's page of bytes -> typed rows, in two gears (SPEC B6).

Fast: one typed decode; columns that were not asked for never become Python objects. Slow, when the fast gear refuses: row by
row, cell by cell; a bad cell is null and noted, a bad cell that rulings or joins need drops its row. A column is read as the contract
spells it for this port; where rows spell it otherwise, that is found on the first page and its cells are bad. No value of an
answer ever gets into a message.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from contracts.fields import Kind, Record, Scalar, Unit
from domain_adapters.level0 import other_spellings
from domain_adapters.wire import raw_json
from gateway.catalog.snapshot import Product
from gateway.compiler.executable import row_attribute
from gateway.engine.decoding.celltypes import LOOSE_TYPE, Settle, fast_type, loose_settle, settle_of, to_utc
from gateway.engine.decoding.cellwise import CellByCell, Column, Page
from gateway.errors import GatewayError

__all__ = ["COUNT_MAX", "UNFIT", "Page", "PageDecoder", "RowDecoders", "generated_at", "page_of", "raw_page"]

COUNT_MAX = 2**63 - 1
"""The largest number of rows that a port is believed to have: what `Long` holds."""

# Of all decoders kept for one product through one port: a field weighs about 600 bytes.
_FIELDS_KEPT_MAX = 8_192
UNFIT = (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError, OverflowError)
"""What decoders raise of a page or a cell that does not keep its type."""

_SUBMICROS = re.compile(rb":\d\d\.\d{7}")
_SAMPLE_EVERY = 256


class RowDecoders:
    """The decoders of one product through one port, and what has been learned of how its columns arrive.

    ``spelling``: contract column -> its name in this port's rows.
    """

    def __init__(self, product: Product, spelling: Mapping[str, str]) -> None:
        self.product = product
        self._spelling = tuple(spelling.get(column.name, column.name) for column in product.columns)
        self._loose: frozenset[int] = frozenset()
        self.misspelt: frozenset[int] = frozenset()
        self._kept: OrderedDict[frozenset[int], PageDecoder] = OrderedDict()
        self._kept_fields = 0

    def decoder(self, columns: frozenset[int]) -> PageDecoder:
        """Return the decoder for a set of column indices."""
        found = self._kept.get(columns)
        if found is None:
            found = self._kept[columns] = PageDecoder(self, self.product, self._spelling, columns, self._loose)
            self._kept_fields += len(columns)
            while self._kept_fields > _FIELDS_KEPT_MAX and len(self._kept) > 1:
                self._kept_fields -= len(self._kept.popitem(last=False)[0])
        return found

    def misspell(self, columns: frozenset[int]) -> None:
        """Remember columns that rows spell otherwise than the contract; pages that should hold them are read cell by cell."""
        self.misspelt |= columns

    def loosen(self, columns: frozenset[int]) -> None:
        """Remember columns that arrive in other forms than the canonical one."""
        if not columns <= self._loose:
            self._loose |= columns
            self._kept.clear()
            self._kept_fields = 0


class PageDecoder:
    """Decodes pages into rows with one attribute per column, ``c`` + the column's index."""

    def __init__(
        self, owner: RowDecoders, product: Product, spelling: Sequence[str], columns: frozenset[int], loose: frozenset[int]
    ) -> None:
        self._owner = owner
        self._indices = tuple(sorted(columns))
        self._types = tuple(product.columns[index].type for index in self._indices)
        self._names = tuple(spelling[index] for index in self._indices)
        self._others = tuple(other_spellings(product.columns[index].field, spelling) for index in self._indices)
        self._loose = loose
        self._records: dict[Record, type[msgspec.Struct]] = {}
        row = self.row_class = msgspec.defstruct(
            "Row",
            [
                (row_attribute(index), LOOSE_TYPE if index in loose else fast_type(type_, self._records) | None, None)
                for index, type_ in zip(self._indices, self._types, strict=True)
            ],
            rename={row_attribute(index): name for index, name in zip(self._indices, self._names, strict=True)},
            # Rows cannot hold themselves: the collector need not look at them.
            gc=False,
        )
        settles = {
            row_attribute(index): settle
            for index, type_ in zip(self._indices, self._types, strict=True)
            if (settle := loose_settle(type_) if index in loose else settle_of(type_)) is not None
        }
        self._settle = _settler(settles)
        self._decode = msgspec.json.Decoder(_page_class(row)).decode
        self._decode_rows: Callable[[bytes], list[Any]] | None = None
        self._instants = frozenset(
            index
            for index, type_ in zip(self._indices, self._types, strict=True)
            if index not in loose and isinstance(type_, Scalar) and type_.kind is Kind.INSTANT and type_.unit is not Unit.NANOS
        )
        self._until_sample = 0

    def decode(self, body: bytes, must: frozenset[int]) -> Page:
        """Decode one page. ``must``: columns whose bad cells drop the row.

        **Raises** `GatewayError` UPSTREAM_INVALID if the page is no JSON page at all.
        """
        return self.fast(body) or self.learnt(*self.slow(body, must))

    def fast(self, body: bytes) -> Page | None:
        """Decode a page every cell of which keeps its type; None for any other."""
        if self.doubts(body):
            return None
        try:
            wire = self._decode(body)
            rows = wire.data if wire.data is not UNSET else wire.Data
            if rows is UNSET or rows is None:
                return None
            if self._settle is not None:
                self._settle(rows)
        except UNFIT:
            return None
        return page_of(rows, wire)

    def learnt(self, page: Page, loosen: frozenset[int], misspelt: frozenset[int]) -> Page:
        """Decode columns that came in another form or spelling as they come from now on."""
        if misspelt:
            self._owner.misspell(misspelt)
        if loosen:
            self._owner.loosen(loosen)
        return page

    def _sampled(self, body: bytes) -> bool:
        # msgspec rounds what is finer than a microsecond, and takes a member of another name for one that is missing; a source
        # that does either does it throughout, so now and then a page is searched for both, and read exactly from then on.
        self._until_sample -= 1
        if self._until_sample >= 0:
            return False
        self._until_sample = _SAMPLE_EVERY
        if self._instants and _SUBMICROS.search(body) is not None:
            return True
        return any(
            any(b'"%b"' % other.encode() in body for other in others) and b'"%b"' % name.encode() not in body
            for name, others in zip(self._names, self._others, strict=True)
        )

    def slow(self, body: bytes, must: frozenset[int]) -> tuple[Page, frozenset[int], frozenset[int]]:
        """Decode a page cell by cell; say which columns came in other forms, and spellings, than their own. Any thread may."""
        raw = raw_page(body)
        reading = self.cell_by_cell(must)
        reading.take(raw.data if raw.data is not UNSET else raw.Data)
        return reading.onto(page_of([], raw))

    # -- a page in parts, for `large` ----------------------------------------------------------------------------------------

    def doubts(self, head: bytes) -> bool:
        """Whether a page that begins so may hold what only the slow gear reads exactly."""
        return self._sampled(head) or (bool(self._owner.misspelt) and not self._owner.misspelt.isdisjoint(self._indices))

    def rows(self, text: bytes) -> list[Any]:
        """Decode an array of rows every cell of which keeps its type. **Raises** one of `UNFIT`."""
        if self._decode_rows is None:
            self._decode_rows = msgspec.json.Decoder(list[self.row_class]).decode  # type: ignore[name-defined]
        rows: list[Any] = self._decode_rows(text)
        if self._settle is not None:
            self._settle(rows)
        return rows

    def page(self, text: bytes) -> Any:
        """Decode a page as it is. **Raises** one of `UNFIT`."""
        return self._decode(text)

    def cell_by_cell(self, must: frozenset[int]) -> CellByCell:
        """Begin to read rows cell by cell."""
        columns = zip(self._indices, self._types, self._names, self._others, strict=True)
        return CellByCell(self.row_class, self._records, [Column(*it) for it in columns], loose=self._loose, must=must)


def _settler(settles: Mapping[str, Settle]) -> Callable[[list[Any]], None] | None:
    if not settles:
        return None
    names: dict[str, Any] = {"utc": dt.UTC}
    lines = ["def settle(rows):", "    for r in rows:"]
    for place, (attribute, settle) in enumerate(settles.items()):
        names[f"s{place}"] = settle
        # Nearly every instant comes in UTC already; a call for each would cost more than decoding it did.
        unless = " and v.tzinfo is not utc" if settle is to_utc else ""
        lines.append(f"        if (v := r.{attribute}) is not None{unless}: r.{attribute} = s{place}(v)")
    exec(compile("\n".join(lines), "<settle>", "exec"), names)  # noqa: S102  # made of our own names only
    made: Callable[[list[Any]], None] = names["settle"]
    return made


def _page_class(row: Any) -> type[Any]:
    rows = list[row] | None | UnsetType
    members: list[tuple[str, Any, Any]] = [("data", rows, UNSET), ("Data", rows, UNSET)]
    members += [(name, Any, None) for name in ("nextCursor", "next_cursor", "NextCursor", "metadata", "Metadata")]
    members += [("count", int | None, None), ("groups", list[dict[str, Any]] | None, None)]
    return msgspec.defstruct("Page", members)


class RawPage(msgspec.Struct):
    """A page of plain JSON values, however it is spelt."""

    data: Any = UNSET
    Data: Any = UNSET
    nextCursor: Any = None  # noqa: N815  # the wire's spellings
    next_cursor: Any = None
    NextCursor: Any = None
    metadata: Any = None
    Metadata: Any = None
    count: Any = None
    groups: Any = None


def raw_page(body: bytes) -> RawPage:
    """Decode a page to plain JSON values. **Raises** `GatewayError` UPSTREAM_INVALID if it is none."""
    try:
        raw = raw_json(body)
    except (ValueError, RecursionError):
        raise GatewayError("UPSTREAM_INVALID", "The product's port did not answer JSON.") from None
    if not isinstance(raw, dict):
        raise GatewayError("UPSTREAM_INVALID", "The product's port did not answer a page.")
    page = RawPage(**{name: raw[name] for name in RawPage.__struct_fields__ if name in raw})
    found = page.data if page.data is not UNSET else page.Data
    if found is None and (page.data is None or page.Data is None):
        page.data = []  # an empty slice of Go is null
    elif not isinstance(found, list):
        raise GatewayError("UPSTREAM_INVALID", "The product's port did not answer a page of rows.")
    return page


def page_of(rows: list[Any], wire: Any) -> Page:
    """Give rows with what their page says beside them. **Raises** `GatewayError` UPSTREAM_INVALID for cursors that are none."""
    cursor = wire.nextCursor
    if cursor is None:
        cursor = wire.next_cursor if wire.next_cursor is not None else wire.NextCursor
    if isinstance(cursor, bool) or not isinstance(cursor, (str, int, type(None))):
        raise GatewayError("UPSTREAM_INVALID", "The product's port gave a cursor that is no text.")
    metadata = wire.metadata if wire.metadata is not None else wire.Metadata
    count = wire.count if isinstance(wire.count, int) and not isinstance(wire.count, bool) and 0 <= wire.count <= COUNT_MAX else None
    groups = wire.groups if isinstance(wire.groups, list) else None
    # An empty cursor is how some write "no more".
    return Page(rows, None if cursor in (None, "") else str(cursor), metadata, count, groups)


def generated_at(metadata: Any) -> str | None:
    """Read when a page was made, in UTC, from its metadata as teams spell it; None where it does not say."""
    if not isinstance(metadata, dict):
        return None
    for name in ("generatedAt", "generated_at", "GeneratedAt"):
        value = metadata.get(name)
        if isinstance(value, str) and len(value) <= 40:
            try:
                instant = dt.datetime.fromisoformat(value)
                return None if instant.tzinfo is None else instant.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
            except (ValueError, OverflowError):
                return None
    return None
