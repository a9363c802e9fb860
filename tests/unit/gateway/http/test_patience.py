"""Waiting for so long and no longer, without a timer where nothing has to be waited for."""

import asyncio

import pytest

from gateway.http.patience import within


async def _given(value: int) -> int:
    return value


async def test_what_is_there_already_costs_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "timeout", None)
    assert await within(_given(7), 1.0) == 7


async def test_what_comes_in_time_is_given() -> None:
    gate = asyncio.Event()

    async def late() -> int:
        await gate.wait()
        await asyncio.sleep(0)
        return 7

    asyncio.get_running_loop().call_soon(gate.set)
    assert await within(late(), 30.0) == 7


async def test_what_does_not_come_is_given_up_and_told() -> None:
    ended: list[str] = []

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with pytest.raises(TimeoutError):
        await within(never(), 0.001)
    assert ended == ["cancelled"]


async def test_a_failure_passes_through_at_once_and_later() -> None:
    async def fails(*, later: bool) -> None:
        if later:
            await asyncio.sleep(0)
        raise ValueError("no")

    for later in (False, True):
        with pytest.raises(ValueError, match="no"):
            await within(fails(later=later), 1.0)


async def test_cancellation_reaches_what_is_awaited() -> None:
    ended: list[str] = []
    begun = asyncio.Event()

    async def never() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("closed")

    task = asyncio.ensure_future(within(never(), 30.0))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["closed"]
