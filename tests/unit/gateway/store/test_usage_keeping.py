"""Usage over every kind of store: added up over processes and restarts, once each, bounded, and waiting while the store is away."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from gateway.observe.usage import OTHER, Usage, Used
from gateway.observe.usage_keeping import UsageKeeping
from gateway.observe.usage_tables import pruned, read_usage
from gateway.store.errors import StoreConflictError, StoreError, StoreUnavailableError
from gateway.store.store import Row, Statement, Store

DAY = dt.date(2026, 11, 23)
NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


class Flaky:
    """A process's view of a store. ``fails``: what the next transactions end in, None for well; ``lost``: done, but nobody is told."""

    is_shared = True

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fails: list[StoreError | None] = []
        self.is_lost = False
        self.transactions = 0

    async def run(self, *statements: Statement) -> list[list[Row]]:
        self.transactions += 1
        if self.fails and (error := self.fails.pop(0)) is not None:
            raise error
        found = await self._store.run(*statements)
        if self.is_lost:
            self.is_lost = False
            raise StoreUnavailableError("the answer was lost")
        return found

    async def rows(self, sql: str, *params: object) -> list[Row]:
        return (await self.run(Statement(sql, params)))[0]

    async def aclose(self) -> None:
        return


def noted(usage: Usage, client: str | None, shape: str, *fields: str, day: dt.date = DAY, times: int = 1) -> None:
    for _ in range(times):
        if not usage.note(day, client, shape):
            usage.describe(shape, fields, operation=f"Op{shape}")


def keeping(store: Store, usage: Usage, told: list[str] | None = None, **more: object) -> UsageKeeping:
    failed = (lambda what, _: told.append(what)) if told is not None else (lambda _what, _error: None)
    return UsageKeeping(store, usage, clock=lambda: NOW, failed=failed, **more)  # type: ignore[arg-type]  # as the constructor has them


async def total(store: Store) -> int:
    return sum(one.requests for one in await read_usage(store, DAY - dt.timedelta(400)))


async def test_what_several_processes_count_adds_up_and_outlives_them(store: Store) -> None:
    for _ in range(2):
        for times in (2, 3):
            usage = Usage()
            kept = keeping(Flaky(store), usage)
            noted(usage, "app", "s1", "order/orders.id", times=times)
            noted(usage, None, "s2", "order/orders.id", "order/orders.total")
            await kept.write()
            noted(usage, "app", "s1", times=1)
            usage.describe("s1", {"order/orders.day"})
            await kept.aclose()
    assert await read_usage(store, DAY) == [
        Used(DAY, "app", "s1", 14, ("order/orders.day", "order/orders.id"), "Ops1"),
        Used(DAY, "unnamed", "s2", 4, ("order/orders.id", "order/orders.total"), "Ops2"),
    ]
    assert await read_usage(store, DAY + dt.timedelta(1)) == []


async def test_nothing_is_written_where_nothing_was_asked(store: Store) -> None:
    view = Flaky(store)
    kept = keeping(view, Usage())
    assert await kept.write()
    await kept.aclose()
    assert view.transactions == 0


async def test_counts_wait_while_the_store_is_away_and_are_written_once_when_it_is_back(store: Store) -> None:
    view, usage, told = Flaky(store), Usage(), list[str]()
    kept = keeping(view, usage, told)
    noted(usage, "app", "s1", "p.x")
    assert await kept.write()
    view.fails = [StoreUnavailableError("away")] * 3
    for _ in range(3):
        noted(usage, "app", "s1")
        assert not await kept.write()
    assert told == ["usage_waits"] * 3
    assert await kept.write()
    await kept.aclose()
    assert await total(store) == 4


async def test_a_transaction_whose_answer_was_lost_is_not_counted_twice(store: Store) -> None:
    view, usage = Flaky(store), Usage()
    kept = keeping(view, usage)
    noted(usage, "app", "s1", "p.x", times=5)
    await kept.write()
    noted(usage, "app", "s1", times=7)
    view.is_lost = True
    assert not await kept.write()
    assert await kept.write()
    noted(usage, "app", "s1", times=1)
    assert await kept.write()
    assert await total(store) == 13


async def test_rows_in_the_way_of_others_are_written_again_and_what_is_refused_for_good_holds_up_nothing(store: Store) -> None:
    view, usage, told = Flaky(store), Usage(), list[str]()
    kept = keeping(view, usage, told)
    noted(usage, "app", "s1", "p.x")
    await kept.write()
    noted(usage, "app", "s1", times=2)
    view.fails = [StoreConflictError("somebody else was first")]
    assert not await kept.write()
    assert await kept.write()
    assert await total(store) == 3
    noted(usage, "app", "s1", times=10)
    view.fails = [StoreError("refused")]
    assert not await kept.write()
    noted(usage, "app", "s1", times=4)
    assert await kept.write()
    assert (await total(store), told) == (7, ["usage_waits"] * 2)


async def test_many_counts_go_in_several_transactions_of_bounded_size(store: Store) -> None:
    view, usage = Flaky(store), Usage(clients_max=2_000)
    for number in range(1_200):
        noted(usage, f"client-{number:04}", f"s{number % 7}", *(f"p.c{at}" for at in range(90)))
    assert await keeping(view, usage).write()
    assert await total(store) == 1_200
    # A table's migration takes a few; 1,200 counts and seven times 91 statements of fields take four.
    found = await read_usage(store, DAY)
    assert all(len(one.fields) == 90 for one in found)


async def test_names_that_no_store_takes_are_made_plain(store: Store) -> None:
    usage = Usage()
    noted(usage, "a\0b", "s1", "p.x")
    noted(usage, "lone \ud800", "s1")
    noted(usage, "long" * 1_000, "s1")
    assert await keeping(Flaky(store), usage).write()
    assert [one.client for one in await read_usage(store, DAY)] == ["ab", "lone ?", "long" * 50]


async def test_folding_in_memory_counts_nothing_twice(store: Store) -> None:
    usage = Usage(entries_max=8)
    kept = keeping(Flaky(store), usage)
    for number in range(6):
        noted(usage, f"client-{number}", "s1", "p.x", day=DAY - dt.timedelta(1))
        noted(usage, f"client-{number}", "s1", day=DAY)
    await kept.write()
    noted(usage, "client-0", "s1", day=DAY - dt.timedelta(1), times=4)
    usage.tidy()
    noted(usage, "client-1", "s1", day=DAY - dt.timedelta(1))
    await kept.write()
    assert await total(store) == 17


async def test_old_days_go_and_the_oldest_lose_their_clients_when_there_are_too_many_rows(store: Store) -> None:
    usage = Usage()
    for back in (0, 1, 2, 100):
        for number in range(5):
            noted(usage, f"client-{number}", f"s{back}", f"p.c{back}", day=DAY - dt.timedelta(back))
    assert await keeping(Flaky(store), usage).write()
    for _ in range(2):  # again changes nothing
        await pruned(store, DAY, days_max=90, rows_max=12)
        found = await read_usage(store, DAY - dt.timedelta(400))
        assert [(one.day, one.client, one.requests) for one in found if one.client == OTHER] == [(DAY - dt.timedelta(2), OTHER, 5)]
        assert len(found) == 1 + 5 + 5
        assert {one.shape: one.fields for one in found} == {OTHER: (), "s1": ("p.c1",), "s0": ("p.c0",)}
    assert await store.rows("SELECT DISTINCT shape FROM usage_fields ORDER BY shape") == [("s0",), ("s1",)]


async def test_it_writes_on_schedule_and_prunes_once_a_day(store: Store) -> None:
    usage, slept = Usage(), list[float]()
    turns = asyncio.Semaphore(0)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > 2:
            turns.release()
            await asyncio.Event().wait()

    view = Flaky(store)
    kept = keeping(view, usage, write_s=43_200.0, days_max=10, sleep=sleep)
    noted(usage, "app", "s1", "p.x")
    noted(usage, "app", "s1", day=DAY - dt.timedelta(20))
    task = asyncio.create_task(kept.run())
    await turns.acquire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert slept == [43_200.0] * 3
    assert [one.day for one in await read_usage(store, DAY - dt.timedelta(400))] == [DAY]


async def test_pruning_that_fails_is_told_and_tried_again_later(store: Store) -> None:
    view, usage, told = Flaky(store), Usage(), list[str]()
    kept = keeping(view, usage, told)
    noted(usage, "app", "s1", "p.x")
    await kept.write()
    view.fails = [StoreUnavailableError("away")]
    await kept._prune()
    assert told == ["usage_waits"]
