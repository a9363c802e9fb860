"""Executable and bound questions -> the answer's data and errors: fetch level by level, shape, assemble.

One failed read costs its own subtree: null there, one error with code, product and owner, the rest goes on. Upstream calls
depend on the operation alone, but for chunking.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from contracts.model import Use
from contracts.predicates import Predicate
from domain_adapters.port import Order
from gateway.compiler.executable import Child, ConnectionStep, DomainSteps, Executable, KeyStep, Partners, PartnerStep, RowShape, Step
from gateway.compiler.plan import ForeignPick
from gateway.engine.asking.asked import Asked, Fetched
from gateway.engine.asking.binding import Bound, open_place
from gateway.engine.assembling import Lists, connection_objects
from gateway.engine.decoding.cells import Cells
from gateway.engine.demanding import NOTHING_UNMET, Demanded
from gateway.engine.encoding import CELLS_ENCODED, in_json
from gateway.engine.portions import Portions, sort_each
from gateway.engine.reading.findings import Findings, Locate, list_locator
from gateway.engine.reading.lists import full_order, read_list
from gateway.engine.reading.pages import Pages
from gateway.engine.reading.partners import Key, beyond, count_partners, in_order, place_of, read_partners, sorter
from gateway.engine.reading.ports import Ports
from gateway.engine.relating.parents import Parents, encoded, grouped, key_of, lookup_reader
from gateway.engine.relating.semijoins import Semijoins
from gateway.engine.relating.sifting import Each, sifted, sifted_each
from gateway.engine.tasks import both, in_turns, let_go, together
from gateway.engine.totals.connections import Totals
from gateway.errors import GatewayError
from gateway.governance.cursors import PAYLOAD_BYTES_MAX, CursorCodec
from gateway.slo.board import Board

__all__ = ["Open", "Run"]

_ROWS_AT_ONCE = 1_000
"""Rows shaped between two turns of the event loop, fewer where they have many cells; lists put together."""

_CELLS_AT_ONCE = 10_000
_ROWS_ENCODED = 2_000

Open = Callable[[Step], Ports]
"""A step -> the ports that serve it in this request."""


@dataclass(slots=True)
class Run:
    """One execution. ``rules``: product id -> bound row rules; ``board``: how products stand; ``demanded``: what is not read.

    ``encodes``: rows are for a JSON answer, and may be JSON themselves before it is put together; ``spend``: told of it.
    """

    executable: Executable
    bound: Mapping[tuple[str, ...], Any]
    rules: Mapping[str, tuple[Predicate, ...]]
    open: Open
    cursors: CursorCodec
    board: Board
    foreign: Callable[[ForeignPick], Awaitable[Any]]
    long_as_text: bool = False
    encodes: bool = True
    spend: Callable[[bytes], object] = lambda _: None
    findings: Findings = field(default_factory=Findings)
    demanded: Demanded = NOTHING_UNMET
    totals: Totals = field(init=False)
    semijoins: Semijoins = field(init=False)

    def __post_init__(self) -> None:
        self.semijoins = Semijoins(self.open, self.findings, self.bound)
        self.totals = Totals(self.open, self.bound, self.executable.rulings, self.cursors, self.findings, self.semijoins, self.spend)

    async def data(self) -> Any:
        """Run everything and return the object to encode as ``data``."""
        members, steps = self.executable.members, self.executable.reads
        for error in self.demanded.errors:
            self.findings.errors.append(error.entry())
        results = iter([await self._root(steps[0])] if len(steps) == 1 else await together([self._root(step) for step in steps]))
        values: list[Any] = []
        for member in members:
            match member:
                case DomainSteps():
                    values.append(member.output(*[it if isinstance(it, str) else next(results) for it in member.members]))
                case ForeignPick():
                    values.append(await self.foreign(member))
                case _:
                    values.append(member)
        self.findings.close()
        await self.semijoins.let_go()
        return self.executable.output(*values)

    async def _root(self, step: ConnectionStep | KeyStep) -> Any:
        if step.path in self.demanded.nulled:
            return None
        try:
            return await (self._list(step) if isinstance(step, ConnectionStep) else self._single(step))
        except GatewayError as error:
            self.findings.fail(error, step.path)
            return None

    async def _list(self, step: ConnectionStep) -> Any:
        bound: Bound = self.bound[step.path]
        read = self._fetched(step, bound)
        fetched, totals = await both(read, self.totals.whole(step)) if step.totals else (await read, [])
        self.findings.note(step.product, fetched)
        shaped = await self._shaped(step.row_shapes, fetched.rows, fetched, [list_locator(shape, step.path) for shape in step.row_shapes])
        if fetched.count_error is not None:
            self.findings.fail(fetched.count_error, (*step.path, "totalCount"))
        sealed = await self._sealed(fetched.places, bound.bound_to)
        whole = slice(0, len(fetched.rows))
        await _let_go(fetched, step.row_shapes)
        next_, previous, count = (fetched.has_next,), (fetched.has_previous,), (fetched.count,)
        lists = Lists(shaped, (whole,), (sealed,), next_, previous, count, [(total,) for total in totals])
        return self._objects(step, lists, fetched)[0]

    async def batch(self, step: ConnectionStep, fetched: Fetched, start: int) -> list[Any]:
        """Shape a batch of a flat list's rows. ``start``: place of its first row in the list."""
        self.findings.note(step.product, fetched)
        (shape,) = step.row_shapes
        place = list_locator(shape, step.path)
        (shaped,) = await self._shaped((shape,), fetched.rows, fetched, [lambda index: place(start + index)])
        return shaped

    async def _fetched(self, step: ConnectionStep, bound: Bound) -> Fetched:
        if step.is_bare:
            return Fetched([])
        ports, asked = self.open(step), open_place(bound, self.cursors)
        if step.links:
            known = await self.semijoins.partly(step, asked)
            if known.open:
                return await sifted(step, asked, self.semijoins, known)
            asked = structs.replace(asked, where=known.rest)
        return await ports.do(Use.LIST, read_list, asked)

    async def asked(self, step: ConnectionStep, bound: Bound) -> Asked:
        """Give the question of a list that is read whole, ready to be read."""
        asked = open_place(bound, self.cursors)
        return await self.semijoins.resolved(step, asked) if step.links else asked

    async def _single(self, step: KeyStep) -> Any:
        values: Key = self.bound[step.path]
        key = step.product.primary_key
        fetched = await self.open(step).do(Use.LOOKUP, lambda pages, _: read_partners(pages, key, [values]), keys=key)
        self.findings.note(step.product, fetched)
        if not fetched.rows:
            return None
        (shaped,) = await self._shaped((step.rows,), fetched.rows[:1], fetched, [lambda _: step.path])
        return shaped[0]

    # -- rows --------------------------------------------------------------------------------------------------------------

    async def _shaped(self, shapes: Sequence[RowShape], rows: list[Any], fetched: Fetched, locate: Sequence[Locate]) -> list[list[Any]]:
        """Shape rows once per selection over them, their partners first."""
        if fetched.bad:
            await self.findings.bad_cells(shapes, rows, fetched, locate)
        asks = [self._child(child, rows, place) for shape, place in zip(shapes, locate, strict=True) for child in shape.children]
        if not asks:
            return [await self._shape(shape, rows, ()) for shape in shapes]
        found = await together(asks)
        partners = iter(found)
        shaped = [await self._shape(shape, rows, [next(partners) for _ in shape.children]) for shape in shapes]
        for it in found:
            await let_go(it)
        return shaped

    async def _shape(self, shape: RowShape, rows: list[Any], partners: Sequence[Partners]) -> list[Any]:
        tests = self._tests(shape)
        at_once = min(_ROWS_AT_ONCE, _CELLS_AT_ONCE // shape.weight + 1)
        if len(rows) <= at_once:
            return shape.shape(rows, partners, tests)
        found: list[Any] = []
        is_long = self.encodes and (len(rows) > _ROWS_ENCODED or len(rows) * shape.weight > CELLS_ENCODED)
        async for some in in_turns(rows, at_once):
            shaped = shape.shape(some, partners, tests)
            # Of a long list, rows are encoded here, some at a time: what remains to do at the end is to copy them.
            found += in_json(shaped, self.spend) if is_long else shaped
        return found

    def _tests(self, shape: RowShape) -> Sequence[Callable[[Any], bool | None]]:
        if not shape.tests:
            return ()
        cells = Cells(shape.product)
        return [cells.passes(rule) or (lambda _: True) for rule in self.rules[shape.product.id]]

    async def _child(self, child: Child, rows: list[Any], place: Locate) -> Partners:
        step = child.step
        if step.path in self.demanded.nulled:
            return Partners(None)
        parents = await Parents.of(rows, child.own, place)
        try:
            return await (self._one_each(step, parents) if isinstance(step, PartnerStep) else self._many_each(step, parents))
        except GatewayError as error:
            self.findings.fail(error, step.path)
            return Partners(None)

    # -- one partner each --------------------------------------------------------------------------------------------------

    async def _one_each(self, step: PartnerStep, parents: Parents) -> Partners:
        found = Partners(None)
        if not parents.keys:
            return found
        ports, columns = self.open(step), _names(step)
        fetched = await ports.do(Use.LOOKUP, lambda pages, _: read_partners(pages, columns, parents.keys), keys=columns)
        self.findings.note(step.product, fetched)
        if (pages := ports.pages).cells.ties or not step.product.is_unique_by(columns):
            fetched.rows.sort(key=sorter(pages, full_order(step.product, ())))
        lookup_of, rows = lookup_reader(step.target), fetched.rows
        by_key = dict(zip(map(lookup_of, rows), rows, strict=True))
        if len(by_key) < len(rows):
            # Of several partners the first is shown, whatever order the port has.
            by_key = {}
            for row in rows:
                by_key.setdefault(lookup_of(row), row)
        places: list[Locate] = [lambda index: (*parents.path(list(by_key)[index]), step.path[-1])]
        (shaped,) = await self._shaped((step.rows,), list(by_key.values()), fetched, places)
        found.update(zip(by_key, shaped, strict=True))
        await _let_go(fetched, (step.rows,))
        return found

    # -- a list each -------------------------------------------------------------------------------------------------------

    async def _many_each(self, step: ConnectionStep, parents: Parents) -> Partners:
        bound: Bound = self.bound[step.path]
        if not parents.keys:
            none = [part.absent for part in await self.totals.per_parent(step, ())]
            return Partners(self._objects(step, _absent(step, none, counted=True), Fetched([]))[0])
        ports = self.open(step)
        pages = ports.pages
        asked = self._opened(bound, parents)
        order = full_order(step.product, asked.order)
        if (asked.order or step.cursors) and not step.product.primary_key:
            raise pages.cannot("sort or page partners, because the product has no primary key", "Leave orderBy and cursors out")

        def partners(asked: Asked) -> Coroutine[Any, Any, Each]:
            return ports.do(
                Use.LOOKUP,
                lambda pages, asked: self._partners(step, pages, parents.keys, asked, order),
                asked,
                keys=_names(step),
                per_key=not step.is_bare,
            )

        read = partners(asked) if not step.links or step.is_bare else self._filtered(step, asked, parents, order, partners)
        (fetched, counted), parts = await both(read, self.totals.per_parent(step, parents.keys)) if step.totals else (await read, [])
        self.findings.note(step.product, fetched)
        counts = counted if isinstance(counted, dict) else None
        if isinstance(counted, GatewayError):
            self.findings.fail(counted, (*step.path, "totalCount"))
        is_later = bound.after is not None
        # After the last row of a parent comes an empty page, which still has a total and a page before it.
        lookup_of = lookup_reader(step.target)
        groups = grouped((), lookup_of, also=parents.lookups if is_later or step.totals else ())
        await _group(fetched.rows, lookup_of, pages, order, into=groups)
        portions = await Portions.of(groups, asked.first)
        places = [_nested(shape, step, portions, parents) for shape in step.row_shapes]
        shaped = await self._shaped(step.row_shapes, portions.rows, fetched, places)
        absent = _absent(step, [part.absent for part in parts], counted=counts is not None)
        found = Partners(self._objects(step, absent, fetched)[0])
        pack = place_of(pages, order) if step.cursors else None
        async for some_portions in portions.in_turns():
            lookups, spans, sizes = some_portions.lookups, some_portions.spans, some_portions.sizes
            keys = [key_of(lookup, step.target) for lookup in lookups] if step.cursors or step.counts or parts else ()
            cursors: list[Sequence[str]] = [()] * len(spans)
            if pack is not None:
                for at, (key, span) in enumerate(zip(keys, spans, strict=True)):
                    cursors[at] = await self._sealed([pack(row) for row in portions.rows[span]], bound.bound_to + encoded(key))
            totals: Sequence[int | None] = sizes
            if counts is None:
                totals = [None] * len(spans)
            elif fetched.limited or is_later:
                totals = [counts.get(key, 0) for key in keys]
            lists = Lists(
                shaped,
                spans,
                cursors,
                [size > asked.first for size in sizes],
                [is_later] * len(spans),
                totals,
                [[part.of(key) for key in keys] for part in parts],
            )
            found.update(zip(lookups, self._objects(step, lists, fetched), strict=True))
        await _let_go(fetched, step.row_shapes)
        return found

    async def _filtered(
        self, step: ConnectionStep, asked: Asked, parents: Parents, order: tuple[Order, ...], read: Callable[[Asked], Awaitable[Each]]
    ) -> Each:
        of = _names(step), tuple(parents.keys)
        known = await self.semijoins.partly(step, asked, of)
        if known.open:
            return await sifted_each(step, asked, self.semijoins, known, parents=of, order=order, read=read)
        return await read(structs.replace(asked, where=known.rest))

    def _opened(self, bound: Bound, parents: Parents) -> Asked:
        if bound.after is None:
            return bound.asked
        if len(parents.keys) > 1:
            raise GatewayError(
                "BAD_USER_INPUT",
                "after belongs to the list of one parent, and this selection has several.",
                hint="Ask for one parent, or leave after out.",
            )
        return open_place(bound, self.cursors, encoded(parents.keys[0]))

    async def _partners(self, step: ConnectionStep, pages: Pages, keys: list[Key], asked: Asked, order: tuple[Order, ...]) -> Each:
        """Read the lists of all parents, and count them where the rows read do not tell: an error where that fails."""
        columns = _names(step)
        if step.is_bare:
            return Fetched([]), {}
        plain = asked.at(None)
        listed = plain if asked.place is None else beyond(pages, plain, order, asked.place)
        fetched = await read_partners(pages, columns, keys, asked=listed, per_key=asked.first)
        if not step.counts or not (fetched.limited or asked.place is not None):
            return fetched, {}
        try:
            counts = await count_partners(pages, columns, keys, plain)
            if counts is None:
                rows = (await read_partners(pages, columns, keys, asked=plain)).rows
                groups = grouped(rows, lookup_reader(step.target))
                counts = {key_of(lookup, step.target): len(found) for lookup, found in groups.items()}
        except GatewayError as error:
            return fetched, error
        return fetched, counts

    # -- assembling --------------------------------------------------------------------------------------------------------

    def _objects(self, step: ConnectionStep, lists: Lists, fetched: Fetched) -> list[Any]:
        return connection_objects(step, lists, fetched, board=self.board, long_as_text=self.long_as_text)

    async def _sealed(self, places: list[bytes], bound_to: bytes) -> Sequence[str]:
        if not places:
            return ()
        if max(map(len, places)) > PAYLOAD_BYTES_MAX:
            hint = "Order by shorter columns, or do not ask for cursors."
            raise GatewayError("LIMIT_EXCEEDED", "A cursor of this list would be too long.", hint=hint)
        sealed: list[str] = []
        async for some in in_turns(places, _ROWS_AT_ONCE):
            sealed += self.cursors.seal_many(some, bound_to)
        return sealed


async def _group(
    rows: list[Any], lookup_of: Callable[[Any], Any], pages: Pages, order: tuple[Order, ...], *, into: dict[Any, list[Any]]
) -> None:
    """Put rows under their parents' keys, in order."""
    if len(rows) <= _ROWS_AT_ONCE:
        grouped(in_order(pages, order, rows) if order else rows, lookup_of, into=into)
        return
    async for some in in_turns(rows, _ROWS_AT_ONCE):
        grouped(some, lookup_of, into=into)
    if order:
        await sort_each(list(into.values()), sorter(pages, order))


def _absent(step: ConnectionStep, totals: Sequence[Any], *, counted: bool) -> Lists:
    """Give the list of a parent without partners."""
    empty: list[list[Any]] = [[] for _ in step.row_shapes]
    return Lists(empty, (slice(0, 0),), ((),), (False,), (False,), (0 if counted else None,), [(total,) for total in totals])


def _nested(shape: RowShape, step: ConnectionStep, portions: Portions, parents: Parents) -> Locate:
    def place(index: int) -> tuple[str | int, ...]:
        lookup, within = portions.whose(index)
        return list_locator(shape, step.path, (*parents.path(lookup), step.path[-1]))(within)

    return place


async def _let_go(fetched: Fetched, shapes: Sequence[RowShape]) -> None:
    if len(fetched.rows) * sum([shape.weight for shape in shapes]) > CELLS_ENCODED:
        await let_go(fetched.rows)


def _names(step: Step) -> tuple[str, ...]:
    return tuple(step.product.columns[index].name for index in step.target)
