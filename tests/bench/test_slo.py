"""Measuring stays cheap: `python -m tests.bench.slo` is the real measurement, of 3,000 products."""

from __future__ import annotations

import pytest

from tests.bench.slo import measure
from tests.conftest import within

PRODUCTS = 300


@pytest.mark.bench
def test_three_thousand_products_would_be_measured_on_less_than_a_quarter_of_a_core_and_changes_show_within_a_second() -> None:
    cost = measure(PRODUCTS, minutes=6, speed=30)
    assert cost.met == PRODUCTS, "each was measured within its intervals"
    assert cost.core_share * 3_000 / PRODUCTS < within(0.25), cost
    assert cost.late_s < within(1), cost
