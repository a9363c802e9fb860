"""Tables brought up to date: once each, by one of many, or refused."""

from __future__ import annotations

import asyncio

import pytest

from gateway.store.errors import StoreError, StoreSchemaError
from gateway.store.migrations import Migration, migrate
from gateway.store.store import Statement, Store

FIRST = Migration(1, "things", ("CREATE TABLE things (name TEXT PRIMARY KEY)", "INSERT INTO things (name) VALUES ('made once')"))
SECOND = Migration(2, "sizes", ("ALTER TABLE things ADD COLUMN size BIGINT",))


async def test_steps_are_made_once_and_in_order(store: Store) -> None:
    await migrate(store, "part", [FIRST])
    await migrate(store, "part", [FIRST, SECOND])
    await migrate(store, "part", [FIRST, SECOND])
    assert await store.rows("SELECT name, size FROM things") == [("made once", None)]
    assert await store.rows("SELECT number, name FROM store_migrations WHERE part = ? ORDER BY number", "part") == [
        (1, "things"),
        (2, "sizes"),
    ]


async def test_of_many_replicas_that_start_at_once_one_makes_each_step(store: Store) -> None:
    await asyncio.gather(*(migrate(store, "part", [FIRST, SECOND]) for _ in range(8)))
    assert await store.rows("SELECT count(*) FROM things") == [(1,)]


async def test_parts_do_not_know_of_each_other(store: Store) -> None:
    await migrate(store, "part", [FIRST])
    await migrate(store, "other", [Migration(1, "other", ("CREATE TABLE others (name TEXT)",))])
    assert await store.rows("SELECT count(*) FROM store_migrations") == [(2,)]


async def test_a_store_that_is_newer_or_otherwise_is_refused(store: Store) -> None:
    await migrate(store, "part", [FIRST, SECOND])
    with pytest.raises(StoreSchemaError, match="newer than this version's 1; upgrade it"):
        await migrate(store, "part", [FIRST])
    with pytest.raises(StoreSchemaError, match=r"step 2 .* is not the one"):
        await migrate(store, "part", [FIRST, Migration(2, "sizes", ("ALTER TABLE things ADD COLUMN weight BIGINT",))])


async def test_a_step_that_fails_leaves_nothing_behind(store: Store) -> None:
    broken = Migration(2, "broken", ("ALTER TABLE things ADD COLUMN size BIGINT", "INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(StoreError):
        await migrate(store, "part", [FIRST, broken])
    await migrate(store, "part", [FIRST, SECOND])
    await store.run(Statement("UPDATE things SET size = 1"))


async def test_steps_are_numbered_without_gaps(store: Store) -> None:
    with pytest.raises(ValueError, match="without gaps"):
        await migrate(store, "part", [SECOND])
