"""What connections say of a product that was never measured: what is not known is null."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.catalog.snapshot import Product

__all__ = ["Metadata", "Slo", "never_measured"]


@dataclass(slots=True)
class Slo:
    """A product, or one of its objectives."""

    objective: str | None
    freshness: Slo | None = None
    completeness: Slo | None = None
    accuracy: Slo | None = None
    availability: Slo | None = None
    status: str = "UNKNOWN"


@dataclass(slots=True)
class Metadata:
    version: str
    totalRecords: Any  # noqa: N815  # GraphQL's spelling: the default resolver reads it
    sloStatus: str  # noqa: N815  # GraphQL's spelling, as above
    slo: Slo
    generatedAt: str = "some time"  # noqa: N815  # GraphQL's spelling, as above
    port: str = "some port"


def never_measured(product: Product) -> Slo:
    """Say how a product stands."""
    objectives = product.contract.objectives
    given = (objectives.freshness, objectives.completeness, objectives.accuracy, objectives.availability)
    return Slo(None, *(None if objective is None else Slo(objective.text) for objective in given))
