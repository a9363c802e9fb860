"""Measures every product at its intervals, in the background, and tells the board what came of it.

Jittered intervals, bounded concurrency, one measurement per product at a time. Whatever a port does costs its own product's figures only.
Clock, sleep and chance come in as arguments. Cancelling `run` ends every measurement under way.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.slo.board import Board
from gateway.slo.cadence import Cadence
from gateway.slo.reading import Reading

__all__ = ["Instrument", "Measurer", "Target"]

_INTERVAL_MIN_S = 0.1
_TICK_S = 0.5
_TICK_MIN_S = 0.05
_JITTER = 0.2
_STARTED_AT_ONCE = 200


class Instrument(Protocol):
    """What measures one product; see `Gauge`."""

    async def quick(self, *, counts: bool = True) -> list[Reading]:
        """Measure freshness and availability."""

    async def sample(self) -> list[Reading]:
        """Measure completeness and accuracy."""


@dataclass(frozen=True, slots=True)
class Target:
    """One product to measure; a new ``instrument`` is a new target."""

    instrument: Instrument
    cadence: Cadence


@dataclass(slots=True)
class _Watch:
    """What the measurer knows of one product; ``_s`` in its own time."""

    target: Target
    quick_due_s: float
    sample_due_s: float
    sampled_s: float = float("-inf")
    is_new: bool = True
    has_answered: bool = False
    retry_s: float = 1.0
    running: asyncio.Task[None] | None = field(default=None)

    @property
    def due_s(self) -> float:
        return min(self.quick_due_s, self.sample_due_s)


class Measurer:
    """Measures what ``targets`` gives; another mapping is followed within half a second.

    ``owns``: whether this process measures a product, or another one that shares its store. ``measured``: told of every measurement, after
    the board. ``first_round_done`` is set once each product of the first answer of ``targets`` was measured once, by whomever.
    """

    def __init__(
        self,
        board: Board,
        targets: Callable[[], Mapping[str, Target]],
        *,
        concurrency: int = 16,
        owns: Callable[[str], bool] = lambda _: True,
        measured: Callable[[str, Sequence[Reading]], None] = lambda _product, _readings: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        time_s: Callable[[], float] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._board = board
        self._targets = targets
        self._owns = owns
        self._measured = measured
        self._slots = asyncio.Semaphore(concurrency)
        self._sleep = sleep
        self._time_s = time_s
        self._chance = chance
        self._followed: Mapping[str, Target] | None = None
        self._watched: dict[str, _Watch] = {}
        # (when due, product): outdated entries are dropped when their time comes.
        self._due: list[tuple[float, str]] = []
        self._new = 0
        self._now_s = 0.0
        self.first_round_done = asyncio.Event()

    async def run(self) -> None:
        """Measure until cancelled."""
        time_s = self._time_s or asyncio.get_running_loop().time
        async with asyncio.TaskGroup() as group:
            while True:
                now_s = self._now_s = time_s()
                if self._follow(now_s):
                    await asyncio.sleep(0)
                self._start_due(group, now_s, time_s)
                # States move with time though nobody asks; those who listen hear of it.
                while self._board.pass_time():  # noqa: ASYNC110  # a turn for others, and on: nothing to wait for
                    await asyncio.sleep(0)
                self._note_first_round()
                await self._sleep(self._pause_s(now_s))

    def hasten(self, product: str) -> None:
        """Sample a product soon, as callers' queries met something odd; not more often than its cadence allows."""
        watch = self._watched.get(product)
        if watch is not None:
            earliest_s = max(self._now_s, watch.sampled_s + watch.target.cadence.hasten_s)
            if earliest_s < watch.sample_due_s:
                watch.sample_due_s = earliest_s
                self._schedule(product, watch)

    def _follow(self, now_s: float) -> bool:
        targets = self._targets()
        if targets is self._followed:
            return False
        self._followed = targets
        for key in self._watched.keys() - targets.keys():
            gone = self._watched.pop(key)
            self._settled(gone)
            if gone.running is not None:
                gone.running.cancel()
        for key, target in targets.items():
            known = self._watched.get(key)
            if known is None:
                watch = self._watched[key] = _Watch(target, now_s, now_s)
                self._new += 1
                self._schedule(key, watch)
            elif known.target != target:
                known.target, known.quick_due_s, known.sample_due_s = target, now_s, now_s
                self._schedule(key, known)
        return True

    def _schedule(self, key: str, watch: _Watch) -> None:
        heapq.heappush(self._due, (watch.due_s, key))

    def _start_due(self, group: asyncio.TaskGroup, now_s: float, time_s: Callable[[], float]) -> None:
        started = 0
        while self._due and self._due[0][0] <= now_s and started < _STARTED_AT_ONCE:
            started += 1
            due_s, key = heapq.heappop(self._due)
            watch = self._watched.get(key)
            if watch is None or watch.running is not None or watch.due_s != due_s:
                continue
            if self._owns(key):
                watch.running = group.create_task(self._measure(key, watch, time_s))
            else:
                # Somebody else measures it; if that changes, it is soon.
                watch.quick_due_s = watch.sample_due_s = now_s + watch.target.cadence.freshness_s / 4
                self._settled(watch)
                self._schedule(key, watch)

    def _settled(self, watch: _Watch) -> None:
        if watch.is_new:
            watch.is_new = False
            self._new -= 1

    def _note_first_round(self) -> None:
        if not self._new:
            self.first_round_done.set()

    def _pause_s(self, now_s: float) -> float:
        next_s = self._due[0][0] if self._due else now_s + _TICK_S
        return min(_TICK_S, max(_TICK_MIN_S, next_s - now_s))

    async def _measure(self, key: str, watch: _Watch, time_s: Callable[[], float]) -> None:
        target = watch.target
        try:
            async with self._slots:
                began_s = time_s()
                if watch.quick_due_s <= began_s:
                    await self._quick(key, watch, target)
                    watch.quick_due_s = time_s() + self._every_s(watch, target.cadence.freshness_s)
                if watch.sample_due_s <= began_s:
                    watch.sampled_s = began_s
                    self._take(key, await target.instrument.sample())
                    self._board.looked(key)
                    watch.sample_due_s = time_s() + self._every_s(watch, target.cadence.sample_s)
        finally:
            watch.running = None
            self._settled(watch)
            if self._watched.get(key) is watch:
                self._schedule(key, watch)
            self._note_first_round()

    async def _quick(self, key: str, watch: _Watch, target: Target) -> None:
        # Early looks at a port that never answered come thicker than others: only the first of them counts.
        readings = await target.instrument.quick(counts=watch.has_answered or watch.is_new)
        watch.has_answered = watch.has_answered or not all(reading.failed for reading in readings)
        self._take(key, readings)

    def _take(self, key: str, readings: Sequence[Reading]) -> None:
        if readings:
            self._board.take(key, readings)
            self._measured(key, readings)

    def _every_s(self, watch: _Watch, interval_s: float) -> float:
        every_s = max(_INTERVAL_MIN_S, interval_s)
        if not watch.has_answered:
            # A port that has never answered is most likely starting: look again soon, and ever more seldom.
            every_s = min(every_s, watch.retry_s)
            watch.retry_s *= 2
        return every_s * (1 + _JITTER * (2 * self._chance() - 1))
