"""The SQL port: answers every read of level 1 from one relation in DuckDB, whatever holds the rows.

DuckDB writes the rows' JSON itself, away from the event loop; here it is only put into a page. Rejects reads beyond its capabilities
(`PortCannotError`), reads that do not fit the contract or another's cursor (`ReadInvalidError`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import msgspec

from contracts.model import Contract
from contracts.predicates import Operator
from domain_adapters.algebra import AGGREGATES, TRUNCATIONS
from domain_adapters.bookmarks import Bookmarks
from domain_adapters.duck import Cursors
from domain_adapters.errors import PortBrokenPromiseError, PortRefusedError, ReadInvalidError
from domain_adapters.groupings import groups_statement
from domain_adapters.leftovers import AHEAD, Leftovers
from domain_adapters.port import Call, Capabilities, Read
from domain_adapters.refusals import refuse_beyond
from domain_adapters.sources import Attached, Source, attach
from domain_adapters.statements import Relation, Statement, count_statement, rows_statement
from domain_adapters.values import canonical_instant
from domain_adapters.vitals import Figures, Vitals, since_column
from domain_adapters.wire import Metadata, encode_page

__all__ = ["Edition", "SqlPort", "capabilities_for", "open_sql"]

Clock = Callable[[], dt.datetime]
_KEYS_MAX = 10_000


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def capabilities_for(contract: Contract, *, page_max: int = 1_000) -> Capabilities:
    """Say what SQL can do for a contract: everything, but order needs a primary key and ``since`` a column for it."""
    keyed = bool(contract.primary_key)
    return Capabilities(
        level=1,
        select=True,
        operators=frozenset(Operator),
        boolean=True,
        order_by=keyed,
        since=since_column(contract) is not None,
        keys=True,
        keys_max=_KEYS_MAX,
        limit_per_key=keyed,
        count=True,
        aggregates=frozenset(AGGREGATES),
        group_by=True,
        truncations=frozenset(TRUNCATIONS),
        having=True,
        stats=True,
        page_max=page_max,
    )


async def open_sql(
    contract: Contract,
    source: Source,
    *,
    name: str = "sql-table",
    capabilities: Capabilities | None = None,
    secret: bytes | None = None,
    cursors: int = 4,
    memory_max: str = "1GB",
    clock: Clock = _now,
) -> SqlPort:
    """Open a source as a port; ``capabilities`` may narrow what it admits to. ``secret``: see `Bookmarks`.

    Raises: `SourceError` where the source cannot serve the contract.
    """
    attached = await asyncio.to_thread(attach, contract, source, memory_max=memory_max)
    return SqlPort(contract, attached, name=name, capabilities=capabilities, secret=secret, cursors=cursors, clock=clock)


@dataclass(frozen=True, slots=True)
class Edition:
    """Which state of a copy is being read. ``as_of``: up to when it is complete; ``number``: another one whenever rows changed."""

    number: int
    as_of: dt.datetime


@dataclass(frozen=True, slots=True)
class _Fetched:
    """What one transaction found; ``rows`` one more than the page where there are more."""

    rows: Sequence[Any]
    place: list[Any] | None
    total: int | None
    vitals: Figures
    edition: Edition | None
    counted: int


class SqlPort:
    """A port over one relation. Answers pages of at most ``capabilities.page_max`` rows or groups.

    ``edition``: of a relation that is a copy, which one a transaction reads; pages then say as of when they are, and a cursor that
    counts rows does not outlive the rows it counted.
    """

    def __init__(
        self,
        contract: Contract,
        attached: Attached,
        *,
        name: str = "sql-table",
        capabilities: Capabilities | None = None,
        secret: bytes | None = None,
        cursors: int = 4,
        clock: Clock = _now,
        vitals_s: float = 5.0,
        edition: Callable[[duckdb.DuckDBPyConnection], Edition] | None = None,
    ) -> None:
        self._contract = contract
        self._attached = attached
        self._relation: Relation = attached.relation
        self._name = name
        self._capabilities = capabilities or capabilities_for(contract)
        self._bookmarks = Bookmarks(f"{contract.key}@{contract.revision}", secret)
        self._cursors = Cursors(attached.connection, cursors=cursors)
        self._clock = clock
        self._vitals = Vitals(contract, self._relation, every_s=vitals_s)
        self._edition = edition
        self._leftovers = Leftovers()
        self._columns = {field.name: field.name for field in contract.fields}

    @property
    def name(self) -> str:
        """What ``metadata.port`` says."""
        return self._name

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._capabilities

    @property
    def spelling(self) -> dict[str, str]:
        """The contract's own names."""
        return self._columns

    async def read(self, read: Read, call: Call) -> bytes:
        """Answer one page. Raises: `PortRefusedError` and its kinds, `PortUnavailableError`, `PortBrokenPromiseError`."""
        refuse_beyond(read, self._capabilities)
        _refuse_nonsense(read)
        grouped = bool(read.aggregates or read.group_by)
        try:
            fetched = await self._cursors.run(lambda cursor: self._fetch(cursor, read, grouped=grouped), call.timeout_s)
        except PortBrokenPromiseError as error:
            if not grouped or error.reason != "out_of_range":
                raise
            # What callers add up is no fault of the source's, and no reason to leave it alone.
            raise PortRefusedError("a total does not fit its type", reason="unfit_total", status=400) from None
        limit = self._limit(read)
        found = fetched.rows[:limit]
        body = ("[" + ",".join([row[0] for row in found]) + "]").encode()
        place = self._place(read, fetched.place, found, grouped) if len(fetched.rows) > limit and found else None
        return encode_page(
            b"[]" if grouped else body,
            next_cursor=None if place is None else self._bookmarks.seal(read, place, fetched.counted),
            metadata=self._metadata(fetched),
            applied=_applied(read),
            count=fetched.total,
            groups=body if grouped else None,
        )

    async def slo(self, call: Call) -> bytes:
        """Measure freshness (newest update) and completeness (required cells of the newest rows that hold a value)."""
        return msgspec.json.encode(await self._cursors.run(self._measure, call.timeout_s))

    def remeasure(self) -> None:
        """Forget what was measured of the whole product: its rows have changed."""
        self._vitals.forget()

    async def aclose(self) -> None:
        """Stop what runs and close the database if it is ours."""
        await self._cursors.aclose()
        if self._attached.owned:
            self._attached.connection.close()

    def _limit(self, read: Read) -> int:
        return self._capabilities.page_max if read.limit is None else min(read.limit, self._capabilities.page_max)

    def _rows(self, read: Read, place: list[Any] | None) -> Statement:
        # One row beyond the page tells whether there is a next one.
        limit = self._limit(read) + 1
        if self._relation.primary_key:
            return rows_statement(read, self._relation, limit=limit, after=place)
        return rows_statement(read, self._relation, limit=limit, offset=_offset(place))

    def _groups(self, cursor: duckdb.DuckDBPyConnection, read: Read, place: list[Any] | None, counted: int) -> Sequence[Any]:
        offset, size = _offset(place), self._limit(read) + 1
        walk = self._bookmarks.walk(read, counted)
        if place and (kept := self._leftovers.page(walk, offset, size)) is not None:
            return kept
        # Who asks for a second page is likely to ask for all of them.
        limit = max(size, AHEAD + 1) if place else size
        page = groups_statement(read, self._relation, limit=limit, offset=offset)
        rows = cursor.execute(page.sql, page.params).fetchall()
        if len(rows) > size:
            self._leftovers.keep(walk, offset, rows)
        return rows[:size]

    def _place(self, read: Read, place: list[Any] | None, found: Sequence[tuple[str, str]], grouped: bool) -> Sequence[Any]:
        if grouped or not self._relation.primary_key:
            return [_offset(place) + len(found)]
        keys: list[Any] = msgspec.json.decode(found[-1][1])
        return keys

    def _fetch(self, cursor: duckdb.DuckDBPyConnection, read: Read, *, grouped: bool) -> _Fetched:
        # One transaction, so that page, count and edition are of the same rows.
        _begin(cursor)
        try:
            edition = None if self._edition is None else self._edition(cursor)
            # A keyset says what it follows, whatever changes; an offset means something in one edition only.
            counted = edition.number if edition is not None and (grouped or not self._relation.primary_key) else 0
            place = self._bookmarks.open(read, counted)
            if grouped:
                rows = self._groups(cursor, read, place, counted)
            else:
                page = self._rows(read, place)
                rows = cursor.execute(page.sql, page.params).fetchall()
            total = _scalar(cursor, count_statement(read, self._relation)) if read.count else None
            return _Fetched(rows, place, total, self._vitals.figures(cursor), edition, counted)
        finally:
            cursor.rollback()

    def _metadata(self, fetched: _Fetched) -> Metadata:
        now, vitals = self._clock(), fetched.vitals
        generated_at = now if fetched.edition is None else fetched.edition.as_of
        return Metadata(canonical_instant(generated_at), self._contract.metadata.version, vitals.rows, self._vitals.status(vitals, now))

    def _measure(self, cursor: duckdb.DuckDBPyConnection) -> dict[str, Any]:
        _begin(cursor)
        try:
            return self._vitals.document(cursor, self._clock())
        finally:
            cursor.rollback()


def _refuse_nonsense(read: Read) -> None:
    if read.limit is not None and read.limit < 0:
        raise ReadInvalidError("limit must not be negative")
    if read.limit_per_key is not None and (read.limit_per_key < 1 or read.keys is None):
        raise ReadInvalidError("limitPerKey must be at least 1 and needs keys")
    if read.having is not None and not (read.aggregates or read.group_by):
        raise ReadInvalidError("having needs aggregates or groupBy")


def _begin(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.begin()
    except duckdb.TransactionException:
        # The read before was interrupted while it ended its transaction, which so never ended.
        cursor.rollback()
        cursor.begin()


def _offset(place: list[Any] | None) -> int:
    return place[0] if place else 0


def _scalar(cursor: duckdb.DuckDBPyConnection, statement: Statement) -> int:
    row = cursor.execute(statement.sql, statement.params).fetchone()
    return int(row[0]) if row else 0


def _applied(read: Read) -> list[str]:
    """Name the members of the query that shaped the answer: all that were asked, as nothing is left out silently."""
    asked = {
        "select": read.select is not None,
        "where": read.where is not None,
        "orderBy": bool(read.order_by),
        "limit": read.limit is not None,
        "cursor": read.cursor is not None,
        "since": read.since is not None,
        "keys": read.keys is not None,
        "limitPerKey": read.limit_per_key is not None,
        "aggregates": bool(read.aggregates),
        "groupBy": bool(read.group_by),
        "having": read.having is not None,
        "count": read.count,
    }
    return [name for name, used in asked.items() if used]
