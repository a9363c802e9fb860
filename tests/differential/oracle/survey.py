"""An operation -> what is known of it before any row is read: its places, what they connect, and what it is refused for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import FieldNode, GraphQLSchema, SelectionSetNode, get_named_type
from graphql.execution.values import get_argument_values

from contracts.masks import strictest
from contracts.model import Aggregates
from gateway.catalog.snapshot import Product, Relation, Snapshot
from gateway.governance.ruling import Access, FieldRuling

from .conditions import conditions, is_whole
from .expected import Path
from .questions import Slot, Term, Total, aggregate_of, groups_of
from .selections import Selections, sets_of

if TYPE_CHECKING:
    from .sights import Oracle

__all__ = ["ACCESS", "Read", "Survey"]

ACCESS = (Access.DENIED, Access.MASKED, Access.CLEAR)
FIRST_MAX, HOPS_MAX = 1_000, 4
_TOTALS = ("aggregate", "groups")


@dataclass(slots=True)
class Read:
    """One place of the answer that reads a product. ``place``: where its denied cells are told; ``is_bare``: only totals are asked."""

    product: Product
    path: Path
    relation: Relation | None
    arguments: dict[str, Any]
    is_list: bool
    cursors: bool = False
    place: Path = ()
    after: str | None = None
    is_bare: bool = False

    @property
    def key_columns(self) -> tuple[str, ...]:
        """What the rows of one parent have in common."""
        return self.relation.target_columns if self.relation is not None else ()


_Cell = tuple[Path, str]


@dataclass(slots=True)
class Survey:
    """``static``: errors of denied fields; ``refusals``: codes that a refusal of the whole may have."""

    oracle: Oracle
    selections: Selections
    reads: dict[Path, Read] = field(default_factory=dict)
    totals: dict[Path, Total] = field(default_factory=dict)
    static: list[tuple[str, Path]] = field(default_factory=list)
    refusals: set[str] = field(default_factory=set)
    _products: dict[Path, Product] = field(default_factory=dict)
    _filtered: list[_Cell] = field(default_factory=list)
    _links: list[tuple[_Cell, _Cell]] = field(default_factory=list)
    _shown: list[tuple[Read, str]] = field(default_factory=list)

    @property
    def schema(self) -> GraphQLSchema:
        return self.oracle.schema

    @property
    def snapshot(self) -> Snapshot:
        return self.oracle.mesh.snapshot

    def operation(self, selections: SelectionSetNode) -> None:
        """Go through a whole operation."""
        query = self.schema.query_type
        assert query is not None
        for key, nodes in self.selections.collect(query, [selections]).items():
            domain = self.snapshot.domains.get(nodes[0].name.value)
            if domain is None:
                continue
            type_ = get_named_type(query.fields[nodes[0].name.value].type)
            for child_key, child_nodes in self.selections.collect(type_, sets_of(nodes)).items():
                name = child_nodes[0].name.value
                if name == "__typename":
                    continue
                is_list = name in domain.products
                product = domain.products[name if is_list else name.removesuffix("ByKey")]
                self._read(type_, child_nodes, product, (key, child_key), None, is_list)
        for read, column in self._shown:
            ruling = self.ruling(read.path, column)
            if ruling.access is Access.DENIED and not ruling.varies:
                self.static.append((f"FIELD_DENIED {read.product.column_by_name[column].graphql_name}", read.place))
        for read in self.reads.values():
            self._judge(read)
        for total in self.totals.values():
            self._judge_total(total)
        self._withhold()
        if any(not self.ruling(path, column).usable for path, column in self._filtered):
            self.refusals.add("MASKED_FIELD_IN_PREDICATE")

    # -- places ------------------------------------------------------------------------------------------------------------

    def _read(
        self, parent: Any, nodes: list[FieldNode], product: Product, path: Path, relation: Relation | None, is_list: bool, place: Path = ()
    ) -> None:
        definition = parent.fields[nodes[0].name.value]
        arguments = get_argument_values(definition, nodes[0], self.selections.variables)
        read = self.reads[path] = Read(product, path, relation, arguments, is_list, place=path if is_list or not relation else place)
        self._products[path] = product
        if is_list:
            self._follow(product, path, arguments.get("where"))
        read.after = _after(nodes[0])
        type_ = get_named_type(definition.type)
        if not is_list:
            self._row(read, path, type_, sets_of(nodes))
            return
        parts = self.selections.collect(type_, sets_of(nodes))
        names = {it[0].name.value for it in parts.values()}
        read.is_bare = bool(names & set(_TOTALS)) and names <= {*_TOTALS, "__typename"}
        for key, part_nodes in parts.items():
            match part_nodes[0].name.value:
                case "nodes":
                    self._row(read, (*path, key), get_named_type(type_.fields["nodes"].type), sets_of(part_nodes))
                case "edges":
                    edge = get_named_type(type_.fields["edges"].type)
                    for edge_key, edge_nodes in self.selections.collect(edge, sets_of(part_nodes)).items():
                        if edge_nodes[0].name.value == "node":
                            self._row(read, (*path, key, edge_key), get_named_type(edge.fields["node"].type), sets_of(edge_nodes))
                        read.cursors |= edge_nodes[0].name.value == "cursor"
                case "pageInfo":
                    info = get_named_type(type_.fields["pageInfo"].type)
                    shown = {it[0].name.value for it in self.selections.collect(info, sets_of(part_nodes)).values()}
                    read.cursors |= bool(shown & {"startCursor", "endCursor"})
                case "aggregate" | "groups" as name:
                    self._total(read, name, type_, part_nodes, (*path, key))

    def _total(self, read: Read, name: str, parent: Any, nodes: list[FieldNode], path: Path) -> None:
        selected = (self.selections, get_named_type(parent.fields[name].type), sets_of(nodes))
        if name == "aggregate":
            self.totals[path] = aggregate_of(read, path, self.snapshot, *selected)
            return
        arguments = get_argument_values(parent.fields[name], nodes[0], self.selections.variables)
        total, is_sound = groups_of(read, path, self.snapshot, *selected, arguments=arguments, after=_after(nodes[0]))
        if total is None or not is_sound:
            self.refusals.add("BAD_USER_INPUT")
        if total is not None:
            self.totals[path] = total
            self._follow(read.product, read.path, arguments.get("where"))

    def _follow(self, product: Product, path: Path, where: Any) -> None:
        """Join the ends of every relationship that a condition follows; note what it names on the way."""
        for name, inner in (where or {}).items():
            if inner is None:
                continue
            if name in ("and", "or", "not"):
                for it in [inner] if name == "not" else inner:
                    self._follow(product, path, it)
            elif (relation := product.relation_by_name.get(name)) is not None:
                below = (*path, f"?{name}")
                target = self._products[below] = self.snapshot.products[relation.target]
                self._links.extend(((path, own), (below, other)) for own, other in relation.pairs)
                for it in inner.values() if relation.many else (inner,):
                    self._follow(target, below, it)
            elif len(path) > 2 and path[-1].startswith("?"):
                self._filtered.append((path, product.column_by_graphql_name[name].name))

    def _row(self, read: Read, at: Path, type_: Any, sets: Iterable[SelectionSetNode]) -> None:
        product = read.product
        for key, nodes in self.selections.collect(type_, sets).items():
            name = nodes[0].name.value
            column = product.column_by_graphql_name.get(name)
            if column is not None:
                self._shown.append((read, column.name))
                continue
            relation = product.relation_by_name.get(name)
            if relation is None:
                continue
            target = self.snapshot.products[relation.target]
            if not self.oracle.is_served(target.id):
                self.static.append((f"FIELD_DENIED {relation.graphql_name}", read.place))
                continue
            child = (*at, key)
            self._links.extend(((read.path, own), (child, other)) for own, other in relation.pairs)
            self._read(type_, nodes, target, child, relation, relation.many, read.place)

    # -- refusals ----------------------------------------------------------------------------------------------------------

    def _judge(self, read: Read) -> None:
        """Find what a read's arguments are refused for."""
        named: set[str] = set()
        given = read.arguments
        if read.is_list:
            self._judge_first(given.get("first"))
            if not is_whole(read.product, given.get("where"), named, self.snapshot):
                self.refusals.add("BAD_USER_INPUT")
            named |= {name for term in given.get("orderBy") or () for name in term}
            columns = {read.product.column_by_graphql_name[name].name for name in named}
            if given.get("since") is not None:
                columns.add(read.product.contract.times.updated or "")
        else:
            columns = set(read.product.primary_key) if read.relation is None else set()
        if any(not self.ruling(read.path, column).usable for column in columns):
            self.refusals.add("MASKED_FIELD_IN_PREDICATE")

    def _judge_first(self, first: int | None) -> None:
        if first is not None and first < 0:
            self.refusals.add("BAD_USER_INPUT")
        if first is not None and first > FIRST_MAX:
            self.refusals.add("LIMIT_EXCEEDED")

    def _judge_total(self, total: Total) -> None:
        """Refuse totals of what does not show, at this place or at the other end of a relationship that they follow."""
        read = total.read
        self._judge_first(total.arguments.get("first"))
        if any(len(it.way) > HOPS_MAX for it in total.ends):
            self.refusals.add("LIMIT_EXCEEDED")
        named: set[str] = set()
        for given in (read.arguments, total.arguments):
            if not is_whole(read.product, given.get("where"), named, self.snapshot):
                self.refusals.add("BAD_USER_INPUT")
        columns = {read.product.column_by_graphql_name[name].name for name in named}
        if read.arguments.get("since") is not None:
            columns.add(read.product.contract.times.updated or "")
        ends = {(it.names, it.column.name) for it in total.ends if it.column is not None and not self._protects(total, it)}
        if not all(self._shows(total, ((), column), lambda it: it.usable) for column in columns):
            self.refusals.add("MASKED_FIELD_IN_PREDICATE")
        if not all(self._shows(total, end, is_open) for end in ends):
            self.refusals.add("MASKED_FIELD_IN_PREDICATE")

    def _shows(self, total: Total, end: _Cell, may: Callable[[FieldRuling], bool]) -> bool:
        """Whether a column may be used in a total: so may all that are one value with it, and all of them are as clear."""
        rulings = [self.ruling_in(total, *it) for it in _together({end}, total.links)]
        return all(map(may, rulings)) and len({is_clear(it) for it in rulings}) == 1

    def _protects(self, total: Total, slot: Slot) -> bool:
        """Whether a total is one that a column for totals only allows; notes how many subjects it needs."""
        if isinstance(slot, Term) or slot.column is None or slot.names:
            return False
        ruling = self.ruling(total.read.path, slot.column.name)
        if is_open(ruling) or ruling.aggregates is None:
            return False
        total.protected[slot.column.name] = ruling.aggregates.min_group
        return slot.function in ruling.aggregates.functions

    def _withhold(self) -> None:
        """Of totals of protected columns only those of the same rows of a product show: the first, in the order of the operation."""
        known: dict[str, Any] = {}
        for read in self.reads.values():
            for total in self.totals.values():
                if total.read is read and total.protected:
                    where = [*conditions(read.arguments.get("where")), *conditions(total.arguments.get("where"))]
                    rows = (read.path[:-1] if read.relation is not None else (), where, read.arguments.get("since"))
                    total.is_withheld = known.setdefault(read.product.id, rows) != rows

    # -- rulings of joined columns -----------------------------------------------------------------------------------------

    def ruling_in(self, total: Total, names: Path, column: str) -> FieldRuling:
        """Give the ruling of a column in a total: of its own rows as in the answer, of partners as it is anywhere."""
        return self.oracle.field(total.product_at(names), column) if names else self.ruling(total.read.path, column)

    def ruling(self, path: Path, column: str) -> FieldRuling:
        """Give the ruling of a column at a place: its own, or the strictest of all that the answer connects it with."""
        ends = [self._plain(end) for end in _together({(path, column)}, self._links)]
        if len(ends) == 1:
            return ends[0]
        access = ACCESS[min(ACCESS.index(end.access) for end in ends)]
        masks = [end.mask for end in ends if end.mask is not None]
        return FieldRuling(
            column,
            access,
            strictest(masks) if access is Access.MASKED else None,
            usable=all(end.usable for end in ends) and access is not Access.DENIED,
            aggregates=_allowed([end for end in ends if not is_clear(end)]) if access is Access.MASKED else None,
        )

    def _plain(self, cell: _Cell) -> FieldRuling:
        return self.oracle.field(self._products[cell[0]], cell[1])


def is_clear(ruling: FieldRuling) -> bool:
    """Whether every row shows the column as it is."""
    return ruling.usable and ruling.access is Access.CLEAR and not ruling.varies


def is_open(ruling: FieldRuling) -> bool:
    """Whether totals may be taken of the column, however few rows they are of."""
    return is_clear(ruling) or (ruling.usable and ruling.aggregates is None)


def _allowed(ends: list[FieldRuling]) -> Aggregates | None:
    """Find what totals may be taken of a value that is several columns: what all of those allow that are not clear."""
    found = [end.aggregates for end in ends]
    if not found or None in found:
        return None
    functions = [it.functions for it in found if it is not None]
    return Aggregates(
        min_group=max(it.min_group for it in found if it is not None),
        functions=tuple(it for it in functions[0] if all(it in some for some in functions)),
    )


def _together(cells: set[_Cell], links: Iterable[tuple[_Cell, _Cell]]) -> set[_Cell]:
    """Add all that links connect with some cells, directly or not."""
    links = list(links)
    while True:
        more = {end for link in links for end in link if cells & set(link)} | cells
        if more == cells:
            return cells
        cells = more


def _after(node: FieldNode) -> str | None:
    return next((it.value.name.value for it in node.arguments or () if it.name.value == "after"), None)
