"""Background polling: every product's port is asked for its ``/slo`` document, and the board is told what came of it.

Jittered intervals, bounded concurrency, one poll per product at a time. Whatever a port does costs its own product's figures only.
Clock, sleep and chance come in as arguments. Cancelling `run` ends every poll under way.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from contracts.model import Contract
from domain_adapters.errors import PortError, PortRefusedError
from domain_adapters.port import Call, Port
from gateway.slo.board import Board
from gateway.slo.documents import DOCUMENT_BYTES_MAX, read_figures
from gateway.slo.probes import WINDOW_S, Probes

__all__ = ["Poller", "Target"]

_INTERVAL_MIN_S = 1.0
_IDLE_S = 1.0
_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Target:
    """One product to ask: how often (None: as the poller does), and over which window its availability counts."""

    port: Port
    every_s: float | None = None
    window_s: float | None = None

    @classmethod
    def of(cls, contract: Contract, port: Port) -> Target:
        """Take interval and window from what the contract says about measuring."""
        availability = contract.objectives.availability
        return cls(port, contract.objectives.measure_every_s, None if availability is None else availability.window_s)


@dataclass(slots=True)
class _Watch:
    """What the poller knows of one product; ``due_s`` in the poller's own time."""

    target: Target
    due_s: float
    probes: Probes
    is_new: bool = True
    has_answered: bool = False
    retry_s: float = 1.0
    running: asyncio.Task[None] | None = field(default=None)


class Poller:
    """Polls what ``targets`` gives, product by product; it is asked again every second, so that registrations take effect.

    ``timeout_s`` bounds one poll. ``first_round_done`` is set once each product of the first answer of ``targets`` was asked once.
    """

    def __init__(
        self,
        board: Board,
        targets: Callable[[], Mapping[str, Target]],
        *,
        clock: Callable[[], dt.datetime],
        interval_s: float = 60.0,
        timeout_s: float = 5.0,
        concurrency: int = 16,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        time_s: Callable[[], float] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._board = board
        self._targets = targets
        self._clock = clock
        self._interval_s = interval_s
        self._call = Call(timeout_s=timeout_s, body_max_bytes=DOCUMENT_BYTES_MAX)
        self._slots = asyncio.Semaphore(concurrency)
        self._sleep = sleep
        self._time_s = time_s
        self._chance = chance
        self._watched: dict[str, _Watch] = {}
        self.first_round_done = asyncio.Event()

    async def run(self) -> None:
        """Poll until cancelled."""
        time_s = self._time_s or asyncio.get_running_loop().time
        async with asyncio.TaskGroup() as group:
            while True:
                now_s = time_s()
                self._follow(now_s)
                for key, watch in self._watched.items():
                    if watch.running is None and watch.due_s <= now_s:
                        watch.running = group.create_task(self._poll(key, watch, time_s))
                self._note_first_round()
                await self._sleep(self._pause_s(now_s))

    def _follow(self, now_s: float) -> None:
        targets = self._targets()
        for key in self._watched.keys() - targets.keys():
            gone = self._watched.pop(key)
            if gone.running is not None:
                gone.running.cancel()
        for key, target in targets.items():
            known = self._watched.get(key)
            if known is None:
                self._watched[key] = _Watch(target, now_s, Probes(target.window_s or WINDOW_S))
            elif known.target != target:
                known.target = target
                known.due_s = now_s

    def _note_first_round(self) -> None:
        if not any(watch.is_new for watch in self._watched.values()):
            self.first_round_done.set()

    def _pause_s(self, now_s: float) -> float:
        next_s = min((watch.due_s for watch in self._watched.values() if watch.running is None), default=now_s + _IDLE_S)
        return min(_IDLE_S, max(0.0, next_s - now_s))

    async def _poll(self, key: str, watch: _Watch, time_s: Callable[[], float]) -> None:
        try:
            async with self._slots:
                await self._measure(key, watch)
        finally:
            every_s = max(_INTERVAL_MIN_S, watch.target.every_s or self._interval_s)
            if not watch.has_answered:
                # A port that has never answered is most likely starting: look again soon, and ever more seldom.
                every_s = min(every_s, watch.retry_s)
                watch.retry_s *= 2
            watch.due_s = time_s() + every_s * (1 + _JITTER * (2 * self._chance() - 1))
            watch.is_new = False
            watch.running = None
            self._note_first_round()

    async def _measure(self, key: str, watch: _Watch) -> None:
        finding: str
        try:
            async with asyncio.timeout(self._call.timeout_s):
                body = await watch.target.port.slo(self._call)
        except PortRefusedError:
            # It answered: the port is there, it only has no such document.
            watch.has_answered = True
            watch.probes.count(self._clock(), answered=True)
            finding = "the port has no /slo document"
        except (PortError, TimeoutError) as error:
            self._count_failure(watch)
            finding = f"the port did not answer: {getattr(error, 'reason', 'timeout')}"
        except Exception:  # one port's bug must not end the polling of all
            self._count_failure(watch)
            finding = "the port failed"
        else:
            now = self._clock()
            watch.has_answered = True
            watch.probes.count(now, answered=True)
            figures = read_figures(body, now)
            self._board.record(key, replace(figures, availability_ratio=_least(watch.probes.ratio, figures.availability_ratio)))
            return
        self._board.fail(key, finding, availability_ratio=watch.probes.ratio)

    def _count_failure(self, watch: _Watch) -> None:
        # Early looks at a port that never answered come thicker than others: only the first of them counts.
        if watch.has_answered or watch.is_new:
            watch.probes.count(self._clock(), answered=False)


def _least(ours: float | None, stated: float | None) -> float | None:
    # A port may know of outages that no probe met; it cannot talk away those that did.
    known = [ratio for ratio in (ours, stated) if ratio is not None]
    return min(known, default=None)
