"""What resolvers hand on: rows, edges, lists and where they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .expected import Row as Cells
from .expected import Seen
from .survey import Read

__all__ = ["FIRST_DEFAULT", "Connection", "Edge", "Info", "Row"]

FIRST_DEFAULT = 20


@dataclass(slots=True)
class Row:
    read: Read
    row: Cells
    sights: dict[str, int]


@dataclass(slots=True)
class Edge:
    row: Row
    cursor: str


@dataclass(slots=True)
class Connection:
    read: Read
    rows: list[Seen]
    parent: tuple[Any, ...] | None
    start: int = 0
    first: int = FIRST_DEFAULT
    after: bool = False


@dataclass(slots=True)
class Info:
    hasNextPage: bool  # noqa: N815  # GraphQL's spelling: the default resolver reads it
    hasPreviousPage: bool  # noqa: N815  # GraphQL's spelling, as above
    startCursor: str | None  # noqa: N815  # GraphQL's spelling, as above
    endCursor: str | None  # noqa: N815  # GraphQL's spelling, as above
