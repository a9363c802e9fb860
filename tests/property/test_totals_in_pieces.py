"""Facts about totals in the making: the order and the pieces in which cells come do not matter, and nothing is rounded twice."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.fields import Kind, Scalar, Unit
from domain_adapters.algebra import TRUNCATIONS, aggregate_type
from gateway.engine.asking.cuts import cutter, is_zone
from gateway.engine.totals.reduce import of_partial, state_of

INT, LONG, FLOAT = Scalar(Kind.INT), Scalar(Kind.LONG), Scalar(Kind.FLOAT)
MONEY, LOOSE = Scalar(Kind.DECIMAL, 30, 4), Scalar(Kind.DECIMAL)
CELLS = {
    INT: st.integers(-(2**31), 2**31 - 1),
    LONG: st.integers(-(2**63), 2**63 - 1),
    FLOAT: st.floats(-1e12, 1e12),
    MONEY: st.decimals(-(10**25), 10**25, places=4),
    LOOSE: st.decimals(-(10**9), 10**9, places=5),
}
FUNCTIONS = ("count", "countDistinct", "sum", "avg", "min", "max")


def total(function: str, of: Scalar, *pieces: list[Any]) -> Any:
    type_ = aggregate_type(function, of)
    assert isinstance(type_, Scalar)
    whole = state_of(function, type_, of)
    for piece in pieces:
        part = state_of(function, type_, of)
        part.add(piece)
        whole.merge(part)
    return whole.value()


@pytest.mark.parametrize("of", CELLS, ids=lambda it: f"{it.kind}{it.scale or ''}")
@pytest.mark.parametrize("function", FUNCTIONS)
@given(data=st.data())
def test_pieces_in_any_order_come_to_the_whole(function: str, of: Scalar, data: st.DataObject) -> None:
    cells = data.draw(st.lists(CELLS[of], max_size=12))
    cut = data.draw(st.integers(0, len(cells)))
    whole = total(function, of, cells)
    assert total(function, of, cells[cut:], [], cells[:cut]) == whole
    if function not in ("count", "countDistinct"):
        assert (whole is None) == (not cells)
    if cells and of in (MONEY, INT, LONG) and function in ("sum", "avg"):
        exact = sum((Fraction(it) for it in cells), Fraction()) / (len(cells) if function == "avg" else 1)
        error = abs(Fraction(whole) - exact)
        assert error <= (Fraction(1, 2 * 10**6) if of is MONEY else abs(exact) / 2**50) if function == "avg" else error == 0


@pytest.mark.parametrize("of", [INT, MONEY], ids=["int", "decimal"])
@given(data=st.data())
def test_a_ports_partial_totals_come_to_the_same_as_its_rows(of: Scalar, data: st.DataObject) -> None:
    pieces = data.draw(st.lists(st.lists(CELLS[of], max_size=5), min_size=1, max_size=4))
    for function in ("count", "sum", "avg", "min", "max"):
        type_ = aggregate_type(function, of)
        assert isinstance(type_, Scalar)
        whole = state_of(function, type_, of)
        for piece in pieces:
            part = {"avg": "sum"}.get(function, function)
            whole.merge(of_partial(function, type_, of, total(part, of, piece), len(piece)))
        assert whole.value() == total(function, of, *pieces)


@pytest.mark.parametrize(
    ("of", "cells"),
    [(INT, [2**31 - 1] * 2**12), (MONEY, [Decimal("9" * 26 + ".0000")] * 10**4), (Scalar(Kind.DECIMAL, 38, 0), [Decimal("9" * 38)] * 2)],
)
def test_sums_fit_or_are_refused(of: Scalar, cells: list[Any]) -> None:
    if of is INT:
        assert total("sum", of, cells) == 2**12 * (2**31 - 1)
        return
    if of is MONEY:
        assert total("sum", of, cells) == Decimal("9" * 26 + "0000.0000")
        return
    with pytest.raises(OverflowError):
        total("sum", of, cells)


def test_what_is_more_than_a_long_holds_is_refused() -> None:
    partial = of_partial("sum", LONG, INT, 2**63 - 1, 3)
    partial.merge(of_partial("sum", LONG, INT, 1, 1))
    with pytest.raises(OverflowError):
        partial.value()


def test_floats_that_overflow_are_refused_and_small_ones_are_not_lost() -> None:
    with pytest.raises(OverflowError):
        total("sum", FLOAT, [1e308, 1e308])
    assert total("sum", FLOAT, [1e16, 1.0, -1e16]) == 1.0


@given(
    st.datetimes(dt.datetime(1950, 1, 1), dt.datetime(2090, 1, 1)),
    st.sampled_from(TRUNCATIONS),
    st.sampled_from(("UTC", "America/Sao_Paulo", "Asia/Kathmandu")),
)
def test_a_cut_instant_is_the_first_of_its_part(moment: dt.datetime, part: str, zone: str) -> None:
    instant = moment.replace(tzinfo=dt.UTC)
    cut = cutter(Scalar(Kind.INSTANT), part, zone)
    first = cut(instant)
    # Where a day begins at one o'clock, because clocks jump over midnight, its first instant is the jump.
    assert first <= instant
    assert cut(first) == first or part not in ("hour", "minute", "second")
    if part not in ("hour", "minute", "second"):
        local = first.astimezone(ZoneInfo(zone))
        assert (local.minute, local.second) == (0, 0)
        assert local.hour in (0, 1)
    nanos = f"{moment.replace(microsecond=0).isoformat()}.123456789Z"
    assert cutter(Scalar(Kind.INSTANT, unit=Unit.NANOS), part, zone)(nanos).startswith(cut(instant.replace(microsecond=0)).isoformat()[:19])


def test_an_hour_that_a_clock_strikes_twice_stays_two() -> None:
    cut = cutter(Scalar(Kind.INSTANT), "hour", "Europe/Berlin")
    first, second = (dt.datetime(2026, 10, 25, hour, 30, tzinfo=dt.UTC) for hour in (0, 1))
    assert [cut(first).hour, cut(second).hour] == [0, 1]


def test_dates_and_wall_clocks_are_cut_without_a_zone() -> None:
    assert cutter(Scalar(Kind.DATE), "quarter", None)(dt.date(2026, 11, 23)) == dt.date(2026, 10, 1)
    assert cutter(Scalar(Kind.DATE), "week", None)(dt.date(1, 1, 3)) == dt.date(1, 1, 1)
    assert cutter(Scalar(Kind.LOCAL_DATETIME), "minute", None)(dt.datetime(2026, 1, 1, 5, 6, 7, 8)) == dt.datetime(2026, 1, 1, 5, 6)
    assert cutter(Scalar(Kind.DATE), "year", None)(None) is None


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../UTC", "Mars", "europe/berlin", "UTC\0"])
def test_only_names_of_zones_are_zones(name: str) -> None:
    assert not is_zone(name)
    assert is_zone("Europe/Berlin")


def test_cutting_at_the_ends_of_time_raises() -> None:
    with pytest.raises(OverflowError):
        cutter(Scalar(Kind.INSTANT), "day", "America/New_York")(dt.datetime(1, 1, 1, tzinfo=dt.UTC))
    assert math.isfinite(total("avg", FLOAT, [0.5]))


@pytest.mark.parametrize("function", ["sum", "avg"])
def test_what_is_rounded_to_nothing_or_was_nothing_has_no_sign(function: str) -> None:
    cells = [Decimal("-0.0000"), Decimal("-0.0000")] if function == "sum" else [Decimal("-0.0001"), *[Decimal("0.0000")] * 999]
    of = Scalar(Kind.DECIMAL, 30, 4)
    whole = total(function, of, cells)
    assert (whole, whole.is_signed(), format(whole, "f").strip("0")) == (0, False, ".")
    part = of_partial(function, aggregate_type(function, of), of, Decimal("-0.0000"), 3)  # type: ignore[arg-type]  # there is such a total
    assert not part.value().is_signed()
