"""Burn rates: the numbers of the method, and what they become for other budgets."""

from __future__ import annotations

import pytest

from gateway.slo.burn import PERIOD_S, Burn, burns, promised_ratio, window_text, windows_s
from tests.unit.gateway.slo.test_board import ALL, contract


def test_a_budget_of_thirty_days_pages_at_14_and_6_and_tickets_at_1() -> None:
    assert list(burns(0.0005, PERIOD_S)) == [
        Burn("page", 14.4, 3_600, 300),
        Burn("page", 6.0, 21_600, 1_800),
        Burn("ticket", 1.0, 259_200, 21_600),
    ]


def test_a_week_of_budget_is_gone_sooner_so_its_alerts_burn_slower() -> None:
    assert [burn.factor for burn in burns(0.0005, 7 * 86_400.0)] == [3.36, 1.4, 1.0]


def test_an_alert_that_a_total_outage_would_not_set_off_is_left_out() -> None:
    assert [burn.factor for burn in burns(0.1, PERIOD_S)] == [6.0, 1.0]
    assert [burn.factor for burn in burns(0.2, PERIOD_S)] == [1.0]


def test_windows_are_written_as_prometheus_writes_them() -> None:
    assert [window_text(window) for window in windows_s()] == ["5m", "30m", "1h", "6h", "3d"]
    assert window_text(45) == "45s"


@pytest.mark.parametrize(("objective", "ratio"), [("availability", 0.9995), ("completeness", 0.995), ("freshness", 0.99)])
def test_a_budget_is_what_the_objective_leaves_and_of_freshness_one_moment_in_a_hundred(objective: str, ratio: float) -> None:
    assert promised_ratio(contract(ALL), objective) == (ratio, PERIOD_S)
