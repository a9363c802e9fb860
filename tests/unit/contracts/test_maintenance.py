"""Maintenance windows: wall clocks, time zones, and what no window can be."""

from __future__ import annotations

import datetime as dt

import pytest

from contracts import ProblemCode
from contracts.maintenance import Maintenance, maintained_until

from .written import contract, wrong

UTC = dt.UTC
WEEKLY = 'maintenance: [{days: [SUN], at: "02:00", for: "2 hours", timeZone: Europe/Berlin}]'


def windows(text: str) -> tuple[Maintenance, ...]:
    return contract(f"  {text}\n").maintenance


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("instant", "until"),
    [
        ("2026-11-22T00:59:59", None),
        ("2026-11-22T01:00:00", "2026-11-22T03:00:00"),  # winter: 02:00 in Berlin is 01:00 UTC
        ("2026-11-22T02:59:59", "2026-11-22T03:00:00"),
        ("2026-11-22T03:00:00", None),
        ("2026-11-23T01:30:00", None),
        ("2026-07-05T00:00:00", "2026-07-05T02:00:00"),  # summer: it is 00:00 UTC
        # 2026-03-29 has no 02:00 in Berlin: the window begins when it would be, which is 03:00 summer time, and lasts as long.
        ("2026-03-29T00:59:59", None),
        ("2026-03-29T01:00:00", "2026-03-29T03:00:00"),
        # 2026-10-25 has 02:00 twice: the window begins with the first.
        ("2026-10-24T23:59:59", None),
        ("2026-10-25T00:00:00", "2026-10-25T02:00:00"),
        ("2026-10-25T02:00:00", None),
    ],
)
def test_a_weekly_window_is_at_its_wall_clock_time_all_year(instant: str, until: str | None) -> None:
    assert maintained_until(windows(WEEKLY), at(instant)) == (None if until is None else at(until))


@pytest.mark.parametrize(
    ("instant", "until"),
    [
        ("2026-12-24T18:59:59", None),
        ("2026-12-24T19:00:00", "2026-12-25T05:00:00"),
        ("2026-12-25T05:00:00", None),
    ],
)
def test_a_window_once_is_from_and_to_in_its_own_zone(instant: str, until: str | None) -> None:
    found = windows('maintenance: [{from: "2026-12-24T20:00", to: "2026-12-25T06:00", timeZone: Europe/Berlin, reason: Migration}]')
    assert maintained_until(found, at(instant)) == (None if until is None else at(until))
    assert found[0].reason == "Migration"


def test_a_window_that_ends_at_a_time_that_comes_twice_ends_with_the_second() -> None:
    found = windows('maintenance: [{from: "2026-10-25T01:00", to: "2026-10-25T02:30", timeZone: Europe/Berlin}]')
    assert maintained_until(found, at("2026-10-25T00:45:00")) == at("2026-10-25T01:30:00")


def test_a_window_over_midnight_belongs_to_the_day_it_begins_on() -> None:
    found = windows('maintenance: [{days: [MON], at: "23:00", for: "3 hours", timeZone: UTC}]')
    assert maintained_until(found, at("2026-11-24T01:59:00")) == at("2026-11-24T02:00:00")
    assert maintained_until(found, at("2026-11-23T01:59:00")) is None


def test_windows_that_follow_each_other_are_one_silence() -> None:
    found = windows(
        "maintenance: [{days: [MON], at: '20:00', for: '4 hours', timeZone: UTC}, {days: [TUE], at: '00:00', for: '1 hour', timeZone: UTC}]"
    )
    assert maintained_until(found, at("2026-11-23T21:00:00")) == at("2026-11-24T01:00:00")


def test_every_day_is_meant_where_no_day_is_named_and_there_is_an_end_to_it() -> None:
    found = windows("maintenance: [{at: '04:00', for: '30 min', timeZone: America/New_York}]")
    assert maintained_until(found, at("2026-11-23T09:15:00")) == at("2026-11-23T09:30:00")
    assert maintained_until(windows("maintenance: []"), at("2026-11-23T09:15:00")) is None
    assert contract().maintenance == ()


@pytest.mark.parametrize(
    ("text", "code", "place", "nearest"),
    [
        ('{at: "02:00", for: 2 hours, timeZone: Europe/Berln}', ProblemCode.WRONG_VALUE, "[0].timeZone", "Europe/Berlin"),
        ('{at: "02:00", for: 2 hours, timeZone: ../../etc/passwd}', ProblemCode.WRONG_VALUE, "[0].timeZone", None),
        ('{at: "02:00", for: 2 hours}', ProblemCode.MISSING_KEY, "[0]", None),
        ('{at: "02:00", timeZone: UTC}', ProblemCode.CONTRADICTION, "[0]", None),
        ("{timeZone: UTC}", ProblemCode.CONTRADICTION, "[0]", None),
        (
            '{at: "02:00", for: 1 hour, from: "2026-12-24T20:00", to: "2026-12-24T21:00", timeZone: UTC}',
            ProblemCode.CONTRADICTION,
            "[0]",
            None,
        ),
        ('{from: "2026-12-24T20:00", to: "2026-12-24T20:00", timeZone: UTC}', ProblemCode.CONTRADICTION, "[0].to", None),
        ('{from: "2026-12-01T20:00", to: "2026-12-24T20:00", timeZone: UTC}', ProblemCode.OUT_OF_BOUNDS, "[0].to", None),
        (
            '{from: "2026-12-01T20:00", to: "2026-12-01T21:00", days: [MON], timeZone: UTC}',
            ProblemCode.CONTRADICTION,
            "[0].days",
            None,
        ),
        ('{at: "02:00", for: 24 hours, timeZone: UTC}', ProblemCode.OUT_OF_BOUNDS, "[0].for", None),
        ('{days: [MON], at: "02:00", for: 8 days, timeZone: UTC}', ProblemCode.OUT_OF_BOUNDS, "[0].for", None),
        ('{from: "2026-02-30T20:00", to: "2026-12-24T20:00", timeZone: UTC}', ProblemCode.WRONG_VALUE, "[0].from", None),
        ('{from: "0001-01-01T00:00", to: "0001-01-01T01:00", timeZone: UTC}', ProblemCode.WRONG_VALUE, "[0].from", None),
        ('{from: "2026-12-24T20:00Z", to: "2026-12-24T21:00", timeZone: UTC}', ProblemCode.WRONG_VALUE, "[0].from", None),
        ('{at: "25:00", for: 1 hour, timeZone: UTC}', ProblemCode.WRONG_VALUE, "[0].at", None),
        ("{at: 120, for: 1 hour, timeZone: UTC}", ProblemCode.WRONG_VALUE, "[0].at", None),
        ('{at: "02:00", for: 1 hour, days: [FUNDAY], timeZone: UTC}', ProblemCode.WRONG_VALUE, "[0].days[0]", None),
        ('{at: "02:00", for: 1 hour, timeZone: UTC, when: always}', ProblemCode.UNKNOWN_KEY, "[0].when", None),
    ],
)
def test_what_is_no_window_is_told_with_its_place(text: str, code: ProblemCode, place: str, nearest: str | None) -> None:
    assert (code, f"spec.maintenance{place}", nearest) in wrong(f"  maintenance: [{text}]\n")
