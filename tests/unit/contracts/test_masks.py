from __future__ import annotations

import pytest

from contracts.fields import Enumeration, Field, FieldType, Kind, List, Map, Record, Scalar, Unit
from contracts.masks import Mask, MaskKind, fits, strictest

TEXT = Scalar(Kind.STRING)
DATE = Scalar(Kind.DATE)
INSTANT = Scalar(Kind.INSTANT, unit=Unit.MICROS)
MONEY = Scalar(Kind.DECIMAL, precision=12, scale=2)
ALL: list[FieldType] = [
    *(Scalar(kind) for kind in Kind),
    Enumeration("E", ("A",)),
    Record("R", (Field("a", TEXT),)),
    List(TEXT),
    Map(TEXT),
]


@pytest.mark.parametrize("type_", ALL)
def test_nullify_fits_every_type(type_: FieldType) -> None:
    assert fits(Mask(MaskKind.NULLIFY), type_)


@pytest.mark.parametrize("kind", [MaskKind.REDACT, MaskKind.PSEUDONYM, MaskKind.EMAIL, MaskKind.PARTIAL])
def test_text_masks_fit_text_and_lists_of_text_only(kind: MaskKind) -> None:
    assert [type_ for type_ in ALL if fits(Mask(kind, last=2), type_)] == [TEXT, List(TEXT)]


def test_truncate_fits_what_has_a_calendar() -> None:
    to_year = Mask(MaskKind.TRUNCATE, to="year")
    assert [type_ for type_ in ALL if fits(to_year, type_)] == [DATE, Scalar(Kind.INSTANT), Scalar(Kind.LOCAL_DATETIME)]


def test_a_date_cut_to_its_day_is_no_mask() -> None:
    to_day = Mask(MaskKind.TRUNCATE, to="day")
    assert not fits(to_day, DATE)
    assert fits(to_day, INSTANT)


@pytest.mark.parametrize(
    ("to", "type_", "does"),
    [
        ("10", Scalar(Kind.INT), True),
        ("1", Scalar(Kind.INT), False),
        ("0.5", Scalar(Kind.LONG), False),
        ("2.5", Scalar(Kind.LONG), False),
        ("0.5", Scalar(Kind.FLOAT), True),
        ("0.5", MONEY, True),
        ("0.01", MONEY, False),
        ("0.125", MONEY, False),
        ("100", MONEY, True),
        ("10", TEXT, False),
    ],
)
def test_round_fits_where_its_step_hides_something_and_is_a_value_of_the_type(to: str, type_: FieldType, does: bool) -> None:
    assert fits(Mask(MaskKind.ROUND, to=to), type_) is does


@pytest.mark.parametrize(
    ("masks", "chosen"),
    [
        ([Mask(MaskKind.EMAIL), Mask(MaskKind.REDACT)], Mask(MaskKind.REDACT)),
        ([Mask(MaskKind.REDACT), Mask(MaskKind.NULLIFY)], Mask(MaskKind.NULLIFY)),
        ([Mask(MaskKind.PARTIAL, last=4), Mask(MaskKind.PARTIAL, last=2)], Mask(MaskKind.PARTIAL, last=2)),
        ([Mask(MaskKind.TRUNCATE, to=to) for to in ("day", "year", "month")], Mask(MaskKind.TRUNCATE, to="year")),
        ([Mask(MaskKind.ROUND, to=to) for to in ("5", "1000", "20")], Mask(MaskKind.ROUND, to="1000")),
        ([Mask(MaskKind.PSEUDONYM, scope="mesh"), Mask(MaskKind.PSEUDONYM)], Mask(MaskKind.PSEUDONYM)),
    ],
)
def test_the_strictest_mask_shows_least(masks: list[Mask], chosen: Mask) -> None:
    assert strictest(masks) == chosen
    assert strictest(masks[::-1]) == chosen
