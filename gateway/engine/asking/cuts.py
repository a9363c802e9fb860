"""Dates and instants -> the first instant of the year, quarter, month .. second that they lie in.

Instants are cut by the wall clock of a time zone; from hours down by the offset that holds, so that an hour which a clock strikes
twice stays two. Where midnight comes twice, a day begins with the earlier. Source: SPEC C3.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from contracts.fields import FieldType, Kind, Scalar, Unit

__all__ = ["cutter", "is_zone"]

_CLOCK_PARTS = frozenset({"hour", "minute", "second"})


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def is_zone(name: str) -> bool:
    """Whether this is an IANA name of a time zone."""
    return name in _zones()


@lru_cache(maxsize=256)
def cutter(type_: FieldType, part: str, zone: str | None) -> Callable[[Any], Any]:
    """Give the function that cuts a value of a type that has parts; null stays null. It raises `OverflowError` at the ends of time."""
    assert isinstance(type_, Scalar)
    cut: Callable[[Any], Any]
    if type_.kind is Kind.DATE:
        cut = lambda value: _floor(dt.datetime.combine(value, dt.time()), part).date()  # noqa: E731  # three ways of one cut, side by side
    elif type_.kind is Kind.LOCAL_DATETIME:
        cut = lambda value: _floor(value, part)  # noqa: E731  # as above
    else:
        instant = _instant(ZoneInfo(zone or "UTC"), part)
        cut = _nanos(instant) if type_.unit is Unit.NANOS else instant
    remembered = lru_cache(maxsize=16_384)(cut)
    return lambda value: None if value is None else remembered(value)


def _instant(zone: ZoneInfo, part: str) -> Callable[[dt.datetime], dt.datetime]:
    def cut(moment: dt.datetime) -> dt.datetime:
        local = moment.astimezone(zone)
        floor = _floor(local.replace(tzinfo=None), part)
        if part in _CLOCK_PARTS:
            return (floor - (local.utcoffset() or dt.timedelta())).replace(tzinfo=dt.UTC)
        return floor.replace(tzinfo=zone).astimezone(dt.UTC)

    return cut


def _nanos(instant: Callable[[dt.datetime], dt.datetime]) -> Callable[[str], str]:
    def cut(text: str) -> str:
        moment = dt.datetime.fromisoformat(text[:19] + "+00:00")
        return f"{instant(moment).replace(tzinfo=None).isoformat()}.000000000Z"

    return cut


def _floor(clock: dt.datetime, part: str) -> dt.datetime:
    if part in _CLOCK_PARTS:
        zeros = {"hour": {"minute": 0, "second": 0}, "minute": {"second": 0}, "second": {}}[part]
        return clock.replace(microsecond=0, **zeros)  # type: ignore[arg-type]  # fields of a clock, by their names
    day = clock.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    match part:
        case "year":
            return day.replace(month=1, day=1)
        case "quarter":
            return day.replace(month=day.month - (day.month - 1) % 3, day=1)
        case "month":
            return day.replace(day=1)
        case "week":
            return day - dt.timedelta(days=day.weekday())
    return day
