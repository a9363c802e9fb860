"""Watch: ends the answering of a request whose client has left, or that is long past its deadline.

Most answers are there before their watch begins, so that they pay for a place among those that one timer looks at, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from gateway.http.body import ClientGoneError
from gateway.http.deadlines import NEVER_S, Deadlines
from gateway.http.refusals import RefusalError

__all__ = ["Watches"]

T = TypeVar("T")
_BEGINS_AFTER_S = 0.25
_GRACE_S = 1.0


class Watches:
    """Watches over the requests of one server."""

    def __init__(self) -> None:
        self._soon = Deadlines(_BEGINS_AFTER_S)

    async def over(self, work: Coroutine[Any, Any, T], receive: Receive, loop: asyncio.AbstractEventLoop, deadline_s: float) -> T:
        """Await ``work``, which should keep the deadline itself. Raises: ClientGoneError, DEADLINE_EXCEEDED. Units: loop time."""
        watch = _Watch(receive, loop, deadline_s + _GRACE_S)
        self._soon.watch(watch)
        try:
            return await work
        except asyncio.CancelledError:
            if watch.ended_by is None:
                raise
            watch.answering.uncancel()
            raise watch.ended_by from None
        finally:
            self._soon.forget(watch)
            watch.stop()


class _Watch:
    """One request's. ``due_s``: when it begins."""

    __slots__ = ("_receive", "_task", "_until_s", "answering", "due_s", "ended_by")

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop, until_s: float) -> None:
        answering = asyncio.current_task(loop)
        if answering is None:
            raise RuntimeError("a request is answered in a task")
        self.answering = answering
        self.ended_by: Exception | None = None
        self.due_s = loop.time() + _BEGINS_AFTER_S
        self._receive = receive
        self._until_s = until_s
        self._task: asyncio.Task[None] | None = None

    def late(self, _: float) -> None:
        """Begin."""
        self.due_s = NEVER_S
        self._task = asyncio.create_task(self._wait(), name="request-watch")

    def stop(self) -> None:
        """End, whether begun or not."""
        if self._task is not None:
            self._task.cancel()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout_at(self._until_s):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
            self.ended_by = ClientGoneError()
        except TimeoutError:
            self.ended_by = RefusalError("DEADLINE_EXCEEDED", "The answer was not ready in time.")
        self.answering.cancel()
