"""Products as they stand on the board, made by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any

from gateway.slo.measured import BudgetLeft, Measured, ObjectiveName, ProductSlo
from gateway.slo.status import SloStatus, worst

START = dt.datetime(2026, 11, 23, 2, 30, tzinfo=dt.UTC)


def measured(name: str, figure: float | None, status: str = "MET", **more: Any) -> Measured:
    """One objective."""
    wording, limit = {"freshness": ("< 1 hour", 3_600.0)}.get(name, ("> 99.5%", 0.995))
    return Measured(ObjectiveName(name), wording, limit, SloStatus(status), figure, **more)


def standing(product: str = "order/orders-daily", *objectives: Measured, age_s: float | None = 60.0, **more: Any) -> ProductSlo:
    """One product, measured at `START`."""
    return ProductSlo(
        product,
        "order-team@company.com",
        "2.1.0",
        worst(it.status for it in objectives),
        None if age_s is None else START - dt.timedelta(seconds=age_s),
        START,
        **{it.name.value: it for it in objectives},
        **more,
    )


def budget(left_ratio: float, burn_rate: float | None = 1.0) -> BudgetLeft:
    """What is left of thirty days of 0.5 %."""
    return BudgetLeft(2_592_000.0, 0.005, 0.005 * (1 - left_ratio), left_ratio, burn_rate)
