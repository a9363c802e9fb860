"""The board: SPEC C4, D5, and DESIGN section 3 as printed."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from contracts.model import Contract, Metadata
from contracts.objectives import Objectives, RatioObjective, TimeObjective
from gateway.slo.board import Board
from gateway.slo.cadence import Cadence
from gateway.slo.status import SloStatus
from tests.unit.gateway.slo.readings import calls, failed, told

ORDERS = "order/orders-daily"
START = dt.datetime(2026, 11, 23, 2, 30, tzinfo=dt.UTC)
ALL = Objectives(
    freshness=TimeObjective("< 1 hour", 3_600.0),
    completeness=RatioObjective("> 99.5%", 0.995),
    accuracy=RatioObjective("> 99.9%", 0.999),
    availability=RatioObjective("99.95%", 0.9995),
)
FRESH = Objectives(freshness=TimeObjective("< 1 hour", 3_600.0))
COMPLETE = Objectives(completeness=RatioObjective("> 99.5%", 0.995))
PATHS = ((ORDERS, ("order.ordersDaily",)),)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> dt.datetime:
        return self.now

    def pass_(self, **time: float) -> dt.datetime:
        self.now += dt.timedelta(**time)
        return self.now


def contract(objectives: Objectives = ALL, version: str = "2.1.0", name: str = "orders-daily", revision: str = "") -> Contract:
    metadata = Metadata(name=name, domain="order", owner="order-team@company.com", version=version)
    return Contract(metadata=metadata, fields=(), objectives=objectives, classification=(), revision=revision)


def board(objectives: Objectives = ALL, **options: Any) -> tuple[Board, Clock]:
    clock = Clock()
    return Board([contract(objectives)], clock, **options), clock


def test_the_block_is_the_one_that_the_design_prints() -> None:
    found, _ = board()
    updated_at = dt.datetime(2026, 11, 23, 1, 2, 3, tzinfo=dt.UTC)
    found.take(ORDERS, told(START, updated_at, 0.9991, None, 0.9999))
    assert found.block(PATHS).decode() == (
        '{"status":"BREACHED","products":{"order/orders-daily":{'
        '"version":"2.1.0","status":"BREACHED","asOf":"2026-11-23T01:02:03Z","measuredAt":"2026-11-23T02:30:00Z",'
        '"freshness":{"objective":"< 1 hour","lagSeconds":5277.0,"status":"BREACHED"},'
        '"completeness":{"objective":"> 99.5%","ratio":0.9991,"status":"MET"},'
        '"accuracy":{"objective":"> 99.9%","ratio":null,"status":"UNKNOWN"},'
        '"availability":{"objective":"99.95%","ratio":0.9999,"status":"MET"},'
        '"paths":["order.ordersDaily"]}}}'
    )
    assert found.status((ORDERS,)) == "BREACHED"


def test_before_the_first_measurement_all_is_unknown() -> None:
    found, _ = board()
    slo = json.loads(found.block(PATHS))["products"][ORDERS]
    assert (slo["status"], slo["asOf"], slo["measuredAt"]) == ("UNKNOWN", None, None)
    assert slo["freshness"] == {"objective": "< 1 hour", "lagSeconds": None, "status": "UNKNOWN"}
    assert found.product(ORDERS).freshness is not None


def test_what_is_not_promised_is_null_and_does_not_count() -> None:
    found, _ = board(FRESH)
    found.take(ORDERS, told(START, START, 0.1))
    slo = json.loads(found.block(PATHS))["products"][ORDERS]
    assert (slo["status"], slo["completeness"]) == ("MET", None)


def test_an_unknown_product_is_unknown_and_breaks_nothing() -> None:
    found, _ = board(FRESH)
    found.take(ORDERS, told(START, START))
    found.take("no/such", told(START, START))
    found.drifts("no/such", "odd")
    found.looked("no/such")
    block = json.loads(found.block((*PATHS, ('no/"such', ("a", "b")))))
    assert block["status"] == "UNKNOWN"
    assert block["products"]['no/"such']["version"] is None
    assert block["products"]['no/"such']["paths"] == ["a", "b"]
    assert found.status((ORDERS, "no/such")) == "UNKNOWN"
    assert found.status(()) == "UNKNOWN"


def test_freshness_moves_by_itself_while_its_lag_stays_as_measured() -> None:
    found, clock = board(FRESH)
    found.take(ORDERS, told(START, START - dt.timedelta(minutes=10), stale_after_s=86_400))
    revision, block = found.revision, found.block(PATHS)
    clock.pass_(minutes=37, seconds=59)
    assert found.revision == revision
    assert found.block(PATHS) is block
    clock.pass_(seconds=1)
    assert found.status((ORDERS,)) == "AT_RISK"
    assert found.revision == revision + 1
    clock.pass_(minutes=12)
    assert found.status((ORDERS,)) == "AT_RISK"
    clock.pass_(microseconds=1)
    slo = json.loads(found.block(PATHS))["products"][ORDERS]
    assert slo["freshness"] == {"objective": "< 1 hour", "lagSeconds": 600.0, "status": "BREACHED"}
    assert slo["measuredAt"] == "2026-11-23T02:30:00Z"
    assert found.revision == revision + 2


def test_equal_measurements_change_no_revision() -> None:
    found, _ = board()
    figures = told(START, START, 1.0, 1.0, 1.0)
    found.take(ORDERS, figures)
    revision = found.revision
    found.take(ORDERS, figures)
    assert found.revision == revision


def test_a_breach_is_left_after_two_good_measurements() -> None:
    found, clock = board(COMPLETE)

    def measured(ratio: float | None) -> str:
        clock.pass_(minutes=1)
        found.take(ORDERS, told(clock.now, None, ratio))
        return found.status((ORDERS,))

    assert [measured(ratio) for ratio in (1.0, 0.5, 1.0, 1.0)] == ["MET", "BREACHED", "BREACHED", "MET"]
    assert [measured(ratio) for ratio in (0.5, 1.0, 0.5, 1.0, None, 1.0, 1.0)] == ["BREACHED"] * 6 + ["MET"]


def test_the_same_measurement_told_twice_counts_once() -> None:
    found, clock = board(COMPLETE)
    found.take(ORDERS, told(START, None, 0.5))
    clock.pass_(minutes=1)
    good = told(clock.now, None, 1.0)
    found.take(ORDERS, good)
    clock.pass_(minutes=1)
    found.take(ORDERS, good)
    assert found.status((ORDERS,)) == "BREACHED"


def test_a_breach_that_came_with_time_is_left_no_sooner() -> None:
    found, clock = board(FRESH)
    found.take(ORDERS, told(START, START, stale_after_s=86_400))
    clock.pass_(hours=2)
    found.take(ORDERS, told(clock.now, clock.now))
    assert found.status((ORDERS,)) == "BREACHED"
    clock.pass_(minutes=1)
    found.take(ORDERS, told(clock.now, clock.now))
    assert found.status((ORDERS,)) == "MET"


def test_an_older_measurement_changes_nothing_but_counts() -> None:
    found, clock = board()
    found.take(ORDERS, told(START, START, 1.0, 1.0, 1.0))
    clock.pass_(minutes=1)
    found.take(ORDERS, [*told(START - dt.timedelta(minutes=5), None, 0.1, 0.1)[:3], calls(clock.now, bad=1, total=10_000)])
    slo = found.product(ORDERS)
    assert slo.status is SloStatus.MET
    assert slo.measured_at == START
    assert slo.availability is not None
    assert slo.availability.figure == 0.9999


def test_failures_keep_the_figures_until_they_are_too_old() -> None:
    found, clock = board()
    found.take(ORDERS, told(START, START, 1.0, 1.0, 1.0))
    clock.pass_(minutes=1)
    found.take(ORDERS, failed(clock.now, "the port did not answer: timeout"))
    slo = found.product(ORDERS)
    assert (slo.status, slo.measured_at, slo.findings) == (SloStatus.MET, START, ("the port did not answer: timeout",))
    clock.pass_(minutes=4)
    slo = found.product(ORDERS)
    assert [one.status.value for one in slo.objectives] == ["UNKNOWN"] * 4
    assert slo.completeness is not None
    assert slo.completeness.figure == 1.0
    clock.pass_(hours=2)
    assert found.product(ORDERS).status is SloStatus.UNKNOWN


def test_a_failed_measurement_never_improves() -> None:
    found, clock = board()
    found.take(ORDERS, told(START, START - dt.timedelta(hours=2), 0.5, 0.5, 1.0))
    for _ in range(10):
        clock.pass_(minutes=5)
        found.take(ORDERS, failed(clock.now, "the port failed"))
        assert found.status((ORDERS,)) == "BREACHED"
    clock.pass_(minutes=1)
    found.take(ORDERS, told(clock.now))
    assert found.status((ORDERS,)) == "BREACHED"


def test_a_port_that_never_answered_has_no_lag() -> None:
    found, _ = board()
    found.take(ORDERS, [calls(START, bad=1, total=1), *failed(START, "the port did not answer: refused")])
    slo = found.product(ORDERS)
    assert (slo.status, slo.as_of) == (SloStatus.BREACHED, None)
    assert slo.availability is not None
    assert (slo.availability.status, slo.availability.figure) == (SloStatus.BREACHED, 0.0)


def test_what_was_measured_long_ago_is_unknown() -> None:
    found, _ = board(COMPLETE)
    found.take(ORDERS, told(START - dt.timedelta(days=2), None, 1.0))
    assert found.status((ORDERS,)) == "UNKNOWN"


def test_availability_is_counted_over_its_window() -> None:
    found, clock = board(Objectives(availability=RatioObjective("99%", 0.99, window_s=3_600.0)))
    seen = []
    for bad in (0, 1, 0, 0):
        clock.pass_(minutes=1)
        found.take(ORDERS, [calls(clock.now, bad=bad, total=1)])
        seen.append(found.status((ORDERS,)))
    assert seen == ["MET", "BREACHED", "BREACHED", "BREACHED"]
    for _ in range(61):
        clock.pass_(minutes=1)
        found.take(ORDERS, [calls(clock.now, bad=0, total=1)])
    assert found.status((ORDERS,)) == "MET"


def test_data_that_grows_too_old_again_between_good_measurements_begins_the_count_anew() -> None:
    found, clock = board(FRESH)
    found.take(ORDERS, told(START, START - dt.timedelta(hours=2)))
    seen = []
    for age_s in (3_590, 0, 0):
        now = clock.pass_(minutes=1)
        found.take(ORDERS, told(now, now - dt.timedelta(seconds=age_s)))
        seen.append(found.status((ORDERS,)))
    assert seen == ["BREACHED", "BREACHED", "MET"]


def test_of_several_versions_the_newest_has_the_plain_name() -> None:
    clock = Clock()
    found = Board([contract(version="2.9.0"), contract(version="2.10.0"), contract(version="1.0.0")], clock)
    assert found.product(ORDERS).version == "2.10.0"
    assert found.product(f"{ORDERS}@2.9.0").version == "2.9.0"
    assert found.product(f"{ORDERS}@1.0.0").version == "1.0.0"


def test_another_catalog_keeps_what_did_not_change() -> None:
    clock = Clock()
    found = Board([contract(FRESH, revision="a"), contract(FRESH, name="other", revision="b")], clock)
    found.take(ORDERS, told(START, START))
    found.take("order/other", told(START, START))
    revision = found.revision
    found.replace([contract(FRESH, revision="a"), contract(FRESH, name="other", revision="c"), contract(FRESH, name="third")])
    assert [found.status((key,)) for key in (ORDERS, "order/other", "order/third")] == ["MET", "UNKNOWN", "UNKNOWN"]
    assert found.revision > revision


def test_blocks_are_kept_within_a_bound() -> None:
    found, _ = board()
    for number in range(5_000):
        found.block(((ORDERS, (f"path{number}",)),))
    assert len(found._blocks) <= 2_048


@pytest.mark.parametrize("limit_s", [1.0, 3_600.0])
def test_a_state_never_moves_twice_at_one_instant(limit_s: float) -> None:
    found, clock = board(Objectives(freshness=TimeObjective("soon", limit_s)), cadence=Cadence(1.0))
    found.take(ORDERS, told(START, START, stale_after_s=limit_s * 0.9))
    states = [found.status((ORDERS,))]
    for _ in range(12):
        clock.pass_(seconds=limit_s / 10)
        states.append(found.status((ORDERS,)))
    assert states == ["MET"] * 8 + ["AT_RISK"] + ["UNKNOWN"] * 4
