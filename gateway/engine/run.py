"""Executable and bound questions -> the answer's data and errors: fetch level by level, shape, assemble.

One failed read costs its own subtree: null there, one error with code, product and owner, the rest goes on. Upstream calls
depend on the operation alone, but for chunking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

import msgspec

from contracts.predicates import Predicate, compile_test
from gateway.catalog.snapshot import Product
from gateway.compiler.executable import (
    Child,
    ConnectionStep,
    DomainSteps,
    Executable,
    KeyStep,
    Partners,
    PartnerStep,
    RowShape,
    Step,
    row_attribute,
)
from gateway.compiler.plan import CountPick, CursorPick, EdgesPick, ForeignPick, MetadataPick, NodePick, NodesPick, PageInfoPick
from gateway.compiler.structs import output_class
from gateway.engine.binding import Bound, open_place
from gateway.engine.reader import Asked, Fetched, Reader
from gateway.engine.tasks import together
from gateway.errors import GatewayError
from gateway.governance.cursors import PAYLOAD_BYTES_MAX, CursorCodec

__all__ = ["Open", "Run"]

Locate = Callable[[int], tuple[str | int, ...]]
"""Place of a row in the list that is shaped -> its response path."""

_BAD_CELLS_SHOWN = 10

Open = Callable[[Step], Reader]
"""A step -> the reader that serves it in this request."""


@dataclass(slots=True)
class Run:
    """One execution. ``rules``: product id -> bound row rules; ``status_of``: product id -> SLO status word."""

    executable: Executable
    bound: Mapping[tuple[str, ...], Any]
    rules: Mapping[str, tuple[Predicate, ...]]
    open: Open
    cursors: CursorCodec
    status_of: Callable[[str], str]
    foreign: Callable[[ForeignPick], Any]
    long_as_text: bool = False
    errors: list[dict[str, Any]] = field(default_factory=list)
    bad_cells: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    async def data(self) -> Any:
        """Run everything and return the object to encode as ``data``."""
        steps = [
            it for member in self.executable.members if isinstance(member, DomainSteps) for it in member.members if not isinstance(it, str)
        ]
        results = iter(await together([self._root(step) for step in steps])) if steps else iter(())
        values: list[Any] = []
        for member in self.executable.members:
            match member:
                case DomainSteps():
                    values.append(member.output(*(it if isinstance(it, str) else next(results) for it in member.members)))
                case ForeignPick():
                    values.append(self.foreign(member))
                case _:
                    values.append(member)
        if self.bad_cells > _BAD_CELLS_SHOWN:
            more = self.bad_cells - _BAD_CELLS_SHOWN
            self.errors.append(GatewayError("UPSTREAM_INVALID", f"{more} more cells did not keep their contract.", count=more).entry())
        return self.executable.output(*values)

    async def _root(self, step: ConnectionStep | KeyStep) -> Any:
        try:
            return await (self._list(step) if isinstance(step, ConnectionStep) else self._single(step))
        except GatewayError as error:
            self._fail(error, step.path)
            return None

    async def _list(self, step: ConnectionStep) -> Any:
        bound: Bound = self.bound[step.path]
        reader = self.open(step)
        asked = open_place(bound, self.cursors)
        fetched = await reader.page(asked)
        self._note(step.product, fetched)
        locate = [_list_locator(shape, step.path) for shape in step.row_shapes]
        shaped = await self._shaped(step.row_shapes, fetched.rows, fetched, locate)
        if fetched.count_error is not None:
            self._fail(fetched.count_error, (*step.path, "totalCount"))
        sealed = self._sealed(fetched.places, bound.bound_to)
        return self._connection(
            step, _Slice(shaped, 0, len(fetched.rows), sealed, fetched.has_next, fetched.has_previous, fetched.count), fetched
        )

    async def _single(self, step: KeyStep) -> Any:
        values: tuple[Any, ...] = self.bound[step.path]
        reader = self.open(step)
        fetched = await reader.partners(step.product.primary_key, [values])
        self._note(step.product, fetched)
        if not fetched.rows:
            return None
        (shaped,) = await self._shaped((step.rows,), fetched.rows[:1], fetched, [lambda _: step.path])
        return shaped[0]

    # -- rows --------------------------------------------------------------------------------------------------------------

    async def _shaped(self, shapes: Sequence[RowShape], rows: list[Any], fetched: Fetched, locate: Sequence[Locate]) -> list[list[Any]]:
        """Shape rows once per selection over them."""
        if fetched.bad:
            self._report_bad(shapes, rows, fetched, locate)
        if not any(shape.children for shape in shapes):
            return [self._shape(shape, rows, ()) for shape in shapes]
        asks = [self._child(child, rows, place) for shape, place in zip(shapes, locate, strict=True) for child in shape.children]
        partners = await together(asks)
        found: list[list[Any]] = []
        used = 0
        for shape in shapes:
            found.append(self._shape(shape, rows, partners[used : used + len(shape.children)]))
            used += len(shape.children)
        return found

    def _shape(self, shape: RowShape, rows: list[Any], partners: Sequence[Partners]) -> list[Any]:
        return shape.shape(rows, partners, self._tests(shape) if shape.tests else ())

    def _tests(self, shape: RowShape) -> list[Callable[[Any], bool | None]]:
        product = shape.product
        return [_safe(compile_test(rule, lambda name: _cell(product, name))) for rule in self.rules[product.id]]

    async def _child(self, child: Child, rows: list[Any], locate: Locate) -> Partners:
        key_of = _key_reader(child.own)
        keys = dict.fromkeys(key for row in rows if None not in (key := key_of(row)))
        step = child.step
        try:
            if isinstance(step, PartnerStep):
                return await self._one_each(step, keys, rows, key_of, locate)
            return await self._many_each(step, keys, rows, key_of, locate)
        except GatewayError as error:
            self._fail(error, step.path)
            return Partners(None)

    async def _one_each(
        self,
        step: PartnerStep,
        keys: dict[tuple[Any, ...], None],
        parents: list[Any],
        key_of: Callable[[Any], tuple[Any, ...]],
        locate: Locate,
    ) -> Partners:
        found = Partners(None)
        if not keys:
            return found
        reader = self.open(step)
        fetched = await reader.partners(_names(step), list(keys))
        self._note(step.product, fetched)
        target_of = _key_reader(step.target)
        by_key: dict[tuple[Any, ...], Any] = {}
        for row in fetched.rows:
            by_key.setdefault(target_of(row), row)
        rows = list(by_key.values())
        own_keys = list(by_key)

        def place(index: int) -> tuple[str | int, ...]:
            return (*locate(_first(parents, key_of, own_keys[index])), step.path[-1])

        (shaped,) = await self._shaped((step.rows,), rows, fetched, [place])
        single = len(step.target) == 1
        for key, output in zip(own_keys, shaped, strict=True):
            found[key[0] if single else key] = output
        return found

    async def _many_each(
        self,
        step: ConnectionStep,
        keys: dict[tuple[Any, ...], None],
        parents: list[Any],
        key_of: Callable[[Any], tuple[Any, ...]],
        locate: Locate,
    ) -> Partners:
        bound: Bound = self.bound[step.path]
        asked = bound.asked
        if bound.after is not None and keys:
            if len(keys) > 1:
                raise GatewayError(
                    "BAD_USER_INPUT",
                    "after belongs to the list of one parent, and this selection has several.",
                    hint="Ask for one parent, or leave after out.",
                )
            asked = open_place(bound, self.cursors, _encoded(next(iter(keys))))
        fetched = Fetched([])
        counts: dict[tuple[Any, ...], int] | None = {}
        order = asked.order
        if keys:
            reader = self.open(step)
            order = reader.full_order(asked.order)
            if (asked.order or step.cursors) and not step.product.primary_key:
                raise reader.cannot("sort or page partners, because the product has no primary key", "Leave orderBy and cursors out")
            place = asked.place
            if place is not None:
                asked = replace(asked, place=None)
            fetched, counts = await self._partners(step, reader, list(keys), asked, place)
            self._note(step.product, fetched)
            if order:
                fetched.rows.sort(key=reader.sorter(order))
        # After the last row of a parent comes an empty page, which still has a total and a page before it.
        groups = _grouped(fetched.rows, _key_reader(step.target), also=keys if bound.after is not None else ())
        flat: list[Any] = []
        bounds: dict[tuple[Any, ...], tuple[int, int, bool, int]] = {}
        for key, rows in groups.items():
            start = len(flat)
            flat.extend(rows[: asked.first])
            bounds[key] = (start, len(flat), len(rows) > asked.first, len(rows))
        ranges = list(bounds.items())

        def locator(shape: RowShape) -> Locate:
            def place(index: int) -> tuple[str | int, ...]:
                key, (start, _, _, _) = next(it for it in ranges if it[1][0] <= index < it[1][1])
                base = (*locate(_first(parents, key_of, key)), step.path[-1])
                return _list_locator(shape, step.path, base)(index - start)

            return place

        shaped = await self._shaped(step.row_shapes, flat, fetched, [locator(shape) for shape in step.row_shapes])
        total = 0 if counts is not None else None
        previous = bound.after is not None
        found = Partners(self._connection(step, _Slice(shaped, 0, 0, (), False, False, total), fetched))
        single = len(step.target) == 1
        place_of = reader.place_of(order) if step.cursors and flat else None
        for key, (start, end, more, size) in bounds.items():
            sealed: Sequence[str] = ()
            if place_of is not None:
                sealed = self._sealed([place_of(row) for row in flat[start:end]], bound.bound_to + _encoded(key))
            count = None if counts is None else counts.get(key, 0) if fetched.limited or bound.after is not None else size
            found[key[0] if single else key] = self._connection(step, _Slice(shaped, start, end, sealed, more, previous, count), fetched)
        return found

    async def _partners(
        self, step: ConnectionStep, reader: Reader, keys: list[tuple[Any, ...]], asked: Asked, place: bytes | None
    ) -> tuple[Fetched, dict[tuple[Any, ...], int] | None]:
        columns = _names(step)
        order = reader.full_order(asked.order)
        listed = asked if place is None else reader.beyond(asked, order, place)
        fetched = await reader.partners(columns, keys, asked=listed, per_key=asked.first)
        if not step.counts or not (fetched.limited or place is not None):
            return fetched, {}
        try:
            counts = await reader.counts_by_key(columns, keys, asked)
            if counts is None:
                target_of = _key_reader(step.target)
                counts = {}
                for row in (await reader.partners(columns, keys, asked=asked)).rows:
                    counts[target_of(row)] = counts.get(target_of(row), 0) + 1
        except GatewayError as error:
            self._fail(error, (*step.path, "totalCount"))
            return fetched, None
        return fetched, counts

    # -- assembling --------------------------------------------------------------------------------------------------------

    def _connection(self, step: ConnectionStep, page: _Slice, fetched: Fetched) -> Any:
        values: list[Any] = []
        shapes = iter(page.shaped)
        for part in step.parts:
            match part:
                case NodesPick():
                    values.append(next(shapes)[page.start : page.end])
                case EdgesPick():
                    values.append(self._edges(part, shapes, page))
                case CountPick():
                    values.append(self._long(page.count))
                case PageInfoPick():
                    values.append(output_class(tuple(key for key, _ in part.names))(*(page.info(name) for _, name in part.names)))
                case MetadataPick():
                    facts = {
                        "generatedAt": fetched.generated_at,
                        "version": step.product.contract.metadata.version,
                        "totalRecords": self._long(page.count),
                        "sloStatus": self.status_of(step.product.id),
                        "port": fetched.port,
                        "__typename": "ProductMetadata",
                    }
                    values.append(output_class(tuple(key for key, _ in part.names))(*(facts[name] for _, name in part.names)))
                case _:
                    values.append(part.type_name)
        return step.output(*values)

    def _edges(self, part: EdgesPick, shapes: Any, page: _Slice) -> list[Any]:
        columns: list[Sequence[Any]] = []
        size = page.end - page.start
        for pick in part.picks:
            match pick:
                case CursorPick():
                    columns.append(page.cursors)
                case NodePick():
                    columns.append(next(shapes)[page.start : page.end])
                case _:
                    columns.append([pick.type_name] * size)
        edge = output_class(tuple(pick.key for pick in part.picks))
        return [edge(*cells) for cells in zip(*columns, strict=True)] if columns else [edge() for _ in range(size)]

    def _long(self, value: int | None) -> int | str | None:
        return str(value) if self.long_as_text and value is not None else value

    def _sealed(self, places: Sequence[bytes], bound_to: bytes) -> Sequence[str]:
        if not places:
            return ()
        if max(map(len, places)) > PAYLOAD_BYTES_MAX:
            raise GatewayError(
                "LIMIT_EXCEEDED", "A cursor of this list would be too long.", hint="Order by shorter columns, or do not ask for cursors."
            )
        return self.cursors.seal_many(places, bound_to)

    # -- noting ------------------------------------------------------------------------------------------------------------

    def _note(self, product: Product, fetched: Fetched) -> None:
        if fetched.dropped:
            self.dropped[product.id] = self.dropped.get(product.id, 0) + fetched.dropped

    def _fail(self, error: GatewayError, path: tuple[str | int, ...]) -> None:
        if error.path is None:
            error.path = path
        self.errors.append(error.entry())

    def _report_bad(self, shapes: Sequence[RowShape], rows: list[Any], fetched: Fetched, locate: Sequence[Locate]) -> None:
        wrong: dict[int, set[int]] = {}
        for row, column in fetched.bad:
            wrong.setdefault(id(row), set()).add(column)
        for index, row in enumerate(rows):
            if (columns := wrong.get(id(row))) is None:
                continue
            for shape, place in zip(shapes, locate, strict=True):
                for key, column in shape.cell_paths:
                    if column in columns:
                        self.bad_cells += 1
                        if self.bad_cells <= _BAD_CELLS_SHOWN:
                            self._bad_cell(shape.product, column, (*place(index), key))

    def _bad_cell(self, product: Product, column: int, path: tuple[str | int, ...]) -> None:
        name = product.columns[column].graphql_name
        owner = product.contract.metadata.owner
        error = GatewayError(
            "UPSTREAM_INVALID",
            f"{name} of {product.id} does not keep its type in this row.",
            path=path,
            field=name,
            product=product.id,
            owner=owner,
        )
        self.errors.append(error.entry())


@dataclass(slots=True)
class _Slice:
    """One list's share of rows that were shaped together."""

    shaped: Sequence[list[Any]]
    start: int
    end: int
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool
    count: int | None

    def info(self, name: str) -> Any:
        match name:
            case "hasNextPage":
                return self.has_next
            case "hasPreviousPage":
                return self.has_previous
            case "startCursor":
                return self.cursors[0] if self.cursors else None
            case "endCursor":
                return self.cursors[-1] if self.cursors else None
        return "PageInfo"


def _list_locator(shape: RowShape, path: tuple[str, ...], base: tuple[str | int, ...] | None = None) -> Locate:
    """Paths of a list's rows: ``nodes.0``, or ``edges.0.node``."""
    inside = shape.path[len(path) :]
    start = path if base is None else base
    return lambda index: (*start, inside[0], index, *inside[1:])


def _names(step: PartnerStep | ConnectionStep) -> tuple[str, ...]:
    return tuple(step.product.columns[index].name for index in step.target)


def _key_reader(columns: tuple[int, ...]) -> Callable[[Any], tuple[Any, ...]]:
    cells = [attrgetter(row_attribute(index)) for index in columns]
    if len(cells) == 1:
        only = cells[0]
        return lambda row: (only(row),)
    return lambda row: tuple(cell(row) for cell in cells)


def _cell(product: Product, name: str) -> Callable[[Any], Any]:
    return attrgetter(row_attribute(product.columns.index(product.column_by_name[name])))


def _first(rows: list[Any], key_of: Callable[[Any], tuple[Any, ...]], key: tuple[Any, ...]) -> int:
    return next(index for index, row in enumerate(rows) if key_of(row) == key)


def _grouped(
    rows: list[Any], key_of: Callable[[Any], tuple[Any, ...]], *, also: Iterable[tuple[Any, ...]] = ()
) -> dict[tuple[Any, ...], list[Any]]:
    groups: dict[tuple[Any, ...], list[Any]] = {key: [] for key in also}
    for row in rows:
        groups.setdefault(key_of(row), []).append(row)
    return groups


def _encoded(key: tuple[Any, ...]) -> bytes:
    return msgspec.json.encode(key)


def _safe(test: Callable[[Any], bool | None]) -> Callable[[Any], bool | None]:
    def holds(row: Any) -> bool | None:
        try:
            return test(row)
        except TypeError:
            return None

    return holds
