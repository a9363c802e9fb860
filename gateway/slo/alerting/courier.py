"""Brings changes of state to one receiver: newest state only, in batches, again until it arrives, silent during maintenance.

`take` is called where measuring happens and only notes; all waiting is done in `run`. Clock and chance come in as arguments. At most
``waiting_max`` objectives wait; of each only its newest state, as what it superseded no longer matters.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contracts.maintenance import maintained_until
from contracts.model import Contract
from gateway.slo.alerting.alert import FIRING, Alert, Sink, SinkError
from gateway.slo.alerting.told import Told
from gateway.slo.changes import Change
from gateway.slo.status import SloStatus

__all__ = ["BACKOFF_MAX_S", "Courier", "Outcome"]

BACKOFF_MAX_S = 300.0
_BATCH_MAX = 100
_ALONE_AFTER = 3
_ALONE_AT_ONCE = 3
_RETRY_AFTER_MAX_S = 3_600.0
_IDLE_S = 3_600.0

Subject = tuple[str, str]
Outcome = Callable[[str, str, int], None]
"""Told about each batch: receiver, ``sent``, ``failed`` or ``dropped``, and how many."""


@dataclass(slots=True)
class _Waiting:
    """One objective's newest state that the receiver has to be told, or told again. ``sent``: it was told this once."""

    change: Change
    due_at: dt.datetime
    attempts: int = 0
    sent: bool = False


class Courier:
    """One receiver's. ``contract_of``: product as the board names it -> its contract, None once it is gone."""

    def __init__(
        self,
        sink: Sink,
        told: Told,
        contract_of: Callable[[str], Contract | None],
        *,
        clock: Callable[[], dt.datetime],
        chance: Callable[[], float] = random.random,
        timeout_s: float = 10.0,
        waiting_max: int = 20_000,
        on_outcome: Outcome = lambda _sink, _outcome, _count: None,
    ) -> None:
        self._sink = sink
        self._told = told
        self._contract_of = contract_of
        self._clock = clock
        self._chance = chance
        self._timeout_s = timeout_s
        self._waiting_max = waiting_max
        self._on_outcome = on_outcome
        self._waiting: dict[Subject, _Waiting] = {}
        # What a receiver that hears every replica was told by this one.
        self._said: dict[Subject, SloStatus] = {}
        self._changed = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many objectives wait to be told, or told again."""
        return len(self._waiting)

    def take(self, change: Change) -> None:
        """Note a change of an objective; what was waiting of it is superseded."""
        assert change.objective is not None
        subject = (change.product, change.objective.value)
        self._waiting.pop(subject, None)
        if len(self._waiting) >= self._waiting_max:
            del self._waiting[next(iter(self._waiting))]
            self._on_outcome(self._sink.name, "dropped", 1)
        self._waiting[subject] = _Waiting(change, self._clock())
        self._changed.set()

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            self._changed.clear()
            pause_s = await self.step()
            if pause_s > 0:
                try:
                    async with asyncio.timeout(pause_s):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def step(self) -> float:
        """Tell what is due now; give the seconds until something else is."""
        now = self._clock()
        due = [subject for subject, it in self._waiting.items() if it.due_at <= now]
        # What failed again and again is told by itself, so that it holds up nothing else.
        alone = [subject for subject in due if self._waiting[subject].attempts >= _ALONE_AFTER]
        together = [subject for subject in due if self._waiting[subject].attempts < _ALONE_AFTER]
        for batch in [
            *(together[at : at + _BATCH_MAX] for at in range(0, len(together), _BATCH_MAX)),
            *([it] for it in alone[:_ALONE_AT_ONCE]),
        ]:
            await self._tell(batch, now)
        now = self._clock()
        return max(0.0, min(((it.due_at - now).total_seconds() for it in self._waiting.values()), default=_IDLE_S))

    async def _tell(self, subjects: Sequence[Subject], now: dt.datetime) -> None:
        chosen: list[tuple[Subject, _Waiting, Alert]] = []
        try:
            for subject in subjects:
                waiting = self._waiting.get(subject)
                alert = None if waiting is None else await self._alert(subject, waiting, now)
                if waiting is not None and alert is not None:
                    chosen.append((subject, waiting, alert))
                await asyncio.sleep(0)  # a whole mesh may change at once; answering goes on between
            if not chosen:
                return
            async with asyncio.timeout(self._timeout_s):
                await self._sink.send([alert for _, _, alert in chosen], now)
        except Exception as error:  # whatever a receiver or the store does, measuring and telling others go on
            untold = [it for subject in subjects if (it := self._waiting.get(subject)) is not None and it.due_at <= now]
            self._failed(untold, error)
            await self._give_back(chosen)
            self._on_outcome(self._sink.name, "failed", len(untold))
            return
        for subject, waiting, alert in chosen:
            await self._settle(subject, waiting, alert)
            await asyncio.sleep(0)
        self._on_outcome(self._sink.name, "sent", len(chosen))

    async def _alert(self, subject: Subject, waiting: _Waiting, now: dt.datetime) -> Alert | None:
        """Decide whether a state is told now; if not, when to look again."""
        change = waiting.change
        contract = self._contract_of(change.product)
        if contract is None:
            self._forget(subject, waiting)
            return None
        if (silent_until := maintained_until(contract.maintenance, now)) is not None:
            waiting.due_at, waiting.sent = silent_until, False
            return None
        if self._sink.tells_replicas_apart:
            said = self._said.get(subject)
            if change.after not in FIRING and said is None:
                self._forget(subject, waiting)
                return None
            return Alert(change, contract, said)
        if waiting.sent:
            return Alert(change, contract, change.after)
        claim = await self._told.claim(self._name(subject), change.after, change.at, lease_s=3 * self._timeout_s)
        if claim.granted:
            return Alert(change, contract, claim.told)
        if claim.retry_s is not None:
            waiting.due_at = now + dt.timedelta(seconds=claim.retry_s)
        else:
            self._forget(subject, waiting)
        return None

    async def _settle(self, subject: Subject, waiting: _Waiting, alert: Alert) -> None:
        after = alert.change.after
        if self._sink.tells_replicas_apart:
            if after in FIRING:
                self._said[subject] = after
            else:
                self._said.pop(subject, None)
        elif not waiting.sent:
            await self._told.confirm(self._name(subject), after, alert.change.at)
        if self._sink.resend_s is None or after not in FIRING:
            self._forget(subject, waiting)
            return
        waiting.attempts, waiting.sent = 0, True
        waiting.due_at = self._clock() + dt.timedelta(seconds=self._sink.resend_s)

    def _failed(self, untold: Sequence[_Waiting], error: Exception) -> None:
        asked_s = error.retry_after_s if isinstance(error, SinkError) else None
        for waiting in untold:
            waiting.attempts += 1
            backoff_s = min(BACKOFF_MAX_S, 2.0 ** min(waiting.attempts, 16)) * (0.5 + 0.5 * self._chance())
            pause_s = max(backoff_s, min(asked_s or 0.0, _RETRY_AFTER_MAX_S))
            waiting.due_at = self._clock() + dt.timedelta(seconds=pause_s)

    async def _give_back(self, chosen: Sequence[tuple[Subject, _Waiting, Alert]]) -> None:
        if self._sink.tells_replicas_apart:
            return
        for subject, _, _ in chosen:
            try:
                await self._told.release(self._name(subject))
            except Exception:  # the lease runs out by itself
                return

    def _forget(self, subject: Subject, waiting: _Waiting) -> None:
        # Not if a newer state has taken its place meanwhile.
        if self._waiting.get(subject) is waiting:
            del self._waiting[subject]

    def _name(self, subject: Subject) -> str:
        return "|".join((self._sink.name, *subject))
