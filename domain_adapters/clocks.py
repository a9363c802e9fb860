"""Turns wire dates, times and instants into Python's: text by RFC 3339, numbers by the type's unit; nanoseconds only where declared.

Rejects what has no zone, does not exist in the calendar, or is finer than the type.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

from contracts.fields import Unit
from domain_adapters.errors import ValueMismatchError
from domain_adapters.numbers import EXACT, exact, integral

__all__ = ["instant_parser", "local_parser", "parse_date", "time_parser"]

_UTC = dt.UTC
_EPOCH = dt.datetime(1970, 1, 1)
_EPOCH_ORDINAL = dt.date(1970, 1, 1).toordinal()
_NANOS_PER = {Unit.SECONDS: 1_000_000_000, Unit.MILLIS: 1_000_000, Unit.MICROS: 1_000, Unit.NANOS: 1}
_NANOS_PER_DAY = 86_400_000_000_000
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,30}))?", re.ASCII)
_INSTANT = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,30}))?(?:[Zz]|([+-])(\d\d):?(\d\d))", re.ASCII)
_LOCAL = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,30}))?", re.ASCII)


def _number_of_nanos(raw: Any, unit: Unit | None, what: str) -> int:
    if unit is None or isinstance(raw, str):
        raise ValueMismatchError.of(what)
    nanos = EXACT.multiply(exact(raw, what), _NANOS_PER[unit])
    return integral(nanos, what)


def _micros(nanos: int, what: str) -> int:
    micros, rest = divmod(nanos, 1000)
    if rest:
        raise ValueMismatchError.of(f"{what} without nanoseconds")
    return micros


def _fraction_nanos(digits: str | None, what: str) -> int:
    if not digits:
        return 0
    if digits[9:].strip("0"):
        raise ValueMismatchError.of(what)
    return int(digits[:9].ljust(9, "0"))


def parse_date(raw: Any) -> dt.date:
    """Read ``YYYY-MM-DD`` or days since 1970. Raises: `ValueMismatchError`."""
    what = "a date"
    try:
        if isinstance(raw, str):
            found = _DATE.fullmatch(raw)
            if found:
                return dt.date(*map(int, found.groups()))
        else:
            return dt.date.fromordinal(_EPOCH_ORDINAL + integral(raw, what))
    except (ValueError, OverflowError):
        pass
    raise ValueMismatchError.of(what)


def time_parser(unit: Unit | None) -> Callable[[Any], Any]:
    """Give the parser of ``HH:MM:SS[.ffffff]`` or numbers in ``unit`` since midnight."""
    what = "a time of day"

    def parse_time(raw: Any) -> dt.time:
        try:
            if isinstance(raw, str) and (found := _TIME.fullmatch(raw)):
                micros = _micros(_fraction_nanos(found[4], what), what)
                return dt.time(int(found[1]), int(found[2]), int(found[3]), micros)
        except ValueError as error:
            raise (error if isinstance(error, ValueMismatchError) else ValueMismatchError.of(what)) from None
        nanos = _number_of_nanos(raw, unit, what)
        if 0 <= nanos < _NANOS_PER_DAY:
            return (_EPOCH + dt.timedelta(microseconds=_micros(nanos, what))).time()
        raise ValueMismatchError.of(what)

    return parse_time


def _wall_clock(found: re.Match[str], what: str) -> tuple[dt.datetime, int]:
    year, month, day, hour, minute, second = (int(found[part]) for part in range(1, 7))
    try:
        return dt.datetime(year, month, day, hour, minute, second), _fraction_nanos(found[7], what)
    except ValueError:
        raise ValueMismatchError.of(what) from None


def _moment(raw: Any, pattern: re.Pattern[str], unit: Unit | None, what: str) -> tuple[dt.datetime, int]:
    """Read a date-time as (UTC or local wall clock in whole seconds, nanoseconds)."""
    if not isinstance(raw, str):
        seconds, nanos = divmod(_number_of_nanos(raw, unit, what), 1_000_000_000)
        try:
            return _EPOCH + dt.timedelta(seconds=seconds), nanos
        except OverflowError:
            raise ValueMismatchError.of(what) from None
    found = pattern.fullmatch(raw)
    if not found:
        raise ValueMismatchError.of(what)
    clock, nanos = _wall_clock(found, what)
    if pattern is _INSTANT and found[8]:
        hours, minutes = int(found[9]), int(found[10])
        if hours > 23 or minutes > 59:
            raise ValueMismatchError.of(what)
        offset = dt.timedelta(hours=hours, minutes=minutes)
        try:
            clock = clock - offset if found[8] == "+" else clock + offset
        except OverflowError:
            raise ValueMismatchError.of(what) from None
    return clock, nanos


def instant_parser(unit: Unit | None) -> Callable[[Any], Any]:
    """Give the parser of RFC 3339 text or epoch numbers in ``unit``: aware datetimes in UTC, canonical text for nanoseconds."""
    what = "an instant with a zone"

    def parse_instant(raw: Any) -> dt.datetime:
        clock, nanos = _moment(raw, _INSTANT, unit, what)
        return clock.replace(microsecond=_micros(nanos, what), tzinfo=_UTC)

    def parse_nanos(raw: Any) -> str:
        clock, nanos = _moment(raw, _INSTANT, unit, what)
        return f"{clock.isoformat()}.{nanos:09d}Z"

    return parse_nanos if unit is Unit.NANOS else parse_instant


def local_parser(unit: Unit | None) -> Callable[[Any], Any]:
    """Give the parser of date-times without zone, as text or numbers in ``unit`` since 1970."""
    what = "a date and time without zone"

    def parse_local(raw: Any) -> dt.datetime:
        clock, nanos = _moment(raw, _LOCAL, unit, what)
        return clock.replace(microsecond=_micros(nanos, what))

    return parse_local
