"""Watch: ends the answering of a request whose client has left, or that is long past its deadline.

Most answers are there before the watch begins, so that they pay for one timer and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from gateway.http.body import ClientGoneError
from gateway.http.refusals import RefusalError

__all__ = ["watched"]

T = TypeVar("T")
_BEGINS_AFTER_S = 0.25
_GRACE_S = 1.0


async def watched(work: Coroutine[Any, Any, T], receive: Receive, deadline_s: float) -> T:
    """Await ``work``, which should keep the deadline itself. Raises: ClientGoneError, DEADLINE_EXCEEDED. Units: loop time."""
    watch = _Watch(receive, deadline_s + _GRACE_S)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.ended_by is None:
            raise
        watch.answering.uncancel()
        raise watch.ended_by from None
    finally:
        watch.stop()


class _Watch:
    __slots__ = ("_handle", "_receive", "_task", "_until_s", "answering", "ended_by")

    def __init__(self, receive: Receive, until_s: float) -> None:
        answering = asyncio.current_task()
        if answering is None:
            raise RuntimeError("a request is answered in a task")
        self.answering = answering
        self.ended_by: Exception | None = None
        self._receive = receive
        self._until_s = until_s
        self._task: asyncio.Task[None] | None = None
        self._handle = asyncio.get_running_loop().call_later(_BEGINS_AFTER_S, self._begin)

    def stop(self) -> None:
        self._handle.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._wait(), name="request-watch")

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout_at(self._until_s):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
            self.ended_by = ClientGoneError()
        except TimeoutError:
            self.ended_by = RefusalError("DEADLINE_EXCEEDED", "The answer was not ready in time.")
        self.answering.cancel()
