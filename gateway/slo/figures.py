"""What was measured of a product, at one instant."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

__all__ = ["Figures"]


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement; None where nothing credible was said. ``findings``: what was not credible, in words without values."""

    measured_at: dt.datetime
    last_update_at: dt.datetime | None = None
    completeness_ratio: float | None = None
    accuracy_ratio: float | None = None
    availability_ratio: float | None = None
    findings: tuple[str, ...] = ()
