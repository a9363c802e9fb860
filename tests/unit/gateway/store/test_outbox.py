"""Writes that may wait: in order, in batches, bounded, through outages."""

from __future__ import annotations

import asyncio

import pytest

from gateway.store.errors import StoreConflictError, StoreError, StoreUnavailableError
from gateway.store.outbox import Outbox
from gateway.store.store import Row, Statement


class FakeStore:
    """What no real store does on demand: being away, and coming back."""

    is_shared = False

    def __init__(self) -> None:
        self.written: list[str] = []
        self.fault: StoreError | None = None
        self.meanwhile: list[Statement] = []
        self.outbox: Outbox | None = None

    async def run(self, *statements: Statement) -> list[list[Row]]:
        if self.outbox is not None:
            while self.meanwhile:
                self.outbox.put(self.meanwhile.pop(0))
        if self.fault is not None:
            raise self.fault
        self.written += [statement.sql for statement in statements]
        return []

    async def rows(self, sql: str, *params: object) -> list[Row]:
        raise AssertionError

    async def aclose(self) -> None:
        return


async def test_what_was_put_while_the_store_was_away_is_written_later_in_order() -> None:
    store, failures = FakeStore(), []
    outbox = Outbox(store, failed=failures.append)
    store.fault = StoreUnavailableError("away")
    for number in range(1_200):
        outbox.put(Statement(str(number)))
    assert not await outbox.flush()
    store.fault = None
    assert await outbox.flush()
    assert store.written == [str(number) for number in range(1_200)]
    assert (len(outbox), outbox.dropped, len(failures)) == (0, 0, 1)


async def test_what_does_not_fit_is_dropped_oldest_first_and_counted() -> None:
    store = FakeStore()
    outbox = Outbox(store, waiting_max=10)
    for number in range(25):
        outbox.put(Statement(str(number)))
    assert (len(outbox), outbox.dropped) == (10, 15)
    store.outbox, store.meanwhile = outbox, [Statement(str(number)) for number in range(25, 29)]
    await outbox.flush()
    assert store.written == [str(number) for number in range(15, 29)]
    assert len(outbox) == 0


async def test_a_batch_that_is_refused_does_not_keep_the_others() -> None:
    store = FakeStore()
    outbox = Outbox(store)
    store.fault = StoreConflictError("no")
    outbox.put(Statement("bad"))
    assert await outbox.flush()
    assert outbox.dropped == 1
    store.fault = None
    outbox.put(Statement("good"))
    await outbox.flush()
    assert store.written == ["good"]


async def test_a_store_that_stays_away_is_tried_ever_more_seldom() -> None:
    store = FakeStore()
    store.fault = StoreUnavailableError("away")
    rests: list[float] = []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 9:
            store.fault = None
        if len(rests) == 11:
            raise asyncio.CancelledError

    outbox = Outbox(store, sleep=sleep, every_s=0.5)
    outbox.put(Statement("one"))
    with pytest.raises(asyncio.CancelledError):
        await outbox.run()
    assert rests == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 0.5, 0.5]
