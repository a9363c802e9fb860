"""Runs work on one DuckDB database away from the event loop: few threads, a cursor each, interrupted when nobody waits any more.

Rejects work beyond a bounded queue (`PortUnavailableError`, ``overloaded``) and what takes too long (``timeout``). DuckDB's own
messages quote values, so they never leave this module.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Generic, TypeVar

import duckdb

from domain_adapters.errors import PortBrokenPromiseError, PortUnavailableError

__all__ = ["Cursors", "hardened", "kept"]

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)
_AGAIN_S = 0.02
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "temp_directory": "",
}


def hardened(memory_max: str) -> duckdb.DuckDBPyConnection:
    """Open an empty in-memory database: one thread, bounded memory, no extensions from anywhere, no spilling to disk."""
    connection = duckdb.connect(":memory:", config={**_CONFIG, "memory_limit": memory_max})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def kept(file: Path, memory_max: str, *, spill: Path, spill_max_bytes: int) -> duckdb.DuckDBPyConnection:
    """Open a database file of ours, as hardened as one in memory; what does not fit into memory spills into a folder beside it.

    Raises: `duckdb.Error`.
    """
    places: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_max,
        "temp_directory": str(spill),
        "max_temp_directory_size": f"{spill_max_bytes}B",
    }
    connection = duckdb.connect(str(file), config={**_CONFIG, **places})
    try:
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except BaseException:
        connection.close()
        raise
    return connection


class Cursors:
    """A few cursors on one connection, each lent to one piece of work at a time."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, cursors: int = 4, waiting_max: int = 256) -> None:
        self._idle: SimpleQueue[duckdb.DuckDBPyConnection] = SimpleQueue()
        self._all = [connection.cursor() for _ in range(cursors)]
        for cursor in self._all:
            # Fetched whole: a result with something left in it holds its transaction open, and no checkpoint passes that.
            if cursor.execute("SELECT current_setting('TimeZone') <> 'UTC'").fetchall() == [(True,)]:
                cursor.execute("SET TimeZone = 'UTC'")
            self._idle.put(cursor)
        self._threads = ThreadPoolExecutor(cursors, thread_name_prefix="duckdb")
        self._waiting = 0
        self._waiting_max = waiting_max + cursors
        self._closed = False

    async def run(self, work: Callable[[duckdb.DuckDBPyConnection], _Result], timeout_s: float) -> _Result:
        """Run ``work`` on a cursor in a thread. Raises: `PortUnavailableError`, `PortBrokenPromiseError`, what ``work`` raises."""
        if self._closed:
            raise PortUnavailableError("the port is closed", reason="closed")
        if self._waiting >= self._waiting_max:
            raise PortUnavailableError("too many reads are waiting", reason="overloaded")
        job = _Job(work, self._idle)
        self._waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, job)
        except TimeoutError:
            raise PortUnavailableError("the read took too long", reason="timeout") from None
        except duckdb.Error as error:
            raise _refusal(error) from None
        finally:
            self._waiting -= 1
            job.stop(asyncio.get_running_loop())

    async def aclose(self) -> None:
        """Interrupt what runs and release the cursors."""
        if self._closed:
            return
        self._closed = True
        ended = asyncio.ensure_future(asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True))
        while not ended.done():
            # Again until all have ended, as in `_Job.stop`.
            for cursor in self._all:
                cursor.interrupt()
            await asyncio.wait([ended], timeout=_AGAIN_S)
        for cursor in self._all:
            cursor.close()


class _Job(Generic[_Result]):
    """One piece of work that can be stopped from the event loop while a thread runs it."""

    def __init__(self, work: Callable[[duckdb.DuckDBPyConnection], _Result], idle: SimpleQueue[duckdb.DuckDBPyConnection]) -> None:
        self._work = work
        self._idle = idle
        self._lock = threading.Lock()
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._stopped = False

    def __call__(self) -> _Result:
        cursor = self._idle.get()
        try:
            with self._lock:
                if self._stopped:
                    raise duckdb.InterruptException("stopped before it began")
                self._cursor = cursor
            return self._work(cursor)
        finally:
            with self._lock:
                self._cursor = None
            self._idle.put(cursor)

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Interrupt the statement, again until it ends: an interrupt between two statements is forgotten by DuckDB."""
        with self._lock:
            self._stopped = True
            if self._cursor is None:
                return
            self._cursor.interrupt()
        loop.call_later(_AGAIN_S, self.stop, loop)


def _refusal(error: duckdb.Error) -> PortUnavailableError | PortBrokenPromiseError:
    _log.warning("a read failed in DuckDB: %s", type(error).__name__)
    match error:
        case duckdb.InterruptException():
            return PortUnavailableError("the read was interrupted", reason="interrupted")
        case duckdb.OutOfMemoryException():
            return PortUnavailableError("the read needs more memory than it may have", reason="memory")
        case duckdb.IOException():
            return PortUnavailableError("the source cannot be read", reason="source")
        case duckdb.OutOfRangeException() | duckdb.InvalidInputException():  # of decimals, of floats
            return PortBrokenPromiseError("a value or a total does not fit its type", reason="out_of_range")
        case duckdb.ConversionException():
            return PortBrokenPromiseError("a value does not fit its type", reason="unfit_value")
    return PortBrokenPromiseError("the source does not serve this read", reason="source")
