"""Demands held against how a product stands."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.objectives import Objectives
from gateway.slo.demands import OnBreach, Unmet, Wanted, strictest, unmet, wanted
from gateway.slo.status import SloStatus
from tests.unit.gateway.slo.readings import told
from tests.unit.gateway.slo.test_board import ALL, ORDERS, START, board

MET, AT_RISK, BREACHED, UNKNOWN = SloStatus.MET, SloStatus.AT_RISK, SloStatus.BREACHED, SloStatus.UNKNOWN


def left(demand: Wanted, *, objectives: Objectives = ALL, age_s: float | None = 600.0, later_s: float = 0.0, **figures: Any) -> list[Unmet]:
    """What stays unmet of a demand on a product measured at `START`, asked ``later_s`` after it."""
    found, clock = board(objectives)
    updated_at = None if age_s is None else START - dt.timedelta(seconds=age_s)
    ratios = {"completeness_ratio": 0.999, "accuracy_ratio": 0.9995, "availability_ratio": 1.0, **figures}
    found.take(ORDERS, told(START, updated_at, **{name.removesuffix("_ratio"): ratio for name, ratio in ratios.items()}))
    now = clock.pass_(seconds=later_s)
    return list(unmet(demand, found.product(ORDERS), now, product=ORDERS, owner="order-team@company.com"))


def test_data_as_old_as_demanded_is_fresh_and_a_second_later_it_is_not() -> None:
    demand = Wanted(freshness_s=600.0)
    assert left(demand) == []
    (one,) = left(demand, later_s=1.0)
    assert one == Unmet(ORDERS, "order-team@company.com", "freshness", "at most PT10M", 601.0, MET)
    assert one.message() == "freshness of order/orders-daily is PT10M1S, and at most PT10M is demanded."


def test_a_demand_may_be_laxer_than_the_promise() -> None:
    assert left(Wanted(freshness_s=7_200.0), age_s=4_000.0) == []
    assert [it.objective for it in left(Wanted(freshness_s=7_200.0, status=AT_RISK), age_s=4_000.0)] == ["status"]


@pytest.mark.parametrize(
    ("demand", "objective"),
    [
        (Wanted(completeness_ratio=0.9995), "completeness"),
        (Wanted(accuracy_ratio=0.9999), "accuracy"),
        (Wanted(status=MET), "status"),
    ],
)
def test_each_demand_names_what_it_misses(demand: Wanted, objective: str) -> None:
    (one,) = left(demand, age_s=3_000.0)
    assert one.objective == objective
    assert one.members()["owner"] == "order-team@company.com"


def test_a_demanded_share_that_is_reached_is_met() -> None:
    assert left(Wanted(completeness_ratio=0.999, accuracy_ratio=0.9995, status=MET)) == []


@pytest.mark.parametrize(
    "demand", [Wanted(freshness_s=1e9), Wanted(completeness_ratio=0.01), Wanted(accuracy_ratio=0.01), Wanted(status=AT_RISK)]
)
def test_unknown_meets_no_demand(demand: Wanted) -> None:
    (one,) = left(demand, age_s=None, completeness_ratio=None, accuracy_ratio=None)
    assert one.status is UNKNOWN
    assert "unknown" in one.message().lower()
    # Measured once, but too long ago.
    (one,) = left(demand, later_s=100_000.0)
    assert one.status in (UNKNOWN, BREACHED)


def test_a_figure_whose_measurement_ran_out_of_date_is_said_not_to_be_known() -> None:
    (one,) = left(Wanted(completeness_ratio=0.5), later_s=1_000.0)
    assert one.message() == "completeness of order/orders-daily is 0.999 and not known to be kept, and 0.5 is demanded."


def test_of_a_product_without_a_promise_the_age_counts_all_the_same() -> None:
    assert left(Wanted(freshness_s=900.0), objectives=Objectives()) == []
    assert [it.figure for it in left(Wanted(freshness_s=900.0), objectives=Objectives(), later_s=600.0)] == [1_200.0]
    assert [it.objective for it in left(Wanted(completeness_ratio=0.9), objectives=Objectives())] == ["completeness"]


def test_at_risk_is_good_enough_only_where_that_is_demanded() -> None:
    assert left(Wanted(status=AT_RISK), age_s=3_000.0) == []
    (one,) = left(Wanted(status=MET), age_s=3_000.0)
    assert one.message() == "status of order/orders-daily is AT_RISK, and MET is demanded."


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        (("soon", None, None, None), "freshness: expected a duration"),
        (("-PT1H", None, None, None), "freshness: "),
        (("PT0S", None, None, None), "longer than zero"),
        (("5m", None, None, None), '"min" or "months"'),
        (("9" * 200, None, None, None), "too long"),
        ((None, 1.01, None, None), "completeness: expected a share"),
        ((None, None, -0.1, None), "accuracy: expected a share"),
        ((None, None, 0.0, None), "accuracy"),
        ((None, float("nan"), None, None), "completeness"),
        ((None, None, None, UNKNOWN), "UNKNOWN demands nothing"),
        ((None, None, None, BREACHED), "BREACHED demands nothing"),
    ],
)
def test_a_demand_that_cannot_be_meant_is_refused(given_: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wanted(*given_, OnBreach.ERROR)


def test_the_strictest_of_several_demands_wins_part_by_part() -> None:
    found = strictest(
        [
            Wanted(freshness_s=60.0, status=AT_RISK, on_breach=OnBreach.WARN),
            Wanted(freshness_s=3_600.0, completeness_ratio=0.9, on_breach=OnBreach.NULL),
            Wanted(completeness_ratio=0.99, status=MET, on_breach=OnBreach.WARN),
            Wanted(on_breach=OnBreach.ERROR),
        ]
    )
    assert found == Wanted(60.0, 0.99, None, MET, OnBreach.NULL)
    assert strictest([]).is_empty
    assert strictest([Wanted(status=AT_RISK)]).status is AT_RISK


DEMANDS = st.builds(
    Wanted,
    st.none() | st.floats(1, 10_000),
    st.none() | st.floats(0.5, 1),
    st.none() | st.floats(0.5, 1),
    st.sampled_from([None, MET, AT_RISK]),
    st.sampled_from(OnBreach),
)


@given(st.lists(DEMANDS, max_size=4), st.floats(0, 10_000), st.floats(0.5, 1), st.floats(0.5, 1))
def test_the_strictest_is_met_exactly_when_each_is(demands: list[Wanted], age_s: float, complete: float, accurate: float) -> None:
    figures = {"completeness_ratio": complete, "accuracy_ratio": accurate}
    together = left(strictest(demands), age_s=age_s, **figures)
    assert bool(together) == any(left(one, age_s=age_s, **figures) for one in demands)


@given(DEMANDS, st.floats(0, 10_000), st.floats(0, 10_000), st.floats(0.5, 1), st.floats(0.5, 1))
def test_worse_figures_never_meet_what_better_ones_do_not(demand: Wanted, age_s: float, more_s: float, one: float, other: float) -> None:
    worse, better = sorted((one, other))
    good = left(demand, age_s=age_s, completeness_ratio=better, accuracy_ratio=better)
    bad = left(demand, age_s=age_s + more_s, completeness_ratio=worse, accuracy_ratio=worse)
    assert {it.objective for it in good} <= {it.objective for it in bad}
