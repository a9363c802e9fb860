"""Masks for all values: they never raise, keep null, keep the type, and depend on nothing but what they say they keep."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.fields import Kind, Scalar
from contracts.masks import Mask, MaskKind, fits
from gateway.governance.masks import MaskKeys, mask_function

KEYS = MaskKeys(b"a secret of the mesh, for tests")
CASES = settings(max_examples=200, deadline=None, database=None)
TEXT = Scalar(Kind.STRING)
PRICE = Scalar(Kind.DECIMAL, precision=12, scale=2)
TYPES = [*(Scalar(kind) for kind in Kind if kind is not Kind.DECIMAL), PRICE]
MASKS = st.one_of(
    st.sampled_from([Mask(kind) for kind in (MaskKind.REDACT, MaskKind.NULLIFY, MaskKind.EMAIL, MaskKind.PSEUDONYM)]),
    st.builds(Mask, st.just(MaskKind.PARTIAL), first=st.integers(0, 6), last=st.integers(0, 4)),
    st.builds(Mask, st.just(MaskKind.TRUNCATE), to=st.sampled_from(["year", "month", "day"])),
    st.builds(Mask, st.just(MaskKind.ROUND), to=st.sampled_from(["2", "10", "0.5", "1000", "0.05"])),
)
ANYTHING = st.one_of(
    st.none(),
    st.text(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.decimals(),
    st.dates(),
    st.datetimes(timezones=st.sampled_from([None, dt.UTC, dt.timezone(dt.timedelta(hours=14))])),
    st.lists(st.text(), max_size=2),
    st.binary(max_size=4),
)
EMAILS = st.one_of(st.emails(), st.from_regex(r"[a-z.]{1,10}@[a-z]{1,9}\.(com|de)", fullmatch=True))


def masked(mask: Mask, type_: Scalar, value: Any) -> Any:
    return mask_function(mask, type_, KEYS, "order")(value)


@CASES
@given(mask=MASKS, type_=st.sampled_from(TYPES), value=ANYTHING)
def test_no_value_makes_a_mask_raise_and_null_stays_null(mask: Mask, type_: Scalar, value: Any) -> None:
    if fits(mask, type_):
        shown = masked(mask, type_, value)
        assert value is not None or shown is None
        assert shown is None or isinstance(shown, (str, int, float, Decimal, dt.date))


@CASES
@given(value=st.one_of(EMAILS, st.text()))
def test_an_email_shows_its_first_character_and_domain_or_nothing(value: str) -> None:
    shown = masked(Mask(MaskKind.EMAIL), TEXT, value)
    local, at, domain = value.partition("@")
    assert shown in ("***", f"{local[:1]}***{at}{domain}")
    assert "\n" not in shown
    assert shown.isascii()


@CASES
@given(one=EMAILS, other=EMAILS)
def test_emails_that_agree_in_what_is_kept_look_the_same(one: str, other: str) -> None:
    mask = Mask(MaskKind.EMAIL)
    first, domain = masked(mask, TEXT, one), one.partition("@")[2]
    twin = f"{one[0]}{other.partition('@')[0][1:]}@{domain}"
    assert masked(mask, TEXT, twin) in (first, "***") or first == "***"


@CASES
@given(value=st.text(), first=st.integers(0, 6), last=st.integers(0, 4))
def test_partial_shows_both_ends_only_and_hides_what_is_too_short(value: str, first: int, last: int) -> None:
    shown = masked(Mask(MaskKind.PARTIAL, first=first, last=last), TEXT, value)
    assert len(shown) == len(value)
    hidden = len(value) - first - last
    if hidden <= 0:
        assert set(shown) <= {"*"}
    else:
        assert shown == value[:first] + "*" * hidden + value[len(value) - last :]


@CASES
@given(one=st.text(), other=st.text())
def test_pseudonyms_are_equal_where_values_are(one: str, other: str) -> None:
    mask = Mask(MaskKind.PSEUDONYM)
    assert (masked(mask, TEXT, one) == masked(mask, TEXT, other)) is (one == other)


@CASES
@given(value=st.dates(), to=st.sampled_from(["year", "month"]))
def test_truncated_dates_are_the_first_of_their_part(value: dt.date, to: str) -> None:
    mask = Mask(MaskKind.TRUNCATE, to=to)
    shown = masked(mask, Scalar(Kind.DATE), value)
    assert (shown.year, shown.day) == (value.year, 1)
    assert shown <= value
    assert masked(mask, Scalar(Kind.DATE), shown) == shown


@CASES
@given(value=st.integers(-(2**31), 2**31 - 1), step=st.integers(2, 10**6))
def test_rounded_whole_numbers_are_the_nearest_multiple_in_range(value: int, step: int) -> None:
    shown = masked(Mask(MaskKind.ROUND, to=str(step)), Scalar(Kind.INT), value)
    assert -(2**31) <= shown < 2**31
    assert shown % step == 0
    assert abs(shown - value) * 2 <= step or abs(value) > 2**31 - step


@CASES
@given(value=st.decimals(min_value=-(10**9), max_value=10**9, places=2), step=st.sampled_from(["0.05", "1", "0.25", "1000"]))
def test_rounded_decimals_are_the_nearest_multiple_at_the_columns_scale(value: Decimal, step: str) -> None:
    shown = masked(Mask(MaskKind.ROUND, to=step), PRICE, value)
    assert shown % Decimal(step) == 0
    assert abs(shown - value) * 2 <= Decimal(step)
    assert shown.as_tuple().exponent == -2


@CASES
@given(value=st.floats(allow_nan=False, allow_infinity=False), step=st.sampled_from(["0.1", "2", "1000"]))
def test_rounded_floats_stay_finite_and_round_once(value: float, step: str) -> None:
    mask, type_ = Mask(MaskKind.ROUND, to=step), Scalar(Kind.FLOAT)
    shown = masked(mask, type_, value)
    assert masked(mask, type_, shown) == shown
    assert abs(shown - value) <= float(step) / 2 + abs(value) * 1e-15
