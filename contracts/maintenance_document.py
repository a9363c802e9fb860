"""Maintenance windows as contracts write them: ``{from, to}`` once, or ``{days, at, for}`` every week; both with their time zone."""

from __future__ import annotations

import datetime as dt
import re
from functools import cache
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, WithJsonSchema
from pydantic import Field as Member

from contracts.errors import ProblemCode, quoted
from contracts.maintenance import DAYS, LONGEST_S, Maintenance
from contracts.report import Report
from contracts.texts import Document, DurationText, Name, Text, text_of
from contracts.yaml_source import Path

__all__ = ["MaintenanceDocument", "is_zone", "maintenance_of"]

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?")
_YEARS = (1970, 9_000)
_CLOCK = re.compile(r"[0-9]{2}:[0-9]{2}")


def _moment(value: Any) -> dt.datetime:
    text = text_of(value)
    if _MOMENT.fullmatch(text) is None:
        raise ValueError('expected a time of the wall clock without zone, such as "2026-12-24T20:00"')
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("there is no such day or time") from None
    if not _YEARS[0] <= found.year <= _YEARS[1]:
        raise ValueError("expected a day of this age")
    return found


def _clock(value: Any) -> dt.time:
    if not isinstance(value, str) or _CLOCK.fullmatch(value) is None:
        raise ValueError('expected a time of day in quotes, such as "02:00"')
    try:
        return dt.time.fromisoformat(value)
    except ValueError:
        raise ValueError("there is no such time of day") from None


_MOMENT_SCHEMA = {"type": "string", "pattern": f"^{_MOMENT.pattern}$", "examples": ["2026-12-24T20:00"]}
Moment = Annotated[dt.datetime, BeforeValidator(_moment), WithJsonSchema(_MOMENT_SCHEMA)]
Clock = Annotated[
    dt.time, BeforeValidator(_clock), WithJsonSchema({"type": "string", "pattern": f"^{_CLOCK.pattern}$", "examples": ["02:00"]})
]


class MaintenanceDocument(Document):
    """A time in which alerts about the product are silent."""

    time_zone: Name
    from_: Moment | None = None
    to: Moment | None = None
    days: Annotated[tuple[Literal["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"], ...], Member(min_length=1, max_length=7)] | None = None
    at: Clock | None = None
    for_: DurationText | None = None
    reason: Text | None = None


def maintenance_of(given: MaintenanceDocument, report: Report, path: Path) -> Maintenance | None:
    """Read one window; what makes no sense goes to ``report``."""
    if not is_zone(given.time_zone):
        nearest = report.nearest(given.time_zone, _zones())
        report.add(ProblemCode.WRONG_VALUE, (*path, "timeZone"), f"no time zone {quoted(given.time_zone)}", nearest=nearest)
        return None
    once, weekly = (given.from_, given.to), (given.at, given.for_)
    if (None in once) == (None in weekly) or any(it is not None for it in (weekly if None not in once else once)):
        report.add(ProblemCode.CONTRADICTION, path, 'a window has either "from" and "to", or "at" and "for"')
        return None
    if given.from_ is not None and given.to is not None:
        if given.days is not None:
            report.add(ProblemCode.CONTRADICTION, (*path, "days"), 'a window with "from" and "to" is once')
        found = Maintenance(given.time_zone, given.from_, given.to, reason=given.reason)
        lasts_s, end = _lasts_s(found), "to"
    else:
        assert given.at is not None
        assert given.for_ is not None
        found = Maintenance(given.time_zone, days=frozenset(given.days or DAYS), at=given.at, lasts_s=given.for_, reason=given.reason)
        lasts_s, end = given.for_, "for"
    if lasts_s <= 0:
        report.add(ProblemCode.CONTRADICTION, (*path, end), "the window ends before it begins")
    elif found.at is not None and len(found.days) * lasts_s >= LONGEST_S:
        report.add(ProblemCode.OUT_OF_BOUNDS, (*path, end), "the windows of a week leave no time without maintenance")
    elif lasts_s > LONGEST_S:
        report.add(ProblemCode.OUT_OF_BOUNDS, (*path, end), "a window lasts at most 7 days")
    return found


def _lasts_s(window: Maintenance) -> float:
    assert window.begins is not None
    assert window.ends is not None
    return (window.ends - window.begins).total_seconds()


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())  # looks through the whole time zone database, thousands of contracts long


def is_zone(name: str) -> bool:
    """Whether this machine's time zone database knows the zone."""
    # Names of files outside the time zone database are no names of zones, whatever ZoneInfo makes of them.
    if name not in _zones():
        return False
    ZoneInfo(name)
    return True
