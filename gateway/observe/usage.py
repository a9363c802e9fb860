"""Usage: who asks for what, counted by (client, operation's shape, day); the fields of products belong to the shape.

For those who want to change a product and must know whom they would break. Holds names of clients and columns, and counts; never a
literal, a variable or a subject: a shape is a digest of an operation without its values. A request costs one look-up and one addition.
Bounded: clients and shapes beyond their number are counted as ``other``, old days lose their clients first and then go.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from sys import intern
from typing import Final

import msgspec

__all__ = ["OTHER", "Usage", "Used", "merged", "users_of"]

OTHER: Final = "other"
UNNAMED: Final = "unnamed"
"""Those whose token names no client."""

_Key = tuple[dt.date, str, str]


class Used(msgspec.Struct, frozen=True):
    """How often a client asked for operations of one shape on a day.

    ``fields``: ``domain/product.column`` and ``domain/product.relationship``, as selected, joined, grouped by, filtered or sorted by in
    any of these requests; sorted. ``operation``: its name, if it has one.
    """

    day: dt.date
    client: str
    shape: str
    requests: int
    fields: tuple[str, ...]
    operation: str | None = None


class _Shape:
    __slots__ = ("fields", "operation", "taken")

    def __init__(self) -> None:
        self.operation: str | None = None
        self.fields: set[str] = set()
        self.taken: tuple[dt.date, int] = (dt.date.min, 0)
        """Up to which day, and how many, its fields were taken."""


class Usage:
    """Counts of one process, to be added to from the event loop alone."""

    def __init__(self, *, clients_max: int = 256, shapes_max: int = 1_024, entries_max: int = 8_192, days_max: int = 90) -> None:
        self._clients_max = clients_max
        self._shapes_max = shapes_max
        self._entries_max = entries_max
        self._days_max = days_max
        self._counts: dict[_Key, int] = {}
        self._taken: dict[_Key, int] = {}
        self._shapes: dict[str, _Shape] = {}
        self._clients: set[str] = {OTHER, UNNAMED}

    def note(self, day: dt.date, client: str | None, shape: str) -> bool:
        """Count a request; False when its shape is not known, and has to be described."""
        key = (day, client or UNNAMED, shape)
        count = self._counts.get(key)
        if count is None:
            return self._first(key)
        self._counts[key] = count + 1
        return True

    def describe(self, shape: str, fields: Iterable[str], *, operation: str | None = None) -> None:
        """Add fields that a shape names, or that the values of one of its requests do."""
        known = self._shapes.get(shape) or self._shapes.get(OTHER)
        if known is not None:
            known.operation = known.operation or operation
            known.fields.update(map(intern, fields))

    def read(self) -> list[Used]:
        """Give everything counted, by day, client and shape."""
        found = []
        for (day, client, shape), count in sorted(self._counts.items()):
            known = self._shapes[shape]
            found.append(Used(day, client, shape, count, tuple(sorted(known.fields)), known.operation))
        return found

    def take(self) -> list[Used]:
        """Give what was counted since the last time, for who adds it up elsewhere; a shape's fields once a day, and if there are more."""
        found = []
        for key, count in sorted(self._counts.items()):
            new = count - self._taken.get(key, 0)
            if not new:
                continue
            known = self._shapes[key[2]]
            fields: tuple[str, ...] = ()
            if known.taken < (upto := (key[0], len(known.fields))):
                known.taken, fields = upto, tuple(sorted(known.fields))
            found.append(Used(*key, new, fields, known.operation))
        self._taken = dict(self._counts)
        return found

    def tidy(self) -> None:
        """Bring what is kept within its bounds: in the background, now and then."""
        days = sorted({day for day, _, _ in self._counts})
        while len(days) > self._days_max or (len(self._counts) > self._entries_max and len(days) > 1):
            if len(days) <= self._days_max and any(map(self._folded, days[:-1])):
                continue
            for key in [key for key in self._counts if key[0] == days[0]]:
                del self._counts[key]
                self._taken.pop(key, None)
            del days[0]
        used = {shape for _, _, shape in self._counts}
        self._shapes = {shape: about for shape, about in self._shapes.items() if shape in used}
        self._clients = {OTHER, UNNAMED, *(client for _, client, _ in self._counts)}

    def _first(self, key: _Key) -> bool:
        day, client, shape = key
        is_known = shape in self._shapes
        if not is_known and len(self._shapes) >= self._shapes_max:
            shape = OTHER
        if client not in self._clients:
            if len(self._clients) >= self._clients_max or len(self._counts) >= 2 * self._entries_max:
                client = OTHER
            else:
                self._clients.add(client)
        self._shapes.setdefault(shape, _Shape())
        bounded = (day, client, shape)
        self._counts[bounded] = self._counts.get(bounded, 0) + 1
        return is_known

    def _folded(self, day: dt.date) -> bool:
        """Count a day's clients as one; False where that was done before."""
        keys = [key for key in self._counts if key[0] == day and key[1] != OTHER]
        for key in keys:
            whole = (day, OTHER, key[2])
            self._counts[whole] = self._counts.get(whole, 0) + self._counts.pop(key)
            self._taken[whole] = self._taken.get(whole, 0) + self._taken.pop(key, 0)
        return bool(keys)


def merged(*reports: Iterable[Used]) -> list[Used]:
    """Put the counts of several processes together."""
    found: dict[_Key, Used] = {}
    for report in reports:
        for one in report:
            key = (one.day, one.client, one.shape)
            other = found.get(key)
            found[key] = one if other is None else _sum(one, other)
    return [found[key] for key in sorted(found)]


def _sum(one: Used, other: Used) -> Used:
    fields = tuple(sorted({*one.fields, *other.fields}))
    return Used(one.day, one.client, one.shape, one.requests + other.requests, fields, one.operation or other.operation)


def users_of(report: Iterable[Used], field: str) -> list[Used]:
    """Find who asked for a field (``domain/product.column``)."""
    return [one for one in report if field in one.fields]
