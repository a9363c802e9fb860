"""Error budgets over days that pass in milliseconds."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from gateway.slo.budget import Spending
from gateway.slo.measured import ObjectiveName, Trend
from gateway.slo.objective import ObjectiveState, Promise
from gateway.slo.status import SloStatus
from tests.unit.gateway.slo.readings import calls, share

START = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
COMPLETE = Promise(ObjectiveName.COMPLETENESS, "> 99%", 0.99, 0.01)


def test_nothing_counted_is_no_budget_at_all() -> None:
    spending = Spending(0.001)
    assert (spending.left(START), spending.burn_rate(START), spending.bad_ratio(START), spending.trend(START)) == (None,) * 4


def test_a_month_of_probes_leaves_the_budget_that_arithmetic_leaves() -> None:
    spending = Spending(0.0005)
    for minute in range(30 * 24 * 60):
        spending.count(START + minute * MINUTE, bad=float(20_000 <= minute < 20_010), total=1.0)
    now = START + 30 * DAY - MINUTE
    left = spending.left(now)
    assert left is not None
    assert left.bad_ratio == pytest.approx(10 / 43_200)
    assert left.left_ratio == pytest.approx(1 - 10 / 21.6, abs=1e-5), "99.95 % of 30 days are 21.6 minutes"
    assert left.burn_rate == 0.0


def test_what_is_older_than_the_window_is_forgotten() -> None:
    spending = Spending(0.01, window_s=DAY.total_seconds())
    spending.count(START, bad=10, total=10)
    assert spending.bad_ratio(START + DAY - HOUR) == 1.0
    spending.count(START + DAY + HOUR, bad=0, total=1)
    assert spending.bad_ratio(START + DAY + HOUR) == 0.0
    spending.count(START, bad=10, total=10)
    assert spending.bad_ratio(START + DAY + HOUR) == 0.0, "what comes too late counts no more"
    assert spending.bad_ratio(START + 900 * DAY) is None


def test_a_budget_burns_as_fast_as_the_last_six_hours_say() -> None:
    spending = Spending(0.01)
    for minute in range(360):
        spending.count(START + minute * MINUTE, bad=0.144, total=1.0)
    assert spending.burn_rate(START + 6 * HOUR - MINUTE) == pytest.approx(14.4)
    assert spending.burn_rate(START + 13 * HOUR) is None


def test_where_nothing_may_be_bad_anything_bad_overspends() -> None:
    spending = Spending(0.0)
    spending.count(START, bad=0, total=1_000)
    left = spending.left(START)
    assert left is not None
    assert left.left_ratio == 1.0
    spending.count(START, bad=1, total=1)
    left = spending.left(START)
    assert left is not None
    assert left.left_ratio < 0


def test_an_hour_that_clocks_show_twice_counts_once() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    spending = Spending(0.5, window_s=DAY.total_seconds())
    for fold in (0, 1):
        at = dt.datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=berlin)
        spending.count(at.astimezone(dt.UTC), bad=fold, total=1)
    assert spending.bad_ratio(dt.datetime(2026, 10, 25, 3, tzinfo=dt.UTC)) == 0.5
    assert spending.bad_ratio(dt.datetime(2026, 10, 26, 0, 45, tzinfo=dt.UTC)) == 1.0, "24 hours after the first, not the second"


def test_trends_follow_the_figures() -> None:
    for late, trend in ((0.5, Trend.IMPROVING), (1.0, Trend.STEADY), (3.0, Trend.WORSENING)):
        spending = Spending(0.01, scale=1.0, lower_is_better=True)
        for hour in range(48):
            spending.count(START + hour * HOUR, bad=0, total=1, figure=1.0 if hour < 42 else late)
        assert spending.trend(START + 47 * HOUR) is trend
    spending = Spending(0.01, scale=0.01)
    for hour in range(48):
        spending.count(START + hour * HOUR, bad=0, total=1, figure=0.999 if hour < 42 else 0.99)
    assert spending.trend(START + 47 * HOUR) is Trend.WORSENING


def test_a_share_is_at_risk_while_its_budget_burns_and_met_again_six_hours_later() -> None:
    state = ObjectiveState(COMPLETE)
    now = START
    for ratio in (1.0, 0.1, 1.0, 1.0):
        now += 5 * MINUTE
        state.take(share(COMPLETE.name, now, ratio), now)
    assert state.measured.status is SloStatus.AT_RISK
    seen = []
    for _ in range(100):
        now += 5 * MINUTE
        state.take(share(COMPLETE.name, now, 1.0), now)
        seen.append(state.measured.status)
    assert seen[0] is SloStatus.AT_RISK
    assert seen[-1] is SloStatus.MET
    assert 60 <= seen.index(SloStatus.MET) <= 75


def test_availability_counts_calls_and_probes_alike_and_its_sample_is_told() -> None:
    promise = Promise(ObjectiveName.AVAILABILITY, "99%", 0.99, 0.01)
    state = ObjectiveState(promise)
    state.take(calls(START, bad=2, total=1_000), START)
    assert (state.measured.figure, state.measured.sample, state.measured.status) == (0.998, 1_000, SloStatus.MET)


def test_what_was_counted_before_this_process_began_is_part_of_the_budget() -> None:
    state = ObjectiveState(Promise(ObjectiveName.AVAILABILITY, "99%", 0.99, 0.01))
    state.remember(START - DAY, bad=50, total=1_000, figure=0.95)
    state.take(calls(START, bad=0, total=1), START)
    assert state.measured.status is SloStatus.BREACHED
