"""What a plan says of totals: the parts of a connection that are made of many rows, in the shape of the answer.

Frozen values only. Which columns groups are formed by is an argument, known per request; what is selected is known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contracts.model import Aggregates
from gateway.catalog.snapshot import Column, Product, Relation
from gateway.governance.ruling import FieldRuling

if TYPE_CHECKING:
    from gateway.compiler.plan import Source, TypenamePick

__all__ = [
    "AggregatePick",
    "FunctionPick",
    "GroupCursorPick",
    "GroupsPick",
    "KeyCellPick",
    "KeyPick",
    "MeasurePick",
    "TotalsPick",
    "measures_of",
]


@dataclass(frozen=True, slots=True)
class MeasurePick:
    """One total: ``function`` over a column at the end of ``path``, or (column None) how many rows there are."""

    key: str
    function: str
    column: Column | None = None
    path: tuple[tuple[Relation, Product], ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionPick:
    """``sum { .. }`` and the like: an object of totals; inside it, one of partners' totals."""

    key: str
    picks: tuple[MeasurePick | FunctionPick | TypenamePick, ...]


@dataclass(frozen=True, slots=True)
class KeyCellPick:
    """One column of a group's key."""

    key: str
    column: Column


@dataclass(frozen=True, slots=True)
class KeyPick:
    """``key { .. }``, or a partner inside it. ``path``: GraphQL names of the relationships that lead here."""

    key: str
    product: Product
    path: tuple[str, ...]
    picks: tuple[KeyCellPick | KeyPick | TypenamePick, ...]


@dataclass(frozen=True, slots=True)
class GroupCursorPick:
    """A group's cursor."""

    key: str


@dataclass(frozen=True, slots=True)
class AggregatePick:
    """``aggregate``: totals of all rows of the connection.

    What governance says: ``unclear``, columns whose values may not show here; ``protected``, column -> which totals of it are allowed,
    and of how many subjects (SPEC A8); ``veiled``, columns that are masked but may be used, with their rulings: what shows of them is
    masked.
    """

    key: str
    path: tuple[str, ...]
    picks: tuple[MeasurePick | FunctionPick | TypenamePick, ...]
    partners: tuple[Product, ...] = ()
    unclear: frozenset[str] = frozenset()
    protected: Mapping[str, Aggregates] = field(default_factory=dict)
    veiled: Mapping[str, FieldRuling] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupsPick:
    """``groups``: totals per key. ``partners``: every product that keys and totals may be of. Else as `AggregatePick`."""

    key: str
    path: tuple[str, ...]
    picks: tuple[MeasurePick | FunctionPick | KeyPick | GroupCursorPick | TypenamePick, ...]
    arguments: Mapping[str, Source]
    partners: tuple[Product, ...]
    unclear: frozenset[str] = frozenset()
    protected: Mapping[str, Aggregates] = field(default_factory=dict)
    veiled: Mapping[str, FieldRuling] = field(default_factory=dict)


TotalsPick = AggregatePick | GroupsPick


def measures_of(pick: TotalsPick) -> Iterator[tuple[MeasurePick, tuple[str, ...]]]:
    """List the totals that are selected, each with its response path."""
    for it in pick.picks:
        if isinstance(it, (MeasurePick, FunctionPick)):
            yield from _measures(it, pick.path)


def _measures(pick: MeasurePick | FunctionPick, path: tuple[str, ...]) -> Iterator[tuple[MeasurePick, tuple[str, ...]]]:
    path = (*path, pick.key)
    if isinstance(pick, MeasurePick):
        yield pick, path
        return
    for it in pick.picks:
        if isinstance(it, (MeasurePick, FunctionPick)):
            yield from _measures(it, path)
