"""Lengths of time as people and ISO 8601 write them, as seconds and back.

A year counts as 365 days and a month as 30: contracts state periods, not calendars. Rejects what has no unit, an ambiguous
unit (``m``), no length, or more than 1,000 years. Touches nothing.
"""

from __future__ import annotations

import re
from decimal import Decimal

__all__ = ["DAY_S", "MONTH_S", "YEAR_S", "duration_text", "parse_duration"]

DAY_S = 86_400
MONTH_S = 30 * DAY_S
YEAR_S = 365 * DAY_S
_LONGEST_S = 1_000 * YEAR_S
_TEXT_MAX = 100

_NUMBER = r"[0-9]{1,12}(?:[.,][0-9]{1,9})?"
_ISO = re.compile(
    rf"P(?=.)(?:(?P<W>{_NUMBER})W|(?:(?P<Y>{_NUMBER})Y)?(?:(?P<MO>{_NUMBER})M)?(?:(?P<D>{_NUMBER})D)?"
    rf"(?:T(?=.)(?:(?P<H>{_NUMBER})H)?(?:(?P<MI>{_NUMBER})M)?(?:(?P<S>{_NUMBER})S)?)?)"
)
_ISO_UNITS = {"Y": YEAR_S, "MO": MONTH_S, "W": 7 * DAY_S, "D": DAY_S, "H": 3_600, "MI": 60, "S": 1}
_PART = re.compile(rf"({_NUMBER})\s*([A-Za-z]+)\s*")
_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3_600),
    **dict.fromkeys(("d", "day", "days"), DAY_S),
    **dict.fromkeys(("w", "week", "weeks"), 7 * DAY_S),
    **dict.fromkeys(("mo", "month", "months"), MONTH_S),
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), YEAR_S),
}


def parse_duration(text: str) -> float:
    """Read ``PT1H30M``, ``P2W``, ``7 years``, ``1h``, ``15 min``, ``1 hour 30 min``.

    **Units** seconds, greater than zero. **Raises** ValueError, fit to be shown. **Source** ISO 8601-1, 5.5.2.
    """
    stripped = text.strip()
    if len(stripped) > _TEXT_MAX:
        raise ValueError("too long for a duration")
    seconds = _iso_seconds(stripped) if stripped.startswith("P") else _worded_seconds(stripped)
    if seconds <= 0:
        raise ValueError("a duration must be longer than zero")
    if seconds > _LONGEST_S:
        raise ValueError("a duration of more than 1000 years")
    return float(seconds)


def _iso_seconds(text: str) -> Decimal:
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError('expected an ISO 8601 duration such as "PT1H30M", "P1D" or "P2W"')
    given = {unit: number for unit, number in match.groupdict().items() if number is not None}
    if any("." in number or "," in number for number in list(given.values())[:-1]):
        raise ValueError("only the smallest unit of an ISO 8601 duration may have a fraction")
    return sum((_decimal(number) * _ISO_UNITS[unit] for unit, number in given.items()), Decimal(0))


def _worded_seconds(text: str) -> Decimal:
    total, end = Decimal(0), 0
    largest = float("inf")
    for match in _PART.finditer(text):
        unit = match[2].lower()
        if unit == "m":
            raise ValueError('"m" could be minutes or months: write "min" or "months"')
        if match.start() != end or unit not in _UNITS:
            break
        if _UNITS[unit] >= largest:
            raise ValueError("name each unit once, the largest first")
        largest = _UNITS[unit]
        total += _decimal(match[1]) * _UNITS[unit]
        end = match.end()
    if end != len(text) or not text:
        raise ValueError('expected a duration such as "1 hour", "15 min", "7 years" or "PT1H30M"')
    return total


def _decimal(number: str) -> Decimal:
    return Decimal(number.replace(",", "."))


def duration_text(seconds: float) -> str:
    """Write a duration in ISO 8601, in days, hours, minutes and seconds; to the microsecond."""
    micros = round(seconds * 1_000_000)
    whole, fraction = divmod(micros, 1_000_000)
    days, rest = divmod(whole, DAY_S)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    date = f"{days}D" if days else ""
    time = f"{hours}H" * bool(hours) + f"{minutes}M" * bool(minutes)
    if fraction:
        time += f"{rest}.{fraction:06d}".rstrip("0") + "S"
    elif rest:
        time += f"{rest}S"
    if not date and not time:
        return "PT0S"
    return f"P{date}" + (f"T{time}" if time else "")
