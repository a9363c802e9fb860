"""Measuring in the background, in a time of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from domain_adapters.errors import PortBrokenPromiseError, PortRefusedError, PortUnavailableError
from domain_adapters.port import Capabilities
from gateway.slo.board import Board
from gateway.slo.cadence import Cadence
from gateway.slo.gauge import Gauge
from gateway.slo.measurer import Measurer, Target
from tests.unit.gateway.slo.timed import GOOD, LEVEL_1, PROMISED, ScriptedPort, Time, contract, items, ran, row


def board_of(time: Time, *names: str) -> Board:
    return Board([contract(name) for name in names], time.clock)


def target(time: Time, port: ScriptedPort, name: str = "a", cadence: Cadence | None = None, **options: Any) -> Target:
    cadence = cadence or Cadence()
    return Target(Gauge(contract(name), [port], cadence, clock=time.clock, **options), cadence)


def measurer_of(time: Time, board: Board, targets: Mapping[str, Target], **options: Any) -> Measurer:
    options = {"chance": lambda: 0.5, **options}
    return Measurer(board, lambda: targets, sleep=time.sleep, time_s=time.time_s, **options)


async def measured(time: Time, board: Board, targets: Mapping[str, Target], **options: Any) -> Measurer:
    measurer = measurer_of(time, board, targets, **options)
    await ran(measurer.run(), measurer.first_round_done.is_set)
    return measurer


async def test_a_good_port_is_met_after_the_first_round() -> None:
    time = Time()
    board = board_of(time, "a")
    await measured(time, board, {"d/a": target(time, ScriptedPort(GOOD))})
    slo = board.product("d/a")
    assert slo.status == "MET"
    assert slo.availability is not None
    assert (slo.availability.figure, slo.availability.source) == (1.0, "probes and calls")


async def test_ports_are_asked_again_at_their_interval() -> None:
    time = Time()
    often, seldom = ScriptedPort(GOOD), ScriptedPort(GOOD)
    targets = {"d/a": target(time, often, cadence=Cadence(10.0)), "d/b": target(time, seldom, "b")}
    measurer = measurer_of(time, board_of(time, "a", "b"), targets)
    await ran(measurer.run(), lambda: time.passed_s >= 119)
    assert often.asked in range(10, 13)
    assert seldom.asked == 2


async def test_intervals_are_jittered_within_a_fifth() -> None:
    for chance, most in ((0.0, 48.0), (1.0, 72.0)):
        time = Time()
        port = ScriptedPort(GOOD)
        measurer = measurer_of(time, board_of(time, "a"), {"d/a": target(time, port)}, chance=lambda chance=chance: chance)
        await ran(measurer.run(), lambda port=port: port.asked == 2)  # type: ignore[misc]  # mypy infers no lambda's defaults
        assert most - 1 <= time.passed_s <= most + 2


@pytest.mark.parametrize(
    ("answer", "finding", "availability"),
    [
        (PortUnavailableError("no", reason="refused"), "the port did not answer: refused", 0.0),
        (PortBrokenPromiseError("no", reason="not_json"), "the port did not answer: not_json", 0.0),
        (RuntimeError("secret detail"), "the port failed", 0.0),
        (PortRefusedError("no", reason="not_found", status=404), "the port has no /slo document", 1.0),
    ],
)
async def test_a_failure_is_a_finding_and_counts_where_the_domain_is_at_fault(answer: Exception, finding: str, availability: float) -> None:
    time = Time()
    board = board_of(time, "a")
    await measured(time, board, {"d/a": target(time, ScriptedPort(answer))})
    slo = board.product("d/a")
    assert finding in slo.findings
    assert slo.availability is not None
    assert slo.availability.figure == availability
    assert slo.freshness is not None
    assert slo.freshness.status == "UNKNOWN"


async def test_a_hung_port_costs_its_timeout_and_nobody_else_anything() -> None:
    time = Time()
    board = board_of(time, "a", "b")
    hung = target(time, ScriptedPort(asyncio.Event().wait), timeout_s=0.05)
    await measured(time, board, {"d/a": hung, "d/b": target(time, ScriptedPort(GOOD), "b")})
    assert board.product("d/a").findings == ("the port did not answer: timeout",)
    assert board.product("d/b").status == "MET"


async def test_no_more_ports_are_asked_at_once_than_allowed() -> None:
    time = Time()
    at_once, most = 0, 0

    async def busy() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1

    names = [str(number) for number in range(20)]
    targets = {f"d/{name}": target(time, ScriptedPort(busy), name) for name in names}
    await measured(time, board_of(time, *names), targets, concurrency=3)
    assert most == 3


async def test_products_come_and_go_while_measuring() -> None:
    time = Time()
    first, second = ScriptedPort(GOOD), ScriptedPort(GOOD)
    hung = ScriptedPort(asyncio.Event().wait)
    targets = [{"d/a": target(time, first), "d/c": target(time, hung, "c", timeout_s=60.0)}]
    board = board_of(time, "a", "b")
    measurer = Measurer(board, lambda: targets[-1], sleep=time.sleep, time_s=time.time_s, chance=lambda: 0.5)
    running = asyncio.create_task(measurer.run())
    while not (first.asked and hung.asked):
        await asyncio.sleep(0)
    assert not measurer.first_round_done.is_set()
    targets.append({"d/b": target(time, second, "b")})
    while board.product("d/b").status != "MET":
        await asyncio.sleep(0)
    asked = first.asked
    replaced = ScriptedPort(b"{}")
    targets.append({"d/b": target(time, replaced, "b")})
    while not replaced.asked:
        await asyncio.sleep(0)
    assert first.asked == asked
    assert measurer.first_round_done.is_set()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(asyncio.all_tasks()) == 1


async def test_without_products_the_first_round_is_done_at_once() -> None:
    time = Time()
    measurer = await measured(time, board_of(time), {})
    assert measurer.first_round_done.is_set()


async def test_the_loops_own_clock_serves_where_none_is_given() -> None:
    time = Time()
    board = board_of(time, "a")
    measurer = Measurer(board, lambda: {"d/a": target(time, ScriptedPort(GOOD))})
    await ran(measurer.run(), measurer.first_round_done.is_set)
    assert board.product("d/a").status == "MET"


async def test_what_another_replica_measures_is_not_asked_here() -> None:
    time = Time()
    mine, theirs = ScriptedPort(GOOD), ScriptedPort(GOOD)
    owned = {"d/a"}
    targets = {"d/a": target(time, mine), "d/b": target(time, theirs, "b")}
    measurer = measurer_of(time, board_of(time, "a", "b"), targets, owns=owned.__contains__)
    running = asyncio.create_task(measurer.run())
    while time.passed_s < 200:
        await asyncio.sleep(0)
    assert (mine.asked > 2, theirs.asked) == (True, 0)
    owned.add("d/b")
    begun_s = time.passed_s
    while not theirs.asked:
        await asyncio.sleep(0)
    assert time.passed_s - begun_s <= 16
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_what_queries_met_is_looked_at_within_a_minute_but_no_oftener() -> None:
    time = Time()
    found = items(objectives=PROMISED)
    port = ScriptedPort(GOOD, rows=[row(1)], capabilities=LEVEL_1)
    board = Board([found], time.clock)
    cadence = Cadence()
    targets = {"d/a": Target(Gauge(found, [port], cadence, clock=time.clock), cadence)}
    measurer = measurer_of(time, board, targets)
    running = asyncio.create_task(measurer.run())
    while not measurer.first_round_done.is_set():
        await asyncio.sleep(0)
    begun_s, reads = time.passed_s, len(port.reads)
    for _ in range(100):
        measurer.hasten("d/a")
        board.drifts("d/a", "odd rows were met")
    measurer.hasten("d/unknown")
    assert board.product("d/a").findings == ("odd rows were met",)
    while len(port.reads) == reads:
        await asyncio.sleep(0)
        measurer.hasten("d/a")
    assert 50 <= time.passed_s - begun_s <= 60
    while time.passed_s - begun_s < 150:
        await asyncio.sleep(0)
        measurer.hasten("d/a")
    assert len(port.reads) - reads <= 3
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert board.product("d/a").findings == ()


@pytest.mark.parametrize(
    ("slo", "capabilities", "calls_a_minute"),
    [
        (b'{"lastUpdateAt": "2026-11-23T02:30:00Z"}', LEVEL_1, 1.5),
        (b'{"freshness": {"lagSeconds": 0}}', LEVEL_1, 2.5),  # a lie: its rows are asked as well
        (PortRefusedError("no", reason="not_found", status=404), LEVEL_1, 2.5),
        (PortRefusedError("no", reason="not_found", status=404), Capabilities(since=True), 5.0),
    ],
)
async def test_what_measuring_costs_a_domain_is_bounded(slo: Any, capabilities: Capabilities, calls_a_minute: float) -> None:
    time = Time()
    found = items(objectives=PROMISED)
    port = ScriptedPort(slo, rows=[row(1)], capabilities=capabilities)
    cadence = Cadence()
    measurer = measurer_of(time, Board([found], time.clock), {"d/a": Target(Gauge(found, [port], cadence, clock=time.clock), cadence)})
    await ran(measurer.run(), lambda: time.passed_s >= 3_600)
    assert 1 <= (port.asked + len(port.reads)) / 60 <= calls_a_minute
