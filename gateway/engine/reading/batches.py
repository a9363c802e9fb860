"""A list of any length, batch after batch: what a streamed form reads in place of one page.

Two ways. *Ordered*: by the port, the primary key last, along its cursors. *Walked*: in the port's own order. What would need every
row before the first (an order that the port does not know, a masked key) is read as one page, no longer than pages are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import Any, TypeVar

from msgspec import structs

from contracts.predicates import FALSE, TRUE, Predicate, columns_of, conjunction
from domain_adapters.port import Order, Read
from gateway.engine.asking.asked import Asked, Fetched
from gateway.engine.reading.lists import full_order, read_list, verify_place
from gateway.engine.reading.pages import Pages
from gateway.engine.reading.positions import PagePlace, after, unpack_keyset, unpack_page
from gateway.engine.reading.pushdown import divide
from gateway.engine.reading.walks import Walk
from gateway.engine.tasks import in_turns, let_go

__all__ = ["ahead", "read_batches"]

T = TypeVar("T")
# What is read at once, and what is shaped and written at once: some milliseconds.
_PAGE_CELLS_MAX = 100_000
_BATCH_CELLS_MAX = 10_000
_ROWS_MIN = 100
_END: Any = object()


def _rows_of(cells: int, pages: Pages) -> int:
    return max(_ROWS_MIN, cells // max(1, len(pages.visible)))


async def read_batches(pages: Pages, asked: Asked) -> AsyncGenerator[Fetched, None]:
    """Read a list batch by batch; ``has_next`` of the last one says whether more rows may follow it.

    **Raises** `GatewayError` PORT_CANNOT before any read, and what reading raises.
    """
    product, capabilities = pages.product, pages.port.capabilities
    if asked.order and not product.primary_key:
        raise pages.cannot("sort, because the product has no primary key", "Leave orderBy out")
    wanted = pages.wanted(asked)
    if wanted == FALSE:
        yield Fetched([], port=pages.port.name)
        return
    if product.primary_key and (asked.order or capabilities.order_by or pages.cells.ties):
        if not capabilities.order_by or pages.cells.ties:
            yield await _paged(pages, asked)
            return
        walk = _ordered(pages, asked, wanted, full_order(product, asked.order))
    else:
        walk = _walked(pages, asked, wanted)
    pages.budget = pages.budget.streamed()
    left = asked.first
    size = _rows_of(_BATCH_CELLS_MAX, pages)
    with closing(pages.budget):
        async with aclosing(walk):
            async for fetched, is_last in walk:
                cut = len(fetched.rows) > left
                beyond = fetched.rows[left:]
                del fetched.rows[left:]
                await let_go(beyond)
                left -= len(fetched.rows)
                fetched.has_next = cut or not is_last
                if not left and not cut and not is_last and (asked.order or capabilities.order_by or _is_filtered_here(pages, wanted)):
                    fetched.has_next = await _has_rows(walk)
                for start in range(0, max(1, len(fetched.rows)), size):
                    yield _part(fetched, start, size)
                if len(fetched.rows) > size:
                    await let_go(fetched.rows)
                if not left:
                    return


async def ahead(source: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Yield what ``source`` does, while the next item is being made. At most one item is made ahead."""
    task = asyncio.ensure_future(anext(source, _END))
    try:
        while (item := await task) is not _END:
            task = asyncio.ensure_future(anext(source, _END))
            yield item
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await source.aclose()


async def _paged(pages: Pages, asked: Asked) -> Fetched:
    if asked.first > pages.budget.bounds.rows_max:
        why = "a part of its primary key is masked" if pages.cells.ties else "the port does not sort"
        raise pages.cannot(
            f"stream more than {pages.budget.bounds.rows_max} rows in order, because {why}",
            "Leave orderBy out or ask for fewer rows" if asked.order else "Ask for fewer rows",
        )
    return await read_list(pages, structs.replace(asked, counts=False, places=False))


@dataclass(slots=True)
class _Reading:
    """One read of a list and what is done here with what it gives."""

    read: Read
    columns: frozenset[int]
    left: Predicate


async def _ordered(pages: Pages, asked: Asked, wanted: Predicate, order: tuple[Order, ...]) -> AsyncGenerator[tuple[Fetched, bool], None]:
    if asked.place is not None:
        values = unpack_keyset(asked.place, [pages.cells.tied_type(term.column) for term in order])
        wanted = conjunction(wanted, after(order, values))
    reading = _reading(pages, asked, wanted, order)
    walk = Walk(pages, reading.read, reading.columns)
    while (page := await walk.next()) is not None:
        fetched = Fetched([])
        fetched.take(page, pages.port)
        await _take(pages, page.rows, reading.left, fetched)
        await let_go(page.rows)
        yield fetched, page.next_cursor is None
        pages.budget.let_go()


async def _walked(pages: Pages, asked: Asked, wanted: Predicate) -> AsyncGenerator[tuple[Fetched, bool], None]:
    cells = pages.cells
    place = PagePlace() if asked.place is None else unpack_page(asked.place)
    reading = _reading(pages, asked, wanted, ())
    keyed = cells.indices(pages.product.primary_key) or pages.visible - cells.indices(cells.unusable)
    prints = [cells.at(index) for index in sorted(keyed)]
    columns = reading.columns | (keyed if place.offset else frozenset())
    # The page that a cursor leads into must be as long as it was when the cursor was made.
    limit = min(max(reading.read.limit or 1, place.offset + 1), pages.port.capabilities.page_max)
    walk = Walk(pages, structs.replace(reading.read, cursor=place.cursor, limit=limit), columns)
    while (page := await walk.next()) is not None:
        verify_place(place, page.rows, prints, pages.product)
        fetched = Fetched([])
        fetched.take(page, pages.port)
        await _take(pages, page.rows[place.offset :], reading.left, fetched)
        await let_go(page.rows)
        place = PagePlace()
        yield fetched, page.next_cursor is None
        pages.budget.let_go()


async def _take(pages: Pages, rows: list[Any], left: Predicate, fetched: Fetched) -> None:
    passes = pages.cells.passes(left)
    async for some in in_turns(rows, pages.at_once(left)):
        fetched.rows += pages.ruled(some if passes is None else [row for row in some if passes(row)], fetched)


async def _has_rows(walk: AsyncGenerator[tuple[Fetched, bool], None]) -> bool:
    async for fetched, _ in walk:
        if fetched.rows:
            return True
    return False


def _is_filtered_here(pages: Pages, wanted: Predicate) -> bool:
    return divide(wanted, pages.port.capabilities)[1] != TRUE


def _reading(pages: Pages, asked: Asked, wanted: Predicate, order: tuple[Order, ...]) -> _Reading:
    pushed, left = divide(wanted, pages.port.capabilities)
    at_once = min(pages.port.capabilities.page_max, _rows_of(_PAGE_CELLS_MAX, pages))
    # One row more than asked tells whether there are more; a filter that is left over may need many pages for few rows.
    limit = min(asked.first + 1, at_once) if left == TRUE else at_once
    read = Read(where=None if pushed == TRUE else pushed, since=pages.since(asked), order_by=order, limit=limit)
    return _Reading(read, pages.visible | pages.cells.indices(columns_of(left)), left)


def _part(fetched: Fetched, start: int, size: int) -> Fetched:
    rows = fetched.rows
    if len(rows) <= size:
        return fetched
    has_next = fetched.has_next or start + size < len(rows)
    return structs.replace(fetched, rows=rows[start : start + size], has_next=has_next, dropped=0 if start else fetched.dropped)
