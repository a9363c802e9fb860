from __future__ import annotations

import pytest

from contracts.durations import DAY_S, duration_text, parse_duration
from contracts.objectives import parse_ratio, parse_ratio_objective, parse_time_objective


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1 hour", 3_600),
        ("1h", 3_600),
        ("15 min", 900),
        ("90 s", 90),
        ("1 hour 30 min", 5_400),
        ("1.5 h", 5_400),
        ("1,5 h", 5_400),
        ("2 Weeks", 14 * DAY_S),
        ("7 years", 2_555 * DAY_S),
        ("1 month", 30 * DAY_S),
        ("3 days", 3 * DAY_S),
        ("PT1H", 3_600),
        ("P1D", DAY_S),
        ("P2W", 14 * DAY_S),
        ("P1Y2M3DT4H5M6.7S", (365 + 60 + 3) * DAY_S + 4 * 3_600 + 5 * 60 + 6.7),
        ("P1M", 30 * DAY_S),
        ("PT1M", 60),
        ("PT0.5S", 0.5),
        ("P0,5D", DAY_S / 2),
        (" PT1H ", 3_600),
    ],
)
def test_durations_are_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected a duration"),
        ("1", "expected a duration"),
        ("hour", "expected a duration"),
        ("1 fortnight", "expected a duration"),
        ("-1 h", "expected a duration"),
        ("1 h x", "expected a duration"),
        ("1 h, 2 min", "expected a duration"),
        ("5m", "minutes or months"),
        ("1h 1h", "once"),
        ("1 min 1 h", "largest first"),
        ("0 s", "longer than zero"),
        ("PT0S", "longer than zero"),
        ("P", "ISO 8601"),
        ("PT", "ISO 8601"),
        ("P1H", "ISO 8601"),
        ("P1DT", "ISO 8601"),
        ("P1W1D", "ISO 8601"),
        ("P1.5DT1H", "smallest unit"),
        ("1001 years", "1000 years"),
        ("P9999999999Y", "1000 years"),
        ("1" * 200, "too long"),
    ],
)
def test_what_is_no_duration_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "PT0S"), (1, "PT1S"), (0.25, "PT0.25S"), (3_600, "PT1H"), (90_061, "P1DT1H1M1S"), (DAY_S, "P1D"), (60, "PT1M")],
)
def test_durations_are_written_in_iso_8601(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize("text", ["< 1 hour", "<= 1 hour", "1h", "PT1H", "<PT1H", "≤ 60 min"])
def test_freshness_is_an_upper_limit_in_seconds(text: str) -> None:
    objective = parse_time_objective(text)
    assert (objective.text, objective.limit_s) == (text, 3_600)


@pytest.mark.parametrize("text", ["> 1 hour", "≥ 1 h", "fresh", "< 0 s"])
def test_freshness_that_promises_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|expected|longer"):
        parse_time_objective(text)


@pytest.mark.parametrize(
    ("text", "ratio"), [("> 99.5%", 0.995), (">= 99.5 %", 0.995), ("≥99.5%", 0.995), ("99.95%", 0.9995), ("100%", 1.0), ("0.1%", 0.001)]
)
def test_percentages_are_read_as_ratios(text: str, ratio: float) -> None:
    assert parse_ratio(text) == ratio
    assert parse_ratio_objective(text).text == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("< 5%", "lower limit"),
        ("≤ 5%", "lower limit"),
        ("101%", "more than 100%"),
        ("> 100%", "more than 100%"),
        ("0%", "promises nothing"),
        ("99.5", "expected a percentage"),
        ("-1%", "expected a percentage"),
        ("1e2%", "expected a percentage"),
    ],
)
def test_ratios_that_make_no_sense_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_ratio(text)
