"""Deadlines of connections, kept together: each says when it is due, and one timer looks at all of them now and then.

A timer of its own per request costs more than the rest of reading it.
"""

from __future__ import annotations

import asyncio
import math
from typing import Final, Protocol

__all__ = ["NEVER_S", "Deadlines", "Due"]

NEVER_S: Final = math.inf
_OFTEN_S, _SELDOM_S = 0.05, 1.0


class Due(Protocol):
    """Something that ends at ``due_s`` (loop time), which it may put off."""

    due_s: float

    def late(self, now_s: float) -> None:
        """End, or put ``due_s`` off."""


class Deadlines:
    """Looks at what it watches every so often: a quarter of ``shortest_s``, but neither all the time nor less than once a second."""

    def __init__(self, shortest_s: float) -> None:
        self._every_s = min(max(shortest_s / 4, _OFTEN_S), _SELDOM_S)
        self._watched: set[Due] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, one: Due) -> None:
        """Begin to watch. Called on the loop."""
        self._watched.add(one)
        if self._timer is None:
            self._arm()

    def forget(self, one: Due) -> None:
        """Stop watching. The timer is left to run out: where one is forgotten, another is mostly watched soon."""
        self._watched.discard(one)

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._every_s, self._look)

    def _look(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for one in [it for it in self._watched if it.due_s <= now_s]:
            one.late(now_s)
        self._timer = None
        if self._watched:
            self._arm()
