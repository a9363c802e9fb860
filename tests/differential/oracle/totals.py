"""Rows that a caller sees -> the groups of one total, by the plainest evaluation, and what of them is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from contracts.fields import FieldType, Kind, Scalar
from contracts.masks import Mask, MaskKind
from domain_adapters.conformance import naive
from domain_adapters.port import Aggregate, GroupBy, Nulls, Order
from domain_adapters.port import Read as Question
from gateway.catalog.snapshot import Product

from .expected import Path, Row
from .questions import Measure, Slot, Term, Total
from .survey import Survey, is_clear

if TYPE_CHECKING:
    from .sights import Oracle

__all__ = ["Absent", "Group", "GroupPart", "groups_over", "is_rounded", "shown"]

_NO_MASK = Mask(MaskKind.NULLIFY)
_REST = "is the rest"


class Absent(Exception):  # noqa: N818  # a finding, which the answer tells at its place
    """A product that totals are taken of cannot be read."""


@dataclass(slots=True)
class Group:
    """One group: its key and totals by slot, as they are. ``cursor``: where it stands, if that is known."""

    total: Total
    cells: dict[Slot, Any]
    cursor: str | None = None


@dataclass(slots=True)
class GroupPart:
    """``key``, ``sum`` and the like of a group, or a partner inside one. ``function`` None: of the key."""

    group: Group
    function: str | None
    names: Path = ()

    def at(self, name: str) -> Slot | None:
        """Find the slot of a column; None for a partner."""
        total = self.group.total
        column = total.product_at(self.names).column_by_graphql_name.get(name)
        if column is None:
            return None
        if self.function is None:
            return next(it for it in total.by if it.names == self.names and it.column is column)
        return next(it for it in total.measures if (it.function, it.names) == (self.function, self.names) and it.column is column)


def groups_over(total: Total, rows: list[Row], oracle: Oracle) -> tuple[list[Group], bool]:
    """Form all groups over rows of the list, filtered and in order; says as well whether any is too small to show. Raises `Absent`."""
    spelling: dict[Slot, str] = {it: f"k{at}" for at, it in enumerate(total.by)}
    spelling |= {it: f"m{at}" for at, it in enumerate(total.measures)}
    columns = {_spelt(it): it.column.field for it in total.ends if it.column is not None}
    columns |= {spelling[it]: it.column.field for it in total.by}
    contract: Any = SimpleNamespace(field_by_name=columns)
    by = tuple(GroupBy(spelling[it], it.part, it.zone) for it in total.by)
    cells = _joined(total, rows, oracle)
    for it in cells:
        it.update({spelling[term]: it[_spelt(term)] for term in total.by})
    taken = _merged(total, rows, [naive.groups_of([it], Question(group_by=by), contract)[0].key for it in cells])
    for it, is_taken in zip(cells, taken, strict=True):
        it.update({name.column: None for name in by} if is_taken else {}, **{_REST: is_taken})
    question = Question(
        aggregates=tuple(Aggregate(it.function, _spelt(it) if it.column else None, spelling[it]) for it in total.measures),
        group_by=(*by, GroupBy(_REST)) if by else (),
        order_by=(Order(_REST), *(_order(spelling[slot], direction) for slot, direction in total.order)) if by else (),
    )
    groups, hides = [], False
    for found in naive.groups_of(cells, question, contract):
        values: dict[Slot, Any] = {slot: found.values[spelling[slot]] for slot in total.measures}
        members = [row for row, is_taken in zip(rows, taken, strict=True) if is_taken or not by]
        is_small = (not by or found.key[-1]) and _size(total, members) < max(total.protected.values(), default=0)
        if total.protected and (total.is_withheld or is_small):
            hides |= bool(rows)
            values |= {slot: None for slot in total.measures if _is_protected(total, slot)}
        groups.append(Group(total, dict(zip(total.by, found.key, strict=False)) | values))
    having = total.arguments.get("having")
    return [it for it in groups if total.keeps(having, it.cells.__getitem__) is True], hides


def _merged(total: Total, rows: list[Row], keys: list[tuple[Any, ...]]) -> list[bool]:
    """Say of each row whether its group is too small to show, or has to be taken in by those that are (SPEC A8)."""
    members: dict[tuple[Any, ...], list[Row]] = {}
    for row, key in zip(rows, keys, strict=True):
        members.setdefault(key, []).append(row)
    least = max(total.protected.values(), default=0)
    rest: list[Row] = []
    taken = set()
    for key in sorted(members, key=lambda it: (_size(total, members[it]), [(cell is None, cell) for cell in it])) if total.by else ():
        if _size(total, members[key]) >= least and (not rest or _size(total, rest) >= least):
            break
        taken.add(key)
        rest += members[key]
    return [key in taken for key in keys]


def _size(total: Total, rows: list[Row]) -> int:
    """Count the subjects that have a value, in the protected column that has fewest."""
    subject = total.read.product.contract.subject
    sizes = []
    for column in total.protected:
        known = [row for row in rows if row[column] is not None]
        sizes.append(len(known) if subject is None else len({row[subject.column] for row in known} - {None}))
    return min(sizes, default=0)


def _is_protected(total: Total, slot: Measure) -> bool:
    return slot.column is not None and not slot.names and slot.column.name in total.protected


def _spelt(slot: Slot) -> str:
    assert slot.column is not None
    return "/".join((*slot.names, slot.column.name))


def _order(name: str, direction: str) -> Order:
    return Order(name, direction.startswith("DESC"), Nulls.FIRST if direction.endswith("FIRST") else Nulls.LAST)


def _joined(total: Total, rows: list[Row], oracle: Oracle) -> list[Row]:
    """Put the partners' cells beside each row's own: nulls of one without a visible partner."""
    found: list[Row] = []
    known: dict[tuple[Path, Any], Row | None] = {}
    for row in rows:
        partners: dict[Path, Row | None] = {(): row}
        for way in total.ways:
            names = tuple(it.graphql_name for it in way)
            lead = partners[names[:-1]]
            partners[names] = None if lead is None else _partner(total.product_at(names), way[-1], lead, oracle, known, names)
        cells = {}
        for it in total.ends:
            if it.column is not None:
                end = partners[it.names]
                cells[_spelt(it)] = None if end is None else end[it.column.name]
        found.append(cells)
    return found


def _partner(
    product: Product, relation: Any, lead: Row, oracle: Oracle, known: dict[tuple[Path, Any], Row | None], names: Path
) -> Row | None:
    key = tuple(lead[name] for name in relation.own_columns)
    if None in key:
        return None
    if product.id in oracle.mesh.world.absent:
        raise Absent
    if (names, key) not in known:
        found = oracle.partner(product, relation.target_columns, key, lambda name: oracle.field(product, name).usable)
        known[names, key] = None if found is None else found[0]
    return known[names, key]


def shown(slot: Slot, value: Any, survey: Survey, total: Total, write: Callable[[FieldType, Any], Any]) -> Any:
    """Give a key or total as the answer has it: what is masked but may be used is masked where single values show."""
    if value is None:
        return None
    type_ = slot.column.type if isinstance(slot, Term) else slot.type
    if slot.column is not None and (isinstance(slot, Term) or slot.function in ("min", "max")):
        ruling = survey.ruling_in(total, slot.names, slot.column.name)
        if not is_clear(ruling):
            value = survey.oracle.mask(total.product_at(slot.names), slot.column.name, ruling.mask or _NO_MASK)(value)
    return None if value is None else write(type_, value)


def is_rounded(slot: Slot) -> bool:
    """Whether a total depends on the order in which it was added up, in its last digits."""
    is_float = isinstance(slot, Measure) and isinstance(slot.type, Scalar) and slot.type.kind is Kind.FLOAT
    return is_float and slot.function in ("sum", "avg")
