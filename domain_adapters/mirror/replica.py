"""The copy itself: one DuckDB file in which a walk gathers rows beside those being served, and then replaces or changes them at once.

Readers see the copy before a walk or after it, never between; a process that dies leaves what the last complete walk made. Every
method is one piece of work for one thread with a cursor; values are bound, never written into SQL. Touches its file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import duckdb

from contracts.model import Contract
from domain_adapters.columns import Column, columns_of
from domain_adapters.duck import kept
from domain_adapters.errors import PortUnavailableError, SourceError
from domain_adapters.mirror.bounds import Bounds
from domain_adapters.mirror.folder import Folder
from domain_adapters.mirror.intake import Fate
from domain_adapters.sql import Edition
from domain_adapters.statements import Relation

__all__ = ["Facts", "Replica"]

_FORMAT = 1
_FACTS = "edition BIGINT, as_of TIMESTAMP, walked_at TIMESTAMP, watermark TIMESTAMP"
_DAMAGED = ("not a valid DuckDB database", "checksum", "orrupt", "version number", "deserialize")
Cursor = duckdb.DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the copy. ``as_of``: up to when it is complete, None before the first walk has ended.

    ``walked_at``: when the last walk over everything began; ``watermark``: the newest update seen. ``rows`` served, ``left_out`` malformed.
    """

    edition: int = 0
    as_of: dt.datetime | None = None
    walked_at: dt.datetime | None = None
    watermark: dt.datetime | None = None
    rows: int = 0
    left_out: int = 0


class Replica:
    """The tables of one copy: ``mirrored`` is served, ``gathered`` belongs to the walk under way, ``left_out`` marks malformed rows."""

    def __init__(self, contract: Contract, folder: Folder, origin: str, spelling: Mapping[str, str], bounds: Bounds) -> None:
        """Open the copy in a folder, an empty one if there is none of this product and origin. Raises: `SourceError`."""
        self._contract = contract
        self._folder = folder
        self._columns = list(columns_of(contract.fields).values())
        by_name = {column.name: column for column in self._columns}
        self._keys = [by_name[name] for name in contract.primary_key]
        self._updated = by_name.get(contract.times.updated or "")
        retention = contract.retention
        self._dated = None if retention is None else by_name.get(retention.from_column or "")
        self._subject = None if contract.subject is None else by_name.get(contract.subject.column)
        self.connection = self._opened(_shape(contract, origin, spelling), bounds)
        self._next = 0

    @property
    def relation(self) -> Relation:
        """What is served: the copy without rows that have passed their retention since the last look."""
        sql = "SELECT * FROM mirrored"
        if self._dated is not None and self._contract.retention is not None:
            horizon = f"now() - to_seconds({int(self._contract.retention.period_s)})"
            sql += f" WHERE {self._dated.sql} >= CAST(CAST({horizon} AS TIMESTAMP) AS {self._dated.storage})"
        columns = {column.name: column for column in self._columns}
        return Relation(sql, columns, self._contract.primary_key, self._contract.times.updated)

    def facts(self, cursor: Cursor) -> Facts:
        """Read what is known of the copy."""
        ((edition, as_of, walked_at, watermark),) = cursor.execute("SELECT * FROM facts").fetchall()
        rows, left_out = (_count(cursor, f"SELECT count(*) FROM {table}") for table in ("mirrored", "left_out"))
        return Facts(edition, _utc(as_of), _utc(walked_at), _utc(watermark), rows, left_out)

    @staticmethod
    def edition(cursor: Cursor) -> Edition:
        """Tell which edition a transaction reads. Raises: `PortUnavailableError` while there is none."""
        ((number, as_of),) = cursor.execute("SELECT edition, as_of FROM facts").fetchall()
        if as_of is None:
            raise PortUnavailableError("the mirror's first walk has not ended yet", reason="filling")
        return Edition(number, as_of.replace(tzinfo=dt.UTC))

    # -- a walk ------------------------------------------------------------------------------------------------------------

    def begin(self, cursor: Cursor) -> None:
        """Make room for a walk's rows; what an unfinished walk left goes."""
        self.abandon(cursor)
        named = ", ".join(f"{column.sql} {column.storage}" for column in self._columns)
        cursor.execute(f"CREATE TABLE gathered ({named}, fate TINYINT, mark BIGINT, place BIGINT)")
        self._next = 0

    def add(self, cursor: Cursor, rows: Sequence[tuple[Any, ...]]) -> None:
        """Gather a page's rows (see `intake.Taken`); what DuckDB cannot hold makes a row malformed."""
        if not rows:
            return
        lists = [f"unnest(CAST(? AS {column.sent}[])) AS {column.sql}" for column in self._columns]
        lists += ["unnest(CAST(? AS TINYINT[])) AS fate", "unnest(CAST(? AS BIGINT[])) AS mark", "unnest(CAST(? AS BIGINT[])) AS place"]
        sent = [column for column in self._columns if column.sent != column.storage]
        held = ", ".join(
            f"TRY_CAST({column.sql} AS {column.storage}) AS {column.sql}" if column in sent else column.sql for column in self._columns
        )
        misfit = " OR ".join(f"({column.sql} IS NOT NULL AND TRY_CAST({column.sql} AS {column.storage}) IS NULL)" for column in sent)
        fate = f"CASE WHEN {misfit} THEN {Fate.MALFORMED:d} ELSE fate END" if sent else "fate"
        cells = [list(cells) for cells in zip(*rows, strict=True)]
        places = list(range(self._next, self._next + len(rows)))
        cursor.execute(f"INSERT INTO gathered SELECT {held}, {fate}, mark, place FROM (SELECT {', '.join(lists)})", [*cells, places])
        self._next += len(rows)

    def settle(self, cursor: Cursor) -> int:
        """Of all gathered rows of one key keep the newest update (of equals the one that came last); tell how many are to be kept."""
        if self._keys:
            keys = _listed(self._keys)
            cursor.execute(f"UPDATE gathered SET fate = {Fate.MALFORMED:d} WHERE ({_any_null(self._keys)}) AND fate <> {Fate.MALFORMED:d}")
            # A malformed row without a readable update could be the newest: then nothing of its key may be served.
            newest = "" if self._updated is None else f"({self._updated.sql} IS NULL AND fate = {Fate.MALFORMED:d}) DESC, "
            newest += "" if self._updated is None else f"{self._updated.sql} DESC NULLS LAST, "
            twice = f"SELECT {keys} FROM gathered GROUP BY {keys} HAVING count(*) > 1"
            ranked = (
                f"SELECT place, row_number() OVER (PARTITION BY {keys} ORDER BY {newest}place DESC) AS nth "
                f"FROM gathered SEMI JOIN ({twice}) AS twice USING ({keys})"
            )
            cursor.execute(f"DELETE FROM gathered WHERE place IN (SELECT place FROM ({ranked}) WHERE nth > 1)")
        return _count(cursor, f"SELECT count(*) FROM gathered WHERE fate = {Fate.KEPT:d}")

    def swap(self, cursor: Cursor, facts: Facts, began_at: dt.datetime, erased: Sequence[Any]) -> Facts:
        """Serve what was gathered in place of the copy."""
        found = replace(
            facts,
            edition=facts.edition + 1,
            as_of=began_at,
            walked_at=began_at,
            watermark=self._newest(cursor, began_at) or facts.watermark,
        )
        with _transaction(cursor):
            cursor.execute("DELETE FROM left_out")
            self._mark_left_out(cursor)
            cursor.execute(f"DELETE FROM gathered WHERE fate <> {Fate.KEPT:d}")
            self._take_out(cursor, "gathered", began_at, erased)
            cursor.execute("DROP TABLE mirrored")
            cursor.execute("ALTER TABLE gathered RENAME TO mirrored")
            self._note(cursor, found)
        self._tidy(cursor)
        return self.facts(cursor)

    def merge(self, cursor: Cursor, facts: Facts, began_at: dt.datetime, erased: Sequence[Any]) -> Facts:
        """Change the copy by what was gathered: the newest update of each key wins, the copy's own if it is newer."""
        newest = self._newest(cursor, began_at)
        watermark = newest if facts.watermark is None or (newest is not None and newest > facts.watermark) else facts.watermark
        same = " AND ".join(f"m.{column.sql} = g.{column.sql}" for column in self._keys)
        alike = " AND ".join(f"m.{column.sql} IS NOT DISTINCT FROM g.{column.sql}" for column in self._columns)
        with _transaction(cursor):
            # Looks overlap, so most rows are known already; only what is new makes another edition.
            cursor.execute(f"DELETE FROM gathered AS g USING mirrored AS m WHERE g.fate = {Fate.KEPT:d} AND {same} AND {alike}")
            changed = _count(cursor, f"DELETE FROM mirrored AS m USING gathered AS g WHERE {same}{self._not_newer()}")
            changed += _count(
                cursor,
                f"INSERT INTO mirrored SELECT * FROM gathered AS g WHERE g.fate = {Fate.KEPT:d} "
                f"AND NOT EXISTS (SELECT 1 FROM mirrored AS m WHERE {same})",
            )
            self._mark_left_out(cursor, unless=f" AND NOT EXISTS (SELECT 1 FROM mirrored AS m WHERE {same})")
            changed += self._take_out(cursor, "mirrored", began_at, erased)
            self._note(cursor, replace(facts, edition=facts.edition + (changed > 0), as_of=began_at, watermark=watermark))
        self._tidy(cursor)
        return self.facts(cursor)

    def purge(self, cursor: Cursor, facts: Facts, now: dt.datetime, erased: Sequence[Any]) -> Facts:
        """Take rows out of the copy whose retention is over or whose subject is erased."""
        with _transaction(cursor):
            gone = self._take_out(cursor, "mirrored", now, erased)
            if gone:
                self._note(cursor, replace(facts, edition=facts.edition + 1))
        return self.facts(cursor) if gone else facts

    def abandon(self, cursor: Cursor) -> None:
        """Forget what was gathered."""
        cursor.execute("DROP TABLE IF EXISTS gathered")
        self._tidy(cursor)

    # -- parts -------------------------------------------------------------------------------------------------------------

    def _opened(self, shape: str, bounds: Bounds) -> duckdb.DuckDBPyConnection:
        for again in (True, False):
            try:
                connection = self._connected(bounds)
            except duckdb.Error as error:
                if again and any(word in str(error) for word in _DAMAGED):
                    # It is a copy: one that cannot be read is made anew.
                    self._folder.clear()
                    continue
                raise SourceError(f"the mirror's database {self._folder.database} cannot be opened ({type(error).__name__})") from None
            if self._is_of(connection, shape):
                return connection
            connection.close()
            self._folder.clear()
        raise SourceError("the mirror's database cannot be made")

    def _connected(self, bounds: Bounds) -> duckdb.DuckDBPyConnection:
        folder = self._folder
        return kept(folder.database, bounds.memory_max, spill=folder.spill, spill_max_bytes=bounds.disk_max_bytes)

    def _is_of(self, connection: duckdb.DuckDBPyConnection, shape: str) -> bool:
        """Tell whether a database holds a copy of this shape; one without anything in it is made to."""
        cursor = connection.cursor()
        try:
            if not cursor.execute("SELECT 1 FROM information_schema.tables").fetchall():
                named = ", ".join(f"{column.sql} {column.storage}" for column in self._columns)
                with _transaction(cursor):
                    cursor.execute(f"CREATE TABLE mirrored ({named}, fate TINYINT, mark BIGINT, place BIGINT)")
                    cursor.execute("CREATE TABLE left_out (mark BIGINT)")
                    cursor.execute(f"CREATE TABLE facts ({_FACTS})")
                    cursor.execute("INSERT INTO facts VALUES (0, NULL, NULL, NULL)")
                    cursor.execute("CREATE TABLE shape (shape VARCHAR)")
                    cursor.execute("INSERT INTO shape VALUES (?)", [shape])
                self._folder.guard()
            return cursor.execute("SELECT shape FROM shape").fetchall() == [(shape,)]
        except duckdb.CatalogException:
            return False
        finally:
            cursor.close()

    def _newest(self, cursor: Cursor, began_at: dt.datetime) -> dt.datetime | None:
        """Find the newest update gathered; what claims to be of the future says nothing about what has been seen."""
        if self._updated is None:
            return None
        held = self._updated
        clock = f"CAST(max({held.sql}) AS TIMESTAMP)"
        ((found,),) = cursor.execute(
            f"SELECT {clock} FROM gathered WHERE {held.sql} <= CAST(CAST(? AS TIMESTAMP) AS {held.storage})", [_clock(began_at)]
        ).fetchall()
        return _utc(found)

    def _not_newer(self) -> str:
        if self._updated is None:
            return ""
        sql = self._updated.sql
        return f" AND (m.{sql} IS NULL OR m.{sql} <= g.{sql} OR (g.{sql} IS NULL AND g.fate = {Fate.MALFORMED:d}))"

    def _mark_left_out(self, cursor: Cursor, *, unless: str | None = None) -> None:
        """Note which rows are left out as malformed, beside those known; ``unless`` an older or newer version of theirs is served."""
        known = f"CAST(hash({_listed(self._keys)}) >> 1 AS BIGINT)" if self._keys else ""
        by_key = f"CASE WHEN NOT ({_any_null(self._keys)}) THEN {known} END" if self._keys else "NULL"
        malformed = f"SELECT coalesce({by_key}, mark, place) AS mark FROM gathered AS g WHERE fate = {Fate.MALFORMED:d}"
        if unless is None:
            cursor.execute(f"INSERT INTO left_out {malformed}")
            return
        cursor.execute(f"DELETE FROM left_out WHERE mark IN (SELECT {known} FROM gathered WHERE fate <> {Fate.MALFORMED:d})")
        cursor.execute(f"INSERT INTO left_out SELECT DISTINCT mark FROM ({malformed}{unless}) EXCEPT SELECT mark FROM left_out")

    def _take_out(self, cursor: Cursor, table: str, now: dt.datetime, erased: Sequence[Any]) -> int:
        """Delete the rows that may not be kept; a row without a date or a subject may not either where one is needed."""
        gone = 0
        if self._dated is not None and self._contract.retention is not None:
            sql, horizon = self._dated.sql, now - dt.timedelta(seconds=self._contract.retention.period_s)
            cut = f"CAST(CAST(? AS TIMESTAMP) AS {self._dated.storage})"
            gone += _count(cursor, f"DELETE FROM {table} WHERE {sql} IS NULL OR {sql} < {cut}", [_clock(horizon)])
        if self._subject is not None and erased:
            subject = self._subject
            values = f"SELECT CAST(unnest(CAST(? AS {subject.sent}[])) AS {subject.storage})"
            bound = [subject.bound(value) for value in erased]
            gone += _count(cursor, f"DELETE FROM {table} WHERE {subject.sql} IS NULL OR {subject.sql} IN ({values})", [bound])
        return gone

    def _note(self, cursor: Cursor, facts: Facts) -> None:
        instants = [None if at is None else _clock(at) for at in (facts.as_of, facts.walked_at, facts.watermark)]
        cursor.execute(
            "UPDATE facts SET edition = ?, as_of = CAST(? AS TIMESTAMP), walked_at = CAST(? AS TIMESTAMP), "
            "watermark = CAST(? AS TIMESTAMP)",
            [facts.edition, *instants],
        )

    def _tidy(self, cursor: Cursor) -> None:
        try:
            cursor.execute("DROP TABLE IF EXISTS gathered")
            cursor.execute("CHECKPOINT")
        except duckdb.TransactionException:
            pass  # somebody reads: the next one will do
        self._folder.guard()


def _shape(contract: Contract, origin: str, spelling: Mapping[str, str]) -> str:
    """Condense what a copy depends on; with another of it the copy is made anew."""
    fields = [(field.name, spelling[field.name], repr(field.type)) for field in contract.fields]
    telling = (_FORMAT, contract.key, origin, fields, contract.primary_key, contract.times.updated, contract.times.deleted)
    return blake2b(repr(telling).encode(), digest_size=16).hexdigest()


@contextmanager
def _transaction(cursor: Cursor) -> Iterator[None]:
    cursor.begin()
    try:
        yield
    except BaseException:
        cursor.rollback()
        raise
    cursor.commit()


def _count(cursor: Cursor, sql: str, params: Sequence[Any] = ()) -> int:
    ((found,),) = cursor.execute(sql, list(params)).fetchall()
    return int(found)


def _listed(columns: Sequence[Column]) -> str:
    return ", ".join(column.sql for column in columns)


def _any_null(columns: Sequence[Column]) -> str:
    return " OR ".join(f"{column.sql} IS NULL" for column in columns)


def _clock(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).replace(tzinfo=None).isoformat(sep=" ")


def _utc(clock: dt.datetime | None) -> dt.datetime | None:
    return None if clock is None else clock.replace(tzinfo=dt.UTC)
