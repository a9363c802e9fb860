"""Time, a receiver and changes of state, as tests of alerts need them."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from contracts.maintenance import Maintenance
from contracts.model import Contract, Metadata
from contracts.objectives import Objectives
from gateway.slo.alerting.alert import Alert
from gateway.slo.alerting.courier import Courier
from gateway.slo.alerting.told import Told, ToldHere
from gateway.slo.changes import Change
from gateway.slo.measured import ObjectiveName
from gateway.slo.status import SloStatus

START = dt.datetime(2026, 11, 23, 2, 30, tzinfo=dt.UTC)
ORDERS = "order/orders-daily"
MET, AT_RISK, BREACHED, UNKNOWN = SloStatus.MET, SloStatus.AT_RISK, SloStatus.BREACHED, SloStatus.UNKNOWN


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> dt.datetime:
        return self.now

    def turn(self, seconds: float) -> dt.datetime:
        self.now += dt.timedelta(seconds=seconds)
        return self.now


class Receiver:
    """A sink that keeps what it is told. ``fails``: errors to raise first, one per sending; ``hangs``: for ever."""

    def __init__(self, *fails: Exception, resend_s: float | None = None, tells_replicas_apart: bool = False, hangs: bool = False) -> None:
        self.name = "receiver"
        self.resend_s = resend_s
        self.tells_replicas_apart = tells_replicas_apart
        self.fails = list(fails)
        self.hangs = hangs
        self.sent: list[list[Alert]] = []

    async def send(self, alerts: Sequence[Alert], now: dt.datetime) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails:
            raise self.fails.pop(0)
        self.sent.append(list(alerts))

    async def aclose(self) -> None:
        return

    @property
    def told(self) -> list[tuple[str, str]]:
        """(objective, status) in the order of telling."""
        return [(one.objective, one.change.after.value) for batch in self.sent for one in batch]


def contract_of(*windows: Maintenance, product: str = ORDERS, owner: str = "order-team@company.com", docs: str | None = None) -> Contract:
    domain, _, name = product.partition("/")
    metadata = Metadata(name=name, domain=domain, owner=owner, version="2.1.0", docs=docs)
    return Contract(metadata=metadata, fields=(), objectives=Objectives(), classification=(), maintenance=windows)


def change(
    after: SloStatus, at: dt.datetime = START, *, product: str = ORDERS, objective: str = "freshness", before: SloStatus = MET, **more: Any
) -> Change:
    told = {"figure": 5_400.0, "limit": 3_600.0, "wording": "< 1 hour", **more}
    return Change(product, "2.1.0", "order-team@company.com", ObjectiveName(objective), before, after, at, 1, **told)


def courier_of(
    receiver: Receiver,
    clock: Clock,
    *,
    told: Told | None = None,
    contract: Callable[[str], Contract | None] = lambda _: contract_of(),
    **more: Any,
) -> Courier:
    return Courier(receiver, told or ToldHere(clock), contract, clock=clock, chance=lambda: 1.0, **more)
