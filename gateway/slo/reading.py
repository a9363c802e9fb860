"""What one measurement says about one objective: a figure with its source, its sample and its instant, or why there is none."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from gateway.slo.measured import ObjectiveName

__all__ = ["Reading", "Source"]


class Source:
    """Where figures come from."""

    SLO = "slo"
    STATS = "stats"
    ROWS = "rows"
    CALLS = "probes and calls"


@dataclass(frozen=True, slots=True)
class Reading:
    """One objective at one instant.

    ``figure``: lag in seconds at ``measured_at``, or a ratio; None if what was said is not credible or nothing was said. ``failed``: the
    measurement itself failed, so that the last figure stands until it is too old. ``last_update_at``: of freshness, the newest update.
    ``bad`` of ``total``: what the budget is charged with. ``stale_at``: when the figure is too old to be believed.
    """

    objective: ObjectiveName
    measured_at: dt.datetime
    stale_at: dt.datetime
    figure: float | None = None
    source: str | None = None
    sample: int | None = None
    last_update_at: dt.datetime | None = None
    bad: float = 0.0
    total: float = 0.0
    failed: bool = False
    finding: str | None = None
