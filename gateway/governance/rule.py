"""A plan and a view's rulings -> the ruled plan: the only thing that the compiler accepts.

Puts the ruling on every column that is picked, joins the rulings of both ends of each relationship that the answer follows
(SPEC A7), and writes the receipts and the errors of what is denied (SPEC A3), once per operation and view. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from gateway.catalog.snapshot import Column, Product
from gateway.compiler.plan import (
    ColumnPick,
    ConnectionPart,
    ConnectionPick,
    DomainPick,
    EdgesPick,
    LinkPick,
    NodePick,
    NodesPick,
    PartnerPick,
    Plan,
    RowPick,
    Rows,
    TypenamePick,
)
from gateway.compiler.totals import AggregatePick, GroupsPick, TotalsPick
from gateway.errors import GatewayError
from gateway.governance.joins import stricter
from gateway.governance.ruling import Access, FieldRuling, ProductRuling, Standing
from gateway.governance.totals import rule_totals, veiled_in

__all__ = ["Receipt", "RuledPlan", "rule"]

RulingOf = Callable[[Product], ProductRuling]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was taken from an answer, where, and why. ``mask`` None: denied. ``partial``: not in every row."""

    path: str
    mask: str | None
    because: str
    contract: str
    request_access: str
    partial: bool = False

    def entry(self) -> dict[str, object]:
        """Return the receipt as answers print it."""
        found: dict[str, object] = {"path": self.path}
        if self.mask is not None:
            found["mask"] = self.mask
        found |= {"because": self.because, "contract": self.contract, "requestAccess": self.request_access}
        if self.partial:
            found["partial"] = True
        return found


@dataclass(frozen=True, slots=True)
class RuledPlan:
    """A plan with a ruling on everything it picks. Made by `rule` alone.

    ``refusals``: one FIELD_DENIED per denied selection, as entries of ``errors``.
    """

    plan: Plan
    masked: tuple[Receipt, ...]
    denied: tuple[Receipt, ...]
    refusals: tuple[dict[str, object], ...]


def rule(plan: Plan, ruling_of: RulingOf) -> RuledPlan:
    """Rule on a plan.

    **Raises** `GatewayError` FORBIDDEN if it reads a product at the root that the view is not served.
    """
    owners = {found.contract: found.owner for found in map(ruling_of, plan.products)}
    ruling = _Ruling(ruling_of, owners)
    joined = _Joined(ruling_of)
    for pick in _reads(plan):
        joined.read(pick)
    picks = tuple(ruling.domain(pick, joined) if isinstance(pick, DomainPick) else pick for pick in plan.picks)
    return RuledPlan(replace(plan, picks=picks), tuple(ruling.masked), tuple(ruling.denied), tuple(ruling.refusals))


def _reads(plan: Plan) -> Iterator[ConnectionPick | RowPick]:
    for pick in plan.picks:
        if isinstance(pick, DomainPick):
            yield from (it for it in pick.picks if not isinstance(it, TypenamePick))


Read = ConnectionPick | RowPick | PartnerPick
_Place = Read | LinkPick
_Cell = tuple[tuple[str, ...], str]


def _row_sets(read: Read) -> tuple[Rows, ...]:
    return read.row_sets if isinstance(read, ConnectionPick) else (read.rows,)


class _Joined:
    """Which columns of which reads are one value in this answer, and the strictest ruling of each such set.

    A read is known by its path: two reads of one product are two different places.
    """

    def __init__(self, ruling_of: RulingOf) -> None:
        self._ruling_of = ruling_of
        self._parent: dict[_Cell, _Cell] = {}
        self._strictest: dict[_Cell, FieldRuling] = {}

    def read(self, read: Read) -> None:
        if isinstance(read, ConnectionPick):
            self._filtered(read, read.product)
        for rows in _row_sets(read):
            for pick in rows.picks:
                if isinstance(pick, (PartnerPick, ConnectionPick)):
                    assert pick.relation is not None
                    target = pick.rows.product if isinstance(pick, PartnerPick) else pick.product
                    if self._ruling_of(target).standing is not Standing.SERVED:
                        continue  # answered null whatever the keys are: it connects nothing
                    for own, other in pick.relation.pairs:
                        self._join((read.path, own), rows.product, (pick.path, other), target)
                    self.read(pick)

    def _filtered(self, read: ConnectionPick | LinkPick, product: Product) -> None:
        """Join the ends of what conditions follow: which rows are shown tells which partners they have."""
        for link in read.links:
            for own, other in link.relation.pairs:
                self._join((read.path, own), product, (link.path, other), link.product)
            self._filtered(link, link.product)

    def ruling(self, read: _Place, column: str, plain: FieldRuling) -> FieldRuling:
        cell = (read.path, column)
        if cell not in self._parent:
            return plain
        joined = self._strictest[self._root(cell)]
        return replace(stricter(plain, joined), column=column, hidden=plain.hidden)

    def _join(self, one: _Cell, product: Product, other: _Cell, target: Product) -> None:
        first, second = self._enter(one, product), self._enter(other, target)
        if first != second:
            self._parent[second] = first
            self._strictest[first] = stricter(self._strictest[first], self._strictest[second])

    def _enter(self, cell: _Cell, product: Product) -> _Cell:
        if cell not in self._parent:
            self._parent[cell] = cell
            self._strictest[cell] = self._ruling_of(product).field(cell[1])
        return self._root(cell)

    def _root(self, cell: _Cell) -> _Cell:
        while self._parent[cell] != cell:
            cell = self._parent[cell]
        return cell


def _unusable(read: _Place, ruling: ProductRuling, joined: _Joined) -> frozenset[str]:
    return frozenset(it.column for it in ruling.fields if not joined.ruling(read, it.column, it).usable)


@dataclass(slots=True)
class _Ruling:
    ruling_of: RulingOf
    owners: dict[str, str]
    masked: list[Receipt] = field(default_factory=list)
    denied: list[Receipt] = field(default_factory=list)
    refusals: list[dict[str, object]] = field(default_factory=list)

    def domain(self, pick: DomainPick, joined: _Joined) -> DomainPick:
        picks: list[ConnectionPick | RowPick | TypenamePick] = []
        for it in pick.picks:
            if isinstance(it, TypenamePick):
                picks.append(it)
                continue
            ruling = self.ruling_of(it.product)
            if ruling.standing is not Standing.SERVED:
                raise GatewayError("FORBIDDEN", f"You have no access to {it.product.id}.", product=it.product.id, owner=ruling.owner)
            if isinstance(it, ConnectionPick):
                picks.append(self._connection(it, ruling, joined))
            else:
                rows = self._rows(it, it.rows, ruling, joined, it.path)
                picks.append(replace(it, ruling=ruling, rows=rows, unusable=_unusable(it, ruling, joined)))
        return replace(pick, picks=tuple(picks))

    def _connection(self, pick: ConnectionPick, ruling: ProductRuling, joined: _Joined) -> ConnectionPick:
        parts: list[ConnectionPart] = []
        for part in pick.parts:
            match part:
                case NodesPick():
                    parts.append(replace(part, rows=self._rows(pick, part.rows, ruling, joined, pick.path)))
                case EdgesPick():
                    edge = tuple(
                        replace(it, rows=self._rows(pick, it.rows, ruling, joined, pick.path)) if isinstance(it, NodePick) else it
                        for it in part.picks
                    )
                    parts.append(replace(part, picks=edge))
                case AggregatePick() | GroupsPick():
                    parts.append(self._totals(pick, part, ruling, joined))
                case _:
                    parts.append(part)
        return replace(pick, parts=tuple(parts), ruling=ruling, unusable=_unusable(pick, ruling, joined), links=self._links(pick, joined))

    def _links(self, pick: ConnectionPick | LinkPick, joined: _Joined) -> tuple[LinkPick, ...]:
        return tuple(
            replace(it, links=self._links(it, joined), unusable=_unusable(it, self.ruling_of(it.product), joined)) for it in pick.links
        )

    def _totals(self, pick: ConnectionPick, part: TotalsPick, ruling: ProductRuling, joined: _Joined) -> TotalsPick:
        found, protected = rule_totals(part, pick.product, ruling, lambda it: joined.ruling(pick, it.column, it))
        for _, field_ruling, path in protected:
            assert field_ruling.reason is not None
            self.masked.append(Receipt(".".join(path), "aggregateOnly", field_ruling.reason.because, ruling.contract, ruling.owner))
        for path, column, product, of, field_ruling in veiled_in(found, pick.product, ruling, self.ruling_of):
            self._note(path, pick.path, column, product, of, field_ruling)
        return found

    def _rows(self, read: Read, rows: Rows, ruling: ProductRuling, joined: _Joined, place: tuple[str, ...]) -> Rows:
        picks: list[ColumnPick | PartnerPick | ConnectionPick | TypenamePick] = []
        for pick in rows.picks:
            match pick:
                case TypenamePick():
                    picks.append(pick)
                case ColumnPick():
                    field_ruling = joined.ruling(read, pick.column.name, ruling.field(pick.column.name))
                    picks.append(replace(pick, ruling=field_ruling))
                    self._note((*rows.path, pick.key), place, pick.column, rows.product, ruling, field_ruling)
                case PartnerPick() | ConnectionPick():
                    picks.append(self._partner(pick, ruling, joined, place))
        return replace(rows, picks=tuple(picks))

    def _partner(
        self, pick: PartnerPick | ConnectionPick, parent: ProductRuling, joined: _Joined, place: tuple[str, ...]
    ) -> PartnerPick | ConnectionPick:
        target = pick.rows.product if isinstance(pick, PartnerPick) else pick.product
        ruling = self.ruling_of(target)
        if ruling.standing is not Standing.SERVED:
            because = ruling.reason.because if ruling.reason is not None else "no grant"
            assert pick.relation is not None
            self._refuse(pick.path, place, pick.relation.graphql_name, ruling, because, partial=False)
            return replace(pick, denied=True)
        if isinstance(pick, PartnerPick):
            return replace(pick, rows=self._rows(pick, pick.rows, ruling, joined, place), unusable=_unusable(pick, ruling, joined))
        return self._connection(pick, ruling, joined)

    def _note(
        self, path: tuple[str, ...], place: tuple[str, ...], column: Column, product: Product, ruling: ProductRuling, field: FieldRuling
    ) -> None:
        because = field.reason.because if field.reason is not None else "no grant"
        covered = set(field.clear_rows) | set(field.masked_rows)
        if field.mask is not None and (field.access is Access.MASKED or field.masked_rows):
            source = field.reason.source if field.reason is not None and "@" in field.reason.source else ruling.contract
            # What a joined key's other end calls for, its own owner can lift.
            owner = self.owners.get(source, ruling.owner)
            self.masked.append(Receipt(".".join(path), field.mask.kind.value, because, source, owner, partial=field.varies))
        if field.access is Access.DENIED or (field.varies and len(covered) < len(ruling.row_rules)):
            self._refuse(path, place, column.graphql_name, ruling, because, partial=field.varies)

    def _refuse(
        self, path: tuple[str, ...], place: tuple[str, ...], name: str, ruling: ProductRuling, because: str, *, partial: bool
    ) -> None:
        self.denied.append(Receipt(".".join(path), None, because, ruling.contract, ruling.owner, partial=partial))
        if partial:
            return
        error = GatewayError(
            "FIELD_DENIED",
            f"You may not see {name} of {ruling.product}.",
            path=place,
            field=name,
            product=ruling.product,
            owner=ruling.owner,
            requestAccess=ruling.owner,
        )
        self.refusals.append(error.entry())
