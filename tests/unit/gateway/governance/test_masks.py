"""Masks, value by value: SPEC A9."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

import pytest

from contracts.fields import Enumeration, FieldType, Kind, List, Map, Record, Scalar, Unit
from contracts.masks import Mask, MaskKind
from gateway.governance.masks import MaskKeys, fitting, mask_function

TEXT = Scalar(Kind.STRING)
KEYS = MaskKeys(b"a secret of the mesh, for tests")
AWARE = dt.datetime(1990, 5, 17, 13, 14, 15, 16, tzinfo=dt.UTC)


def masked(mask: Mask, value: Any, type_: FieldType = TEXT, domain: str = "order", keys: MaskKeys = KEYS) -> Any:
    return mask_function(mask, type_, keys, domain)(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("anna@example.com", "a***@example.com"),
        ("anna.schmidt@example.com", "a***@example.com"),
        ("A+b@sub.Example.co.uk", "A***@sub.Example.co.uk"),
        ("x@y-z.org", "x***@y-z.org"),
        (None, None),
        ("", "***"),
        ("anna", "***"),
        ("@example.com", "***"),
        ("anna@", "***"),
        ("anna@localhost", "***"),
        ("a@b@example.com", "***"),
        ('"anna"@example.com', "***"),
        ("anna schmidt@example.com", "***"),
        ("änna@example.com", "***"),
        ("anna@exämple.com", "***"),
        ("anna@example.com\n", "***"),
        ("anna\n@example.com", "***"),
        ("anna@-example.com", "***"),
        ("anna@example..com", "***"),
        ("anna@" + "a" * 250 + ".com", "***"),
        ("anna@10.0.0.1", "***"),
        ("anna@example.com, bert@example.com", "***"),
        (7, "***"),
        (b"anna@example.com", "***"),
    ],
)
def test_email_keeps_the_first_character_and_the_domain(value: Any, shown: Any) -> None:
    assert masked(Mask(MaskKind.EMAIL), value) == shown


def test_email_remembers_a_bounded_number_of_domains() -> None:
    mask = mask_function(Mask(MaskKind.EMAIL), TEXT, KEYS, "order")
    for number in range(5_000):
        assert mask(f"a@d{number}.example.com") == f"a***@d{number}.example.com"


@pytest.mark.parametrize(("value", "shown"), [("secret", "***"), ("", "***"), (None, None), (5, "***")])
def test_redact_shows_a_constant(value: Any, shown: Any) -> None:
    assert masked(Mask(MaskKind.REDACT), value) == shown


@pytest.mark.parametrize(
    "type_", [TEXT, Enumeration("e", ("A",)), Record("r", ()), Map(TEXT), List(TEXT), Scalar(Kind.JSON), Scalar(Kind.INT)]
)
def test_nullify_fits_every_type(type_: FieldType) -> None:
    assert masked(Mask(MaskKind.NULLIFY), "anything", type_) is None


@pytest.mark.parametrize(
    ("first", "last", "value", "shown"),
    [
        (0, 4, "4111111111111111", "************1111"),
        (6, 4, "4111111111111111", "411111******1111"),
        (1, 0, "anna", "a***"),
        (0, 0, "anna", "****"),
        (2, 2, "abcd", "****"),
        (2, 2, "abcde", "ab*de"),
        (0, 4, "12", "**"),
        (0, 4, "", ""),
        (0, 1, "été", "**é"),
        (1, 0, "😀ab", "😀**"),
        (0, 4, None, None),
        (0, 4, 4111, "***"),
    ],
)
def test_partial_keeps_code_points_at_both_ends(first: int, last: int, value: Any, shown: Any) -> None:
    assert masked(Mask(MaskKind.PARTIAL, first=first, last=last), value) == shown


def test_a_pseudonym_is_keyed_versioned_and_stable() -> None:
    mask = Mask(MaskKind.PSEUDONYM)
    shown = masked(mask, "anna")
    assert re.fullmatch(r"v1:[0-9a-f]{32}", shown)
    assert masked(mask, "anna") == shown
    assert masked(mask, "bert") != shown
    assert masked(mask, "anna", domain="payment") != shown
    assert masked(mask, "anna", keys=MaskKeys(b"another secret of a mesh")) != shown
    assert masked(mask, "anna", keys=MaskKeys(b"a secret of the mesh, for tests", 2)).startswith("v2:")
    assert masked(mask, "anna", keys=MaskKeys(b"a secret of the mesh, for tests", 2))[3:] != shown[3:]
    assert masked(mask, None) is None
    assert masked(mask, 5) == "***"
    assert masked(mask, "\ud800").startswith("v1:")


def test_a_mesh_pseudonym_matches_across_domains() -> None:
    mask = Mask(MaskKind.PSEUDONYM, scope="mesh")
    assert masked(mask, "anna", domain="payment") == masked(mask, "anna", domain="order")
    assert masked(mask, "anna") != masked(Mask(MaskKind.PSEUDONYM), "anna")
    assert masked(mask, "anna", domain="mesh") != masked(Mask(MaskKind.PSEUDONYM), "anna", domain="mesh")


def test_keys_need_a_real_secret_and_do_not_print_it() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        MaskKeys(b"short")
    assert repr(KEYS) == "MaskKeys(version=1)"


@pytest.mark.parametrize(
    ("to", "type_", "value", "shown"),
    [
        ("year", Scalar(Kind.DATE), dt.date(1990, 5, 17), dt.date(1990, 1, 1)),
        ("month", Scalar(Kind.DATE), dt.date(1990, 5, 17), dt.date(1990, 5, 1)),
        ("year", Scalar(Kind.INSTANT), AWARE, dt.datetime(1990, 1, 1, tzinfo=dt.UTC)),
        ("month", Scalar(Kind.INSTANT), AWARE, dt.datetime(1990, 5, 1, tzinfo=dt.UTC)),
        ("day", Scalar(Kind.INSTANT), AWARE, dt.datetime(1990, 5, 17, tzinfo=dt.UTC)),
        (
            "year",
            Scalar(Kind.INSTANT),
            dt.datetime(1990, 1, 1, 0, 30, tzinfo=dt.timezone(dt.timedelta(hours=1))),
            dt.datetime(1989, 1, 1, tzinfo=dt.UTC),
        ),
        ("year", Scalar(Kind.INSTANT), dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))), None),
        ("day", Scalar(Kind.LOCAL_DATETIME), AWARE.replace(tzinfo=None), dt.datetime(1990, 5, 17)),
        ("day", Scalar(Kind.LOCAL_DATETIME, unit=Unit.NANOS), AWARE.replace(tzinfo=None), dt.datetime(1990, 5, 17)),
        ("month", Scalar(Kind.INSTANT, unit=Unit.NANOS), "1990-05-17T13:14:15.123456789Z", "1990-05-01T00:00:00.000000000Z"),
        ("year", Scalar(Kind.INSTANT, unit=Unit.NANOS), "1990-05-17T13:14:15.123456789Z", "1990-01-01T00:00:00.000000000Z"),
        ("day", Scalar(Kind.INSTANT, unit=Unit.NANOS), "1990-05-17T13:14:15.123456789Z", "1990-05-17T00:00:00.000000000Z"),
        ("day", Scalar(Kind.INSTANT, unit=Unit.NANOS), "born in 1990", None),
        ("year", Scalar(Kind.DATE), "1990-05-17", None),
        ("year", Scalar(Kind.DATE), AWARE, None),
        ("year", Scalar(Kind.INSTANT), AWARE.replace(tzinfo=None), None),
        ("year", Scalar(Kind.INSTANT), None, None),
        ("year", Scalar(Kind.LOCAL_DATETIME), AWARE, None),
    ],
)
def test_truncate_gives_the_first_day_of_the_part(to: str, type_: Scalar, value: Any, shown: Any) -> None:
    assert masked(Mask(MaskKind.TRUNCATE, to=to), value, type_) == shown


INT, LONG, FLOAT = Scalar(Kind.INT), Scalar(Kind.LONG), Scalar(Kind.FLOAT)
PRICE = Scalar(Kind.DECIMAL, precision=5, scale=2)


@pytest.mark.parametrize(
    ("to", "type_", "value", "shown"),
    [
        ("10", INT, 1234, 1230),
        ("10", INT, 1235, 1240),
        ("10", INT, 1225, 1220),
        ("10", INT, -1236, -1240),
        ("10", INT, 2**31 - 1, 2**31 - 8),
        ("10", INT, -(2**31), -(2**31) + 8),
        ("1000", LONG, 2**63 - 1, 9223372036854775000),
        ("10", INT, True, None),
        ("10", INT, "12", None),
        ("10", INT, None, None),
        ("0.1", FLOAT, 0.15, 0.2),
        ("0.1", FLOAT, 0.25, 0.2),
        ("100", FLOAT, -149.0, -100.0),
        ("5", FLOAT, 7, 5.0),
        ("0.5", FLOAT, float("nan"), None),
        ("0.5", FLOAT, float("inf"), None),
        ("0.5", FLOAT, "1", None),
        ("1", FLOAT, 1.7976931348623157e308, 1.7976931348623157e308),
        ("100", PRICE, Decimal("149.99"), Decimal("100.00")),
        ("100", PRICE, Decimal("150.00"), Decimal("200.00")),
        ("100", PRICE, Decimal("999.99"), Decimal("900.00")),
        ("100", PRICE, Decimal("-999.99"), Decimal("-900.00")),
        ("0.25", PRICE, Decimal("1.30"), Decimal("1.25")),
        ("2", Scalar(Kind.DECIMAL), Decimal("1.5"), Decimal(2)),
        ("1", PRICE, Decimal("NaN"), None),
        ("1", PRICE, 5, None),
    ],
)
def test_round_is_exact_and_stays_in_range(to: str, type_: Scalar, value: Any, shown: Any) -> None:
    found = masked(Mask(MaskKind.ROUND, to=to), value, type_)
    assert found == shown
    assert type(found) is type(shown)
    assert str(found) == str(shown)


def test_a_float_that_rounds_beyond_the_largest_goes_to_the_multiple_below() -> None:
    step = "1" + "0" * 39
    found = masked(Mask(MaskKind.ROUND, to=step), 1.7976931348623157e308, FLOAT)
    assert 0 < found <= 1.7976931348623157e308


def test_minus_zero_does_not_tell_which_side_it_came_from() -> None:
    assert str(masked(Mask(MaskKind.ROUND, to="10"), -1.0, FLOAT)) == "0.0"
    assert str(masked(Mask(MaskKind.ROUND, to="10"), Decimal("-1.00"), PRICE)) == "0.00"


def test_lists_are_masked_item_by_item() -> None:
    mask = Mask(MaskKind.EMAIL)
    assert masked(mask, ["a@b.org", None, "x"], List(TEXT)) == ["a***@b.org", None, "***"]
    assert masked(mask, [["a@b.org"], None], List(List(TEXT))) == [["a***@b.org"], None]
    assert masked(mask, None, List(TEXT)) is None
    assert masked(mask, "a@b.org", List(TEXT)) is None


@pytest.mark.parametrize(
    ("mask", "type_"),
    [
        (Mask(MaskKind.EMAIL), INT),
        (Mask(MaskKind.REDACT), Scalar(Kind.DATE)),
        (Mask(MaskKind.PSEUDONYM), Scalar(Kind.UUID)),
        (Mask(MaskKind.TRUNCATE, to="year"), TEXT),
        (Mask(MaskKind.TRUNCATE, to="week"), Scalar(Kind.DATE)),
        (Mask(MaskKind.TRUNCATE), Scalar(Kind.INSTANT)),
        (Mask(MaskKind.TRUNCATE, to="day"), Scalar(Kind.DATE)),
        (Mask(MaskKind.ROUND, to="1"), INT),
        (Mask(MaskKind.ROUND, to="10"), TEXT),
        (Mask(MaskKind.ROUND, to="0.5"), INT),
        (Mask(MaskKind.ROUND, to="0"), INT),
        (Mask(MaskKind.ROUND, to="-1"), INT),
        (Mask(MaskKind.ROUND, to="NaN"), FLOAT),
        (Mask(MaskKind.ROUND), FLOAT),
        (Mask(MaskKind.ROUND, to="0.001"), PRICE),
        (Mask(MaskKind.PARTIAL, first=-1), TEXT),
        (Mask(MaskKind.REDACT), Record("r", ())),
        (Mask(MaskKind.EMAIL), List(INT)),
    ],
)
def test_a_mask_that_does_not_fit_is_refused_when_made(mask: Mask, type_: FieldType) -> None:
    with pytest.raises(ValueError, match=r"."):
        mask_function(mask, type_, KEYS, "order")


def test_a_mask_from_the_other_end_of_a_join_gives_way_to_one_that_fits() -> None:
    assert fitting(Mask(MaskKind.EMAIL), TEXT) == Mask(MaskKind.EMAIL)
    assert fitting(Mask(MaskKind.TRUNCATE, to="year"), TEXT) == Mask(MaskKind.REDACT)
    assert fitting(Mask(MaskKind.EMAIL), LONG) == Mask(MaskKind.NULLIFY)
