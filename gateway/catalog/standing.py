"""``metadata { slo }``: the GraphQL types of how a product keeps its promises, and their members' values.

Shows nothing that `extensions.mesh.slo` does not, but where each figure is from. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from graphql import GraphQLField, GraphQLFloat, GraphQLObjectType, GraphQLString

from contracts.fields import Kind
from domain_adapters.values import canonical_instant
from gateway.catalog.inputs import scalar_of_kind
from gateway.slo.measured import Measured, ObjectiveName, ProductSlo

__all__ = ["PRODUCT_SLO", "Members", "standing_json"]

Members = tuple[tuple[str, str, Any], ...]
"""(response key, member or ``__typename``, members below it, none for a leaf)."""

_INSTANT = scalar_of_kind(Kind.INSTANT)

_BUDGET = GraphQLObjectType(
    "SloBudget",
    {
        "windowSeconds": GraphQLField(GraphQLFloat, description="The window that the budget is for."),
        "leftRatio": GraphQLField(GraphQLFloat, description="The share of it that is left: 1 untouched, 0 spent, below 0 overspent."),
        "burnRate": GraphQLField(GraphQLFloat, description="How many times faster than allowed it was spent over the last six hours."),
    },
    description="An error budget: what may be bad before a promise is broken.",
)


def _objective(type_name: str, figure: str, description: str) -> GraphQLObjectType:
    return GraphQLObjectType(
        type_name,
        {
            "objective": GraphQLField(GraphQLString, description="The contract's own wording."),
            figure: GraphQLField(GraphQLFloat, description="As of measuredAt; it does not tick. Null where it is not known."),
            "status": GraphQLField(GraphQLString, description="MET, AT_RISK, BREACHED or UNKNOWN."),
            "source": GraphQLField(GraphQLString, description="Where the figure is from: slo, stats, rows, probes and calls."),
            "sample": GraphQLField(scalar_of_kind(Kind.LONG), description="Over how many rows, probes or calls it was counted."),
            "measuredAt": GraphQLField(_INSTANT),
            "trend": GraphQLField(GraphQLString, description="IMPROVING, STEADY or WORSENING, of the last hours against the window."),
            "budget": GraphQLField(_BUDGET),
        },
        description=description,
    )


_LAG = _objective("SloLag", "lagSeconds", "Freshness: what is promised and how far behind the data was when measured.")
_RATIO = _objective("SloRatio", "ratio", "A ratio that is promised, and the one measured.")

PRODUCT_SLO = GraphQLObjectType(
    "ProductSlo",
    {
        "status": GraphQLField(GraphQLString, description="The worst of all objectives."),
        "asOf": GraphQLField(_INSTANT, description="The age of the data, as an instant."),
        "measuredAt": GraphQLField(_INSTANT),
        "freshness": GraphQLField(_LAG),
        "completeness": GraphQLField(_RATIO),
        "accuracy": GraphQLField(_RATIO),
        "availability": GraphQLField(_RATIO),
    },
    description="How a product keeps its promises.",
)


def standing_json(slo: ProductSlo, members: Members) -> msgspec.Raw:
    """Encode what was selected of a product's standing."""
    values: dict[str, Any] = {
        "__typename": "ProductSlo",
        "status": slo.status.value,
        "asOf": None if slo.as_of is None else canonical_instant(slo.as_of),
        "measuredAt": None if slo.measured_at is None else canonical_instant(slo.measured_at),
        **{name.value: None for name in ObjectiveName},
        **{one.name.value: _values(one) for one in slo.objectives},
    }
    return msgspec.Raw(msgspec.json.encode(_picked(values, members)))


def _values(one: Measured) -> dict[str, Any]:
    is_lag = one.name is ObjectiveName.FRESHNESS
    budget = one.budget
    return {
        "__typename": "SloLag" if is_lag else "SloRatio",
        "objective": one.objective,
        "lagSeconds" if is_lag else "ratio": one.figure,
        "status": one.status.value,
        "source": one.source,
        "sample": one.sample,
        "measuredAt": None if one.measured_at is None else canonical_instant(one.measured_at),
        "trend": None if one.trend is None else one.trend.value,
        "budget": None
        if budget is None
        else {
            "__typename": "SloBudget",
            "windowSeconds": budget.window_s,
            "leftRatio": budget.left_ratio,
            "burnRate": budget.burn_rate,
        },
    }


def _picked(values: Mapping[str, Any] | None, members: Members) -> dict[str, Any] | None:
    if values is None:
        return None
    return {key: _picked(values[name], inner) if inner else values[name] for key, name, inner in members}
