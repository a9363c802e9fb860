"""Shaped rows -> their cells, column by column: what every form but JSON lines is written from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from gateway.compiler.flat import FlatColumn

__all__ = ["cells_reader"]

CellsReader = Callable[[Sequence[Any]], list[Any]]
"""Shaped rows -> one cell per row, same order."""


def cells_reader(column: FlatColumn) -> CellsReader:
    """Give the function that reads a column out of shaped rows; where a partner is missing the cell is null."""
    if len(column.places) == 1:
        read = attrgetter(f"k{column.places[0]}")
        return lambda rows: list(map(read, rows))
    getters = [attrgetter(f"k{place}") for place in column.places]

    def cells(rows: Sequence[Any]) -> list[Any]:
        found: list[Any] = list(rows)
        for get in getters:
            found = [None if it is None else get(it) for it in found]
        return found

    return cells
