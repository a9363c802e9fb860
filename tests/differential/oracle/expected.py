"""The oracle's answer, and what it is an answer about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.catalog.snapshot import Snapshot
from gateway.slo.board import Board

from ..worlds import World

__all__ = ["Approximate", "Expected", "Mesh", "Path", "Place", "Row", "Seen"]

Row = dict[str, Any]
Path = tuple[str, ...]
Seen = tuple[Row, dict[str, int]]
"""A row, and how much is seen of each of its cells."""


class Approximate(float):
    """A total of floating point, whose last digits depend on the order in which it was added up."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cursor stands: at ``index`` of the list under ``parent``. ``after``: the variable that this list pages by.

    ``of``: which groups the list is of; empty for rows.
    """

    parent: Any
    index: int
    after: str | None
    of: str = ""


@dataclass(slots=True)
class Expected:
    """``errors``: (code, path) each; ``places``: what each cursor shown stands for.

    ``refusals``: the codes that a refusal of the whole may have, empty if it is answered.
    """

    data: Any = None
    errors: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    refusals: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Mesh:
    """A world as one engine sees it. ``sorts``: whether lists without ``orderBy`` come by primary key (level 1) or as they are."""

    world: World
    snapshot: Snapshot
    secret: bytes
    sorts: bool
    board: Board
