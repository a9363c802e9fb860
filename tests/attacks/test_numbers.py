"""Numbers made to cost more than they are long."""

from __future__ import annotations

import tracemalloc
from decimal import Decimal

import pytest
from graphql import FloatValueNode, GraphQLError

from contracts.fields import Kind
from gateway.catalog.inputs import scalar_of_kind

DECIMAL = scalar_of_kind(Kind.DECIMAL)


@pytest.mark.parametrize("text", ["1e99999999", "1e-99999999", "0e99999999", "-0e-99999999", "9" * 1_000_000, "Infinity", "sNaN", "1e39"])
def test_a_decimal_with_a_huge_exponent_is_refused_before_it_is_written_out(text: str) -> None:
    tracemalloc.start()
    with pytest.raises(GraphQLError):
        DECIMAL.parse_value(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3_000_000


@pytest.mark.parametrize("value", [10**400, -(10**5_000), float("inf"), float("nan"), 1e300], ids=range(5))
def test_a_decimal_given_as_a_number_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(GraphQLError):
        DECIMAL.parse_value(value)


def test_a_long_out_of_range_is_refused_whatever_its_length() -> None:
    for value in (2**63, 10**5_000, 1e300):
        with pytest.raises(GraphQLError):
            scalar_of_kind(Kind.LONG).parse_value(value)


def test_a_decimal_literal_with_a_huge_exponent_is_refused() -> None:
    with pytest.raises(GraphQLError):
        DECIMAL.parse_literal(FloatValueNode(value="1e99999999"))


@pytest.mark.parametrize("text", ["0", "-1.50", "1e3", "0.00000000001", "9" * 38, "9" * 38 + "." + "9" * 38])
def test_decimals_within_precision_are_taken_exactly(text: str) -> None:
    assert DECIMAL.parse_value(text) == Decimal(text)
