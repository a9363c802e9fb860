"""Executable and bound questions -> the answer's data and errors: fetch level by level, shape, assemble.

One failed read costs its own subtree: null there, one error with code, product and owner, the rest goes on. Upstream calls
depend on the operation alone, but for chunking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from contracts.model import Use
from contracts.predicates import Predicate
from domain_adapters.port import Order
from gateway.compiler.executable import Child, ConnectionStep, DomainSteps, Executable, KeyStep, Partners, PartnerStep, RowShape, Step
from gateway.compiler.plan import ForeignPick
from gateway.engine.asked import Asked, Fetched
from gateway.engine.assembling import Share, connection_object
from gateway.engine.binding import Bound, open_place
from gateway.engine.cells import Cells
from gateway.engine.demanding import NOTHING_UNMET, Demanded
from gateway.engine.findings import Findings, Locate, list_locator
from gateway.engine.lists import full_order, read_list
from gateway.engine.pages import Pages
from gateway.engine.parents import Parents, encoded, grouped, key_reader
from gateway.engine.partners import Key, beyond, count_partners, place_of, read_partners, sorter
from gateway.engine.ports import Ports
from gateway.engine.semijoins import Semijoins
from gateway.engine.tasks import both, in_turns, together
from gateway.engine.totals import Totals
from gateway.errors import GatewayError
from gateway.governance.cursors import PAYLOAD_BYTES_MAX, CursorCodec
from gateway.slo.board import Board

__all__ = ["Open", "Run"]

_ROWS_AT_ONCE = 1_000
"""Rows shaped between two turns of the event loop, fewer where they have many cells; lists put together."""

_CELLS_AT_ONCE = 10_000
_ROWS_ENCODED = 2_000
_LISTS_AT_ONCE = 250

_encode_lines = msgspec.json.Encoder(decimal_format="string").encode_lines

Open = Callable[[Step], Ports]
"""A step -> the ports that serve it in this request."""


@dataclass(slots=True)
class Run:
    """One execution. ``rules``: product id -> bound row rules; ``board``: how products stand; ``demanded``: what is not read.

    ``encodes``: rows are for a JSON answer, and may be JSON themselves before it is put together.
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
    findings: Findings = field(default_factory=Findings)
    demanded: Demanded = NOTHING_UNMET
    totals: Totals = field(init=False)
    semijoins: Semijoins = field(init=False)

    def __post_init__(self) -> None:
        self.semijoins = Semijoins(self.open, self.findings)
        self.totals = Totals(self.open, self.bound, self.executable.rulings, self.cursors, self.findings, self.semijoins)

    async def data(self) -> Any:
        """Run everything and return the object to encode as ``data``."""
        members = self.executable.members
        self.findings.errors += [error.entry() for error in self.demanded.errors]
        steps = [it for member in members if isinstance(member, DomainSteps) for it in member.members if not isinstance(it, str)]
        results = iter(await together([self._root(step) for step in steps])) if steps else iter(())
        values: list[Any] = []
        for member in members:
            match member:
                case DomainSteps():
                    values.append(member.output(*(it if isinstance(it, str) else next(results) for it in member.members)))
                case ForeignPick():
                    values.append(await self.foreign(member))
                case _:
                    values.append(member)
        self.findings.close()
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
        share = Share(shaped, 0, len(fetched.rows), sealed, fetched.has_next, fetched.has_previous, fetched.count, totals)
        return self._object(step, share, fetched)

    async def batch(self, step: ConnectionStep, fetched: Fetched, start: int) -> list[Any]:
        """Shape a batch of a flat list's rows. ``start``: place of its first row in the list."""
        self.findings.note(step.product, fetched)
        (shape,) = step.row_shapes
        place = list_locator(shape, step.path)
        (shaped,) = await self._shaped((shape,), fetched.rows, fetched, [lambda index: place(start + index)])
        return shaped

    async def _fetched(self, step: ConnectionStep, bound: Bound) -> Fetched:
        return Fetched([]) if step.is_bare else await self.open(step).do(Use.LIST, read_list, await self.asked(step, bound))

    async def asked(self, step: ConnectionStep, bound: Bound) -> Asked:
        """Give the question of a list at the root, ready to be read."""
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
            self.findings.bad_cells(shapes, rows, fetched, locate)
        if not any(shape.children for shape in shapes):
            return [await self._shape(shape, rows, ()) for shape in shapes]
        asks = [
            self._child(child, Parents(rows, child.own, place))
            for shape, place in zip(shapes, locate, strict=True)
            for child in shape.children
        ]
        partners = iter(await together(asks))
        return [await self._shape(shape, rows, [next(partners) for _ in shape.children]) for shape in shapes]

    async def _shape(self, shape: RowShape, rows: list[Any], partners: Sequence[Partners]) -> list[Any]:
        tests = self._tests(shape) if shape.tests else ()
        at_once = min(_ROWS_AT_ONCE, _CELLS_AT_ONCE // (1 + len(shape.cell_paths)) + 1)
        if len(rows) <= at_once:
            return shape.shape(rows, partners, tests)
        found: list[Any] = []
        is_long = self.encodes and len(rows) > _ROWS_ENCODED
        async for some in in_turns(rows, at_once):
            shaped = shape.shape(some, partners, tests)
            # Of a long list, rows are encoded here, some at a time: what remains to do at the end is to copy them.
            found += map(msgspec.Raw, _encode_lines(shaped).split(b"\n")[:-1]) if is_long else shaped
        return found

    def _tests(self, shape: RowShape) -> list[Callable[[Any], bool | None]]:
        cells = Cells(shape.product)
        return [cells.passes(rule) or (lambda _: True) for rule in self.rules[shape.product.id]]

    async def _child(self, child: Child, parents: Parents) -> Partners:
        step = child.step
        if step.path in self.demanded.nulled:
            return Partners(None)
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
        if (pages := ports.pages).cells.ties:
            fetched.rows.sort(key=sorter(pages, full_order(step.product, ())))
        by_key = {key: rows[0] for key, rows in grouped(fetched.rows, key_reader(step.target)).items()}
        keys = list(by_key)
        places: list[Locate] = [lambda index: (*parents.path(keys[index]), step.path[-1])]
        (shaped,) = await self._shaped((step.rows,), list(by_key.values()), fetched, places)
        for key, output in zip(keys, shaped, strict=True):
            found[_lookup(key)] = output
        return found

    # -- a list each -------------------------------------------------------------------------------------------------------

    async def _many_each(self, step: ConnectionStep, parents: Parents) -> Partners:
        bound: Bound = self.bound[step.path]
        if not parents.keys:
            none = [part.absent for part in await self.totals.per_parent(step, ())]
            return Partners(self._object(step, Share([[] for _ in step.row_shapes], count=0, totals=none), Fetched([])))
        ports = self.open(step)
        pages = ports.pages
        asked = self._opened(bound, parents)
        order = full_order(step.product, asked.order)
        if (asked.order or step.cursors) and not step.product.primary_key:
            raise pages.cannot("sort or page partners, because the product has no primary key", "Leave orderBy and cursors out")
        if step.links and not step.is_bare:
            asked = await self.semijoins.resolved(step, asked, (_names(step), tuple(parents.keys)))
        read = ports.do(
            Use.LOOKUP,
            lambda pages, asked: self._partners(step, pages, parents.keys, asked, order),
            asked,
            keys=_names(step),
            per_key=not step.is_bare,
        )
        (fetched, counted), parts = await both(read, self.totals.per_parent(step, parents.keys)) if step.totals else (await read, [])
        self.findings.note(step.product, fetched)
        counts = counted if isinstance(counted, dict) else None
        if isinstance(counted, GatewayError):
            self.findings.fail(counted, (*step.path, "totalCount"))
        # After the last row of a parent comes an empty page, which still has a total and a page before it.
        groups = grouped((), key_reader(step.target), also=parents.keys if bound.after is not None or step.totals else ())
        async for some in in_turns(fetched.rows, _ROWS_AT_ONCE):
            grouped(some, key_reader(step.target), into=groups)
        if order:
            await _sort_each(list(groups.values()), sorter(pages, order))
        lists = await _cut(groups, asked.first)
        flat = [row for each in lists for row in each.rows]
        shaped = await self._shaped(step.row_shapes, flat, fetched, [_nested(shape, step, lists, parents) for shape in step.row_shapes])
        none = [part.absent for part in parts]
        absent = Share([[] for _ in step.row_shapes], count=None if counts is None else 0, totals=none)
        found = Partners(self._object(step, absent, fetched))
        pack = place_of(pages, order) if step.cursors else None
        async for some in in_turns(lists, _LISTS_AT_ONCE):
            for each in some:
                sealed = () if pack is None else await self._sealed([pack(row) for row in each.rows], bound.bound_to + encoded(each.key))
                count = None if counts is None else counts.get(each.key, 0) if fetched.limited or bound.after is not None else each.size
                totals = [part.of(each.key) for part in parts]
                share = Share(shaped, each.start, each.end, sealed, each.size > len(each.rows), bound.after is not None, count, totals)
                found[_lookup(each.key)] = self._object(step, share, fetched)
        return found

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

    async def _partners(
        self, step: ConnectionStep, pages: Pages, keys: list[Key], asked: Asked, order: tuple[Order, ...]
    ) -> tuple[Fetched, dict[Key, int] | GatewayError]:
        """Read the lists of all parents, and count them where the rows read do not tell: an error where that fails."""
        columns = _names(step)
        if step.is_bare:
            return Fetched([]), {}
        plain = replace(asked, place=None)
        listed = plain if asked.place is None else beyond(pages, plain, order, asked.place)
        fetched = await read_partners(pages, columns, keys, asked=listed, per_key=asked.first)
        if not step.counts or not (fetched.limited or asked.place is not None):
            return fetched, {}
        try:
            counts = await count_partners(pages, columns, keys, plain)
            if counts is None:
                rows = (await read_partners(pages, columns, keys, asked=plain)).rows
                counts = {key: len(found) for key, found in grouped(rows, key_reader(step.target)).items()}
        except GatewayError as error:
            return fetched, error
        return fetched, counts

    # -- assembling --------------------------------------------------------------------------------------------------------

    def _object(self, step: ConnectionStep, share: Share, fetched: Fetched) -> Any:
        return connection_object(step, share, fetched, board=self.board, long_as_text=self.long_as_text)

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


@dataclass(frozen=True, slots=True)
class _List:
    """One parent's list among rows that are shaped together. ``size``: rows there were before the cut."""

    key: Key
    rows: list[Any]
    start: int
    size: int

    @property
    def end(self) -> int:
        return self.start + len(self.rows)


async def _sort_each(lists: list[list[Any]], key: Callable[[Any], Any]) -> None:
    sorted_rows = 0
    for rows in lists:
        if len(rows) > 1:
            rows.sort(key=key)
            sorted_rows += len(rows)
            if sorted_rows > _ROWS_AT_ONCE:
                sorted_rows = 0
                await asyncio.sleep(0)


async def _cut(groups: Mapping[Key, list[Any]], first: int) -> list[_List]:
    lists: list[_List] = []
    start = 0
    async for some in in_turns(list(groups.items()), _ROWS_AT_ONCE):
        for key, rows in some:
            lists.append(_List(key, rows[:first], start, len(rows)))
            start = lists[-1].end
    return lists


def _nested(shape: RowShape, step: ConnectionStep, lists: Sequence[_List], parents: Parents) -> Locate:
    def place(index: int) -> tuple[str | int, ...]:
        each = next(it for it in lists if it.start <= index < it.end)
        return list_locator(shape, step.path, (*parents.path(each.key), step.path[-1]))(index - each.start)

    return place


def _names(step: Step) -> tuple[str, ...]:
    return tuple(step.product.columns[index].name for index in step.target)


def _lookup(key: Key) -> Any:
    return key[0] if len(key) == 1 else key
