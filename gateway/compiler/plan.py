"""A plan: what an operation asks, product by product, in the shape of its answer.

Frozen values only. Picks say what goes into the answer under which key, in the order of the answer; a `Rows` is what one
selection wants of each row of a product; a `ConnectionPick` or `RowPick` is one read. Argument values are `Source`s, resolved
per request. Planning knows nothing of rulings: those are put in by governance, and nothing else can run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.fields import FieldType
from gateway.catalog.snapshot import Column, Product, Relation
from gateway.catalog.standing import Members
from gateway.compiler.totals import AggregatePick, GroupsPick
from gateway.governance.ruling import FieldRuling, ProductRuling
from gateway.slo.demands import Wanted

__all__ = [
    "MISSING",
    "ColumnPick",
    "ConnectionPick",
    "CountPick",
    "CursorPick",
    "Demand",
    "DomainPick",
    "EdgesPick",
    "ForeignPick",
    "LinkPick",
    "MemberPick",
    "MetadataPick",
    "NodePick",
    "NodesPick",
    "PageInfoPick",
    "PartnerPick",
    "Plan",
    "RowPick",
    "Rows",
    "Source",
    "TypenamePick",
]

Source = Callable[[Mapping[str, Any], Sequence[Any]], Any]
"""(coerced variables, coerced literals) -> an argument's value, or `MISSING`."""


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


@dataclass(frozen=True, slots=True)
class TypenamePick:
    """``__typename``: a constant."""

    key: str
    type_name: str


@dataclass(frozen=True, slots=True)
class MemberPick:
    """A member of a nested record; ``members`` if it is a record (or a list of records) itself."""

    key: str
    name: str
    type: FieldType
    members: tuple[MemberPick | TypenamePick, ...] = ()


@dataclass(frozen=True, slots=True)
class ColumnPick:
    """A column of the row. ``ruling`` is filled in by governance."""

    key: str
    column: Column
    members: tuple[MemberPick | TypenamePick, ...] = ()
    ruling: FieldRuling | None = None


@dataclass(frozen=True, slots=True)
class PartnerPick:
    """The one partner of a row: an object or null. ``denied``: the caller has no access to the target; ``unusable``: as of lists."""

    key: str
    relation: Relation
    rows: Rows
    path: tuple[str, ...]
    denied: bool = False
    unusable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rows:
    """What one selection wants of each row."""

    product: Product
    picks: tuple[ColumnPick | PartnerPick | ConnectionPick | TypenamePick, ...]
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CursorPick:
    """An edge's cursor."""

    key: str


@dataclass(frozen=True, slots=True)
class NodePick:
    """An edge's row."""

    key: str
    rows: Rows


@dataclass(frozen=True, slots=True)
class NodesPick:
    """All rows of the page."""

    key: str
    rows: Rows


@dataclass(frozen=True, slots=True)
class EdgesPick:
    """All rows of the page with their cursors."""

    key: str
    picks: tuple[CursorPick | NodePick | TypenamePick, ...]


@dataclass(frozen=True, slots=True)
class PageInfoPick:
    """``names``: (key, member of PageInfo or ``__typename``)."""

    key: str
    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CountPick:
    """``totalCount``."""

    key: str


@dataclass(frozen=True, slots=True)
class MetadataPick:
    """``names``: (key, member of ProductMetadata or ``__typename``); ``slo``: what is selected of each ``slo``, by its key."""

    key: str
    names: tuple[tuple[str, str], ...]
    slo: tuple[tuple[str, Members], ...] = ()


ConnectionPart = NodesPick | EdgesPick | PageInfoPick | CountPick | MetadataPick | TypenamePick | AggregatePick | GroupsPick


@dataclass(frozen=True, slots=True)
class LinkPick:
    """A relationship that conditions of a list follow. ``path``: of the list, then each relationship's name after ``?``.

    ``unusable`` comes from governance: columns of the partner that may not stand in the condition.
    """

    relation: Relation
    product: Product
    path: tuple[str, ...]
    links: tuple[LinkPick, ...] = ()
    unusable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ConnectionPick:
    """A page of a product's rows: at the root, or per parent along ``relation``.

    ``arguments``: those given. ``ruling`` and ``unusable`` (columns that may not stand in arguments here) come from governance;
    ``denied``: the caller has no access to the target of ``relation``. ``links``: the relationships that its conditions follow.
    """

    key: str
    product: Product
    arguments: Mapping[str, Source]
    parts: tuple[ConnectionPart, ...]
    path: tuple[str, ...]
    relation: Relation | None = None
    ruling: ProductRuling | None = None
    unusable: frozenset[str] = frozenset()
    denied: bool = False
    links: tuple[LinkPick, ...] = ()

    @property
    def row_sets(self) -> tuple[Rows, ...]:
        """Every selection over this page's rows."""
        found: list[Rows] = []
        for part in self.parts:
            if isinstance(part, NodesPick):
                found.append(part.rows)
            elif isinstance(part, EdgesPick):
                found.extend(it.rows for it in part.picks if isinstance(it, NodePick))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class RowPick:
    """One row by its primary key, or null. ``unusable``: as of a `ConnectionPick`."""

    key: str
    product: Product
    key_source: Source
    rows: Rows
    path: tuple[str, ...]
    ruling: ProductRuling | None = None
    unusable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DomainPick:
    """A domain's field: an object of its products."""

    key: str
    picks: tuple[ConnectionPick | RowPick | TypenamePick, ...]


@dataclass(frozen=True, slots=True)
class ForeignPick:
    """A root field that Strawberry answers: ``mesh``, ``__schema``, ``__type``. ``nodes``: its field nodes."""

    key: str
    name: str
    nodes: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Demand:
    """``@requireSlo`` on the field at ``path``, () for the operation. ``of``: variables -> what is wanted; ``constant``: if none matter."""

    path: tuple[str, ...]
    of: Callable[[Mapping[str, Any]], Wanted]
    constant: Wanted | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole operation, in the order of its answer. ``products``: every product read.

    ``shape``: digest of the text without its values and of what was skipped, by which uses are counted; ``name``: the operation's.
    """

    picks: tuple[DomainPick | ForeignPick | TypenamePick, ...]
    products: tuple[Product, ...] = field(default=())
    demands: tuple[Demand, ...] = ()
    shape: str = ""
    name: str | None = None
