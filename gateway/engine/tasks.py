"""Coroutines side by side: all results, or the first failure with the rest cancelled. Long work in turns with the rest of the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, Generic, TypeVar

__all__ = ["Once", "both", "in_portions", "in_turns", "let_go", "together"]

T = TypeVar("T")
U = TypeVar("U")
_TURN_S = 0.002
_AT_FIRST = 250
_AT_ONCE_MAX = 10_000


class Once(Generic[T]):
    """Iterates over one item. A generator would be entered among those that the event loop watches, which costs more than most turns."""

    __slots__ = ("_items",)

    def __init__(self, item: T) -> None:
        self._items = [item]

    def __aiter__(self) -> Once[T]:
        return self

    async def __anext__(self) -> T:
        if not self._items:
            raise StopAsyncIteration
        return self._items.pop()


def in_turns(items: list[T], size: int) -> AsyncIterator[list[T]]:
    """Give items some at a time, with a turn of the event loop for others between them; up to ``size`` at once.

    Of more, as many at a time as whoever takes them needs about two milliseconds for: items differ much in what they cost. Not for
    what depends on how many there are at once.
    """
    return Once(items) if len(items) <= size else _turns(items, size)


async def _turns(items: list[T], size: int) -> AsyncIterator[list[T]]:
    start, at_once = 0, min(size, _AT_FIRST)
    while start < len(items):
        began_s = time.perf_counter()
        yield items[start : start + at_once]
        start += at_once
        took_s = max(time.perf_counter() - began_s, 1e-6)
        # No more than double, as the next ones may be dearer; to wait for others in between is no reason to take fewer than half.
        at_once = max(1, min(int(at_once * min(2.0, max(0.5, _TURN_S / took_s))), _AT_ONCE_MAX))
        await asyncio.sleep(0)


async def in_portions(items: list[T], size: int) -> AsyncIterator[list[T]]:
    """Give items ``size`` at a time, with a turn between them: where it shows, in calls or in bytes, how many there are at once."""
    for start in range(0, len(items), size):
        if start:
            await asyncio.sleep(0)
        yield items[start : start + size]


async def let_go(held: set[Any] | list[Any] | dict[Any, Any]) -> None:
    """Empty what holds much in turns with others: to drop hundreds of thousands of values at once takes long."""
    at_once = _AT_FIRST
    while len(held) > at_once:
        began_s = time.perf_counter()
        if isinstance(held, list):
            del held[-at_once:]
        else:
            drop = held.popitem if isinstance(held, dict) else held.pop
            for _ in range(at_once):
                drop()
        took_s = max(time.perf_counter() - began_s, 1e-6)
        at_once = max(_AT_FIRST // 2, min(int(at_once * min(2.0, _TURN_S / took_s)), _AT_ONCE_MAX))
        await asyncio.sleep(0)
    held.clear()


async def both(one: Coroutine[Any, Any, T], other: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Run two coroutines concurrently: both results, or the first failure with the other cancelled."""
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(other)
            found = await one
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return found, task.result()


async def together(coroutines: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run coroutines concurrently and return their results in order; the first, or only, one runs without a task of its own."""
    if not coroutines:
        return []
    first, *others = coroutines
    if not others:
        return [await first]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in others]
            found = await first
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [found, *(task.result() for task in tasks)]
