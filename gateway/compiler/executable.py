"""What a compiled operation is made of: one step per read, with the functions that shape its rows.

Made by `gateway.compiler.compiling`, run by the engine. Everything here is decided; only values are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.catalog.snapshot import Product, Relation
from gateway.compiler.plan import ConnectionPart, Demand, ForeignPick, Source, TypenamePick
from gateway.compiler.totals import AggregatePick, GroupsPick, TotalsPick
from gateway.governance.rule import RuledPlan
from gateway.governance.ruling import ProductRuling

if TYPE_CHECKING:
    from gateway.compiler.parts import Part

__all__ = [
    "Child",
    "ConnectionStep",
    "Executable",
    "KeyStep",
    "LinkStep",
    "PartnerStep",
    "RowShape",
    "Step",
    "TotalsStep",
    "row_attribute",
    "steps_below",
]

Shape = Callable[[Sequence[Any], Sequence["Partners"], Sequence[Callable[[Any], bool | None]]], list[Any]]
"""(rows, one `Partners` per child, one test per row rule) -> one output object per row, same order."""


class Partners(dict[Any, Any]):
    """Key -> shaped partner(s); ``absent`` stands for parents without any (and for all, when the read failed)."""

    __slots__ = ("absent",)

    def __init__(self, absent: Any) -> None:
        super().__init__()
        self.absent = absent


def row_attribute(index: int) -> str:
    """Name a column's attribute in row structs, by its place in the contract."""
    return f"c{index}"


@dataclass(frozen=True, slots=True)
class Child:
    """A read per parent row: keys are taken from ``own`` (column indices) of the parent."""

    relation: Relation
    own: tuple[int, ...]
    step: PartnerStep | ConnectionStep


@dataclass(frozen=True, slots=True)
class RowShape:
    """What one selection makes of each row. ``tests``: whether ``shape`` asks which row rules a row satisfies."""

    product: Product
    shape: Shape
    children: tuple[Child, ...]
    tests: bool
    cell_paths: tuple[tuple[str, int], ...]
    """(response key, column index) of each column that is shown, for errors about single cells."""
    path: tuple[str, ...]
    weight: int
    """About how many plain cells one row costs: what nests may hold many in one."""


@dataclass(frozen=True, slots=True)
class Step:
    """One read of one product. ``columns``: indices that the answer or its joins need."""

    product: Product
    ruling: ProductRuling
    path: tuple[str, ...]
    columns: frozenset[int]
    target: tuple[int, ...]
    """Column indices of the key that parents look up by; empty at the root."""
    unusable: frozenset[str]
    """Columns that the caller sees masked, or not at all, in this answer."""


@dataclass(frozen=True, slots=True)
class LinkStep(Step):
    """A relationship that conditions of a list follow; ``columns`` are those of its key. ``links``: those followed from there."""

    relation: Relation
    links: tuple[LinkStep, ...]


def steps_below(links: Iterable[LinkStep]) -> Iterator[LinkStep]:
    """List steps and all those inside them."""
    for link in links:
        yield link
        yield from steps_below(link.links)


@dataclass(frozen=True, slots=True)
class PartnerStep(Step):
    """The to-one partners of a batch of parents."""

    rows: RowShape


@dataclass(frozen=True, slots=True)
class KeyStep(Step):
    """One row by primary key."""

    rows: RowShape
    key: Source


@dataclass(frozen=True, slots=True)
class TotalsStep(Step):
    """An ``aggregate`` or ``groups`` of a connection. ``partners``: what ``by`` may lead to.

    ``columns`` are known per request only.
    """

    pick: TotalsPick
    partners: tuple[Product, ...]
    partner_rulings: Mapping[str, ProductRuling]
    links: tuple[LinkStep, ...] = ()
    """What conditions on the connection and on its groups follow."""
    masks: Mapping[tuple[str, str], Callable[[Any], Any]] = field(default_factory=dict)
    """(partner's id, column) -> the mask of what shows of it, where it is masked but may be used; no id: of the list's own rows."""


@dataclass(frozen=True, slots=True)
class ConnectionStep(Step):
    """A page, or a page per parent. ``row_shapes``: one per selection over the rows, in the order of ``parts``."""

    arguments: Mapping[str, Source]
    parts: tuple[ConnectionPart, ...]
    row_shapes: tuple[RowShape, ...]
    output: type[msgspec.Struct]
    counts: bool
    cursors: bool
    """Whether edges or page ends show cursors."""
    wants_rows: bool
    """Whether any row is wanted, or only what is known of the list."""
    binding: bytes
    """Digest of what cursors of this list belong to, as far as it is known before a request."""
    totals: tuple[TotalsStep, ...] = ()
    """One per ``aggregate`` and ``groups``, in the order of ``parts``."""
    links: tuple[LinkStep, ...] = ()
    """The relationships that its conditions follow."""

    @property
    def is_bare(self) -> bool:
        """Whether nothing is asked of the page, only totals."""
        return bool(self.totals) and all(isinstance(part, (AggregatePick, GroupsPick, TypenamePick)) for part in self.parts)


@dataclass(frozen=True, slots=True)
class DomainSteps:
    """A domain's object: output class, and its members in order (constants stand as they are)."""

    key: str
    output: type[msgspec.Struct]
    members: tuple[ConnectionStep | KeyStep | str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Executable:
    """A whole operation, ready to run with variables. ``foreign``: root fields that Strawberry answers."""

    ruled: RuledPlan
    output: type[msgspec.Struct]
    members: tuple[DomainSteps | ForeignPick | str, ...]
    products: tuple[tuple[str, tuple[str, ...]], ...]
    """(product id, response paths) of every product read."""
    questions: tuple[ConnectionStep | KeyStep, ...]
    """Every step that takes arguments, at any depth."""
    rulings: Mapping[str, ProductRuling]
    """Product id -> the ruling that everything here was compiled under."""
    masked: bytes
    """JSON of the receipts ``masked``."""
    denied: bytes
    """JSON of the receipts ``denied``."""
    size_bytes: int
    """What it is reckoned to weigh while it is kept."""
    lifted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Product id -> its masked columns that predicates may use; only products that have any."""
    demands: tuple[tuple[Demand, tuple[tuple[str, tuple[str, ...]], ...]], ...] = ()
    """What is demanded, each with (product id, response path) of every read below."""
    parts: tuple[Part, ...] = ()
    """Every read, as far as its cost goes."""
    product_ids: tuple[str, ...] = ()
    reads: tuple[ConnectionStep | KeyStep, ...] = ()
    """The steps at the root, in the order of the answer."""
