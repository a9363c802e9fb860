"""Objectives that contradict or are absurd: a finding with the owner, UNKNOWN, everything else unharmed."""

from __future__ import annotations

import json

import pytest

from contracts.objectives import Objectives, RatioObjective, TimeObjective, Unreadable
from gateway.slo.board import Board
from gateway.slo.cadence import Cadence
from gateway.slo.promises import promises_of
from tests.unit.gateway.slo.readings import told
from tests.unit.gateway.slo.timed import START, Time, contract

HOUR = TimeObjective("< 1 hour", 3_600.0)


@pytest.mark.parametrize(
    ("objectives", "finding"),
    [
        (Objectives(freshness=TimeObjective("< 30 s", 30.0)), "freshness is promised within 30 s and measured every 60 s only"),
        (Objectives(freshness=HOUR, measure_every_s=7_200.0), "freshness is promised within 3600 s and measured every 7200 s only"),
        (
            Objectives(freshness=TimeObjective("< 999 years", 999 * 365 * 86_400.0)),
            "freshness within more than a hundred years promises nothing",
        ),
        (Objectives(completeness=RatioObjective("?", 1.5)), "the target is no share between 0 and 100 %"),
        (Objectives(availability=RatioObjective("?", 0.9, window_s=1.0)), "a window is between one minute and 92 days"),
        (Objectives(availability=RatioObjective("?", 0.9, window_s=1e10)), "a window is between one minute and 92 days"),
        (
            Objectives(completeness=RatioObjective("?", 0.9, expected_rows_min=10**13, expected_rows_per_s=86_400.0)),
            "more rows are expected than a product can have",
        ),
        (Objectives(unreadable=(("completeness", Unreadable("nearly all", "expected a percentage")),)), "expected a percentage"),
    ],
)
def test_what_cannot_be_measured_is_unknown_and_harms_nothing_else(objectives: Objectives, finding: str) -> None:
    time = Time()
    both = Objectives(
        freshness=objectives.freshness or HOUR,
        completeness=objectives.completeness,
        accuracy=RatioObjective("> 99%", 0.99),
        availability=objectives.availability,
        measure_every_s=objectives.measure_every_s,
        unreadable=objectives.unreadable,
    )
    findings: list[tuple[str, str, str]] = []
    board = Board([contract("a", objectives=both), contract("b")], time.clock, on_finding=lambda *told: findings.append(told))
    assert findings == [("d/a", "o@x", finding)]
    for key in ("d/a", "d/b"):
        board.take(key, told(START, START, 1.0, 1.0, 1.0))
    slo = board.product("d/a")
    assert (slo.owner, slo.findings, slo.status.value) == ("o@x", (finding,), "UNKNOWN")
    statuses = [one.status.value for one in slo.objectives]
    assert sorted(statuses) == sorted(["UNKNOWN", *["MET"] * (len(statuses) - 1)])
    assert board.product("d/b").status == "MET"
    assert findings == [("d/a", "o@x", finding)]  # said once, not with every measurement
    json.loads(board.block((("d/a", ("a",)), ("d/b", ("b",)))))


def test_a_contract_says_how_often_and_over_how_much_to_measure() -> None:
    usual = Cadence()
    assert usual.of(contract(objectives=Objectives())) is usual
    often = usual.of(contract(objectives=Objectives(measure_every_s=15.0, sample_rows=7)))
    assert (often.freshness_s, often.sample_s, often.sample_rows) == (15.0, 300.0, 7)
    seldom = usual.of(contract(objectives=Objectives(measure_every_s=3_600.0)))
    assert (seldom.freshness_s, seldom.sample_s) == (3_600.0, 3_600.0)
    assert (seldom.freshness_stale_s, seldom.sample_stale_s) == (18_000.0, 18_000.0)


def test_an_objectives_budget_is_what_its_target_leaves() -> None:
    promises = promises_of(
        contract(objectives=Objectives(freshness=HOUR, availability=RatioObjective("99.95%", 0.9995))), measured_every_s=60
    )
    assert [(it.limit, it.allowed_ratio) for it in promises] == [(3_600.0, 0.01), (0.9995, 0.0005)]
