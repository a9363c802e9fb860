"""Telling changes of state: once, again until it arrives, the newest state only, silent in maintenance. Days pass in milliseconds."""

from __future__ import annotations

import asyncio
import datetime as dt
import random

import pytest

from contracts.maintenance import Maintenance
from gateway.slo.alerting.alert import SinkError
from gateway.slo.alerting.alerts import Alerts
from gateway.slo.alerting.courier import BACKOFF_MAX_S
from gateway.slo.alerting.told import Claim, ToldHere
from gateway.slo.changes import Change
from gateway.slo.status import SloStatus

from .receiving import AT_RISK, BREACHED, MET, ORDERS, START, UNKNOWN, Clock, Receiver, change, contract_of, courier_of

NIGHT = Maintenance("UTC", at=dt.time(2, 0), lasts_s=7_200.0)


async def test_a_change_is_told_once_and_its_end_too() -> None:
    clock, receiver = Clock(), Receiver()
    courier = courier_of(receiver, clock)
    courier.take(change(BREACHED))
    assert receiver.sent == []  # noting never tells
    await courier.step()
    await courier.step()
    courier.take(change(MET, clock.turn(60), before=BREACHED))
    await courier.step()
    assert receiver.told == [("freshness", "BREACHED"), ("freshness", "MET")]
    assert [one.told for batch in receiver.sent for one in batch] == [None, BREACHED]
    assert courier.waiting == 0


async def test_a_first_measurement_that_is_good_is_no_news() -> None:
    clock, receiver = Clock(), Receiver()
    courier = courier_of(receiver, clock)
    courier.take(change(MET, before=UNKNOWN))
    await courier.step()
    assert receiver.sent == []


async def test_states_that_were_superseded_before_they_were_told_are_not_told() -> None:
    clock, receiver = Clock(), Receiver()
    courier = courier_of(receiver, clock)
    for status in (AT_RISK, BREACHED, UNKNOWN, AT_RISK):
        courier.take(change(status, clock.turn(1)))
    courier.take(change(BREACHED, clock.now, objective="accuracy"))
    await courier.step()
    assert receiver.told == [("freshness", "AT_RISK"), ("accuracy", "BREACHED")]
    assert len(receiver.sent) == 1


async def test_what_broke_and_healed_before_it_could_be_told_is_told_as_nothing() -> None:
    clock, receiver = Clock(), Receiver(SinkError("refused"))
    courier = courier_of(receiver, clock)
    courier.take(change(BREACHED))
    await courier.step()
    courier.take(change(MET, clock.turn(1), before=BREACHED))
    await courier.step()
    assert receiver.sent == []
    assert courier.waiting == 0


async def test_what_did_not_arrive_is_told_again_ever_more_seldom_until_it_arrives() -> None:
    clock = Clock()
    receiver = Receiver(*(SinkError("refused") for _ in range(12)))
    outcomes: list[tuple[str, str, int]] = []
    courier = courier_of(receiver, clock, on_outcome=lambda *told: outcomes.append(told))
    courier.take(change(BREACHED))
    pauses = []
    while not receiver.sent:
        pause_s = await courier.step()
        pauses.append(pause_s)
        clock.turn(pause_s)
    assert pauses[:4] == [2.0, 4.0, 8.0, 16.0]
    assert max(pauses[:-1]) == BACKOFF_MAX_S
    assert outcomes == [("receiver", "failed", 1)] * 12 + [("receiver", "sent", 1)]


async def test_retries_of_many_gateways_are_spread() -> None:
    clock = Clock()
    pauses = set()
    for seed in range(8):
        courier = courier_of(Receiver(SinkError("refused")), clock)
        courier._chance = random.Random(seed).random
        courier.take(change(BREACHED))
        pauses.add(await courier.step())
    assert len(pauses) == 8
    assert all(1.0 <= pause <= 2.0 for pause in pauses)


async def test_a_receiver_that_asks_to_wait_is_left_alone_for_so_long_within_reason() -> None:
    for asked_s, waited_s in ((120.0, 120.0), (1e9, 3_600.0)):
        clock = Clock()
        courier = courier_of(Receiver(SinkError("status 429", retry_after_s=asked_s)), clock)
        courier.take(change(BREACHED))
        assert await courier.step() == waited_s


async def test_a_receiver_that_hangs_is_given_up_in_time() -> None:
    clock, receiver = Clock(), Receiver(hangs=True)
    courier = courier_of(receiver, clock, timeout_s=0.01)
    courier.take(change(BREACHED))
    assert await courier.step() == 2.0


@pytest.mark.parametrize("error", [ValueError("a bug"), TimeoutError(), OSError()])
async def test_whatever_a_receiver_raises_it_is_tried_again(error: Exception) -> None:
    clock, receiver = Clock(), Receiver(error)
    courier = courier_of(receiver, clock)
    courier.take(change(BREACHED))
    clock.turn(await courier.step())
    await courier.step()
    assert receiver.told == [("freshness", "BREACHED")]


async def test_one_change_that_is_refused_again_and_again_holds_up_no_other() -> None:
    class Picky(Receiver):
        async def send(self, alerts, now):  # type: ignore[no-untyped-def]  # as `Sink.send`
            if any(one.change.product == "order/poison" for one in alerts):
                raise SinkError("status 400")
            await super().send(alerts, now)

    clock, receiver = Clock(), Picky()
    courier = courier_of(receiver, clock)
    courier.take(change(BREACHED, product="order/poison"))
    for number in range(5):
        courier.take(change(BREACHED, product=f"order/p{number}"))
    for _ in range(5):
        clock.turn(await courier.step())
    assert len(receiver.told) == 5
    assert courier.waiting == 1


async def test_what_waits_is_bounded_and_what_is_dropped_is_counted() -> None:
    clock, receiver = Clock(), Receiver()
    outcomes: list[tuple[str, str, int]] = []
    courier = courier_of(receiver, clock, waiting_max=3, on_outcome=lambda *told: outcomes.append(told))
    for number in range(5):
        courier.take(change(BREACHED, product=f"order/p{number}"))
    assert courier.waiting == 3
    await courier.step()
    assert [one.change.product for batch in receiver.sent for one in batch] == ["order/p2", "order/p3", "order/p4"]
    assert outcomes == [("receiver", "dropped", 1)] * 2 + [("receiver", "sent", 3)]


async def test_many_changes_are_told_in_batches() -> None:
    clock, receiver = Clock(), Receiver()
    courier = courier_of(receiver, clock)
    for number in range(250):
        courier.take(change(UNKNOWN, product=f"order/p{number}"))
    await courier.step()
    assert [len(batch) for batch in receiver.sent] == [100, 100, 50]


# -- maintenance ---------------------------------------------------------------------------------------------------------------


async def test_in_maintenance_nothing_is_told_and_afterwards_what_is_still_so() -> None:
    clock, receiver = Clock(), Receiver()  # 02:30, in a window from 02:00 to 04:00
    courier = courier_of(receiver, clock, contract=lambda _: contract_of(NIGHT))
    courier.take(change(BREACHED))
    assert await courier.step() == 5_400.0
    clock.turn(5_399)
    await courier.step()
    assert receiver.sent == []
    clock.turn(1)
    await courier.step()
    assert receiver.told == [("freshness", "BREACHED")]


async def test_what_heals_within_its_window_is_never_told() -> None:
    clock, receiver = Clock(), Receiver()
    courier = courier_of(receiver, clock, contract=lambda _: contract_of(NIGHT))
    courier.take(change(BREACHED))
    await courier.step()
    courier.take(change(MET, clock.turn(3_600), before=BREACHED))
    clock.turn(await courier.step())
    await courier.step()
    assert receiver.sent == []
    assert courier.waiting == 0


async def test_a_window_keeps_its_wall_clock_time_when_clocks_change() -> None:
    """A week in which Berlin's clocks go back: 02:00 there is 00:00 UTC on Sunday the 25th, and 01:00 UTC from then on."""
    window = Maintenance("Europe/Berlin", at=dt.time(2, 0), lasts_s=3_600.0)
    told_at = []
    for day in range(22, 29):
        for minute in range(0, 240, 30):
            clock, receiver = Clock(), Receiver()
            clock.now = dt.datetime(2026, 10, day, minute // 60, minute % 60, tzinfo=dt.UTC)
            courier = courier_of(receiver, clock, contract=lambda _: contract_of(window))
            courier.take(change(BREACHED, clock.now))
            await courier.step()
            if not receiver.sent:
                told_at.append((day, minute))
    assert told_at == [(day, minute) for day in range(22, 26) for minute in (0, 30)] + [
        (day, minute) for day in range(26, 29) for minute in (60, 90)
    ]


async def test_a_product_that_is_gone_is_told_no_more() -> None:
    clock, receiver = Clock(), Receiver()
    courier = courier_of(receiver, clock, contract=lambda _: None)
    courier.take(change(BREACHED))
    await courier.step()
    assert (receiver.sent, courier.waiting) == ([], 0)


# -- several gateways ----------------------------------------------------------------------------------------------------------


async def test_of_several_gateways_one_tells() -> None:
    clock = Clock()
    told = ToldHere(clock)
    receivers = [Receiver() for _ in range(3)]
    couriers = [courier_of(receiver, clock, told=told) for receiver in receivers]
    for seconds, courier in enumerate(couriers):
        # Each measured it by itself, a little later than the one before.
        courier.take(change(BREACHED, START + dt.timedelta(seconds=seconds)))
    await asyncio.gather(*(courier.step() for courier in couriers))
    assert sorted(len(receiver.told) for receiver in receivers) == [0, 0, 1]
    clock.turn(60)
    for courier in couriers:
        await courier.step()
        courier.take(change(MET, clock.now, before=BREACHED))
    await asyncio.gather(*(courier.step() for courier in couriers))
    assert sorted(told for receiver in receivers for told in receiver.told) == [("freshness", "BREACHED"), ("freshness", "MET")]


async def test_a_gateway_that_ends_while_telling_is_relieved_by_another() -> None:
    clock = Clock()
    told = ToldHere(clock)
    dying, other = Receiver(hangs=True), Receiver()
    first, second = courier_of(dying, clock, told=told), courier_of(other, clock, told=told)
    for courier in (first, second):
        courier.take(change(BREACHED))
    task = asyncio.create_task(first.step())
    await asyncio.sleep(0)
    pause_s = await second.step()
    assert other.sent == []
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert pause_s == 30.0
    clock.turn(pause_s)
    await second.step()
    assert other.told == [("freshness", "BREACHED")]


async def test_what_one_gateway_could_not_tell_another_may_tell_at_once() -> None:
    clock = Clock()
    told = ToldHere(clock)
    failing, other = Receiver(SinkError("refused")), Receiver()
    for receiver in (failing, other):
        courier = courier_of(receiver, clock, told=told)
        courier.take(change(BREACHED))
        await courier.step()
    assert other.told == [("freshness", "BREACHED")]


async def test_a_late_gateway_does_not_tell_what_is_over() -> None:
    clock = Clock()
    told = ToldHere(clock)
    quick, late = Receiver(), Receiver()
    courier = courier_of(quick, clock, told=told)
    courier.take(change(BREACHED))
    await courier.step()
    courier.take(change(AT_RISK, START + dt.timedelta(seconds=30)))
    await courier.step()
    behind = courier_of(late, clock, told=told)
    behind.take(change(BREACHED, START + dt.timedelta(seconds=10)))
    await behind.step()
    assert late.sent == []


async def test_a_store_that_is_away_delays_and_loses_nothing() -> None:
    class Away(ToldHere):
        away = True

        async def claim(self, subject: str, status: SloStatus, at: dt.datetime, *, lease_s: float) -> Claim:
            if self.away:
                raise OSError
            return await super().claim(subject, status, at, lease_s=lease_s)

    clock, receiver = Clock(), Receiver()
    told = Away(clock)
    courier = courier_of(receiver, clock, told=told)
    courier.take(change(BREACHED))
    assert await courier.step() == 2.0
    told.away = False
    clock.turn(2)
    await courier.step()
    assert receiver.told == [("freshness", "BREACHED")]


async def test_what_was_told_is_remembered_within_a_bound() -> None:
    clock = Clock()
    told = ToldHere(clock, subjects_max=2)
    for subject in "abc":
        await told.claim(subject, BREACHED, START, lease_s=1.0)
        await told.confirm(subject, BREACHED, START)
    await told.release("nobody")
    assert not (await told.claim("c", BREACHED, START, lease_s=1.0)).granted
    assert (await told.claim("a", BREACHED, START, lease_s=1.0)).granted


# -- telling again -------------------------------------------------------------------------------------------------------------


async def test_what_goes_on_is_told_again_for_days_and_stops_when_it_is_over() -> None:
    clock, receiver = Clock(), Receiver(resend_s=60.0, tells_replicas_apart=True)
    courier = courier_of(receiver, clock)
    courier.take(change(BREACHED))
    for _ in range(2 * 24 * 60):
        clock.turn(await courier.step())
    assert len(receiver.sent) == 2 * 24 * 60
    courier.take(change(MET, clock.now, before=BREACHED))
    await courier.step()
    assert receiver.told[-1] == ("freshness", "MET")
    assert courier.waiting == 0


async def test_a_receiver_that_hears_all_gateways_is_told_by_all() -> None:
    clock = Clock()
    told = ToldHere(clock)
    receivers = [Receiver(resend_s=60.0, tells_replicas_apart=True) for _ in range(2)]
    for receiver in receivers:
        courier = courier_of(receiver, clock, told=told)
        courier.take(change(BREACHED))
        await courier.step()
    assert [receiver.told for receiver in receivers] == [[("freshness", "BREACHED")]] * 2


async def test_one_told_again_by_itself_is_told_by_who_holds_it() -> None:
    clock, receiver = Clock(), Receiver(resend_s=60.0)
    courier = courier_of(receiver, clock)
    courier.take(change(BREACHED))
    for _ in range(3):
        clock.turn(await courier.step())
    assert len(receiver.sent) == 3


# -- running -------------------------------------------------------------------------------------------------------------------


async def test_a_change_wakes_who_tells_and_no_receiver_holds_up_another() -> None:
    arrived = asyncio.Event()

    class Prompt(Receiver):
        async def send(self, alerts, now):  # type: ignore[no-untyped-def]  # as `Sink.send`
            await super().send(alerts, now)
            arrived.set()

    stuck, prompt = Receiver(hangs=True), Prompt()
    stuck.name = "stuck"
    alerts = Alerts([stuck, prompt], lambda _: contract_of(), clock=Clock())
    running = asyncio.create_task(alerts.run())
    await asyncio.sleep(0)
    alerts.changed(change(BREACHED))
    async with asyncio.timeout(20):
        await arrived.wait()
    # A product as a whole follows from its objectives.
    alerts.changed(Change(ORDERS, "2.1.0", "o", None, MET, BREACHED, START, 1))
    assert [courier.waiting for courier in alerts.couriers][1] == 0
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await alerts.aclose()
