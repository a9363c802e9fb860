"""How a product keeps its promises, as the catalogue shows it: the types, declared with Strawberry, and their values from the board."""

from typing import Any

import strawberry

from gateway.catalog.scalars import DateTime
from gateway.catalog.snapshot import Product
from gateway.slo.board import Board
from gateway.slo.measured import BudgetLeft, Measured

__all__ = ["MeshSlo", "mesh_slo"]

_INT_MAX = 2**31 - 1


@strawberry.type(name="MeshBudget", description="An error budget: what may be bad before a promise is broken.")
class MeshBudget:
    window_seconds: float
    left_ratio: float = strawberry.field(description="The share that is left: 1 untouched, 0 spent, below 0 overspent.")
    burn_rate: float | None = strawberry.field(description="How many times faster than allowed it was spent over the last six hours.")


@strawberry.type(name="MeshLag", description="Freshness: what is promised and how far behind the data was when measured.")
class MeshLag:
    objective: str
    lag_seconds: float | None
    status: str
    source: str | None = strawberry.field(description="Where the figure is from: slo, stats, rows.")
    measured_at: DateTime | None
    trend: str | None
    budget: MeshBudget | None


@strawberry.type(name="MeshRatio", description="A ratio that is promised, and the one measured.")
class MeshRatio:
    objective: str
    ratio: float | None
    status: str
    source: str | None = strawberry.field(description="Where the figure is from: slo, stats, rows, probes and calls.")
    sample: int | None = strawberry.field(description="Over how many rows, probes or calls it was counted; at most 2147483647 is shown.")
    measured_at: DateTime | None
    trend: str | None = strawberry.field(description="IMPROVING, STEADY or WORSENING, of the last hours against the window.")
    budget: MeshBudget | None


@strawberry.type(name="MeshSlo", description="How a product keeps its promises; lagSeconds belongs to measuredAt and does not tick.")
class MeshSlo:
    """The state of each promise, and the worst of them."""

    status: str
    as_of: DateTime | None
    measured_at: DateTime | None
    freshness: MeshLag | None
    completeness: MeshRatio | None
    accuracy: MeshRatio | None
    availability: MeshRatio | None


def _budget(left: BudgetLeft) -> MeshBudget:
    return MeshBudget(window_seconds=left.window_s, left_ratio=left.left_ratio, burn_rate=left.burn_rate)


def mesh_slo(board: Board, product: Product) -> MeshSlo:
    """Tell how a product stands now."""
    slo = board.product(product.id)

    def told(one: Measured) -> dict[str, Any]:
        budget = one.budget
        return {
            "objective": one.objective,
            "status": one.status.value,
            "source": one.source,
            "measured_at": one.measured_at,
            "trend": None if one.trend is None else one.trend.value,
            "budget": None if budget is None else _budget(budget),
        }

    def ratio(one: Measured | None) -> MeshRatio | None:
        if one is None:
            return None
        return MeshRatio(ratio=one.figure, sample=None if one.sample is None else min(one.sample, _INT_MAX), **told(one))

    lag = slo.freshness
    return MeshSlo(
        status=slo.status.value,
        as_of=slo.as_of,  # type: ignore[arg-type]  # the scalar writes datetimes
        measured_at=slo.measured_at,  # type: ignore[arg-type]  # as above
        freshness=None if lag is None else MeshLag(lag_seconds=lag.figure, **told(lag)),
        completeness=ratio(slo.completeness),
        accuracy=ratio(slo.accuracy),
        availability=ratio(slo.availability),
    )
