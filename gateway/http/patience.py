"""Patience: awaiting something for so long and no longer, at no cost where it is there already."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

__all__ = ["within"]

T = TypeVar("T")


async def within(waiting: Coroutine[Any, Any, T], timeout_s: float) -> T:
    """Await a coroutine. Raises: TimeoutError. The timer starts only if it has to wait for anything at all."""
    try:
        awaited = waiting.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    async with asyncio.timeout(timeout_s):
        return await _rest(waiting, awaited)


@coroutine
def _rest(waiting: Coroutine[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:
    """Go on with a coroutine that has begun: hand to the task what it awaits, and to it what the task says."""
    while True:
        try:
            try:
                sent = yield awaited
            except BaseException as error:
                awaited = waiting.throw(error)
            else:
                awaited = waiting.send(sent)
        except StopIteration as done:
            value: T = done.value
            return value
