"""What an operation must answer: graphql-core with plain resolvers over Python rows, every rule of SPEC A spelt out naively.

Shares with the gateway the schema (that is under test elsewhere), the mask functions, and what a ruling says of a column as a
whole; cells are judged by `rulings_specification`. Errors are folded as SPEC A3 has it: one per response path without indices.
"""

from __future__ import annotations

import datetime as dt
import json
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cmp_to_key
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    execute_sync,
    get_named_type,
)
from graphql.execution.values import get_argument_values, get_directive_values, get_variable_values
from graphql.type import GraphQLIncludeDirective, GraphQLSkipDirective

from contracts.fields import Enumeration, FieldType, Kind, List, Map, Record, Scalar, Unit
from contracts.masks import Mask, MaskKind, strictest
from domain_adapters.values import emitter_of
from gateway.caller import Caller
from gateway.catalog.listing import Listing
from gateway.catalog.mesh import MeshContext, mesh_field
from gateway.catalog.names import column_name
from gateway.catalog.reach import TOTALS, Reach
from gateway.catalog.slices import Slices
from gateway.catalog.snapshot import Product, Relation, Snapshot
from gateway.governance.cursors import CursorCodec
from gateway.governance.masks import MaskKeys, fitting, mask_function
from gateway.governance.ruling import Access, FieldRuling, ProductRuling, Standing
from gateway.governance.views import View
from gateway.slo.board import Board

from . import rulings_specification as specification
from .worlds import NOW, World

__all__ = ["Expected", "Mesh", "Oracle", "Place", "schema_of"]

Row = dict[str, Any]
Path = tuple[str, ...]
_ACCESS = (Access.DENIED, Access.MASKED, Access.CLEAR)
_FIRST_DEFAULT, _FIRST_MAX = 20, 1_000
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "in": lambda cell, values: cell in values,
    "notIn": lambda cell, values: cell not in values,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "contains": operator.contains,
    "startsWith": lambda cell, value: cell.startswith(value),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cursor stands: at ``index`` of the list under ``parent``. ``after``: the variable that this list pages by."""

    parent: Any
    index: int
    after: str | None


@dataclass(slots=True)
class Expected:
    """``errors``: (code, path) each; ``places``: what each cursor shown stands for.

    ``refusals``: the codes that a refusal of the whole may have, empty if it is answered.
    """

    data: Any = None
    errors: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    refusals: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Mesh:
    """A world as one engine sees it. ``sorts``: whether lists without ``orderBy`` come by primary key (level 1) or as they are."""

    world: World
    snapshot: Snapshot
    secret: bytes
    sorts: bool
    board: Board


@dataclass(slots=True)
class _Read:
    """One place of the answer that reads a product. ``pairs``: (own column, child path, target's column) for what is followed."""

    product: Product
    path: Path
    relation: Relation | None
    arguments: dict[str, Any]
    is_list: bool
    cursors: bool = False
    place: Path = ()
    after: str | None = None


def schema_of(snapshot: Snapshot, rulings: Mapping[str, ProductRuling], *, wide: bool = False, totals: bool = False) -> GraphQLSchema:
    """Build all that a caller may ask for; ``wide``: all that they know of. ``totals``: with ``aggregate`` and ``groups``."""
    reach = Reach()
    for id_, product in snapshot.products.items():
        standing = rulings[id_].standing
        if standing is Standing.SERVED:
            reach.roots.setdefault(product.domain_field, set()).update((product.graphql_name, f"{product.graphql_name}ByKey"))
            if totals:
                reach.totals.update((id_, name) for name in TOTALS)
        if standing is not Standing.HIDDEN:
            reach.links[id_] = {it.graphql_name for it in product.relations if rulings[it.target].standing is not Standing.HIDDEN}
            reach.filters[id_] = reach.links[id_]
    return Slices(snapshot, mesh_field()).of(reach, lambda it: rulings[it.id], wide=wide).schema


class Oracle:
    """Answers for one caller."""

    def __init__(self, mesh: Mesh, view: View, caller: Caller) -> None:
        self.mesh = mesh
        self.caller = caller
        self.rulings = {id_: view.ruling(product.contract) for id_, product in mesh.snapshot.products.items()}
        self.schema, self.full = self._schemas()
        self._sights: dict[str, list[tuple[Row, dict[str, int]]]] = {}
        self._keys = MaskKeys(mesh.secret)
        self.listing = Listing(mesh.snapshot, lambda it: self.rulings[it.id], CursorCodec(mesh.secret), b"oracle", 1_000)
        self._masks: dict[tuple[str, str, Mask], Callable[[Any], Any]] = {}

    def _schemas(self) -> tuple[GraphQLSchema, GraphQLSchema]:
        return schema_of(self.mesh.snapshot, self.rulings), schema_of(self.mesh.snapshot, self.rulings, wide=True)

    # -- who sees what -----------------------------------------------------------------------------------------------------

    def sights(self, product: Product) -> list[tuple[Row, dict[str, int]]]:
        """Every row that is served, in the order of the endpoint, with what is seen of each of its cells."""
        if product.id not in self._sights:
            found = []
            for row in self.mesh.world.rows[product.id]:
                cells = {
                    it.name: specification.cell(product.contract, self.mesh.world.policy, self.caller, NOW.date(), row, it.name)
                    for it in product.contract.fields
                }
                if any(cells.values()):
                    found.append((row, cells))
            self._sights[product.id] = found
        return self._sights[product.id]

    def mask(self, product: Product, column: str, mask: Mask) -> Callable[[Any], Any]:
        type_ = product.column_by_name[column].type
        key = (product.id, column, mask)
        if key not in self._masks:
            self._masks[key] = mask_function(fitting(mask, type_), type_, self._keys, product.contract.metadata.domain)
        return self._masks[key]

    # -- a question --------------------------------------------------------------------------------------------------------

    def answer(
        self, document: DocumentNode, name: str | None, variables: dict[str, Any], places: dict[str, Place], *, long_as_text: bool
    ) -> Expected:
        """Answer an operation. ``places``: what the cursors in ``variables`` stand for."""
        run = _Run(self, document, name, variables, places, long_as_text)
        return run.answer()


class _Run:
    def __init__(
        self,
        oracle: Oracle,
        document: DocumentNode,
        name: str | None,
        raw: dict[str, Any],
        places: dict[str, Place],
        long_as_text: bool,
    ) -> None:
        self.oracle = oracle
        self.mesh = oracle.mesh
        self.document = document
        self.name = name
        self.raw = raw
        self.places = places
        self.long_as_text = long_as_text
        self.fragments = {it.name.value: it for it in document.definitions if isinstance(it, FragmentDefinitionNode)}
        operations = [it for it in document.definitions if isinstance(it, OperationDefinitionNode)]
        self.operation = next(it for it in operations if name is None or (it.name is not None and it.name.value == name))
        self.reads: dict[Path, _Read] = {}
        self.products: dict[Path, Product] = {}
        self.filtered: list[tuple[Path, str]] = []
        self.links: list[tuple[tuple[Path, str], tuple[Path, str]]] = []
        self.shown: list[tuple[_Read, str]] = []
        self.static: list[tuple[str, Path]] = []
        self.refusals: set[str] = set()
        self.failed: dict[Path, str] = {}
        self.parents: dict[Path, set[Any]] = {}
        self.shown_places: dict[str, Place] = {}

    def answer(self) -> Expected:
        found = get_variable_values(self.oracle.schema, self.operation.variable_definitions or (), self.raw)
        if isinstance(found, list):
            return Expected(refusals=frozenset({"BAD_USER_INPUT"}))
        self.variables = found
        try:
            self._survey()
        except GraphQLError:
            return Expected(refusals=frozenset({"BAD_USER_INPUT"}))
        if self.refusals:
            return Expected(refusals=frozenset(self.refusals))
        result = execute_sync(
            self.oracle.schema,
            self.document,
            root_value=object(),
            context_value=MeshContext(self.oracle.listing, self.mesh.board),
            variable_values=self.raw,
            operation_name=self.name,
            field_resolver=self._resolve,
        )
        for error in result.errors or ():
            if not isinstance(error.original_error, _FailedError):
                raise TypeError(f"the oracle itself failed: {error!r}") from error.original_error
        return Expected(self._nulled(result.data), self._folded(), self.shown_places)

    # -- everything that is known before any row is read --------------------------------------------------------------------

    def _survey(self) -> None:
        query = self.oracle.schema.query_type
        assert query is not None
        for key, nodes in self._collect(query, [self.operation.selection_set]).items():
            domain = self.mesh.snapshot.domains.get(nodes[0].name.value)
            if domain is None:
                continue
            type_ = get_named_type(query.fields[nodes[0].name.value].type)
            for child_key, child_nodes in self._collect(type_, _sets(nodes)).items():
                name = child_nodes[0].name.value
                if name == "__typename":
                    continue
                is_list = name in domain.products
                product = domain.products[name if is_list else name.removesuffix("ByKey")]
                self._read(type_, child_nodes, product, (key, child_key), None, is_list)
        for read, column in self.shown:
            ruling = self.ruling(read.path, column)
            if ruling.access is Access.DENIED and not ruling.varies:
                self.static.append((f"FIELD_DENIED {read.product.column_by_name[column].graphql_name}", read.place))
        for read in self.reads.values():
            self._judge(read)
        if any(not self.ruling(path, column).usable for path, column in self.filtered):
            self.refusals.add("MASKED_FIELD_IN_PREDICATE")

    def _read(
        self, parent: Any, nodes: list[FieldNode], product: Product, path: Path, relation: Relation | None, is_list: bool, place: Path = ()
    ) -> None:
        definition = parent.fields[nodes[0].name.value]
        arguments = get_argument_values(definition, nodes[0], self.variables)
        read = self.reads[path] = _Read(product, path, relation, arguments, is_list, place=path if is_list or not relation else place)
        self.products[path] = product
        if is_list:
            self._followed(product, path, arguments.get("where"))
        read.after = next((it.value.name.value for it in nodes[0].arguments or () if it.name.value == "after"), None)
        type_ = get_named_type(definition.type)
        if not is_list:
            self._row(read, path, type_, _sets(nodes))
            return
        for key, part_nodes in self._collect(type_, _sets(nodes)).items():
            match part_nodes[0].name.value:
                case "nodes":
                    self._row(read, (*path, key), get_named_type(type_.fields["nodes"].type), _sets(part_nodes))
                case "edges":
                    edge = get_named_type(type_.fields["edges"].type)
                    for edge_key, edge_nodes in self._collect(edge, _sets(part_nodes)).items():
                        if edge_nodes[0].name.value == "node":
                            self._row(read, (*path, key, edge_key), get_named_type(edge.fields["node"].type), _sets(edge_nodes))
                        read.cursors |= edge_nodes[0].name.value == "cursor"
                case "pageInfo":
                    info = get_named_type(type_.fields["pageInfo"].type)
                    names = {it[0].name.value for it in self._collect(info, _sets(part_nodes)).values()}
                    read.cursors |= bool(names & {"startCursor", "endCursor"})

    def _followed(self, product: Product, path: Path, where: Any) -> None:
        """Join the ends of every relationship that a condition follows; note what it names on the way."""
        for name, inner in (where or {}).items():
            if inner is None:
                continue
            if name in ("and", "or", "not"):
                for it in [inner] if name == "not" else inner:
                    self._followed(product, path, it)
            elif (relation := product.relation_by_name.get(name)) is not None:
                below = (*path, f"?{name}")
                target = self.products[below] = self.mesh.snapshot.products[relation.target]
                self.links.extend(((path, own), (below, other)) for own, other in relation.pairs)
                for it in inner.values() if relation.many else (inner,):
                    self._followed(target, below, it)
            elif len(path) > 2 and path[-1].startswith("?"):
                self.filtered.append((path, product.column_by_graphql_name[name].name))

    def _row(self, read: _Read, at: Path, type_: Any, sets: list[Any]) -> None:
        product = read.product
        for key, nodes in self._collect(type_, sets).items():
            name = nodes[0].name.value
            column = product.column_by_graphql_name.get(name)
            if column is not None:
                self.shown.append((read, column.name))
                continue
            relation = product.relation_by_name.get(name)
            if relation is None:
                continue
            target = self.mesh.snapshot.products[relation.target]
            if self.oracle.rulings[target.id].standing is not Standing.SERVED:
                self.static.append((f"FIELD_DENIED {relation.graphql_name}", read.place))
                continue
            child = (*at, key)
            self.links.extend(((read.path, own), (child, other)) for own, other in relation.pairs)
            self._read(type_, nodes, target, child, relation, relation.many, read.place)

    def _judge(self, read: _Read) -> None:
        """Find what a read's arguments are refused for, or what its port cannot do."""
        named: set[str] = set()
        given = read.arguments
        if read.is_list:
            first = given.get("first")
            if first is not None and first < 0:
                self.refusals.add("BAD_USER_INPUT")
            if first is not None and first > _FIRST_MAX:
                self.refusals.add("LIMIT_EXCEEDED")
            if not _is_whole(read.product, given.get("where"), named, self.mesh.snapshot):
                self.refusals.add("BAD_USER_INPUT")
            named |= {name for term in given.get("orderBy") or () for name in term}
            columns = {read.product.column_by_graphql_name[name].name for name in named}
            if given.get("since") is not None:
                columns.add(read.product.contract.times.updated or "")
        else:
            columns = set(read.product.primary_key) if read.relation is None else set()
        if any(not self.ruling(read.path, column).usable for column in columns):
            self.refusals.add("MASKED_FIELD_IN_PREDICATE")

    # -- rulings of joined columns -------------------------------------------------------------------------------------------

    def ruling(self, path: Path, column: str) -> FieldRuling:
        """The ruling of a column here: its own, or the strictest of all that the answer connects it with."""
        start = (path, column)
        together = {start}
        while True:
            more = {end for link in self.links for end in link if together & set(link)} | together
            if more == together:
                break
            together = more
        if len(together) == 1:
            return self._plain(start)
        ends = [self._plain(end) for end in together]
        access = _ACCESS[min(_ACCESS.index(end.access) for end in ends)]
        masks = [end.mask for end in ends if end.mask is not None]
        return FieldRuling(
            column,
            access,
            strictest(masks) if access is Access.MASKED else None,
            usable=all(end.usable for end in ends) and access is not Access.DENIED,
        )

    def _plain(self, cell: tuple[Path, str]) -> FieldRuling:
        ruling: ProductRuling = self.oracle.rulings[self.products[cell[0]].id]
        return ruling.field(cell[1])

    # -- resolvers -----------------------------------------------------------------------------------------------------------

    def _resolve(self, source: Any, info: Any, **arguments: Any) -> Any:
        path: Path = tuple(it for it in info.path.as_list() if isinstance(it, str))
        match source:
            case _Row():
                return self._of_row(source, path, info)
            case _Connection():
                return self._of_connection(source, path, info.field_name)
            case _Edge():
                return source.cursor if info.field_name == "cursor" else source.row
            case _Info() | _Metadata():
                return getattr(source, info.field_name)
            case _Slo():
                return getattr(source, info.field_name, None)
            case dict():
                return self._member(source, info)
        if isinstance(info.parent_type, GraphQLObjectType) and info.parent_type.name == "Query":
            return object()
        read = self.reads[path]
        if read.is_list:
            return self._listed(read, None)
        values = tuple(arguments["key"][read.product.column_by_name[it].graphql_name] for it in read.product.primary_key)
        values = tuple(
            _nanos(value) if _is_nanos(read.product.column_by_name[name].type) else value
            for name, value in zip(read.product.primary_key, values, strict=True)
        )
        return self._one(read, read.product.primary_key, values)

    def _of_row(self, source: _Row, path: Path, info: Any) -> Any:
        product = source.read.product
        column = product.column_by_graphql_name.get(info.field_name)
        if column is not None:
            return self._cell(source, column.name)
        relation = product.relation_by_name[info.field_name]
        if self.oracle.rulings[relation.target].standing is not Standing.SERVED:
            return None
        read = self.reads[path]
        key = tuple(source.row[it] for it in relation.own_columns)
        if relation.many:
            return self._listed(read, key)
        return None if None in key else self._one(read, relation.target_columns, key)

    def _cell(self, source: _Row, column: str) -> Any:
        product = source.read.product
        ruling = self.ruling(source.read.path, column)
        plain = self.oracle.rulings[product.id].field(column)
        sight = source.sights[column] if ruling is plain else _ACCESS.index(ruling.access)
        value = source.row[column]
        type_ = product.column_by_name[column].type
        if sight == specification.DENIED or value is None:
            return None
        if sight == specification.MASKED:
            assert ruling.mask is not None
            value = self.oracle.mask(product, column, ruling.mask)(value)
        return self._written(type_, value)

    def _written(self, type_: FieldType, value: Any) -> Any:
        if value is None:
            return None
        match type_:
            case Scalar(kind=Kind.LONG) if self.long_as_text:
                return str(value)
            case Record() | Enumeration():
                return value
            case List(item=item):
                return [self._written(item, it) for it in value]
            case Map(value=held):
                return {key: emitter_of(held)(it) for key, it in value.items()}
        return emitter_of(type_)(value)

    def _member(self, source: dict[str, Any], info: Any) -> Any:
        record = self._record(info.parent_type.name)
        member = next(it for it in record.fields if column_name(it.name) == info.field_name)
        return self._written(member.type, source[member.name])

    def _record(self, type_name: str) -> Record:
        for product in self.mesh.snapshot.products.values():
            for column in product.columns:
                for name, record in _records(column.type, f"{product.type_name}{_pascal(column.name)}"):
                    if name == type_name:
                        return record
        raise AssertionError(type_name)

    def _one(self, read: _Read, columns: tuple[str, ...], key: tuple[Any, ...]) -> _Row | None:
        self._open(read)
        rows = [it for it in self._base(read) if tuple(it[0][name] for name in columns) == key]
        return _Row(read, *rows[0]) if rows else None

    def _open(self, read: _Read) -> None:
        if read.product.id in self.mesh.world.absent:
            self._fail(read, "UPSTREAM_UNAVAILABLE")

    def _fail(self, read: _Read, code: str) -> None:
        self.failed.setdefault(read.path, code)
        raise _FailedError

    def _base(self, read: _Read) -> list[tuple[Row, dict[str, int]]]:
        rows = self.oracle.sights(read.product)
        key = read.product.primary_key
        tied = any(not self.ruling(read.path, name).usable for name in key)
        return sorted(rows, key=self._sorter(read, (), ties=True)) if key and (self.mesh.sorts or tied) else rows

    def _sorter(self, read: _Read, order: tuple[tuple[str, str], ...], *, ties: bool = False) -> Any:
        terms: list[tuple[Callable[[Row], Any], str]] = [
            (_getter(read.product.column_by_graphql_name[name].name), direction) for name, direction in order
        ]
        for name in read.product.primary_key:
            cell = _getter(name)
            if ties and not self.ruling(read.path, name).usable:
                cell = self._pseudonym(read.product, name)
            terms.append((cell, "ASC"))

        def compare(one: Any, other: Any) -> int:
            for cell, direction in terms:
                left, right = cell(one[0]), cell(other[0])
                if left == right:
                    continue
                if left is None or right is None:
                    return -1 if (left is None) == direction.endswith("FIRST") else 1
                return (1 if left > right else -1) * (-1 if direction.startswith("DESC") else 1)
            return 0

        return cmp_to_key(compare)

    def _pseudonym(self, product: Product, name: str) -> Callable[[Row], Any]:
        domain = product.contract.metadata.domain
        function = mask_function(Mask(MaskKind.PSEUDONYM), Scalar(Kind.STRING), self.oracle._keys, domain)
        return lambda row: None if row[name] is None else function(str(row[name]))

    def _listed(self, read: _Read, parent: tuple[Any, ...] | None) -> _Connection:
        given = read.arguments
        order = tuple((name, direction) for term in given.get("orderBy") or () for name, direction in term.items())
        product = read.product
        if parent is not None and None in parent:
            return _Connection(read, [], parent)
        if parent is not None:
            self.parents.setdefault(read.path, set()).add(parent)
            if given.get("after") is not None and len(self.parents[read.path]) > 1:
                # Whatever the first parent's list was refused for: this is known before it.
                self.failed[read.path] = "BAD_USER_INPUT"
                raise _FailedError
        place = given.get("after")
        start = 0
        self._open(read)
        links_absent = self._links_absent(read)
        if links_absent and parent is None and (place is None or place in self.places):
            self._fail(read, "UPSTREAM_UNAVAILABLE")
        if (order or (parent is not None and (read.cursors or place is not None))) and not product.primary_key:
            self._fail(read, "PORT_CANNOT")
        tied = any(not self.ruling(read.path, name).usable for name in product.primary_key)
        if place is not None and (place not in self.places or self.places[place].parent != parent):
            self._fail(read, "BAD_USER_INPUT")
        if links_absent:
            self._fail(read, "UPSTREAM_UNAVAILABLE")
        if place is not None:
            if parent is not None and tied:
                self._fail(read, "PORT_CANNOT")
            start = self.places[place].index + 1
        return self._connection(read, parent, order, tied, start)

    def _links_absent(self, read: _Read) -> bool:
        """Whether one of the products that the list's condition follows cannot be read."""
        return any(it.id in self.mesh.world.absent for path, it in self.products.items() if _is_link(path, read.path))

    def _connection(
        self, read: _Read, parent: tuple[Any, ...] | None, order: tuple[tuple[str, str], ...], tied: bool, start: int
    ) -> _Connection:
        given, product = read.arguments, read.product
        rows = [it for it in self.oracle.sights(product) if parent is None or _joined(it[0], read.relation, parent)]
        rows = [it for it in rows if self._holds(product, given.get("where"), it[0]) is True]
        since = given.get("since")
        if since is not None:
            rows = [it for it in rows if _is_since(it[0][product.contract.times.updated or ""], since)]
        if product.primary_key and (order or self.mesh.sorts or tied or parent is not None):
            rows = sorted(rows, key=self._sorter(read, order, ties=True))
        first = given.get("first")
        return _Connection(read, rows, parent, start, _FIRST_DEFAULT if first is None else first, given.get("after") is not None)

    def _holds(self, product: Product, where: Any, row: Row) -> bool | None:
        """Three-valued, as SQL; whether there is a partner is never unknown."""
        results: list[bool | None] = []
        for name, inner in (where or {}).items():
            match name:
                case "and":
                    results.extend(self._holds(product, it, row) for it in inner)
                case "or":
                    parts = [self._holds(product, it, row) for it in inner]
                    results.append(True if True in parts else None if None in parts else False)
                case "not":
                    found = self._holds(product, inner, row)
                    results.append(None if found is None else not found)
                case _ if (relation := product.relation_by_name.get(name)) is not None and not relation.many:
                    results.append(self._has_partner(relation, inner, row))
                case _ if relation is not None:
                    results.extend(self._has_partner(relation, it, row) is (word == "some") for word, it in inner.items())
                case _:
                    column = product.column_by_graphql_name[name]
                    results.extend(_compared(column.type, row[column.name], test, value) for test, value in inner.items())
        return False if False in results else None if None in results else True

    def _has_partner(self, relation: Relation, where: Any, row: Row) -> bool:
        key = tuple(row[name] for name in relation.own_columns)
        target = self.mesh.snapshot.products[relation.target]
        return None not in key and any(
            _joined(it, relation, key) and self._holds(target, where, it) is True for it, _ in self.oracle.sights(target)
        )

    def _of_connection(self, source: _Connection, path: Path, name: str) -> Any:
        del path
        end = source.start + source.first
        page = source.rows[source.start : end]
        match name:
            case "nodes":
                return [_Row(source.read, *it) for it in page]
            case "edges":
                return [_Edge(_Row(source.read, *it), self._cursor(source, source.start + at)) for at, it in enumerate(page)]
            case "totalCount":
                return str(len(source.rows)) if self.long_as_text else len(source.rows)
            case "pageInfo":
                ends = [self._cursor(source, at) for at in (source.start, source.start + len(page) - 1)] if page else [None, None]
                return _Info(end < len(source.rows), source.after, *ends)
        count = len(source.rows)
        status = self.mesh.board.product(source.read.product.id).status.value
        version = source.read.product.contract.metadata.version
        return _Metadata(version, str(count) if self.long_as_text else count, status, _never_measured(source.read.product))

    def _cursor(self, source: _Connection, index: int) -> str:
        text = json.dumps([source.read.path, repr(source.parent), index])
        self.shown_places[text] = self.places[text] = Place(source.parent, index, source.read.after)
        return text

    # -- errors --------------------------------------------------------------------------------------------------------------

    def _nulled(self, data: Any) -> Any:
        """One failed read costs its whole place in the answer, whichever parent it failed for."""
        for path in self.failed:
            _null_at(data, path)
        return data

    def _folded(self) -> list[tuple[str, tuple[Any, ...]]]:
        outermost = {
            path: code for path, code in self.failed.items() if not any(path[:size] in self.failed for size in range(1, len(path)))
        }
        return [*self.static, *((code, path) for path, code in outermost.items())]

    # -- the operation as written --------------------------------------------------------------------------------------------

    def _collect(self, type_: Any, sets: list[Any]) -> dict[str, list[FieldNode]]:
        found: dict[str, list[FieldNode]] = {}
        spread: set[str] = set()
        for selections in sets:
            for node in self._fields(type_, selections, spread):
                found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
        return found

    def _fields(self, type_: Any, selections: Any, spread: set[str]) -> Iterator[FieldNode]:
        for node in selections.selections:
            skip = get_directive_values(GraphQLSkipDirective, node, self.variables)
            include = get_directive_values(GraphQLIncludeDirective, node, self.variables)
            if (skip and skip["if"]) or (include and not include["if"]):
                continue
            if isinstance(node, FieldNode):
                yield node
                continue
            if isinstance(node, FragmentSpreadNode):
                if node.name.value in spread:
                    continue
                spread.add(node.name.value)
                node = self.fragments[node.name.value]  # noqa: PLW2901  # a spread is the selection of its fragment
            if node.type_condition is None or node.type_condition.name.value == type_.name:
                yield from self._fields(type_, node.selection_set, spread)


class _FailedError(Exception):
    pass


@dataclass(slots=True)
class _Row:
    read: _Read
    row: Row
    sights: dict[str, int]


@dataclass(slots=True)
class _Edge:
    row: _Row
    cursor: str


@dataclass(slots=True)
class _Connection:
    read: _Read
    rows: list[tuple[Row, dict[str, int]]]
    parent: tuple[Any, ...] | None
    start: int = 0
    first: int = _FIRST_DEFAULT
    after: bool = False


@dataclass(slots=True)
class _Info:
    hasNextPage: bool  # noqa: N815  # GraphQL's spelling: the default resolver reads it
    hasPreviousPage: bool  # noqa: N815  # GraphQL's spelling, as above
    startCursor: str | None  # noqa: N815  # GraphQL's spelling, as above
    endCursor: str | None  # noqa: N815  # GraphQL's spelling, as above


@dataclass(slots=True)
class _Slo:
    """A product that was never measured, or one of its objectives: what is not known is null."""

    objective: str | None
    freshness: _Slo | None = None
    completeness: _Slo | None = None
    accuracy: _Slo | None = None
    availability: _Slo | None = None
    status: str = "UNKNOWN"


@dataclass(slots=True)
class _Metadata:
    version: str
    totalRecords: Any  # noqa: N815  # GraphQL's spelling, as above
    sloStatus: str  # noqa: N815  # GraphQL's spelling, as above
    slo: _Slo
    generatedAt: str = "some time"  # noqa: N815  # GraphQL's spelling, as above
    port: str = "some port"


def _never_measured(product: Product) -> _Slo:
    objectives = product.contract.objectives
    given = (objectives.freshness, objectives.completeness, objectives.accuracy, objectives.availability)
    return _Slo(None, *(None if objective is None else _Slo(objective.text) for objective in given))


def _sets(nodes: list[FieldNode]) -> list[Any]:
    return [node.selection_set for node in nodes if node.selection_set is not None]


def _getter(name: str) -> Callable[[Row], Any]:
    return lambda row: row[name]


def _joined(row: Row, relation: Relation | None, parent: tuple[Any, ...]) -> bool:
    assert relation is not None
    return tuple(row[name] for name in relation.target_columns) == parent


def _pascal(name: str) -> str:
    found = column_name(name)
    return found[0].upper() + found[1:]


def _records(type_: FieldType, name: str) -> Iterator[tuple[str, Record]]:
    while isinstance(type_, List):
        type_ = type_.item
    if isinstance(type_, Record):
        yield name, type_
        for member in type_.fields:
            yield from _records(member.type, f"{name}{_pascal(member.name)}")


def _is_link(path: Path, start: Path) -> bool:
    """Whether ``path`` is of what the condition on the list at ``start`` follows."""
    return len(path) > len(start) and path[: len(start)] == start and all(name.startswith("?") for name in path[len(start) :])


def _is_whole(product: Product, where: Any, named: set[str], snapshot: Snapshot) -> bool:
    """Whether a condition holds no nulls; collects the fields of the product itself that it names."""
    if where is None:
        return True
    whole = True
    for name, inner in where.items():
        if inner is None:
            whole = False
            continue
        match name:
            case "and" | "or":
                whole &= all(_is_whole(product, it, named, snapshot) for it in inner)
            case "not":
                whole &= _is_whole(product, inner, named, snapshot)
            case _ if (relation := product.relation_by_name.get(name)) is not None:
                target = snapshot.products[relation.target]
                inside = list(inner.values()) if relation.many else [inner]
                whole &= all(it is not None and _is_whole(target, it, set(), snapshot) for it in inside)
            case _:
                named.add(name)
                whole &= all(it is not None and (not isinstance(it, list) or None not in it) for it in inner.values())
    return whole


def _compared(type_: FieldType, cell: Any, test: str, value: Any) -> bool | None:
    if test == "isNull":
        return (cell is None) is value
    if test in ("in", "notIn") and not value:
        return test == "notIn"
    if cell is None:
        return None
    if _is_nanos(type_):
        value = [_nanos(it) for it in value] if isinstance(value, list) else _nanos(value)
    return bool(_OPERATORS[test](cell, value))


def _is_nanos(type_: FieldType) -> bool:
    return isinstance(type_, Scalar) and type_.kind is Kind.INSTANT and type_.unit is Unit.NANOS


def _nanos(value: dt.datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond:06}000Z"


def _is_since(cell: Any, since: dt.datetime) -> bool:
    match cell:
        case None:
            return False
        case str():
            return cell >= _nanos(since)
        case dt.datetime():
            return (cell if cell.tzinfo else cell.replace(tzinfo=dt.UTC)) >= since
    return bool(cell >= since.date())


def _null_at(data: Any, path: Path) -> None:
    if isinstance(data, list):
        for item in data:
            _null_at(item, path)
    elif isinstance(data, dict) and path[0] in data:
        if len(path) == 1:
            data[path[0]] = None
        else:
            _null_at(data[path[0]], path[1:])
