"""SLO history and shared measuring over every kind of store: kept, recalled, dealt, followed, and gone on with while the store is away."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from gateway.slo.board import Board
from gateway.slo.keeping import Keeping
from gateway.slo.measured import ObjectiveName
from gateway.store.errors import StoreError, StoreUnavailableError
from gateway.store.opening import open_store
from gateway.store.sqlite import SqliteStore
from gateway.store.store import Row, Statement, Store
from tests.postgres import Server
from tests.unit.gateway.slo.readings import calls, share, told
from tests.unit.gateway.slo.timed import START, Time, contract, ran

NAMES = [f"p{number}" for number in range(64)]


class Unclosed:
    """Another process's view of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_away = False
        self.is_shared = True

    async def run(self, *statements: Statement) -> list[list[Row]]:
        if self.is_away:
            raise StoreUnavailableError("away")
        return await self._store.run(*statements)

    async def rows(self, sql: str, *params: object) -> list[Row]:
        return (await self.run(Statement(sql, params)))[0]

    async def aclose(self) -> None:
        return


def board_of(time: Time) -> Board:
    return Board([contract(name) for name in NAMES], time.clock)


async def test_budgets_and_changes_outlive_a_process(store: Store) -> None:
    time = Time()
    for round_ in range(2):
        board = board_of(time)
        kept = Keeping(Unclosed(store), board, clock=time.clock)
        assert await kept.begin()
        for hour in range(3):
            time.passed_s += 3_600
            readings = [share(ObjectiveName.COMPLETENESS, time.clock(), 0.9), calls(time.clock(), bad=1, total=100)]
            board.take("d/p1", readings)
            kept.measured("d/p1", readings)
            left = board.product("d/p1").completeness
            assert left is not None
            assert left.budget is not None
            assert left.budget.bad_ratio == pytest.approx(0.1)
            available = board.product("d/p1").availability
            assert available is not None
            assert available.sample == 100 * (3 * round_ + hour + 1)
        await kept.aclose()
    changes = await store.rows(
        "SELECT product, objective, before, after FROM slo_changes WHERE objective = ? ORDER BY at_ms", "completeness"
    )
    assert changes[0] == ("d/p1", "completeness", "UNKNOWN", "BREACHED")


async def test_what_is_older_than_any_window_is_forgotten(store: Store) -> None:
    time = Time()
    board = board_of(time)
    kept = Keeping(Unclosed(store), board, clock=time.clock)
    await kept.begin()
    kept.measured("d/p1", [calls(START, bad=1, total=1)])
    kept._history.write()
    await kept._outbox.flush()
    time.passed_s = 100 * 86_400
    await kept._history.prune(store, time.clock())
    assert await store.rows("SELECT count(*) FROM slo_hours") == [(0,)]
    await kept.aclose()


async def test_each_product_is_measured_by_one_replica_and_followed_by_the_others(store: Store) -> None:
    time = Time()
    boards = [board_of(time) for _ in range(3)]
    replicas = [Keeping(Unclosed(store), board, clock=time.clock, lease_s=60.0) for board in boards]
    for _ in range(3):
        for one in replicas:
            await one.begin()
    owners = {name: [one.owns(f"d/{name}") for one in replicas] for name in NAMES}
    assert all(sum(found) == 1 for found in owners.values())
    assert all(sum(found[place] for found in owners.values()) > 5 for place in range(3)), "nobody measures all"
    place = owners["p1"].index(True)
    readings = told(START, START - dt.timedelta(minutes=50), 1.0, 1.0, 1.0)
    boards[place].take("d/p1", readings)
    replicas[place].measured("d/p1", readings)
    await replicas[place]._outbox.flush()
    for one in replicas:
        assert one._sharing is not None
        await one._sharing.follow()
        await one._sharing.follow()
    assert [board.product("d/p1").status.value for board in boards] == ["AT_RISK"] * 3
    assert len({board.block((("d/p1", ("a",)),)) for board in boards}) == 1
    await replicas[place].aclose()
    left = [one for one in replicas if one is not replicas[place]]
    for _ in range(2):
        for one in left:
            assert one._sharing is not None
            await one._sharing.deal()
    assert all(sum(one.owns(f"d/{name}") for one in left) == 1 for name in NAMES)


async def test_while_the_store_is_away_each_replica_measures_all_and_history_waits(tmp_path: Path) -> None:
    time = Time()
    store = SqliteStore(tmp_path / "s.db")
    view = Unclosed(store)
    failures: list[str] = []
    board = board_of(time)
    kept = Keeping(view, board, clock=time.clock, failed=lambda what, _: failures.append(what), sleep=time.sleep, write_s=1.0)
    view.is_away = True
    assert not await kept.begin()
    assert all(kept.owns(f"d/{name}") for name in NAMES)
    kept.measured("d/p1", [calls(START, bad=1, total=7)])

    async def work() -> None:
        await kept.run()

    running = asyncio.create_task(work())
    while len(failures) < 3:
        await asyncio.sleep(0)
    view.is_away = False
    async with asyncio.timeout(20):
        while not await _written(store):
            await asyncio.sleep(0.01)
    assert set(failures) == {"slo_store_unusable"}
    view.is_away = True
    async with asyncio.timeout(20):
        while "slo_sharing_paused" not in failures:
            kept.measured("d/p1", [calls(START, bad=1, total=7)])
            await asyncio.sleep(0.01)
    assert all(kept.owns(f"d/{name}") for name in NAMES)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    view.is_away = False
    await kept.aclose()
    ((bad, total),) = await store.rows("SELECT bad, total FROM slo_hours")
    assert total == 7 * bad > 7
    await store.aclose()


async def _written(store: SqliteStore) -> bool:
    try:
        return (await store.rows("SELECT count(*) FROM slo_hours")) == [(1,)]
    except StoreError:
        return False


async def test_a_store_of_a_newer_version_is_left_alone(store: Store) -> None:
    time = Time()
    first = Keeping(Unclosed(store), board_of(time), clock=time.clock)
    await first.begin()
    await store.run(Statement("INSERT INTO store_migrations (part, number, name, digest, applied_ms) VALUES ('slo', 2, 'x', 'y', 0)"))
    failures: list[StoreError] = []
    second = Keeping(Unclosed(store), board_of(time), clock=time.clock, failed=lambda _, error: failures.append(error))
    assert not await second.begin()
    assert "newer" in str(failures[0])
    await second.aclose()
    await first.aclose()


async def test_what_a_newer_version_publishes_and_we_cannot_read_is_passed_over(store: Store) -> None:
    time = Time()
    board = board_of(time)
    kept = Keeping(Unclosed(store), board, clock=time.clock)
    await kept.begin()
    await store.run(
        Statement("INSERT INTO slo_latest (product, kind, writer, changed_ms, readings) VALUES ('d/p1', 'quick', 'x', now_ms(), '[7]')")
    )
    assert kept._sharing is not None or not store.is_shared
    if kept._sharing is not None:
        await kept._sharing.follow()
    assert board.product("d/p1").status == "UNKNOWN"
    await kept.aclose()


async def test_a_replica_that_dies_is_replaced_when_its_leases_run_out(server: Server) -> None:
    time = Time()
    stores = [open_store(server.url) for _ in range(2)]
    await stores[0].run(Statement("DROP SCHEMA public CASCADE"), Statement("CREATE SCHEMA public"))
    first, second = (Keeping(store, board_of(time), clock=time.clock, lease_s=0.8) for store in stores)
    for one in (first, second, first, second):
        await one.begin()
    assert not all(second.owns(f"d/{name}") for name in NAMES)
    # The first says nothing any more, as if it had been killed.
    await ran(second.run(), lambda: all(second.owns(f"d/{name}") for name in NAMES))
    await second.aclose()
    await stores[0].aclose()
