"""Maintenance that a team announces: windows in its own time zone, once or every week, in which alerts about the product are silent.

Wall clocks decide, as people read them: a window at 02:00 is at 02:00 before and after clocks change. A time that clocks skip is as much
later; of a time that comes twice a window starts with the first and, where its end is such a time, ends with the second. Pure.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

__all__ = ["DAYS", "LONGEST_S", "Maintenance", "maintained_until"]

DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
LONGEST_S = 7 * 86_400.0
"""A longer window would hide a product that is simply broken."""


@dataclass(frozen=True, slots=True)
class Maintenance:
    """One window: from ``begins`` to ``ends`` (wall clock), or for ``lasts_s`` seconds at ``at`` on each of ``days``."""

    time_zone: str
    begins: dt.datetime | None = None
    ends: dt.datetime | None = None
    days: frozenset[str] = frozenset(DAYS)
    at: dt.time | None = None
    lasts_s: float = 0.0
    reason: str | None = None

    def until(self, instant: dt.datetime) -> dt.datetime | None:
        """Tell when the window that ``instant`` lies in is over; None where it lies in none."""
        zone = ZoneInfo(self.time_zone)
        if self.at is None:
            assert self.begins is not None
            assert self.ends is not None
            begin, end = _instant(self.begins, zone), _instant(self.ends.replace(fold=1), zone)
            return end if begin <= instant < end else None
        local = instant.astimezone(zone).date()
        found = None
        for back in range(-1, int(self.lasts_s // 86_400) + 2):
            try:
                day = local - dt.timedelta(days=back)
            except OverflowError:
                continue
            if DAYS[day.weekday()] not in self.days:
                continue
            begin = _instant(dt.datetime.combine(day, self.at), zone)
            end = begin + dt.timedelta(seconds=self.lasts_s)
            if begin <= instant < end:
                found = end if found is None else max(found, end)
        return found


def maintained_until(windows: Iterable[Maintenance], instant: dt.datetime) -> dt.datetime | None:
    """Tell when maintenance is over that is going on at ``instant``, windows that follow each other without a gap included; else None."""
    every = list(windows)
    end = None
    at = instant
    # Each step ends a window later; a contract has few, and one that follows itself day by day is cut off here.
    for _ in range(32):
        ends = [found for window in every if (found := window.until(at)) is not None]
        if not ends:
            break
        end = at = max(ends)
    return end


def _instant(wall: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    return wall.replace(tzinfo=zone).astimezone(dt.UTC)
