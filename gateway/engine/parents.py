"""A batch of parent rows whose partners are looked up together: their keys, and where each stands in the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

import msgspec

from gateway.compiler.executable import row_attribute
from gateway.engine.findings import Locate
from gateway.engine.partners import Key

__all__ = ["Parents", "encoded", "grouped", "key_reader"]


def key_reader(columns: tuple[int, ...]) -> Callable[[Any], Key]:
    """Give the function from a row to its key."""
    cells = [attrgetter(row_attribute(index)) for index in columns]
    if len(cells) == 1:
        only = cells[0]
        return lambda row: (only(row),)
    return lambda row: tuple(cell(row) for cell in cells)


def encoded(key: Key) -> bytes:
    """Write a key, for cursors to be bound to."""
    return msgspec.json.encode(key)


def grouped(
    rows: Iterable[Any], key_of: Callable[[Any], Key], *, also: Iterable[Key] = (), into: dict[Key, list[Any]] | None = None
) -> dict[Key, list[Any]]:
    """Group rows by key, in the order they come; keys of ``also`` come first, if only with no rows. ``into``: groups begun before."""
    groups: dict[Key, list[Any]] = {key: [] for key in also} if into is None else into
    for row in rows:
        groups.setdefault(key_of(row), []).append(row)
    return groups


class Parents:
    """``keys``: each key once, in order; parents whose key holds a null have no partners and no key here."""

    __slots__ = ("_key_of", "_locate", "_rows", "keys")

    def __init__(self, rows: list[Any], own: tuple[int, ...], locate: Locate) -> None:
        self._rows = rows
        self._key_of = key_reader(own)
        self._locate = locate
        self.keys: list[Key] = list(dict.fromkeys(key for row in rows if None not in (key := self._key_of(row))))

    def path(self, key: Key) -> tuple[str | int, ...]:
        """Say where the first parent with this key stands in the answer."""
        return self._locate(next(index for index, row in enumerate(self._rows) if self._key_of(row) == key))
