"""Changes of state, as those who listen hear them."""

from __future__ import annotations

import datetime as dt

from gateway.slo.changes import Change
from gateway.slo.measured import ObjectiveName
from gateway.slo.status import SloStatus
from tests.unit.gateway.slo.readings import told as measured
from tests.unit.gateway.slo.test_board import FRESH, ORDERS, START, board


class Told:
    def __init__(self) -> None:
        self.changes: list[Change] = []

    def changed(self, change: Change) -> None:
        self.changes.append(change)


def test_listeners_are_told_every_change_of_an_objective_and_then_of_the_product() -> None:
    found, clock = board(FRESH)
    told = Told()
    found.listen(told)
    found.take(ORDERS, measured(START, START))
    clock.pass_(minutes=3)
    found.take(ORDERS, measured(clock.now, START - dt.timedelta(hours=1)))
    assert [(it.objective, it.before.value, it.after.value, it.sequence) for it in told.changes] == [
        (ObjectiveName.FRESHNESS, "UNKNOWN", "MET", 1),
        (None, "UNKNOWN", "MET", 1),
        (ObjectiveName.FRESHNESS, "MET", "BREACHED", 2),
        (None, "MET", "BREACHED", 2),
    ]
    last = told.changes[2]
    assert (last.product, last.version, last.owner, last.limit, last.wording) == (
        ORDERS,
        "2.1.0",
        "order-team@company.com",
        3600.0,
        "< 1 hour",
    )
    assert last.figure == 3780.0


def test_a_change_by_itself_is_told_with_the_instant_that_implies_it() -> None:
    found, clock = board(FRESH)
    told = Told()
    found.listen(told)
    found.take(ORDERS, measured(START, START - dt.timedelta(minutes=47)))
    clock.pass_(minutes=2)
    assert found.product(ORDERS).status is SloStatus.AT_RISK
    assert told.changes[-1].at == START + dt.timedelta(minutes=1)


def test_replicas_name_the_same_change_the_same() -> None:
    keys = []
    for late_s in (120, 150):
        found, clock = board(FRESH)
        told = Told()
        found.listen(told)
        found.take(ORDERS, measured(START, START - dt.timedelta(minutes=47)))
        clock.pass_(seconds=late_s)
        assert found.products()[0].status is SloStatus.AT_RISK
        keys.append(told.changes[-1].key)
    assert keys[0] == keys[1]
