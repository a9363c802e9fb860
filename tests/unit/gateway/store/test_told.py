"""What receivers were told, over every kind of store: of any number of gateways one tells each change, once."""

from __future__ import annotations

import asyncio
import datetime as dt

from gateway.slo.alerting.told_in_store import ToldInStore
from gateway.slo.status import SloStatus
from gateway.store.store import Store
from tests.unit.gateway.slo.alerting.receiving import AT_RISK, BREACHED, MET, START, Clock, Receiver, change, courier_of

LATER = START + dt.timedelta(seconds=1)


async def claimed(told: ToldInStore, status: SloStatus, at: dt.datetime = START, *, lease_s: float = 60.0) -> bool:
    return (await told.claim("webhook|order/orders|freshness", status, at, lease_s=lease_s)).granted


async def test_of_many_that_race_to_tell_one_does(store: Store) -> None:
    gateways = [ToldInStore(store, f"gateway {number}") for number in range(8)]
    won = await asyncio.gather(*(claimed(told, BREACHED) for told in gateways))
    assert sum(won) == 1
    winner = gateways[won.index(True)]
    await winner.confirm("webhook|order/orders|freshness", BREACHED, START)
    # Told is told, whoever measured the same a little later.
    assert not any([await claimed(told, BREACHED, LATER) for told in gateways])
    assert sum([await claimed(told, MET, LATER) for told in gateways]) == 1


async def test_a_lease_that_ran_out_is_anybodys_and_one_given_back_at_once(store: Store) -> None:
    one, other = ToldInStore(store, "one"), ToldInStore(store, "other")
    assert await claimed(one, BREACHED, lease_s=0.0)
    assert await claimed(other, BREACHED)
    refused = await one.claim("webhook|order/orders|freshness", BREACHED, START, lease_s=60.0)
    assert refused.retry_s is not None
    assert 0 < refused.retry_s <= 60
    await one.release("webhook|order/orders|freshness")  # not its own any more
    assert not await claimed(one, BREACHED)
    await other.release("webhook|order/orders|freshness")
    assert await claimed(one, BREACHED)


async def test_nothing_is_over_that_nobody_heard_of_and_nothing_old_is_news(store: Store) -> None:
    told = ToldInStore(store, "one")
    assert not await claimed(told, MET)
    assert await claimed(told, BREACHED)
    await told.confirm("webhook|order/orders|freshness", BREACHED, LATER)
    assert not await claimed(told, AT_RISK, START)
    assert (await told.claim("webhook|order/orders|freshness", MET, LATER, lease_s=1.0)).told is BREACHED


async def test_gateways_that_share_a_store_tell_a_webhook_once(store: Store) -> None:
    clock = Clock()
    receivers = [Receiver() for _ in range(3)]
    couriers = [courier_of(it, clock, told=ToldInStore(store, f"gateway {number}")) for number, it in enumerate(receivers)]
    for status, before in ((AT_RISK, MET), (BREACHED, AT_RISK), (MET, BREACHED)):
        at = clock.turn(100)
        for seconds, courier in enumerate(couriers):
            courier.take(change(status, at + dt.timedelta(seconds=seconds), before=before))
        await asyncio.gather(*(courier.step() for courier in couriers))
        clock.turn(100)
        for courier in couriers:
            await courier.step()
    assert sorted(told for it in receivers for told in it.told) == [
        ("freshness", "AT_RISK"),
        ("freshness", "BREACHED"),
        ("freshness", "MET"),
    ]
