"""Alerts, for all histories of states, failures, restarts and gateways: what holds in the end was told last, and nothing twice in a row."""

from __future__ import annotations

import asyncio
import datetime as dt
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.maintenance import Maintenance
from gateway.slo.alerting.alert import FIRING, SinkError
from gateway.slo.alerting.told import ToldHere
from gateway.slo.status import SloStatus
from tests.unit.gateway.slo.alerting.receiving import MET, Clock, Receiver, change, contract_of, courier_of

NIGHT = Maintenance("Europe/Berlin", at=dt.time(3, 0), lasts_s=3_600.0)

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("state"), st.sampled_from(list(SloStatus))),
        st.tuples(st.just("turn"), st.floats(0, 20_000)),
        st.tuples(st.just("fail"), st.integers(0, 2)),
        st.tuples(st.just("step"), st.integers(0, 2)),
        st.tuples(st.just("die"), st.integers(0, 2)),
    ),
    max_size=40,
)


class Log(Receiver):
    """Several gateways' way to one receiver, which writes all it is told into one list."""

    def __init__(self, heard: list[SloStatus]) -> None:
        super().__init__()
        self.heard = heard

    async def send(self, alerts: Any, now: dt.datetime) -> None:
        await super().send(alerts, now)
        self.heard += [one.change.after for one in alerts]


@given(EVENTS, st.integers(1, 3))
def test_the_state_that_holds_in_the_end_was_told_last_and_none_twice_in_a_row(events: list[tuple[str, Any]], gateways: int) -> None:
    asyncio.run(played(events, gateways))


async def played(events: list[tuple[str, Any]], gateways: int) -> None:
    clock = Clock()
    told = ToldHere(clock)
    heard: list[SloStatus] = []
    receivers = [Log(heard) for _ in range(gateways)]

    def courier(number: int) -> Any:
        return courier_of(receivers[number], clock, told=told, contract=lambda _: contract_of(NIGHT))

    couriers = [courier(number) for number in range(gateways)]
    last = MET
    last_change = None
    for what, value in events:
        if what == "state" and value is not last:
            last_change = change(value, clock.turn(1), before=last)
            last = value
            for one in couriers:
                one.take(last_change)
        elif what == "turn":
            clock.turn(value)
        elif what == "fail":
            receivers[value % gateways].fails.append(SinkError("refused"))
        elif what == "step":
            await couriers[value % gateways].step()
        elif what == "die" and last_change is not None:
            # It comes back knowing nothing, measures, and finds what holds.
            couriers[value % gateways] = courier(value % gateways)
            couriers[value % gateways].take(last_change)
    for _ in range(200):
        clock.turn(600)
        for one in couriers:
            await one.step()
    assert all(one.waiting == 0 for one in couriers)
    assert all(one is not other for one, other in pairwise(heard))
    if last in FIRING:
        assert heard[-1] is last
    else:
        assert not heard or heard[-1] is MET
