"""Bounds on what a schema may grow to: named types make small texts mean large records."""

from __future__ import annotations

from contracts.fields import FieldType, List, Map, Record

__all__ = ["COLUMNS_MAX", "DEPTH_MAX", "VALUES_MAX", "Sizes"]

COLUMNS_MAX = 2_000
DEPTH_MAX = 24
VALUES_MAX = 10_000


class Sizes:
    """Counts the values inside types, each type once, however often it is used."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[FieldType, int]] = {}

    def of(self, type_: FieldType) -> int:
        """Count the members that ``type_`` has, all levels together, saturating above the maximum."""
        match type_:
            case Record(fields=fields):
                known = self._known.get(id(type_))
                if known is None:
                    known = (type_, min(1 + sum(self.of(field.type) for field in fields), VALUES_MAX + 1))
                    self._known[id(type_)] = known
                return known[1]
            case List(item=inner) | Map(value=inner):
                return 1 + self.of(inner)
            case _:
                return 1
