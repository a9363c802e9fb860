"""The different keys of the rows that match a question, read page by page: as groups where the port forms them, else from rows.

Reading may stop and go on, and is bounded by the number of keys wanted and the scan budget. Rejects with what reading rejects; what a
port cannot is told as ``refusal``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import structs

from contracts.model import Use
from contracts.predicates import FALSE, TRUE, Predicate
from domain_adapters.port import Aggregate, GroupBy, Read
from domain_adapters.values import parser_of
from gateway.catalog.snapshot import Product
from gateway.engine.asking.asked import Asked, Fetched
from gateway.engine.asking.links import Key, Link, as_own_keys
from gateway.engine.decoding.decode import Page
from gateway.engine.reading.findings import Findings
from gateway.engine.reading.pages import Pages
from gateway.engine.reading.ports import Ports
from gateway.engine.reading.pushdown import can_push
from gateway.engine.reading.walks import Walk, scanned
from gateway.errors import GatewayError

__all__ = ["Keys", "forget", "keys_in"]

_COUNT = Aggregate("count", None, "n")
_DROPPED_AT_ONCE = 5_000


def keys_in(pages: Pages, columns: tuple[str, ...], rows: Iterable[Any]) -> list[Key]:
    """Give each key of some rows once, in order; a key that holds a null is none."""
    key_of = _key_reader(pages, columns)
    return list(dict.fromkeys(key for row in rows if None not in (key := key_of(row))))


async def forget(held: dict[Key, Any]) -> None:
    """Drop what hangs on keys in turns with others: to drop hundreds of thousands at once takes long."""
    while held:
        for _ in range(min(len(held), _DROPPED_AT_ONCE)):
            held.popitem()
        await asyncio.sleep(0)


def _key_reader(pages: Pages, columns: tuple[str, ...]) -> Callable[[Any], Key]:
    cells = [pages.cells.of(name) for name in columns]
    return lambda row: tuple([cell(row) for cell in cells])


class Keys:
    """Where another port takes over, reading begins again.

    ``is_whole``: all are found, and no more than may be passed on; ``is_over``: all are found; ``refusal``: why no more can be read.
    """

    __slots__ = (
        "_columns",
        "_findings",
        "_key_of",
        "_pages",
        "_parsers",
        "_passes",
        "_ports",
        "_reading",
        "_walk",
        "asked",
        "found",
        "is_over",
        "is_whole",
        "refusal",
    )

    def __init__(self, ports: Ports, columns: tuple[str, ...], asked: Asked, findings: Findings) -> None:
        self.asked = structs.replace(asked, order=(), place=None, counts=False)
        self.found: dict[Key, None] = {}
        self.is_over = self.is_whole = False
        self.refusal: GatewayError | None = None
        self._columns = columns
        self._findings = findings
        self._key_of = _key_reader(ports.pages, columns)
        self._pages: Pages | None = None
        self._parsers: list[Callable[[Any], Any]] = []
        self._passes: Callable[[Any], bool] | None = None
        self._ports = ports
        self._reading = asyncio.Lock()
        self._walk: Walk | None = None

    async def read(self, *, pages: int | None = None, most: int | None = None) -> None:
        """Read so many pages more, or until there are no more, or more than ``most`` keys: by default what may be passed on."""
        async with self._reading:
            if self.is_over or self.refusal is not None:
                return
            try:
                await self._ports.do(Use.TOTALS, lambda through, _: self._on(through, pages, most), self.asked)
            except GatewayError as error:
                if error.code.name != "PORT_CANNOT":
                    raise
                self.refusal = error

    def owned(self, link: Link, product: Product) -> list[Key]:
        """Give the keys as values of the own columns of ``product``."""
        return as_own_keys(link, self.found, product)

    async def let_go(self) -> None:
        """Forget what was found."""
        await forget(self.found)

    async def _on(self, through: Pages, pages: int | None, most: int | None) -> None:
        if self._pages is not through:
            self._begin(through)
        left = pages
        keys_max = through.budget.bounds.keys_max
        while not self.is_over and left != 0 and len(self.found) <= (most or keys_max):
            assert self._walk is not None
            if (page := await self._walk.next()) is not None:
                self._take(page, through)
            self.is_over = self._walk.is_over
            left = None if left is None else left - 1
        self.is_whole = self.is_over and len(self.found) <= keys_max

    def _begin(self, pages: Pages) -> None:
        self._pages = pages
        self.found = {}
        wanted = pages.wanted(self.asked)
        self.is_over = self.is_whole = wanted == FALSE
        self._parsers = []
        if _groups(pages, self._columns, wanted):
            self._parsers = [parser_of(pages.product.column_by_name[name].type) for name in self._columns]
            read = Read(
                where=None if wanted == TRUE else wanted,
                since=pages.since(self.asked),
                aggregates=(_COUNT,),
                group_by=tuple(map(GroupBy, self._columns)),
                limit=pages.port.capabilities.page_max,
            )
            self._walk = Walk(pages, read, frozenset())
            return
        key_columns = pages.cells.indices(self._columns)
        self._walk, self._passes = scanned(pages, self.asked, wanted, key_columns, must=key_columns)

    def _take(self, page: Page, pages: Pages) -> None:
        if self._parsers:
            for group in page.groups or ():
                try:
                    key = tuple(parse(cell) for parse, cell in zip(self._parsers, group["key"], strict=True))
                except (KeyError, TypeError, ValueError):
                    raise pages.invalid("groups without their keys") from None
                if None not in key:
                    self.found[key] = None
            return
        fetched = Fetched([])
        fetched.take(page, pages.port)
        rows = page.rows if self._passes is None else list(filter(self._passes, page.rows))
        for row in pages.ruled(rows, fetched):
            if None not in (key := self._key_of(row)):
                self.found[key] = None
        self._findings.note(pages.product, fetched)


def _groups(pages: Pages, columns: tuple[str, ...], wanted: Predicate) -> bool:
    """Whether the port tells keys apart. Under a row rule rows are read: to groups no rule can be applied again."""
    able = pages.port.capabilities
    if set(pages.product.primary_key) == set(columns) or not able.group_by or "count" not in able.aggregates or pages.rule != TRUE:
        return False
    return wanted == TRUE or can_push(wanted, able)
