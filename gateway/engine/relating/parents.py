"""A batch of parent rows whose partners are looked up together: their keys, and where each stands in the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

import msgspec

from gateway.compiler.executable import row_attribute
from gateway.engine.reading.findings import Locate
from gateway.engine.reading.partners import Key
from gateway.engine.tasks import in_turns

__all__ = ["Parents", "encoded", "grouped", "key_of", "lookup_reader"]

_ROWS_AT_ONCE = 1_000


def lookup_reader(columns: tuple[int, ...]) -> Callable[[Any], Any]:
    """Give the function from a row to what its key is looked up by: the cell of one column, the tuple of several."""
    return attrgetter(*map(row_attribute, columns))


def key_of(lookup: Any, columns: tuple[int, ...]) -> Key:
    """Give the key that is looked up so."""
    return (lookup,) if len(columns) == 1 else lookup


def encoded(key: Key) -> bytes:
    """Write a key, for cursors to be bound to."""
    return msgspec.json.encode(key)


def grouped(
    rows: Iterable[Any], lookup_of: Callable[[Any], Any], *, also: Iterable[Any] = (), into: dict[Any, list[Any]] | None = None
) -> dict[Any, list[Any]]:
    """Group rows by key, in the order they come; those of ``also`` come first, if only with no rows. ``into``: groups begun before."""
    groups: dict[Any, list[Any]] = {lookup: [] for lookup in also} if into is None else into
    for row in rows:
        lookup = lookup_of(row)
        if lookup in groups:
            groups[lookup].append(row)
        else:
            groups[lookup] = [row]
    return groups


class Parents:
    """``keys``: each key once, in order; parents whose key holds a null have no partners and no key here. ``lookups``: the same."""

    __slots__ = ("_locate", "_lookup_of", "_rows", "keys", "lookups")

    def __init__(self, rows: list[Any], own: tuple[int, ...], locate: Locate) -> None:
        self._rows = rows
        self._lookup_of = lookup_reader(own)
        self._locate = locate
        self.lookups: list[Any] = []
        self.keys: list[Key] = []

    @classmethod
    async def of(cls, rows: list[Any], own: tuple[int, ...], locate: Locate) -> Parents:
        """Find the keys of rows. ``own``: the columns that make them; ``locate``: where each row stands in the answer."""
        made = cls(rows, own, locate)
        found: dict[Any, None] = {}
        async for some in in_turns(rows, _ROWS_AT_ONCE):
            found |= dict.fromkeys(map(made._lookup_of, some))
        if len(own) == 1:
            found.pop(None, None)
            made.lookups = list(found)
            made.keys = list(zip(found))
            return made
        async for some in in_turns(list(found), _ROWS_AT_ONCE):
            made.keys += [key for key in some if None not in key]
        made.lookups = made.keys
        return made

    def path(self, lookup: Any) -> tuple[str | int, ...]:
        """Say where the first parent with this key stands in the answer."""
        return self._locate(next(index for index, row in enumerate(self._rows) if self._lookup_of(row) == lookup))
