"""Coroutines side by side."""

import asyncio

import pytest

from gateway.engine.tasks import both, together


async def test_of_nothing_come_no_results() -> None:
    assert await together([]) == []


async def test_results_come_in_order_and_work_begins_in_order() -> None:
    begun: list[int] = []

    async def one(number: int) -> int:
        begun.append(number)
        for _ in range(3 - number):
            await asyncio.sleep(0)
        return number

    assert await together([one(number) for number in range(3)]) == [0, 1, 2]
    assert begun == [0, 1, 2]
    assert await both(one(1), one(2)) == (1, 2)
    assert await together([one(0)]) == [0]


@pytest.mark.parametrize("failing", [0, 1, 2])
async def test_the_first_failure_ends_the_others(failing: int) -> None:
    ended: list[int] = []

    async def one(number: int) -> None:
        try:
            await asyncio.sleep(0)
            if number == failing:
                raise ValueError(str(number))
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    with pytest.raises(ValueError, match=str(failing)):
        await together([one(number) for number in range(3)])
    assert sorted(ended) == [0, 1, 2]


async def test_cancelling_ends_all_of_them() -> None:
    ended: list[int] = []

    async def one(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    task = asyncio.ensure_future(together([one(number) for number in range(3)]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [0, 1, 2]
