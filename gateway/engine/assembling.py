"""Shaped rows of lists -> the connection objects that stand for them in the answer, all lists of a step at once: column by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from gateway.catalog.standing import standing_json
from gateway.compiler.executable import ConnectionStep
from gateway.compiler.plan import CountPick, CursorPick, EdgesPick, MetadataPick, NodePick, NodesPick, PageInfoPick
from gateway.compiler.structs import output_class
from gateway.compiler.totals import AggregatePick, GroupsPick
from gateway.engine.asking.asked import Fetched
from gateway.engine.decoding.decode import generated_at
from gateway.slo.board import Board

__all__ = ["Lists", "connection_objects"]


class Lists(msgspec.Struct):
    """Lists whose rows were shaped together: ``shaped[selection][span]``, and what is known of each list, in the order of ``spans``."""

    shaped: Sequence[list[Any]]
    spans: Sequence[slice]
    cursors: Sequence[Sequence[str]]
    """Of every row of each list, if asked for; else empty."""
    has_next: Sequence[bool]
    has_previous: Sequence[bool]
    counts: Sequence[int | None]
    totals: Sequence[Sequence[Any]] = ()
    """Per ``aggregate`` and ``groups``, one of each list."""

    def info(self, name: str) -> Sequence[Any]:
        """Give a member of ``PageInfo``."""
        match name:
            case "hasNextPage":
                return self.has_next
            case "hasPreviousPage":
                return self.has_previous
            case "startCursor":
                return [each[0] if each else None for each in self.cursors]
            case "endCursor":
                return [each[-1] if each else None for each in self.cursors]
        return ["PageInfo"] * len(self.spans)


def connection_objects(step: ConnectionStep, lists: Lists, fetched: Fetched, *, board: Board, long_as_text: bool) -> list[Any]:
    """Assemble the parts of connections in the order of the answer: one object per list, same order."""
    columns: list[Sequence[Any]] = []
    size = len(lists.spans)
    shapes = iter(lists.shaped)
    totals = iter(lists.totals)
    for part in step.parts:
        match part:
            case NodesPick():
                shaped = next(shapes)
                columns.append(list(map(shaped.__getitem__, lists.spans)))
            case EdgesPick():
                columns.append(_edges(part, shapes, lists))
            case CountPick():
                columns.append(_counts(lists, long_as_text=long_as_text))
            case PageInfoPick():
                columns.append(_built(part.names, [lists.info(name) for _, name in part.names], size))
            case MetadataPick():
                facts: dict[str, Any] = {
                    "generatedAt": generated_at(fetched.metadata),
                    "version": step.product.contract.metadata.version,
                    "sloStatus": board.product(step.product.id).status.value,
                    "port": fetched.port,
                    "__typename": "ProductMetadata",
                }
                slo = {key: board.piece(step.product.id, members, standing_json) for key, members in part.slo}
                counts = _counts(lists, long_as_text=long_as_text)
                told = (counts if name == "totalRecords" else [slo[key] if key in slo else facts[name]] * size for key, name in part.names)
                columns.append(_built(part.names, list(told), size))
            case AggregatePick() | GroupsPick():
                columns.append(next(totals))
            case _:
                columns.append([part.type_name] * size)
    return _objects(step.output, columns, size)


def _objects(output: type[Any], columns: Sequence[Sequence[Any]], size: int) -> list[Any]:
    return list(map(output, *columns)) if columns else [output() for _ in range(size)]


def _built(names: Sequence[tuple[str, str]], columns: Sequence[Sequence[Any]], size: int) -> list[Any]:
    return _objects(output_class(tuple(key for key, _ in names)), columns, size)


def _counts(lists: Lists, *, long_as_text: bool) -> Sequence[int | str | None]:
    return [None if count is None else str(count) for count in lists.counts] if long_as_text else lists.counts


def _edges(part: EdgesPick, shapes: Iterator[list[Any]], lists: Lists) -> list[list[Any]]:
    edge = output_class(tuple(pick.key for pick in part.picks))
    columns: list[list[Sequence[Any]]] = []
    for pick in part.picks:
        match pick:
            case CursorPick():
                columns.append(list(lists.cursors))
            case NodePick():
                shaped = next(shapes)
                columns.append([shaped[span] for span in lists.spans])
            case _:
                columns.append([[pick.type_name] * (span.stop - span.start) for span in lists.spans])
    sizes = [span.stop - span.start for span in lists.spans]
    return [_objects(edge, [column[place] for column in columns], size) for place, size in enumerate(sizes)]
