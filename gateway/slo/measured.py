"""How a product's promises stand: each objective's status, figure and where that comes from, and what is left of its error budget.

Values only: `Board.product` gives them to the catalogue, to callers' demands, to metrics and to alerts alike.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from domain_adapters.values import canonical_instant
from gateway.slo.status import SloStatus

__all__ = ["RATIOS", "BudgetLeft", "Measured", "ObjectiveName", "ProductSlo", "Trend"]


class ObjectiveName(StrEnum):
    """What a product may promise."""

    FRESHNESS = "freshness"
    COMPLETENESS = "completeness"
    ACCURACY = "accuracy"
    AVAILABILITY = "availability"


RATIOS = (ObjectiveName.COMPLETENESS, ObjectiveName.ACCURACY, ObjectiveName.AVAILABILITY)


class Trend(StrEnum):
    """Where an objective's share of good is going, compared with the time before."""

    IMPROVING = "IMPROVING"
    STEADY = "STEADY"
    WORSENING = "WORSENING"


@dataclass(frozen=True, slots=True)
class BudgetLeft:
    """An error budget: ``allowed_ratio`` may be bad over ``window_s`` seconds (1 - target), ``bad_ratio`` was.

    ``left_ratio``: the share of the budget that is left, 1 untouched, 0 spent, below 0 overspent. ``burn_rate``: how many times faster
    than allowed it was spent over the last six hours; None before anything was counted.
    """

    window_s: float
    allowed_ratio: float
    bad_ratio: float
    left_ratio: float
    burn_rate: float | None


@dataclass(frozen=True, slots=True)
class Measured:
    """One objective as it stands.

    ``objective``: the contract's wording. ``limit``: the most seconds (freshness) or the least ratio that keep it; None where the wording
    promises nothing that can be measured. ``figure``: lag in seconds at ``measured_at``, or a ratio; None if unknown. ``source``:
    where the figure is from; ``sample``: rows, probes or calls it was counted over; ``changes_at``: when the status changes if nothing
    is measured until then; ``finding``: why the status is unknown or bad, in words without values.
    """

    name: ObjectiveName
    objective: str
    limit: float | None
    status: SloStatus
    figure: float | None = None
    source: str | None = None
    sample: int | None = None
    measured_at: dt.datetime | None = None
    changes_at: dt.datetime | None = None
    finding: str | None = None
    budget: BudgetLeft | None = None
    trend: Trend | None = None

    def members(self) -> dict[str, object]:
        """Spell the objective in ``extensions.mesh.slo``."""
        figure = "lagSeconds" if self.name is ObjectiveName.FRESHNESS else "ratio"
        return {"objective": self.objective, figure: self.figure, "status": self.status.value}


@dataclass(frozen=True, slots=True)
class ProductSlo:
    """All promises of a product as they stand; None where it promises nothing.

    ``product``: as the board names it, ``domain/name`` or, of an older version still served, ``domain/name@version``. ``as_of``: the age
    of the data, as an instant; ``measured_at``: when its lag was measured, else the newest measurement. ``findings``: what is odd, for
    the owner.
    """

    product: str
    owner: str | None
    version: str | None
    status: SloStatus
    as_of: dt.datetime | None = None
    measured_at: dt.datetime | None = None
    freshness: Measured | None = None
    completeness: Measured | None = None
    accuracy: Measured | None = None
    availability: Measured | None = None
    findings: tuple[str, ...] = ()

    @property
    def objectives(self) -> Iterator[Measured]:
        """Go through what is promised."""
        for found in (self.freshness, self.completeness, self.accuracy, self.availability):
            if found is not None:
                yield found

    def members(self) -> dict[str, object]:
        """Spell the product's entry in ``extensions.mesh.slo.products``, without paths."""
        return {
            "version": self.version,
            "status": self.status.value,
            "asOf": None if self.as_of is None else canonical_instant(self.as_of),
            "measuredAt": None if self.measured_at is None else canonical_instant(self.measured_at),
            "freshness": None if self.freshness is None else self.freshness.members(),
            "completeness": None if self.completeness is None else self.completeness.members(),
            "accuracy": None if self.accuracy is None else self.accuracy.members(),
            "availability": None if self.availability is None else self.availability.members(),
        }
