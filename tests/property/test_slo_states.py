"""States of SLOs for all histories: monotone in the figures, never better for want of a measurement, no state lost in time."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.slo.measured import ObjectiveName
from gateway.slo.objective import ObjectiveState, Promise
from gateway.slo.reading import Reading
from gateway.slo.status import SloStatus

START = dt.datetime(2026, 3, 28, 12, tzinfo=dt.UTC)
FRESH = Promise(ObjectiveName.FRESHNESS, "< 1 hour", 3_600.0, 0.01)
COMPLETE = Promise(ObjectiveName.COMPLETENESS, "> 99%", 0.99, 0.01)
AVAILABLE = Promise(ObjectiveName.AVAILABILITY, "99%", 0.99, 0.01, window_s=86_400.0)
RANK = {SloStatus.MET: 0, SloStatus.AT_RISK: 1, SloStatus.UNKNOWN: 2, SloStatus.BREACHED: 3}

# How bad each measurement is: 0 is perfect, 2 far beyond what is promised; None: the measurement said nothing credible.
BADNESS = st.floats(0, 2, allow_nan=False)
GAPS = st.sampled_from([30.0, 60.0, 299.0, 3_600.0, 86_400.0])


def reading(promise: Promise, at: dt.datetime, badness: float | None) -> Reading:
    blank = Reading(promise.name, at, at + dt.timedelta(seconds=300))
    if badness is None:
        return blank
    if promise.name is ObjectiveName.FRESHNESS:
        lag_s = badness * 3_600
        return replace(blank, figure=lag_s, last_update_at=at - dt.timedelta(seconds=lag_s), bad=float(lag_s > 3_600), total=1.0)
    bad = badness / 2 * 100
    if promise.name is ObjectiveName.AVAILABILITY:
        return replace(blank, bad=bad, total=100.0)
    return replace(blank, figure=1 - bad / 100, bad=bad, total=100.0)


def statuses(promise: Promise, history: list[tuple[float, float | None]]) -> list[SloStatus]:
    """The status after each measurement and just before the next one."""
    state = ObjectiveState(promise)
    now = START
    seen = []
    for gap_s, badness in history:
        now += dt.timedelta(seconds=gap_s)
        state.move(now)
        seen.append(state.measured.status)
        state.take(reading(promise, now, badness), now)
        seen.append(state.measured.status)
    return seen


PROMISES = st.sampled_from([FRESH, COMPLETE, AVAILABLE])


@given(PROMISES, st.lists(st.tuples(GAPS, BADNESS, st.floats(0, 1)), max_size=12))
def test_worse_figures_never_give_a_better_status(promise: Promise, history: list[tuple[float, float, float]]) -> None:
    better = statuses(promise, [(gap_s, badness * relief) for gap_s, badness, relief in history])
    worse = statuses(promise, [(gap_s, badness) for gap_s, badness, _ in history])
    assert all(RANK[bad] >= RANK[good] for bad, good in zip(worse, better, strict=True))


@given(PROMISES, st.lists(st.tuples(GAPS, st.none() | BADNESS), max_size=12), GAPS, st.sampled_from(["failed", "nothing said", "not made"]))
def test_a_measurement_that_is_missing_never_yields_met_or_at_risk_where_it_was_worse(
    promise: Promise, history: list[tuple[float, float | None]], gap_s: float, how: str
) -> None:
    state = ObjectiveState(promise)
    now = START
    for gap, badness in history:
        now += dt.timedelta(seconds=gap)
        state.take(reading(promise, now, badness), now)
    before = state.measured.status
    now += dt.timedelta(seconds=gap_s)
    if how == "not made":
        state.move(now)
    elif how == "failed":
        state.take(replace(reading(promise, now, None), failed=True, finding="the port failed"), now)
    else:
        state.take(reading(promise, now, None), now)
    if before in (SloStatus.BREACHED, SloStatus.UNKNOWN):
        assert state.measured.status in (SloStatus.BREACHED, SloStatus.UNKNOWN)
        assert RANK[state.measured.status] >= RANK[before] or state.measured.status is before


@given(PROMISES, st.lists(st.tuples(GAPS, st.none() | BADNESS), min_size=1, max_size=10), st.lists(st.floats(0.001, 5_000), max_size=20))
def test_a_state_that_moves_by_itself_was_told_to_beforehand(
    promise: Promise, history: list[tuple[float, float | None]], steps: list[float]
) -> None:
    state = ObjectiveState(promise)
    now = START
    for gap, badness in history:
        now += dt.timedelta(seconds=gap)
        state.take(reading(promise, now, badness), now)
    for step in steps:
        told_at, status = state.changes_at, state.measured.status
        now += dt.timedelta(seconds=step)
        state.move(now)
        if state.measured.status is not status:
            assert told_at is not None
            assert told_at <= now


@given(PROMISES, st.lists(st.tuples(st.floats(-7_200, 7_200), BADNESS), max_size=15))
def test_a_clock_that_jumps_breaks_nothing_and_is_believed_again_at_once(promise: Promise, jumps: list[tuple[float, float]]) -> None:
    state = ObjectiveState(promise)
    now = START
    for jump_s, badness in jumps:
        now += dt.timedelta(seconds=jump_s)
        state.take(reading(promise, now, badness), now)
        assert state.changes_at is None or state.changes_at > now
    for _ in range(3):
        now += dt.timedelta(hours=3)
        state.take(reading(promise, now, 2.0), now)
    assert state.measured.status is SloStatus.BREACHED
