"""Polling in the background, in a time of its own."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from contracts.model import Contract, Metadata
from contracts.objectives import Objectives, RatioObjective, TimeObjective
from domain_adapters.errors import PortBrokenPromiseError, PortRefusedError, PortUnavailableError
from domain_adapters.port import Call, Capabilities, Read
from gateway.slo.board import Board
from gateway.slo.poller import Poller, Target
from gateway.slo.probes import Probes

START = dt.datetime(2026, 11, 23, 2, 30, tzinfo=dt.UTC)
PROMISED = Objectives(
    freshness=TimeObjective("< 1 hour", 3_600.0), completeness=RatioObjective("> 99%", 0.99), availability=RatioObjective("99%", 0.99)
)
GOOD = b'{"freshness": 60, "completeness": 1.0}'


class Time:
    """Time that passes only when the poller sleeps."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def clock(self) -> dt.datetime:
        return START + dt.timedelta(seconds=self.passed_s)

    def time_s(self) -> float:
        return self.passed_s

    async def sleep(self, seconds: float) -> None:
        self.passed_s += seconds
        for _ in range(10):
            await asyncio.sleep(0)


class ScriptedPort:
    """A port whose ``/slo`` answers are given one after the other, the last for ever. A callable answer is awaited."""

    name = "rest-api"
    capabilities = Capabilities()
    spelling: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def read(self, read: Read, call: Call) -> bytes:
        raise AssertionError("polling reads no data")

    async def slo(self, call: Call) -> bytes:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            await answer()
            return GOOD
        return bytes(answer)

    async def aclose(self) -> None:
        return


def board_of(time: Time, *names: str) -> Board:
    return Board(
        [
            Contract(
                metadata=Metadata(name=name, domain="d", owner="o@x", version="1.0.0"), fields=(), objectives=PROMISED, classification=()
            )
            for name in names
        ],
        time.clock,
    )


async def polled(poller: Poller, until: Callable[[], bool]) -> None:
    running = asyncio.create_task(poller.run())
    async with asyncio.timeout(20):
        while not until():
            await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def poller_of(time: Time, board: Board, targets: Mapping[str, Target], **options: Any) -> Poller:
    return Poller(board, lambda: targets, clock=time.clock, sleep=time.sleep, time_s=time.time_s, chance=lambda: 0.5, **options)


async def test_a_good_port_is_met_after_the_first_round() -> None:
    time = Time()
    board = board_of(time, "a")
    poller = poller_of(time, board, {"d/a": Target(ScriptedPort(GOOD))})
    assert not poller.first_round_done.is_set()
    await polled(poller, poller.first_round_done.is_set)
    slo = board.product("d/a")
    assert slo.status == "MET"
    assert slo.availability is not None
    assert slo.availability.figure == 1.0


async def test_ports_are_asked_again_at_their_interval() -> None:
    time = Time()
    often, seldom = ScriptedPort(GOOD), ScriptedPort(GOOD)
    board = board_of(time, "a", "b")
    poller = poller_of(time, board, {"d/a": Target(often, every_s=10.0), "d/b": Target(seldom)}, interval_s=60.0)
    await polled(poller, lambda: time.passed_s >= 119)
    assert often.asked in range(10, 13)
    assert seldom.asked == 2


async def test_intervals_are_jittered_within_a_fifth() -> None:
    for chance, most in ((0.0, 48.0), (1.0, 72.0)):
        time = Time()
        port = ScriptedPort(GOOD)
        poller = Poller(
            board_of(time, "a"),
            lambda port=port: {"d/a": Target(port)},  # type: ignore[misc]
            clock=time.clock,
            sleep=time.sleep,
            time_s=time.time_s,
            chance=lambda chance=chance: chance,  # type: ignore[misc]
        )
        await polled(poller, lambda port=port: port.asked == 2)  # type: ignore[misc]
        assert most - 1 <= time.passed_s <= most + 2


@pytest.mark.parametrize(
    ("answer", "finding", "availability"),
    [
        (PortUnavailableError("no", reason="refused"), "the port did not answer: refused", 0.0),
        (PortBrokenPromiseError("no", reason="not_json"), "the port did not answer: not_json", 0.0),
        (PortRefusedError("no", reason="not_found", status=404), "the port has no /slo document", 1.0),
        (RuntimeError("secret detail"), "the port failed", 0.0),
    ],
)
async def test_a_failure_is_a_finding_and_counts_where_the_domain_is_at_fault(answer: Exception, finding: str, availability: float) -> None:
    time = Time()
    board = board_of(time, "a")
    poller = poller_of(time, board, {"d/a": Target(ScriptedPort(answer))})
    await polled(poller, poller.first_round_done.is_set)
    slo = board.product("d/a")
    assert slo.findings == (finding,)
    assert slo.availability is not None
    assert slo.availability.figure == availability
    assert slo.freshness is not None
    assert slo.freshness.status == "UNKNOWN"


async def test_a_hung_port_costs_its_timeout_and_nobody_else_anything() -> None:
    time = Time()
    board = board_of(time, "a", "b")
    targets = {"d/a": Target(ScriptedPort(asyncio.Event().wait)), "d/b": Target(ScriptedPort(GOOD))}
    poller = poller_of(time, board, targets, timeout_s=0.05)
    await polled(poller, poller.first_round_done.is_set)
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
    targets = {f"d/{name}": Target(ScriptedPort(busy)) for name in names}
    poller = poller_of(time, board_of(time, *names), targets, concurrency=3)
    await polled(poller, poller.first_round_done.is_set)
    assert most == 3


async def test_products_come_and_go_while_polling() -> None:
    time = Time()
    first, second = ScriptedPort(GOOD), ScriptedPort(GOOD)
    hung = ScriptedPort(asyncio.Event().wait)
    targets = {"d/a": Target(first), "d/c": Target(hung)}
    board = board_of(time, "a", "b")
    poller = poller_of(time, board, targets, timeout_s=60.0)
    running = asyncio.create_task(poller.run())
    while not (first.asked and hung.asked):
        await asyncio.sleep(0)
    assert not poller.first_round_done.is_set()
    targets.clear()
    targets["d/b"] = Target(second)
    while board.product("d/b").status != "MET":
        await asyncio.sleep(0)
    asked = first.asked
    replaced = ScriptedPort(b"{}")
    targets["d/b"] = Target(replaced)
    while not replaced.asked:
        await asyncio.sleep(0)
    assert first.asked == asked
    assert poller.first_round_done.is_set()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(asyncio.all_tasks()) == 1


async def test_without_products_the_first_round_is_done_at_once() -> None:
    time = Time()
    poller = poller_of(time, board_of(time), {})
    await polled(poller, poller.first_round_done.is_set)
    assert poller.first_round_done.is_set()


async def test_the_loops_own_clock_serves_where_none_is_given() -> None:
    time = Time()
    board = board_of(time, "a")
    poller = Poller(board, lambda: {"d/a": Target(ScriptedPort(GOOD))}, clock=time.clock)
    await polled(poller, poller.first_round_done.is_set)
    assert board.product("d/a").status == "MET"


async def test_a_port_cannot_talk_away_outages_that_probes_met() -> None:
    time = Time()
    board = board_of(time, "a")
    port = ScriptedPort(PortUnavailableError("no", reason="refused"), b'{"availability": 1.0}')
    await polled(poller_of(time, board, {"d/a": Target(port, every_s=1.0)}), lambda: port.asked == 3)
    slo = board.product("d/a")
    assert slo.availability is not None
    assert slo.availability.figure is not None
    assert slo.availability.figure < 1.0
    admitted = ScriptedPort(b'{"availability": 0.5}')
    other = board_of(time, "b")
    poller = poller_of(time, other, {"d/b": Target(admitted)})
    await polled(poller, poller.first_round_done.is_set)
    assert json_ratio(other) == 0.5


def json_ratio(board: Board) -> float | None:
    availability = board.product("d/b").availability
    assert availability is not None
    return availability.figure


def test_a_contract_says_how_often_and_over_what_to_measure() -> None:
    port = ScriptedPort(GOOD)
    objectives = Objectives(availability=RatioObjective("99%", 0.99, window_s=7 * 86_400.0), measure_every_s=15.0)
    metadata = Metadata(name="a", domain="d", owner="o@x", version="1.0.0")
    told = Contract(metadata=metadata, fields=(), objectives=objectives, classification=())
    assert Target.of(told, port) == Target(port, 15.0, 7 * 86_400.0)
    silent = Contract(metadata=metadata, fields=(), objectives=Objectives(), classification=())
    assert Target.of(silent, port) == Target(port)


def test_probes_forget_what_is_older_than_their_window() -> None:
    probes = Probes(window_s=600.0)
    assert probes.ratio is None
    probes.count(START, answered=False)
    for minute in range(1, 9):
        probes.count(START + dt.timedelta(minutes=minute), answered=True)
    assert probes.ratio == pytest.approx(8 / 9)
    probes.count(START + dt.timedelta(minutes=10), answered=True)
    assert probes.ratio == 1.0
    for second in range(5_000):
        probes.count(START + dt.timedelta(minutes=10, seconds=second), answered=True)
    assert len(probes._buckets) <= 60
