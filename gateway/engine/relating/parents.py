"""A batch of parent rows whose partners are looked up together: their keys, and where each stands in the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

import msgspec

from gateway.compiler.executable import row_attribute
from gateway.engine.reading.findings import Locate
from gateway.engine.reading.partners import Key

__all__ = ["Parents", "encoded", "grouped", "key_of", "lookup_reader"]


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
        found = dict.fromkeys(map(self._lookup_of, rows))
        self.lookups: list[Any]
        self.keys: list[Key]
        if len(own) == 1:
            found.pop(None, None)
            self.lookups = list(found)
            self.keys = list(zip(found))
        else:
            self.lookups = self.keys = [key for key in found if None not in key]

    def path(self, lookup: Any) -> tuple[str | int, ...]:
        """Say where the first parent with this key stands in the answer."""
        return self._locate(next(index for index, row in enumerate(self._rows) if self._lookup_of(row) == lookup))
