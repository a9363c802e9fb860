"""Shaped rows of one list -> the connection object that stands for it in the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.catalog.standing import standing_json
from gateway.compiler.executable import ConnectionStep
from gateway.compiler.plan import CountPick, CursorPick, EdgesPick, MetadataPick, NodePick, NodesPick, PageInfoPick
from gateway.compiler.structs import output_class
from gateway.compiler.totals import AggregatePick, GroupsPick
from gateway.engine.asked import Fetched
from gateway.engine.decode import generated_at
from gateway.slo.board import Board

__all__ = ["Share", "connection_object"]


@dataclass(slots=True)
class Share:
    """One list's share of rows that were shaped together: ``shaped[selection][start:end]``, and what is known of the list."""

    shaped: Sequence[list[Any]]
    start: int = 0
    end: int = 0
    cursors: Sequence[str] = ()
    has_next: bool = False
    has_previous: bool = False
    count: int | None = None
    totals: Sequence[Any] = ()
    """One per ``aggregate`` and ``groups``."""

    def info(self, name: str) -> Any:
        """Give a member of ``PageInfo``."""
        match name:
            case "hasNextPage":
                return self.has_next
            case "hasPreviousPage":
                return self.has_previous
            case "startCursor":
                return self.cursors[0] if self.cursors else None
            case "endCursor":
                return self.cursors[-1] if self.cursors else None
        return "PageInfo"


def connection_object(step: ConnectionStep, share: Share, fetched: Fetched, *, board: Board, long_as_text: bool) -> Any:
    """Assemble the parts of a connection in the order of the answer."""
    count: int | str | None = str(share.count) if long_as_text and share.count is not None else share.count
    values: list[Any] = []
    shapes = iter(share.shaped)
    totals = iter(share.totals)
    for part in step.parts:
        match part:
            case NodesPick():
                values.append(next(shapes)[share.start : share.end])
            case EdgesPick():
                values.append(_edges(part, shapes, share))
            case CountPick():
                values.append(count)
            case PageInfoPick():
                values.append(output_class(tuple(key for key, _ in part.names))(*(share.info(name) for _, name in part.names)))
            case MetadataPick():
                facts = {
                    "generatedAt": generated_at(fetched.metadata),
                    "version": step.product.contract.metadata.version,
                    "totalRecords": count,
                    "sloStatus": board.product(step.product.id).status.value,
                    "port": fetched.port,
                    "__typename": "ProductMetadata",
                }
                slo = {key: board.piece(step.product.id, members, standing_json) for key, members in part.slo}
                told = (slo[key] if key in slo else facts[name] for key, name in part.names)
                values.append(output_class(tuple(key for key, _ in part.names))(*told))
            case AggregatePick() | GroupsPick():
                values.append(next(totals))
            case _:
                values.append(part.type_name)
    return step.output(*values)


def _edges(part: EdgesPick, shapes: Iterator[list[Any]], share: Share) -> list[Any]:
    columns: list[Sequence[Any]] = []
    size = share.end - share.start
    for pick in part.picks:
        match pick:
            case CursorPick():
                columns.append(share.cursors)
            case NodePick():
                columns.append(next(shapes)[share.start : share.end])
            case _:
                columns.append([pick.type_name] * size)
    edge = output_class(tuple(pick.key for pick in part.picks))
    return [edge(*cells) for cells in zip(*columns, strict=True)] if columns else [edge() for _ in range(size)]
