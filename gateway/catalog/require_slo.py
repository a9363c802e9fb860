"""``@requireSlo``: how callers say in GraphQL what data must be like for them to want it. One directive for every schema."""

from __future__ import annotations

from graphql import (
    DirectiveLocation,
    GraphQLArgument,
    GraphQLDirective,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLFloat,
    GraphQLString,
    specified_directives,
)

from gateway.slo.demands import OnBreach
from gateway.slo.status import SloStatus

__all__ = ["DIRECTIVES", "ON_BREACH", "REQUIRE_SLO", "SLO_STATUS"]

SLO_STATUS = GraphQLEnumType(
    "SloStatus",
    {
        "MET": GraphQLEnumValue(SloStatus.MET, description="The promise is kept."),
        "AT_RISK": GraphQLEnumValue(SloStatus.AT_RISK, description="Kept, but close to its limit or burning its error budget."),
        "BREACHED": GraphQLEnumValue(SloStatus.BREACHED, description="Not kept."),
        "UNKNOWN": GraphQLEnumValue(SloStatus.UNKNOWN, description="Not measured well enough to say."),
    },
    description="How a promise about data is being kept.",
)
ON_BREACH = GraphQLEnumType(
    "SloOnBreach",
    {
        "ERROR": GraphQLEnumValue(OnBreach.ERROR, description="Refuse the operation."),
        "WARN": GraphQLEnumValue(OnBreach.WARN, description="Answer, and say so in extensions.mesh.unmet."),
        "NULL": GraphQLEnumValue(OnBreach.NULL, description="Answer null for the product's field, with an error."),
    },
    description="What happens when data is not as demanded; in all cases nothing is read that is not answered.",
)
REQUIRE_SLO = GraphQLDirective(
    "requireSlo",
    [DirectiveLocation.QUERY, DirectiveLocation.FIELD],
    {
        "freshness": GraphQLArgument(GraphQLString, description='The oldest that the newest data may be, such as "PT2H" or "2 hours".'),
        "completeness": GraphQLArgument(GraphQLFloat, description="The least share of required values that must be there, 0 to 1."),
        "accuracy": GraphQLArgument(GraphQLFloat, description="The least share of rows that must be right, 0 to 1."),
        "status": GraphQLArgument(SLO_STATUS, description="The worst status that is good enough: MET, or AT_RISK."),
        "onBreach": GraphQLArgument(ON_BREACH, OnBreach.ERROR, description="What happens if a demand is not met."),
    },
    description=(
        "On an operation, or on a field that reads a data product: what is demanded of every product that is read below. "
        "What is unknown meets no demand."
    ),
)
DIRECTIVES = (*specified_directives, REQUIRE_SLO)
"""All directives that operations may use."""
