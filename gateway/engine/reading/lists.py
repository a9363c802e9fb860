"""One page of one list: which way to read it, given what the port can do.

Three ways. *Pushed*: filter, order and limit by the port, cursors by key. *Scanned*: all that matches is read within the scan budget,
filtered, sorted and cut here, cursors by key. *Walked*: in the port's own order, cursors by the port's pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from contracts.predicates import FALSE, TRUE, Predicate, columns_of, compile_test, conjunction
from domain_adapters.port import Order, Read
from gateway.catalog.snapshot import Product
from gateway.engine.asking.asked import Asked, Fetched
from gateway.engine.decoding.cells import Cell
from gateway.engine.decoding.decode import Page
from gateway.engine.reading.foremost import Foremost
from gateway.engine.reading.pages import Pages
from gateway.engine.reading.positions import PagePlace, after, fingerprint, pack_keyset, pack_page, sort_key, unpack_keyset, unpack_page
from gateway.engine.reading.pushdown import can_push, divide
from gateway.engine.reading.walks import Walk, read_all, scan
from gateway.engine.tasks import in_turns, let_go
from gateway.errors import GatewayError

__all__ = ["full_order", "read_list", "verify_place"]

_ROWS_AT_ONCE = 1_000
_CELLS_DROPPED = 20_000
"""Fewer cells are dropped at once, which takes no time worth a turn of the loop."""
Test = Callable[[Any], bool]


def full_order(product: Product, order: tuple[Order, ...]) -> tuple[Order, ...]:
    """Complete an order with the primary key."""
    return _completed(order, product.primary_key)


@lru_cache(maxsize=512)
def _completed(order: tuple[Order, ...], key: tuple[str, ...]) -> tuple[Order, ...]:
    return (*order, *(Order(name) for name in key if all(name != term.column for term in order)))


async def read_list(pages: Pages, asked: Asked) -> Fetched:
    """Read one page of a list. **Raises** `GatewayError` PORT_CANNOT, CURSOR_EXPIRED and what reading raises."""
    product, capabilities = pages.product, pages.port.capabilities
    if asked.order and not product.primary_key:
        raise pages.cannot("sort, because the product has no primary key", "Leave orderBy out")
    wanted = pages.wanted(asked)
    if wanted is not TRUE and wanted == FALSE:
        # No row satisfies the condition, so no port is asked, nor believed about their number.
        fetched = Fetched([], count=0 if asked.counts else None, port=pages.port.name)
    elif not asked.rows:
        fetched = await _facts(pages, asked, wanted)
    elif product.primary_key and (capabilities.order_by or asked.order or pages.cells.ties):
        fetched = await _sorted(pages, asked, wanted, full_order(product, asked.order))
    else:
        fetched = await _walked(pages, asked, wanted)
    fetched.has_previous = asked.place is not None
    if asked.rows and asked.counts and fetched.count is None:
        await _count(pages, asked, wanted, fetched)
    return fetched


async def _facts(pages: Pages, asked: Asked, wanted: Predicate) -> Fetched:
    """Find out what is asked of a list beside its rows."""
    fetched = Fetched([])
    if asked.counts:
        await _count(pages, asked, wanted, fetched)
    else:
        fetched.take(await pages.one(Read(limit=1), frozenset()), pages.port)
    return fetched


async def _sorted(pages: Pages, asked: Asked, wanted: Predicate, order: tuple[Order, ...]) -> Fetched:
    capabilities, cells = pages.port.capabilities, pages.cells
    values = None if asked.place is None else unpack_keyset(asked.place, [cells.tied_type(term.column) for term in order])
    beyond = wanted if values is None else conjunction(wanted, after(order, values))
    if capabilities.order_by and not cells.ties and (beyond == TRUE or can_push(beyond, capabilities)):
        return await _pushed(pages, asked, beyond, order, counts=asked.counts and values is None and pages.counts(wanted))
    return await _scanned(pages, asked, wanted, order, values)


async def _pushed(pages: Pages, asked: Asked, beyond: Predicate, order: tuple[Order, ...], *, counts: bool) -> Fetched:
    columns = pages.visible | (pages.cells.indices(term.column for term in order) if asked.places else frozenset())
    read = Read(where=_where(beyond), order_by=order, limit=asked.first + 1, since=pages.since(asked), count=counts)
    if asked.first + 1 <= pages.port.capabilities.page_max:
        page = await pages.one(read, columns)
        fetched = Fetched([], count=page.count if counts else None)
        fetched.take(page, pages.port)
        # The extra row counts before the rule is applied again: a port that lies shortens the page, never lengthens the list.
        fetched.has_next = len(page.rows) + page.dropped > asked.first
        fetched.rows = pages.ruled(page.rows[: asked.first], fetched)
        await _let_go(page, pages)
    else:
        fetched = await read_all(pages, read, columns, enough=asked.first + 1)
        if not counts:
            fetched.count = None  # a count that nobody asked for is not to be believed
        fetched.has_next = len(fetched.rows) > asked.first
        del fetched.rows[asked.first :]
    await _note_places(fetched, asked, [pages.cells.of(term.column) for term in order])
    return fetched


async def _scanned(pages: Pages, asked: Asked, wanted: Predicate, order: tuple[Order, ...], values: Sequence[Any] | None) -> Fetched:
    cells = pages.cells
    terms = [cells.tied(term.column) for term in order]
    behind = None if values is None else compile_test(after(order, values), cells.tied)
    foremost, count = Foremost(asked.first + 1, sort_key(order, terms)), 0

    def take(rows: list[Any], _: Fetched) -> None:
        nonlocal count
        count += len(rows)
        foremost.add(rows if behind is None else [row for row in rows if behind(row) is True])

    def taken(scanned: Fetched) -> None:
        scanned.bad = foremost.among(scanned.bad)

    fetched = await scan(pages, asked, wanted, pages.visible | cells.indices(term.column for term in order), take=take, taken=taken)
    fetched.rows = foremost.rows()
    fetched.count = count if asked.counts else None
    fetched.has_next = len(fetched.rows) > asked.first
    del fetched.rows[asked.first :]
    await _note_places(fetched, asked, terms)
    return fetched


async def _note_places(fetched: Fetched, asked: Asked, terms: Sequence[Cell]) -> None:
    if asked.places:
        fetched.places = []
        async for some in in_turns(fetched.rows, _ROWS_AT_ONCE):
            fetched.places += [pack_keyset([cell(row) for cell in terms]) for row in some]


async def _walked(pages: Pages, asked: Asked, wanted: Predicate) -> Fetched:
    """Page in the port's own order, from a place, filtering here what the port cannot."""
    capabilities, cells = pages.port.capabilities, pages.cells
    place = PagePlace() if asked.place is None else unpack_page(asked.place)
    pushed, left = divide(wanted, capabilities)
    # What is masked must not show in a cursor, not even by making it another one.
    keyed = cells.indices(pages.product.primary_key) or pages.visible - cells.indices(cells.unusable)
    prints = [cells.at(index) for index in sorted(keyed)]
    passes, is_served = cells.passes(left), cells.passes(pages.rule)
    limit = capabilities.page_max if passes else min(place.offset + asked.first, capabilities.page_max)
    read = Read(where=_where(pushed), since=pages.since(asked), limit=max(limit, 1), cursor=place.cursor)
    fetched = Fetched([])
    keeping = _Keeping(fetched, asked, passes, is_served, prints, pages.pin, place.offset)
    columns = pages.visible | keyed
    walk = Walk(pages, read, columns if left is TRUE else columns | cells.indices(columns_of(left)))
    is_first = True
    while (page := await walk.next()) is not None:
        if is_first and place.offset:
            verify_place(place, page.rows, prints, pages.product)
        is_first = False
        fetched.take(page, pages.port)
        if passes is None and is_served is None and not asked.places:
            # Every row is one of the list.
            room = asked.first - len(fetched.rows)
            fetched.rows += page.rows[keeping.offset : keeping.offset + room]
            fetched.has_next = len(page.rows) - keeping.offset > room
        else:
            async for some in in_turns(page.rows[keeping.offset :], pages.at_once(left)):
                keeping.take(some, walk.at)
        await _let_go(page, pages)
        if fetched.has_next:
            return fetched
        keeping.offset = 0
        if len(fetched.rows) == asked.first and passes is None:
            fetched.has_next = page.next_cursor is not None
            if fetched.places and page.next_cursor is not None:
                fetched.places[-1] = pack_page(PagePlace(page.next_cursor, port=pages.pin))
            return fetched
    return fetched


class _Keeping(msgspec.Struct):
    """Keeps the rows of pages that are a list's, until it is full. ``offset``: of the next row in its page."""

    fetched: Fetched
    asked: Asked
    passes: Test | None
    is_served: Test | None
    prints: Sequence[Cell]
    pin: str
    offset: int

    def take(self, rows: list[Any], at: str | None) -> None:
        """Keep those rows that belong to the list. ``at``: the cursor that led to their page."""
        fetched = self.fetched
        for row in rows if not fetched.has_next else ():
            self.offset += 1
            if self.passes is not None and not self.passes(row):
                continue
            if self.is_served is not None and not self.is_served(row):
                fetched.dropped += 1
                continue
            if len(fetched.rows) == self.asked.first:
                fetched.has_next = True
                return
            fetched.rows.append(row)
            if self.asked.places:
                fetched.places.append(pack_page(PagePlace(at, self.offset, fingerprint([cell(row) for cell in self.prints]), self.pin)))


def verify_place(place: PagePlace, rows: list[Any], prints: Sequence[Cell], product: Product) -> None:
    """Refuse to go on from a place in a page that changed since. **Raises** `GatewayError` CURSOR_EXPIRED."""
    if not place.offset:
        return
    if place.offset > len(rows) or fingerprint([cell(rows[place.offset - 1]) for cell in prints]) != place.print_:
        raise GatewayError("CURSOR_EXPIRED", f"The page of {product.id} that the cursor leads to has changed.")


async def _count(pages: Pages, asked: Asked, wanted: Predicate, fetched: Fetched) -> None:
    try:
        if pages.counts(wanted):
            page = await pages.one(Read(where=_where(wanted), since=pages.since(asked), limit=1, count=True), frozenset())
            fetched.take(page, pages.port)
            fetched.count = page.count
        else:
            count = 0

            def take(rows: list[Any], _: Fetched) -> None:
                nonlocal count
                count += len(rows)

            scanned = await scan(pages, asked, wanted, frozenset(), take=take)
            fetched.count = count
            fetched.metadata, fetched.port = scanned.metadata, scanned.port
    except GatewayError as error:
        fetched.count_error = error
        return
    if fetched.count is None:
        fetched.count_error = pages.invalid("no count although it says that it counts")


async def _let_go(page: Page, pages: Pages) -> None:
    if len(page.rows) * len(pages.visible) > _CELLS_DROPPED:
        await let_go(page.rows)


def _where(predicate: Predicate) -> Predicate | None:
    return None if predicate is TRUE or predicate == TRUE else predicate
