"""Figures judged: SPEC D5."""

from __future__ import annotations

import datetime as dt

import pytest

from gateway.slo.status import SloStatus, freshness_changes, freshness_status, ratio_status, worst

HOUR = 3_600.0
SHARE = 0.995
MET, AT_RISK, BREACHED, UNKNOWN = SloStatus.MET, SloStatus.AT_RISK, SloStatus.BREACHED, SloStatus.UNKNOWN


@pytest.mark.parametrize(
    ("age_s", "status"),
    [
        (0, MET),
        (2_879.9, MET),
        (2_880, AT_RISK),
        (3_600, AT_RISK),
        (3_600.000001, BREACHED),
        (None, UNKNOWN),
        (-1, UNKNOWN),
        (float("nan"), UNKNOWN),
        (float("inf"), UNKNOWN),
    ],
)
def test_freshness_is_at_risk_from_four_fifths_of_its_limit(age_s: float | None, status: SloStatus) -> None:
    assert freshness_status(HOUR, age_s) is status


@pytest.mark.parametrize(
    ("ratio", "status"),
    [
        (1.0, MET),
        (0.995, MET),
        (0.9949, BREACHED),
        (0.0, BREACHED),
        (None, UNKNOWN),
        (1.01, UNKNOWN),
        (-0.1, UNKNOWN),
        (float("nan"), UNKNOWN),
    ],
)
def test_a_share_below_its_target_is_a_breach(ratio: float | None, status: SloStatus) -> None:
    assert ratio_status(SHARE, ratio) is status


def test_a_share_is_at_risk_while_its_budget_burns_as_fast_as_it_may() -> None:
    assert ratio_status(SHARE, 1.0, burn_rate=0.99) is MET
    assert ratio_status(SHARE, 1.0, burn_rate=1.0) is AT_RISK
    assert ratio_status(SHARE, 0.5, burn_rate=100.0) is BREACHED


def test_the_worst_is_breached_then_unknown_then_at_risk() -> None:
    assert worst([MET, AT_RISK, UNKNOWN, BREACHED]) is BREACHED
    assert worst([MET, UNKNOWN, AT_RISK]) is UNKNOWN
    assert worst([AT_RISK, MET]) is AT_RISK
    assert worst([MET]) is MET
    assert worst([]) is UNKNOWN


def test_freshness_changes_by_itself_at_known_instants() -> None:
    updated_at = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
    risk_at, breach_at = freshness_changes(HOUR, updated_at)
    assert freshness_status(HOUR, (risk_at - updated_at).total_seconds()) is AT_RISK
    assert freshness_status(HOUR, (breach_at - updated_at).total_seconds()) is BREACHED
    just_before = breach_at - dt.timedelta(microseconds=1)
    assert freshness_status(HOUR, (just_before - updated_at).total_seconds()) is AT_RISK
    assert freshness_changes(9_999 * 365 * 86_400.0, updated_at) == ()
