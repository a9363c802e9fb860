"""Leases: one holder at a time, by the store's clock."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.store.leases import Leases
from gateway.store.opening import open_store
from gateway.store.sqlite import SqliteStore
from gateway.store.store import Store
from tests.postgres import Server


class Watch:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


async def leases(store: Store, *holders: str) -> list[Leases]:
    found = [Leases(store, holder) for holder in holders]
    for one in found:
        await one.prepare()
    return found


async def test_what_one_holds_nobody_else_gets_until_it_is_given_back(store: Store) -> None:
    first, second = await leases(store, "first", "second")
    assert await first.take(["a", "b"], for_s=60) == {"a", "b"}
    assert await second.take(["b", "c"], for_s=60) == {"c"}
    assert (first.holds("b"), second.holds("b")) == (True, False)
    assert await second.holders("") == {"a": "first", "b": "first", "c": "second"}
    await first.give_back(["b"])
    assert not first.holds("b")
    assert await second.take(["b"], for_s=60) == {"b"}
    assert await first.take(["a", "b"], for_s=60) == {"a"}
    assert await first.take([], for_s=60) == frozenset()
    await first.give_back([])


async def test_of_many_that_race_one_wins(server: Server, tmp_path: Path) -> None:
    for url in (server.url, f"sqlite:{tmp_path}/s.db"):
        stores = [open_store(url, timeout_s=20) for _ in range(6)]
        racers = [Leases(store, f"racer-{number}") for number, store in enumerate(stores)]
        await racers[0].prepare()
        names = [f"race-{number}" for number in range(10)]
        won = await asyncio.gather(*(racer.take(names, for_s=60) for racer in racers))
        assert sorted(name for found in won for name in found) == sorted(names)
        for store in stores:
            await store.aclose()


async def test_a_lease_runs_out_by_the_stores_clock_and_its_turn_counts_on() -> None:
    clock = Watch()
    store = SqliteStore(None, clock=clock)
    first, second = Leases(store, "first", stopwatch=clock), Leases(store, "second", stopwatch=clock)
    await first.prepare()
    await first.take(["a"], for_s=10)
    clock.now_s += 9.5
    assert not first.holds("a"), "it stops believing before others may begin"
    assert await second.take(["a"], for_s=10) == frozenset()
    clock.now_s += 0.5
    assert await second.take(["a"], for_s=10) == {"a"}
    assert (first.turn("a"), second.turn("a"), second.turn("b")) == (1, 2, 0)
    assert await first.take(["a"], for_s=10) == frozenset()
    await second.take(["a"], for_s=10)
    assert second.turn("a") == 2
    await store.aclose()


async def test_clocks_of_processes_that_differ_by_years_do_not_matter() -> None:
    clock = Watch()
    store = SqliteStore(None, clock=clock)
    ahead, behind = Watch(), Watch()
    ahead.now_s, behind.now_s = 4e9, 7.0
    first, second = Leases(store, "first", stopwatch=ahead), Leases(store, "second", stopwatch=behind)
    await first.prepare()
    assert await first.take(["a"], for_s=10)
    assert not await second.take(["a"], for_s=10)
    clock.now_s += 11
    assert await second.take(["a"], for_s=10)
    assert second.holds("a")
    ahead.now_s += 11
    assert not first.holds("a")
    await store.aclose()
