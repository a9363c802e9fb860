"""Reads of one product through one port -> all their pages, one after another, and the rows that match.

Rejects with what single pages do, with PORT_CANNOT beyond the scan budget, and with UPSTREAM_INVALID where a port leads nowhere.
Touches the port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import structs

from contracts.predicates import TRUE, Predicate, columns_of
from domain_adapters.port import Read, calls_of
from gateway.engine.asking.asked import Asked, Fetched
from gateway.engine.decoding.cellwise import Page
from gateway.engine.reading.pages import Pages
from gateway.engine.reading.pushdown import divide, looked_up
from gateway.engine.tasks import in_turns, let_go

__all__ = ["Walk", "read_all", "scan", "scanned"]

_EMPTY_PAGES_MAX = 1_000


async def scan(
    pages: Pages,
    asked: Asked,
    wanted: Predicate,
    columns: frozenset[int],
    *,
    must: frozenset[int] = frozenset(),
    take: Callable[[list[Any], Fetched], None] = lambda rows, fetched: fetched.rows.extend(rows),
    taken: Callable[[Fetched], None] = lambda _: None,
    at_once: int | None = None,
) -> Fetched:
    """Read every row that matches, within the budget; ``take`` may do something else with a page's rows than keep them.

    ``at_once``: how many of them it takes without a turn of the event loop; ``taken``: told when a page's rows have been.
    """
    fetched = Fetched([])
    walk, passes = scanned(pages, asked, wanted, columns, must=must)
    most = pages.at_once(wanted)
    at_once = most if at_once is None else min(at_once, most)
    while (page := await walk.next()) is not None:
        fetched.take(page, pages.port)
        async for some in in_turns(page.rows, at_once):
            take(pages.ruled(some if passes is None else list(filter(passes, some)), fetched), fetched)
        taken(fetched)
        await let_go(page.rows)
    return fetched


def scanned(
    pages: Pages, asked: Asked, wanted: Predicate, columns: frozenset[int], *, must: frozenset[int] = frozenset()
) -> tuple[Walk, Callable[[Any], bool] | None]:
    """Begin a walk over the pages of all rows that match, and give the test of what the port does not apply.

    Where the port filters by a list of keys only when it is asked to look them up, it is.
    """
    capabilities = pages.port.capabilities
    pushed, left = divide(wanted, capabilities)
    read = Read(where=None if pushed == TRUE else pushed, since=pages.since(asked), limit=capabilities.page_max)
    keys = looked_up(left, capabilities)
    first, *further = (read,) if keys is None else calls_of(pages.port, structs.replace(read, keys=keys)) or (read,)
    walk = Walk(pages, first, columns | pages.cells.indices(columns_of(left)), must, further)
    return walk, pages.cells.passes(left)


async def read_all(
    pages: Pages, read: Read, columns: frozenset[int], *, must: frozenset[int] = frozenset(), enough: int | None = None
) -> Fetched:
    """Walk all pages, or until there are ``enough`` rows that the row rules let through."""
    fetched = Fetched([])
    walk = Walk(pages, read, columns, must)
    while (page := await walk.next()) is not None:
        fetched.take(page, pages.port)
        if not fetched.rows and len(page.rows) <= pages.at_once(TRUE):
            fetched.rows = pages.ruled(page.rows, fetched)
        else:
            async for some in in_turns(page.rows, pages.at_once(TRUE)):
                fetched.rows.extend(pages.ruled(some, fetched))
            await let_go(page.rows)
        if fetched.count is None:
            fetched.count = page.count
        if enough is not None and len(fetched.rows) >= enough:
            break
    return fetched


class Walk:
    """Pages one after another until there are no more. ``at``: the cursor that led to the page last given, None for the first.

    ``further``: reads whose pages follow, within the same budget.
    **Raises** `GatewayError` PORT_CANNOT beyond the scan budget, UPSTREAM_INVALID where a port leads nowhere.
    """

    __slots__ = (
        "_columns",
        "_empty",
        "_ends",
        "_further",
        "_has_begun",
        "_is_over",
        "_keys",
        "_last",
        "_must",
        "_next",
        "_pages",
        "_read",
        "_scanned",
        "_seen",
        "at",
    )

    def __init__(
        self, pages: Pages, read: Read, columns: frozenset[int], must: frozenset[int] = frozenset(), further: Sequence[Read] = ()
    ) -> None:
        self._pages = pages
        self._read = read
        self._further = list(further)
        # Rows have keys, so no two pages begin and end with the same ones; level 1 is believed to page by them.
        self._keys = pages.product.primary_key if pages.port.capabilities.level == 0 else ()
        self._columns = columns | pages.cells.indices(self._keys)
        self._ends: set[tuple[Any, ...]] = set()
        self._last: tuple[int, Any, Any] | None = None
        self._must = must
        self._next = self.at = read.cursor
        self._seen: set[str | None] = {read.cursor}
        self._scanned = self._empty = 0
        self._is_over = self._has_begun = False

    @property
    def is_over(self) -> bool:
        """Whether there are no more pages."""
        return self._is_over and not self._further

    async def next(self) -> Page | None:
        """Give the next page."""
        if self._is_over:
            if not self._further:
                return None
            self._read = self._further.pop(0)
            self._next, self._seen = self._read.cursor, {self._read.cursor}
            self._empty, self._is_over, self._has_begun = 0, False, False
            await asyncio.sleep(0)
        pages, read = self._pages, self._read
        if self._has_begun:
            self._check()
            read = structs.replace(read, cursor=self._next, count=False)
            # Reads may answer at once from a cache or in process: other requests get their turn between pages all the same.
            await asyncio.sleep(0)
        page = await pages.one(read, self._columns, must=self._must, resumes=not self._has_begun and read.cursor is not None)
        self._scanned += len(page.rows) + page.dropped + len(page.groups or ())
        rows_max = pages.budget.bounds.scan_rows_max
        if self._scanned > rows_max:
            raise pages.cannot(f"answer this without the gateway reading more than {rows_max} rows", "Narrow it with where or since")
        self.at, self._has_begun = self._next, True
        self._is_over = page.next_cursor is None
        if page.next_cursor is not None:
            self._go_on(page, page.next_cursor)
        return page

    def _go_on(self, page: Page, cursor: str) -> None:
        if self._keys and (rows := page.rows):
            if self._last is not None:
                self._ends.add(self._spelt(self._last))
                ends = self._spelt((len(rows), rows[0], rows[-1]))
                if None not in ends and ends in self._ends:
                    raise self._pages.invalid("a page that repeats")
            # Most walks end with their first page, and need no more of it.
            self._last = len(rows), rows[0], rows[-1]
        self._empty = 0 if page.rows or page.dropped or page.groups else self._empty + 1
        self._next = cursor

    def _spelt(self, ends: tuple[int, Any, Any]) -> tuple[Any, ...]:
        size, first, last = ends
        keys = [self._pages.cells.of(name) for name in self._keys]
        return (size, *[key(first) for key in keys], *[key(last) for key in keys])

    def _check(self) -> None:
        # What leads nowhere is found out by those who go there.
        if self._next in self._seen:
            raise self._pages.invalid("a cursor that repeats")
        if self._empty > _EMPTY_PAGES_MAX:
            raise self._pages.invalid("one page without rows after another")
        self._seen.add(self._next)
