"""Rows or a port's partial groups -> totals per key, page by page.

Bounded by what is fed in: at most one entry per row read. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from contracts.fields import FieldType, Kind, Scalar
from gateway.engine.asking.grouping import Grouping, Measure
from gateway.engine.decoding.cells import Cell, Cells
from gateway.engine.totals.reduce import State, state_of

__all__ = ["Key", "States", "Table", "begun", "released"]

Key = tuple[Any, ...]
States = list[State]
_COUNT = Scalar(Kind.LONG)


def begun(grouping: Grouping, *, by_key: bool = False) -> States:
    """Begin the totals of one group: one state per measure, then one per protected column that counts its subjects.

    ``by_key``: while partners are not known yet, of totals along a path only the rows are counted.
    """
    counted = "countDistinct" if grouping.has_subjects else "count"
    states = [state_of("count", _COUNT, None) if by_key and it.path else _state(it) for it in grouping.measures]
    return states + [state_of(counted, _COUNT, None) for _ in grouping.protected]


def _state(measure: Measure) -> State:
    of: FieldType | None = None if measure.column is None else measure.column.type
    return state_of(measure.function, measure.type, of)


def released(groups: dict[Key, States], others: list[Any]) -> None:
    """Take groups apart, one by one: whoever drops thousands of them at once holds up every other thread meanwhile."""
    while others:
        others.pop()
    while groups:
        _, states = groups.popitem()
        for state in states:
            state.release()


class Table:
    """Totals of rows by key. ``keys``: cells that make a row's key."""

    __slots__ = ("_cells", "_grouping", "_key_of", "groups")

    def __init__(self, grouping: Grouping, keys: Sequence[Cell], cells: Cells) -> None:
        self.groups: dict[Key, States] = {}
        self._grouping = grouping
        self._key_of = _keyed(keys)
        measured = [None if it.column is None or it.path else cells.of(it.column.name) for it in grouping.measures]
        self._cells: list[Cell | None] = [*measured, *(_subject(cells, name) for name in grouping.protected)]

    def add(self, rows: Iterable[Any]) -> None:
        """Take in rows."""
        key_of = self._key_of
        buckets: dict[Key, list[Any]] = {}
        for row in rows:
            buckets.setdefault(key_of(row), []).append(row)
        for key, members in buckets.items():
            states = self.groups.get(key)
            if states is None:
                states = self.groups[key] = begun(self._grouping, by_key=True)
            for state, cell in zip(states, self._cells, strict=True):
                state.add(members if cell is None else [value for row in members if (value := cell(row)) is not None])


def _keyed(cells: Sequence[Cell]) -> Callable[[Any], Key]:
    if len(cells) == 1:
        only = cells[0]
        return lambda row: (only(row),)
    return lambda row: tuple([cell(row) for cell in cells])


def _subject(cells: Cells, column: str) -> Cell:
    """Give whom a cell that holds a value is about: the subject where one is declared, else the row itself."""
    cell = cells.of(column)
    declared = cells.product.contract.subject
    if declared is None:
        return cell
    subject = cells.of(declared.column)
    return lambda row: None if cell(row) is None else subject(row)
