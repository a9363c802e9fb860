"""The resolvers: an operation over the rows that one caller sees, executed by graphql-core."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphql import DocumentNode, GraphQLError, GraphQLObjectType, execute_sync
from graphql.execution.values import get_variable_values

from contracts.fields import FieldType
from gateway.catalog.mesh import MeshContext
from gateway.catalog.snapshot import Product

from .. import rulings_specification as specification
from .cells import member_of, written
from .conditions import followed, is_nanos, is_since, joined, nanos
from .expected import Approximate, Expected, Path, Place
from .metadata import Metadata, Slo, never_measured
from .nodes import FIRST_DEFAULT, Connection, Edge, Info, Row
from .questions import Total
from .selections import Selections, operation_in
from .survey import ACCESS, Read, Survey
from .totals import Absent, Group, GroupPart, groups_over, is_rounded, shown

if TYPE_CHECKING:
    from .sights import Oracle

__all__ = ["Answering"]


class Answering:
    """One operation being answered."""

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
        self.failed: dict[Path, str] = {}
        self.parents: dict[Path, set[Any]] = {}
        self.rounded: set[Path] = set()
        self.hidden: set[Path] = set()
        self.shown_places: dict[str, Place] = {}

    def answer(self) -> Expected:
        """Answer it, or say what it is refused for."""
        operation = operation_in(self.document, self.name)
        found = get_variable_values(self.oracle.schema, operation.variable_definitions or (), self.raw)
        if isinstance(found, list):
            return Expected(refusals=frozenset({"BAD_USER_INPUT"}))
        self.survey = Survey(self.oracle, Selections.of(self.document, found))
        try:
            self.survey.operation(operation.selection_set)
        except GraphQLError:
            return Expected(refusals=frozenset({"BAD_USER_INPUT"}))
        if self.survey.refusals:
            return Expected(refusals=frozenset(self.survey.refusals))
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

    # -- resolvers -----------------------------------------------------------------------------------------------------------

    def _resolve(self, source: Any, info: Any, **arguments: Any) -> Any:
        path: Path = tuple(it for it in info.path.as_list() if isinstance(it, str))
        match source:
            case Row():
                return self._of_row(source, path, info)
            case Connection():
                return self._of_connection(source, path, info.field_name)
            case Group() | GroupPart():
                return self._of_group(source, path, info.field_name)
            case Edge():
                return source.cursor if info.field_name == "cursor" else source.row
            case Info() | Metadata():
                return getattr(source, info.field_name)
            case Slo():
                return getattr(source, info.field_name, None)
            case dict():
                return member_of(source, info.parent_type.name, info.field_name, self.mesh.snapshot, long_as_text=self.long_as_text)
        if isinstance(info.parent_type, GraphQLObjectType) and info.parent_type.name == "Query":
            return object()
        read = self.survey.reads[path]
        if read.is_list:
            return self._listed(read, None)
        values = tuple(arguments["key"][read.product.column_by_name[it].graphql_name] for it in read.product.primary_key)
        values = tuple(
            nanos(value) if is_nanos(read.product.column_by_name[name].type) else value
            for name, value in zip(read.product.primary_key, values, strict=True)
        )
        return self._one(read, read.product.primary_key, values)

    def _of_row(self, source: Row, path: Path, info: Any) -> Any:
        product = source.read.product
        column = product.column_by_graphql_name.get(info.field_name)
        if column is not None:
            return self._cell(source, column.name)
        relation = product.relation_by_name[info.field_name]
        if not self.oracle.is_served(relation.target):
            return None
        read = self.survey.reads[path]
        key = tuple(source.row[it] for it in relation.own_columns)
        if relation.many:
            return self._listed(read, key)
        return None if None in key else self._one(read, relation.target_columns, key)

    def _cell(self, source: Row, column: str) -> Any:
        product = source.read.product
        ruling = self.survey.ruling(source.read.path, column)
        plain = self.oracle.field(product, column)
        sight = source.sights[column] if ruling is plain else ACCESS.index(ruling.access)
        value = source.row[column]
        type_ = product.column_by_name[column].type
        if sight == specification.DENIED or value is None:
            return None
        if sight == specification.MASKED:
            assert ruling.mask is not None
            value = self.oracle.mask(product, column, ruling.mask)(value)
        return self._written(type_, value)

    def _written(self, type_: FieldType, value: Any) -> Any:
        return written(type_, value, long_as_text=self.long_as_text)

    # -- rows --------------------------------------------------------------------------------------------------------------

    def _one(self, read: Read, columns: tuple[str, ...], key: tuple[Any, ...]) -> Row | None:
        if self._is_absent(read.product):
            self._fail(read.path, "UPSTREAM_UNAVAILABLE")
        found = self.oracle.partner(read.product, columns, key, self._usable(read))
        return None if found is None else Row(read, *found)

    def _is_absent(self, *products: Product) -> bool:
        return any(it.id in self.mesh.world.absent for it in products)

    def _usable(self, read: Read) -> Callable[[str], bool]:
        return lambda name: self.survey.ruling(read.path, name).usable

    def _fail(self, path: Path, code: str) -> None:
        self.failed.setdefault(path, code)
        raise _FailedError

    def _check_parents(self, read: Read, path: Path) -> None:
        """A cursor belongs to one parent: that is known before anything else."""
        if len(self.parents.get(read.path, ())) > 1:
            self.failed[path] = "BAD_USER_INPUT"
            raise _FailedError

    # -- lists -------------------------------------------------------------------------------------------------------------

    def _listed(self, read: Read, parent: tuple[Any, ...] | None) -> Connection:
        given = read.arguments
        order = tuple((name, direction) for term in given.get("orderBy") or () for name, direction in term.items())
        product = read.product
        place = given.get("after")
        if parent is None and read.is_bare:
            return self._connection(read, parent, order, 0)
        if parent is not None and None in parent:
            return Connection(read, [], parent)
        if parent is not None:
            self.parents.setdefault(read.path, set()).add(parent)
            if place is not None:
                self._check_parents(read, read.path)
        if self._is_absent(product):
            self._fail(read.path, "UPSTREAM_UNAVAILABLE")
        links_absent = not read.is_bare and self._is_absent(*followed(product, given.get("where"), self.mesh.snapshot))
        if links_absent and parent is None and (place is None or place in self.places):
            self._fail(read.path, "UPSTREAM_UNAVAILABLE")
        if (order or (parent is not None and (read.cursors or place is not None))) and not product.primary_key:
            self._fail(read.path, "PORT_CANNOT")
        if place is not None and not self._continues(place, parent):
            self._fail(read.path, "BAD_USER_INPUT")
        if links_absent:
            self._fail(read.path, "UPSTREAM_UNAVAILABLE")
        if place is None:
            return self._connection(read, parent, order, 0)
        if parent is not None and self._is_tied(read) and not read.is_bare:
            self._fail(read.path, "PORT_CANNOT")
        return self._connection(read, parent, order, self.places[place].index + 1)

    def _continues(self, cursor: str, parent: tuple[Any, ...] | None, of: str = "") -> bool:
        place = self.places.get(cursor)
        return place is not None and place.parent == parent and place.of == of

    def _is_tied(self, read: Read) -> bool:
        return not all(map(self._usable(read), read.product.primary_key))

    def _connection(self, read: Read, parent: tuple[Any, ...] | None, order: tuple[tuple[str, str], ...], start: int) -> Connection:
        given, product = read.arguments, read.product
        rows = [it for it in self.oracle.sights(product) if parent is None or joined(it[0], read.relation, parent)]
        rows = [it for it in rows if self.oracle.holds(product, given.get("where"), it[0]) is True]
        since = given.get("since")
        if since is not None:
            rows = [it for it in rows if is_since(it[0][product.contract.times.updated or ""], since)]
        if product.primary_key and (order or self.mesh.sorts or self._is_tied(read) or parent is not None):
            columns = [(product.column_by_graphql_name[name].name, direction) for name, direction in order]
            rows = self.oracle.sorted(product, rows, columns, self._usable(read))
        first = given.get("first")
        return Connection(read, rows, parent, start, FIRST_DEFAULT if first is None else first, given.get("after") is not None)

    def _of_connection(self, source: Connection, path: Path, name: str) -> Any:
        end = source.start + source.first
        page = source.rows[source.start : end]
        match name:
            case "nodes":
                return [Row(source.read, *it) for it in page]
            case "edges":
                return [Edge(Row(source.read, *it), self._cursor(source, source.start + at)) for at, it in enumerate(page)]
            case "totalCount":
                return str(len(source.rows)) if self.long_as_text else len(source.rows)
            case "aggregate" | "groups":
                return self._total(source, self.survey.totals[path])
            case "pageInfo":
                ends = [self._cursor(source, at) for at in (source.start, source.start + len(page) - 1)] if page else [None, None]
                return Info(end < len(source.rows), source.after, *ends)
        count = len(source.rows)
        status = self.mesh.board.product(source.read.product.id).status.value
        version = source.read.product.contract.metadata.version
        return Metadata(version, str(count) if self.long_as_text else count, status, never_measured(source.read.product))

    def _cursor(self, source: Connection, index: int) -> str:
        return self._noted((source.read.path, repr(source.parent), index), Place(source.parent, index, source.read.after))

    def _noted(self, what: object, place: Place) -> str:
        text = json.dumps(what)
        self.shown_places[text] = self.places[text] = place
        return text

    # -- totals ------------------------------------------------------------------------------------------------------------

    def _total(self, source: Connection, total: Total) -> Any:
        read, given = total.read, total.arguments
        is_read = bool(total.measures or total.by) and given.get("first") != 0
        rows: list[dict[str, Any]] = []
        if is_read and not (source.parent is not None and None in source.parent):
            start = self._start_of(source, total)
            links = [
                it
                for where in (read.arguments.get("where"), given.get("where"))
                for it in followed(read.product, where, self.mesh.snapshot)
            ]
            if self._is_absent(read.product, *links):
                self._fail(total.path, "UPSTREAM_UNAVAILABLE")
            rows = [row for row, _ in source.rows if self.oracle.holds(read.product, given.get("where"), row) is True]
        else:
            start = 0
        try:
            groups, hides = groups_over(total, rows, self.oracle)
        except Absent:
            self._fail(total.path, "UPSTREAM_UNAVAILABLE")
        if hides:
            self.hidden.add(total.path)
        if total.is_aggregate:
            return groups[0]
        first = given.get("first")
        page = groups[start : start + (FIRST_DEFAULT if first is None else first)]
        for at, group in enumerate(page):
            place = Place(source.parent, start + at, total.after, _of(total))
            group.cursor = self._noted((total.path, repr(source.parent), start + at, "groups"), place)
        return page

    def _start_of(self, source: Connection, total: Total) -> int:
        cursor = total.arguments.get("after")
        if cursor is None:
            return 0
        if source.parent is not None:
            self._check_parents(total.read, total.path)
        if not self._continues(cursor, source.parent, _of(total)):
            self._fail(total.path, "BAD_USER_INPUT")
        return self.places[cursor].index + 1

    def _of_group(self, source: Group | GroupPart, path: Path, name: str) -> Any:
        group = source if isinstance(source, Group) else source.group
        if isinstance(source, Group):
            match name:
                case "cursor":
                    return source.cursor
                case "key":
                    return GroupPart(source, None)
                case "count":
                    slot = next(it for it in source.total.measures if it.function == "count")
                case _:
                    return GroupPart(source, name)
        elif (found := source.at(name)) is None:
            return GroupPart(group, source.function, (*source.names, name))
        else:
            slot = found
        if is_rounded(slot):
            self.rounded.add(path)
        return shown(slot, group.cells[slot], self.survey, group.total, self._written)

    # -- errors ------------------------------------------------------------------------------------------------------------

    def _nulled(self, data: Any) -> Any:
        """One failed read costs its whole place in the answer, whichever parent it failed for."""
        for path in self.rounded:
            _replace_at(data, path, lambda it: None if it is None else Approximate(it))
        for path in self.failed:
            _replace_at(data, path, lambda _: None)
        return data

    def _folded(self) -> list[tuple[str, tuple[Any, ...]]]:
        told = dict.fromkeys(self.hidden, "GROUP_TOO_SMALL") | self.failed
        outermost = {path: code for path, code in told.items() if not any(path[:size] in self.failed for size in range(1, len(path)))}
        return [*self.survey.static, *((code, path) for path, code in outermost.items())]


class _FailedError(Exception):
    pass


def _of(total: Total) -> str:
    """Say which groups these are, whatever page of them."""
    given = {name: value for name, value in total.arguments.items() if name not in ("first", "after")}
    of_rows = {name: value for name, value in total.read.arguments.items() if name in ("where", "since")}
    return repr((total.read.product.id, given, of_rows))


def _replace_at(data: Any, path: Path, change: Callable[[Any], Any]) -> None:
    if isinstance(data, list):
        for item in data:
            _replace_at(item, path, change)
    elif isinstance(data, dict) and path[0] in data:
        if len(path) == 1:
            data[path[0]] = change(data[path[0]])
        else:
            _replace_at(data[path[0]], path[1:], change)
