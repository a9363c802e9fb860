"""A store in one SQLite file (or in memory): one connection in one thread of its own, write-ahead log, full synchronisation.

Several processes on one machine may share the file. Touches that file. Rejects with `StoreError`s.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gateway.store.errors import StoreConflictError, StoreError, StoreUnavailableError
from gateway.store.store import Row, Statement

__all__ = ["SqliteStore"]

_WAITING_MAX = 64


class SqliteStore:
    """A store in ``path``; None: in memory, gone with this process.

    ``timeout_s`` bounds one transaction, waiting for others included. ``clock``: the store's, in seconds.
    """

    def __init__(self, path: Path | None, *, timeout_s: float = 5.0, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, "store")
        self._waiting = 0

    @property
    def is_shared(self) -> bool:
        """Whether other processes may use it too."""
        return self._path is not None

    async def run(self, *statements: Statement) -> list[list[Row]]:
        """Run statements in one transaction."""
        if self._waiting >= _WAITING_MAX:
            raise StoreUnavailableError("the store is too busy")
        self._waiting += 1
        given_up = threading.Event()
        job = self._thread.submit(self._transact, statements, given_up)
        work = asyncio.wrap_future(job)
        work.add_done_callback(self._done)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.shield(work)
        except TimeoutError:
            # What has not begun never will; what has is broken off.
            given_up.set()
            if not job.cancel() and self._connection is not None:
                self._connection.interrupt()
            raise StoreUnavailableError("the store did not answer in time") from None

    async def rows(self, sql: str, *params: Any) -> list[Row]:
        """Run one statement and give its rows."""
        return (await self.run(Statement(sql, params)))[0]

    async def aclose(self) -> None:
        """Finish what is under way and close."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _done(self, work: asyncio.Future[list[list[Row]]]) -> None:
        self._waiting -= 1
        if not work.cancelled():
            work.exception()  # nobody waits for it any more, perhaps

    # -- in the store's own thread -----------------------------------------------------------------------------------------

    def _transact(self, statements: tuple[Statement, ...], given_up: threading.Event) -> list[list[Row]]:
        try:
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _told(error) from None
        try:
            found: list[list[Row]] = []
            for statement in statements:
                rows = connection.execute(statement.sql, statement.params).fetchall()
                if statement.rows_expected is not None and len(rows) != statement.rows_expected:
                    raise StoreConflictError("a row was not as expected")
                found.append(rows)
            if given_up.is_set():
                raise StoreUnavailableError("nobody waits for this transaction any more")
            connection.execute("COMMIT")
            return found
        except sqlite3.Error as error:
            raise _told(error) from None
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            if self._path is not None:
                try:
                    self._path.parent.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise StoreUnavailableError(f"the store's folder cannot be made ({error.strerror})") from None
            connection = sqlite3.connect(
                self._path or ":memory:", timeout=self._timeout_s, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                connection.create_function("now_ms", 0, lambda: int(self._clock() * 1_000))
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _told(error: sqlite3.Error) -> StoreError:
    if isinstance(error, sqlite3.IntegrityError):
        return StoreConflictError("somebody else was first")
    if isinstance(error, sqlite3.OperationalError) and getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:
        return StoreUnavailableError(f"the store cannot be used now ({getattr(error, 'sqlite_errorname', 'unknown')})")
    return StoreError(f"the store refused a statement ({getattr(error, 'sqlite_errorname', type(error).__name__)})")
