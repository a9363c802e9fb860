"""What each scalar of the mesh takes, as a literal and as a variable, and what it refuses; how values are answered."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from graphql import GraphQLError, parse_value

from contracts.fields import Kind
from gateway.catalog.inputs import scalar_of_kind

UTC = dt.UTC
TAKEN: list[tuple[Kind, Any, Any]] = [
    (Kind.LONG, 5, 5),
    (Kind.LONG, "-9223372036854775808", -(2**63)),
    (Kind.LONG, 7.0, 7),
    (Kind.DECIMAL, "1.50", Decimal("1.50")),
    (Kind.DECIMAL, 3, Decimal(3)),
    (Kind.DECIMAL, 0.25, Decimal("0.25")),
    (Kind.DECIMAL, "1e3", Decimal(1000)),
    (Kind.DATE, "2026-02-28", dt.date(2026, 2, 28)),
    (Kind.TIME, "13:45:00.25", dt.time(13, 45, 0, 250000)),
    (Kind.INSTANT, "2026-11-23T13:45:00+02:00", dt.datetime(2026, 11, 23, 11, 45, tzinfo=UTC)),
    (Kind.INSTANT, "2026-11-23t13:45:00z", dt.datetime(2026, 11, 23, 13, 45, tzinfo=UTC)),
    (Kind.LOCAL_DATETIME, "2026-11-23T13:45:00", dt.datetime(2026, 11, 23, 13, 45)),
    (Kind.UUID, "6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
    (Kind.BYTES, "aGk=", "aGk="),
    (Kind.JSON, {"a": [1, None]}, {"a": [1, None]}),
]
REFUSED: list[tuple[Kind, Any]] = [
    (Kind.LONG, 2**63),
    (Kind.LONG, "9" * 30),
    (Kind.LONG, True),
    (Kind.LONG, 1.5),
    (Kind.DECIMAL, "NaN"),
    (Kind.DECIMAL, "Infinity"),
    (Kind.DECIMAL, "1e999999999"),
    (Kind.DECIMAL, "x"),
    (Kind.DECIMAL, True),
    (Kind.DECIMAL, 10**400),
    (Kind.DECIMAL, [1]),
    (Kind.DATE, "2026-02-30"),
    (Kind.DATE, "23.11.2026"),
    (Kind.DATE, 20261123),
    (Kind.TIME, "25:00:00"),
    (Kind.INSTANT, "2026-11-23T13:45:00"),
    (Kind.INSTANT, "2026-11-23T13:45:00.1234567Z"),
    (Kind.INSTANT, "0001-01-01T00:00:00+14:00"),
    (Kind.LOCAL_DATETIME, "2026-11-23T13:45:00Z"),
    (Kind.UUID, "not-a-uuid"),
    (Kind.BYTES, "***"),
]
LITERALS: list[tuple[Kind, str, Any]] = [
    (Kind.LONG, "5", 5),
    (Kind.LONG, '"6"', 6),
    (Kind.DECIMAL, "1.50", Decimal("1.50")),
    (Kind.DECIMAL, '"2"', Decimal(2)),
    (Kind.DATE, '"2026-02-28"', dt.date(2026, 2, 28)),
    (Kind.JSON, '{a: [1, 2.5, "x", true, null, E]}', {"a": [1, 2.5, "x", True, None, "E"]}),
]
ANSWERED: list[tuple[Kind, Any, Any]] = [
    (Kind.INSTANT, dt.datetime(2026, 1, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))), "2026-01-01T00:00:00Z"),
    (Kind.LOCAL_DATETIME, dt.datetime(2026, 1, 1), "2026-01-01T00:00:00"),
    (Kind.DATE, dt.date(2026, 1, 1), "2026-01-01"),
    (Kind.TIME, dt.time(1, 2, 3), "01:02:03"),
    (Kind.DECIMAL, Decimal("1.50"), "1.50"),
    (Kind.LONG, 2**40, 2**40),
]


@pytest.mark.parametrize(("kind", "sent", "meant"), TAKEN)
def test_a_variable_becomes_the_value_that_ports_compare_with(kind: Kind, sent: Any, meant: Any) -> None:
    assert scalar_of_kind(kind).coerce_input_value(sent) == meant


@pytest.mark.parametrize(("kind", "sent"), REFUSED)
def test_what_does_not_fit_is_refused_and_quoted_in_short(kind: Kind, sent: Any) -> None:
    with pytest.raises(GraphQLError) as refused:
        scalar_of_kind(kind).coerce_input_value(sent)
    assert len(refused.value.message) < 160


@pytest.mark.parametrize(("kind", "text", "meant"), LITERALS)
def test_a_literal_means_what_a_variable_would(kind: Kind, text: str, meant: Any) -> None:
    assert scalar_of_kind(kind).parse_literal(parse_value(text)) == meant


@pytest.mark.parametrize(("kind", "text"), [(Kind.LONG, "1.5"), (Kind.DATE, "5"), (Kind.DECIMAL, "true"), (Kind.INSTANT, '"x"')])
def test_a_literal_of_another_kind_is_refused_at_its_place(kind: Kind, text: str) -> None:
    with pytest.raises(GraphQLError) as refused:
        scalar_of_kind(kind).parse_literal(parse_value(text))
    assert refused.value.nodes


@pytest.mark.parametrize(("kind", "value", "shown"), ANSWERED)
def test_a_value_is_answered_in_its_wire_form(kind: Kind, value: Any, shown: Any) -> None:
    assert scalar_of_kind(kind).coerce_output_value(value) == shown


def test_a_scalar_is_one_object_wherever_it_is_used() -> None:
    assert scalar_of_kind(Kind.INSTANT) is scalar_of_kind(Kind.INSTANT)
