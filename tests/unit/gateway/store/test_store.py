"""What every store does alike, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.store.errors import StoreConflictError, StoreError, StoreUnavailableError
from gateway.store.opening import open_store
from gateway.store.sqlite import SqliteStore
from gateway.store.store import Statement, Store
from tests.postgres import Server

TABLE = Statement("CREATE TABLE things (name TEXT PRIMARY KEY, size BIGINT, share DOUBLE PRECISION, raw BYTEA)")
ADD = "INSERT INTO things (name, size) VALUES (?, ?)"


async def test_values_come_back_as_they_went_in(store: Store) -> None:
    await store.run(TABLE)
    row = ("naïve", 2**60, 0.1, b"\0\xff")
    await store.run(Statement("INSERT INTO things (name, size, share, raw) VALUES (?, ?, ?, ?)", row))
    assert await store.rows("SELECT name, size, share, raw FROM things WHERE name = ?", "naïve") == [row]


async def test_a_transaction_is_done_whole_or_not_at_all(store: Store) -> None:
    await store.run(TABLE)
    with pytest.raises(StoreConflictError):
        await store.run(Statement(ADD, ("a", 1)), Statement(ADD, ("a", 2)))
    with pytest.raises(StoreConflictError):
        await store.run(
            Statement(ADD, ("b", 1)), Statement("UPDATE things SET size = 2 WHERE name = ? RETURNING size", ("c",), rows_expected=1)
        )
    assert await store.rows("SELECT count(*) FROM things") == [(0,)]


async def test_compare_and_set_is_won_by_one(store: Store) -> None:
    await store.run(TABLE, Statement(ADD, ("a", 0)))
    change = Statement("UPDATE things SET size = size + 1 WHERE name = ? AND size = ? RETURNING size", ("a", 0), rows_expected=1)
    outcomes = await asyncio.gather(*(store.run(change) for _ in range(8)), return_exceptions=True)
    assert sum(not isinstance(it, Exception) for it in outcomes) == 1
    assert all(isinstance(it, StoreConflictError) for it in outcomes if isinstance(it, Exception))
    assert await store.rows("SELECT size FROM things") == [(1,)]


async def test_a_wrong_statement_is_refused_without_quoting_it(store: Store) -> None:
    with pytest.raises(StoreError, match="refused a statement") as failure:
        await store.rows("SELECT secret FROM nowhere WHERE a = ?", 1)
    assert not isinstance(failure.value, (StoreUnavailableError, StoreConflictError))
    assert "secret" not in str(failure.value)


async def test_the_stores_clock_is_the_one_that_counts(store: Store) -> None:
    ((first,),) = await store.rows("SELECT now_ms()")
    ((second,),) = await store.rows("SELECT now_ms()")
    assert 1.7e12 < first <= second


@pytest.mark.parametrize("url", ["", "sqlite:", "mysql://x", "postgresql:secret", "/a/path"])
def test_an_address_that_is_none_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ValueError, match="write a store as") as failure:
        open_store(url)
    assert "secret" not in str(failure.value)


async def test_what_is_in_memory_is_nobody_elses(tmp_path: Path) -> None:
    for url, shared in ((None, False), (f"sqlite:{tmp_path}/a.db", True), ("postgresql://nobody@127.0.0.1:1/x", True)):
        store = open_store(url)
        assert store.is_shared is shared
        await store.aclose()


async def test_a_file_is_kept_and_shared_by_processes(tmp_path: Path) -> None:
    first, second = SqliteStore(tmp_path / "s.db"), SqliteStore(tmp_path / "s.db")
    await first.run(TABLE)
    await asyncio.gather(*(one.run(Statement(ADD, (f"{place}{n}", n))) for n in range(40) for place, one in enumerate((first, second))))
    await first.aclose()
    assert await second.rows("SELECT count(*) FROM things") == [(80,)]
    await second.aclose()


async def test_a_slow_store_is_given_up_in_time_and_used_again_later(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db", timeout_s=0.2)
    await store.run(TABLE)
    other = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError):
        await store.run(Statement(ADD, ("a", 1)))
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    other.execute("ROLLBACK")
    other.close()
    with pytest.raises(StoreUnavailableError, match="in time"):
        await store.rows(endless)
    async with asyncio.timeout(20):
        while True:
            try:
                await store.run(Statement(f"{ADD} ON CONFLICT DO NOTHING", ("b", 1)))
                break
            except StoreUnavailableError:
                continue
    assert await store.rows("SELECT name FROM things") == [("b",)]
    await store.aclose()


async def test_no_more_wait_for_a_store_than_it_takes(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    outcomes = await asyncio.gather(*(store.rows("SELECT 1") for _ in range(200)), return_exceptions=True)
    assert {type(it) for it in outcomes if isinstance(it, Exception)} == {StoreUnavailableError}
    assert await store.rows("SELECT 1") == [(1,)]
    await store.aclose()


async def test_a_folder_that_cannot_be_made_and_a_file_that_is_none_are_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database at all, but long enough to be looked at as if it were one" * 20)
    for path, message in ((tmp_path / "file" / "s.db", "cannot be made"), (tmp_path / "file", "store")):
        store = SqliteStore(path)
        with pytest.raises(StoreError, match=message):
            await store.rows("SELECT 1")
        await store.aclose()


WRITER = """
import asyncio, sys
from pathlib import Path
from gateway.store.opening import open_store
from gateway.store.store import Statement

async def main():
    store = open_store(sys.argv[1])
    number = 0
    while True:
        number += 1
        await store.run(*(Statement("INSERT INTO things (name, size) VALUES (?, ?)", (f"{number}-{part}", number)) for part in range(50)))
        print(number, flush=True)

asyncio.run(main())
"""


async def test_a_writer_killed_in_the_middle_leaves_whole_transactions_only(store: Store, tmp_path: Path, server: Server) -> None:
    if not store.is_shared:
        return
    url = f"sqlite:{tmp_path}/deep/er/store.db" if isinstance(store, SqliteStore) else server.url
    await store.run(TABLE)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )
    assert writer.stdout is not None
    for _ in range(5):
        line = writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    rows = await store.rows("SELECT size, count(*) FROM things GROUP BY size ORDER BY size")
    assert len(rows) >= int(line) == 5
    assert [count for _, count in rows] == [50] * len(rows)
    await store.run(Statement(ADD, ("after", 0)))


async def test_a_server_that_was_killed_is_away_and_then_there_again(server: Server) -> None:
    store = open_store(server.url, timeout_s=5)
    await store.run(Statement("DROP SCHEMA public CASCADE"), Statement("CREATE SCHEMA public"), TABLE, Statement(ADD, ("a", 1)))
    server.kill()
    try:
        for _ in range(2):
            with pytest.raises(StoreUnavailableError) as failure:
                await store.run(Statement(ADD, ("b", 1)))
            assert "127.0.0.1" not in str(failure.value)
    finally:
        server.start()
    async with asyncio.timeout(30):
        while True:
            try:
                assert await store.rows("SELECT name FROM things") == [("a",)]
                break
            except StoreUnavailableError:
                continue
    await store.aclose()
    await store.aclose()
