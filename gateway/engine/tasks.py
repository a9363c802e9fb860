"""Coroutines side by side: all results, or the first failure with the rest cancelled. Long work in turns with the rest of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, TypeVar

__all__ = ["both", "in_turns", "let_go", "together"]

T = TypeVar("T")
U = TypeVar("U")
_DROPPED_AT_ONCE = 5_000


async def in_turns(items: list[T], size: int) -> AsyncIterator[list[T]]:
    """Give items ``size`` at a time, with a turn of the event loop for others between them."""
    if len(items) <= size:
        yield items
        return
    for start in range(0, len(items), size):
        yield items[start : start + size]
        await asyncio.sleep(0)


async def let_go(held: set[Any]) -> None:
    """Drop what a set holds in turns with others: to drop hundreds of thousands of values at once takes long."""
    while held:
        for _ in range(min(len(held), _DROPPED_AT_ONCE)):
            held.pop()
        await asyncio.sleep(0)


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
