"""The first rows of many in an order, kept while the others pass by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, TypeVar

__all__ = ["Foremost"]

T = TypeVar("T")


class Foremost:
    """Keeps the first ``size`` rows by ``key``, in order; rows with equal keys stay in the order they came in.

    A row costs one comparison once there are ``size``, and memory is that of the rows kept.
    """

    __slots__ = ("_kept", "_key", "_last", "_size")

    def __init__(self, size: int, key: Callable[[Any], Any]) -> None:
        self._size = size
        self._key = key
        self._kept: list[tuple[Any, Any]] = []
        self._last: Any = None

    def add(self, rows: Iterable[Any]) -> None:
        """Let rows pass by."""
        key, last = self._key, self._last
        found = [(key(row), row) for row in rows] if last is None else [(place, row) for row in rows if (place := key(row)) < last]
        if found:
            self._kept += found
            self._kept.sort(key=itemgetter(0))
            del self._kept[self._size :]
            if len(self._kept) == self._size:
                self._last = self._kept[-1][0]

    def among(self, notes: dict[int, T]) -> dict[int, T]:
        """Keep those of ``notes`` (by the identity of rows) whose row is kept."""
        return {id(row): notes[id(row)] for _, row in self._kept if id(row) in notes} if notes else notes

    def rows(self) -> list[Any]:
        """Give the rows kept, in order."""
        return [row for _, row in self._kept]
