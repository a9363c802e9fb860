"""The arguments and selections of ``aggregate`` and ``groups`` -> what is asked of totals, in columns and relationships."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from graphql import SelectionSetNode, get_named_type

from contracts.fields import FieldType, Kind, Scalar
from domain_adapters.algebra import aggregate_type, truncations_of
from gateway.catalog.measures import FUNCTIONS, column_symbols, relation_symbols
from gateway.catalog.snapshot import Column, Product, Relation, Snapshot

from .conditions import Truth, all_of, any_of, compared, not_
from .expected import Path
from .selections import Selections, sets_of

if TYPE_CHECKING:
    from .survey import Read

__all__ = ["Measure", "Term", "Total", "aggregate_of", "groups_of"]

Way = tuple[Relation, ...]
"""To-one relationships, followed one after another."""


@dataclass(frozen=True, slots=True)
class Term:
    """What groups are formed by: a column at the end of ``way``, cut to ``part`` in ``zone``."""

    way: Way
    column: Column
    part: str | None
    zone: str | None

    @property
    def names(self) -> Path:
        return _names(self.way)


@dataclass(frozen=True, slots=True)
class Measure:
    """``function`` over a column at the end of ``way``; over rows where there is no column."""

    function: str
    way: Way = ()
    column: Column | None = None

    @property
    def names(self) -> Path:
        return _names(self.way)

    @property
    def type(self) -> FieldType:
        found = aggregate_type(self.function, None if self.column is None else self.column.type)
        assert found is not None
        return found


Slot = Term | Measure


@dataclass(slots=True)
class Total:
    """One ``aggregate`` (no ``by``) or ``groups`` of a connection. ``after``: the variable that it pages by.

    ``protected``: columns that are for totals only -> subjects that one needs; ``is_withheld``: another total of the operation, of other
    rows, would tell by subtraction what this one hides.
    """

    read: Read
    path: Path
    snapshot: Snapshot
    arguments: dict[str, Any] = field(default_factory=dict)
    after: str | None = None
    by: list[Term] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    order: list[tuple[Slot, str]] = field(default_factory=list)
    protected: dict[str, int] = field(default_factory=dict)
    is_withheld: bool = False

    @property
    def is_aggregate(self) -> bool:
        return not self.by

    @property
    def ends(self) -> list[Slot]:
        """Everything that keys and totals are of."""
        return [*self.by, *self.measures]

    @property
    def ways(self) -> list[Way]:
        """Every way that is followed, beginnings of longer ones first."""
        found = {_names(it.way[:size]): it.way[:size] for it in self.ends for size in range(1, len(it.way) + 1)}
        return sorted(found.values(), key=len)

    @property
    def links(self) -> list[tuple[tuple[Path, str], tuple[Path, str]]]:
        """The ends of the relationships that are followed: (names of the way, column) each."""
        return [((_names(it[:-1]), own), (_names(it), other)) for it in self.ways for own, other in it[-1].pairs]

    def product_at(self, names: Path) -> Product:
        """Find where a way leads."""
        product = self.read.product
        for name in names:
            product = self.snapshot.products[product.relation_by_name[name].target]
        return product

    def keeps(self, value: Any, cell_of: Any) -> Truth:
        """Whether a group satisfies a ``having``. ``cell_of``: slot -> the group's key or total."""
        results: list[Truth] = []
        for name, inner in (value or {}).items():
            match name:
                case "and":
                    results.extend(self.keeps(it, cell_of) for it in inner)
                case "or":
                    results.append(any_of([self.keeps(it, cell_of) for it in inner]))
                case "not":
                    results.append(not_(self.keeps(inner, cell_of)))
                case _:
                    for slot, tests in self.slots(name, inner):
                        type_ = slot.type if isinstance(slot, Measure) else slot.column.type
                        results.extend(compared(type_, cell_of(slot), test, it) for test, it in tests.items())
        return all_of(results)

    def slots(self, name: str, value: Any) -> Iterator[tuple[Slot, Any]]:
        """Read one member of ``having`` or of a term of ``orderBy``: every slot that it names, with what is said of it."""
        if name == "count":
            yield Measure("count"), value
            return
        for way, column, said in self._leaves(value, ()):
            if name == "key":
                yield next(it for it in self.by if it.way == way and it.column is column), said
            else:
                yield Measure(name, way, column), said

    def _leaves(self, value: Any, way: Way) -> Iterator[tuple[Way, Column, Any]]:
        product = self.product_at(_names(way))
        for name, inner in value.items():
            if (column := product.column_by_graphql_name.get(name)) is not None:
                yield way, column, inner
            else:
                yield from self._leaves(inner, (*way, product.relation_by_name[name]))

    def add(self, slot: Slot) -> None:
        """Note a total that is used."""
        if isinstance(slot, Measure) and slot not in self.measures:
            self.measures.append(slot)


def aggregate_of(read: Read, path: Path, snapshot: Snapshot, selections: Selections, type_: Any, sets: list[SelectionSetNode]) -> Total:
    """Read one ``aggregate``."""
    total = Total(read, path, snapshot)
    _select(total, selections, type_, sets)
    return total


def groups_of(
    read: Read,
    path: Path,
    snapshot: Snapshot,
    selections: Selections,
    type_: Any,
    sets: list[SelectionSetNode],
    *,
    arguments: dict[str, Any],
    after: str | None,
) -> tuple[Total | None, bool]:
    """Read one ``groups``, as far as it makes sense; says as well whether it does."""
    total = Total(read, path, snapshot, arguments, after)
    zone = arguments.get("timeZone")
    if not arguments["by"] or (zone is not None and zone not in available_timezones()):
        return None, False
    is_sound = True
    for entry in arguments["by"]:
        way: Way = ()
        for symbol in entry.get("path") or ():
            way = (*way, relation_symbols(total.product_at(_names(way)))[symbol])
        column = column_symbols(total.product_at(_names(way)))[entry["field"]]
        part = entry.get("truncate")
        is_sound &= part is None or part in truncations_of(column.type)
        is_sound &= all((it.way, it.column) != (way, column) for it in total.by)
        is_instant = isinstance(column.type, Scalar) and column.type.kind is Kind.INSTANT
        total.by.append(Term(way, column, part, (zone or "UTC") if part is not None and is_instant else None))
    having, order = arguments.get("having"), arguments.get("orderBy") or ()
    is_sound &= _is_whole(having) and all(len(term) == 1 and _is_whole(term) for term in order)
    if not is_sound:
        return total, False
    for slot in _named_in(total, having):
        total.add(slot)
    for term in order:
        ((name, value),) = term.items()
        for slot, direction in total.slots(name, value):
            total.add(slot)
            total.order.append((slot, direction))
    _select(total, selections, type_, sets)
    return total, True


def _named_in(total: Total, having: Any) -> Iterator[Slot]:
    for name, inner in (having or {}).items():
        if name in ("and", "or", "not"):
            for it in [inner] if name == "not" else inner:
                yield from _named_in(total, it)
        else:
            yield from (slot for slot, _ in total.slots(name, inner))


def _is_whole(value: Any) -> bool:
    match value:
        case dict():
            return None not in value.values() and all(map(_is_whole, value.values()))
        case list():
            return None not in value and all(map(_is_whole, value))
    return True


def _select(total: Total, selections: Selections, type_: Any, sets: Iterable[SelectionSetNode]) -> None:
    for nodes in selections.collect(type_, sets).values():
        name = nodes[0].name.value
        if name == "count":
            total.add(Measure("count"))
        elif name in FUNCTIONS:
            _measure(total, selections, get_named_type(type_.fields[name].type), sets_of(nodes), name, ())


def _measure(total: Total, selections: Selections, type_: Any, sets: Iterable[SelectionSetNode], function: str, way: Way) -> None:
    product = total.product_at(_names(way))
    for nodes in selections.collect(type_, sets).values():
        name = nodes[0].name.value
        if (column := product.column_by_graphql_name.get(name)) is not None:
            total.add(Measure(function, way, column))
        elif (relation := product.relation_by_name.get(name)) is not None:
            _measure(total, selections, get_named_type(type_.fields[name].type), sets_of(nodes), function, (*way, relation))


def _names(way: Way) -> Path:
    return tuple(it.graphql_name for it in way)
