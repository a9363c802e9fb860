"""A bounded memory of what was used most recently, for look-ups that must cost no more than a dict's."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Recent"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """At most ``capacity`` entries in two generations; when the young one is full, the old one is forgotten as a whole.

    What was used since the last turn stays. A hit on the young generation is one dict look-up, with no order to keep.
    """

    __slots__ = ("_half", "_old", "_young")

    def __init__(self, capacity: int) -> None:
        self._half = max(1, capacity // 2)
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """Look up, and keep what was found for another turn."""
        found = self._young.get(key)
        if found is None and (found := self._old.pop(key, None)) is not None:
            self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        """Remember ``value``."""
        if len(self._young) >= self._half and key not in self._young:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def values(self) -> list[V]:
        """List what is remembered."""
        return [*self._young.values(), *self._old.values()]

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
