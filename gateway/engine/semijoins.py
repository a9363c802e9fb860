"""Conditions on related products -> conditions on own key columns, found before the list itself is read.

*Inner first*: the keys of the partners that match, read under their own row rules. *Outer first*: the keys of the rows that all other
conditions leave, then which of them have a partner that matches, in chunks. Which of the two is found by reading a page of each; either
is bounded by ``keys_max`` and the scan budget. Rejects with LIMIT_EXCEEDED where both meet more keys, and what reading rejects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from contracts.model import Use
from contracts.predicates import FALSE, TRUE, Predicate
from domain_adapters.port import Aggregate, GroupBy, Read
from domain_adapters.values import parser_of
from gateway.catalog.snapshot import Product
from gateway.compiler.executable import Step
from gateway.engine.asked import Asked, Fetched
from gateway.engine.decode import Page
from gateway.engine.findings import Findings
from gateway.engine.links import Key, Link, as_own_keys, filled, links_of, weakened
from gateway.engine.pages import Pages, Walk
from gateway.engine.partners import read_partners
from gateway.engine.ports import Ports
from gateway.engine.pushdown import can_push
from gateway.engine.tasks import together
from gateway.errors import GatewayError

__all__ = ["Semijoins"]

_PROBE_PAGES = 1
_COUNT = Aggregate("count", None, "n")


Parents = tuple[tuple[str, ...], tuple[Key, ...]]
_AT_ROOT: Parents = ((), ())


@dataclass(slots=True)
class Semijoins:
    """Finds the keys of one request's links, each once."""

    open: Callable[[Step], Ports]
    findings: Findings
    _inner: dict[Link, _Keys] = field(default_factory=dict)
    _known: dict[Any, Predicate | GatewayError] = field(default_factory=dict)
    _locks: dict[Any, asyncio.Lock] = field(default_factory=dict)

    async def resolved(self, step: Step, asked: Asked, parents: Parents = _AT_ROOT) -> Asked:
        """Give a question without links. ``parents``: whose lists are asked for, key columns and keys; none at the root."""
        if next(links_of(asked.where), None) is None:
            return asked
        place = (step.product.id, asked.where, asked.since, parents)
        # Totals and rows of one list ask side by side, mostly the same: what one finds the other has.
        async with self._locks.setdefault(place, asyncio.Lock()):
            found = self._known.get(place)
            if found is None:
                try:
                    found = await self._resolved(step, asked, parents)
                except GatewayError as error:
                    found = error
                self._known[place] = found
        if isinstance(found, GatewayError):
            # One for each part that fails: an error has one path.
            raise GatewayError(found.code.name, found.message, hint=found.hint, **found.extensions)
        return replace(asked, where=found)

    async def _resolved(self, step: Step, asked: Asked, parents: Parents) -> Predicate:
        links = list(dict.fromkeys(links_of(asked.where)))
        begun = await together([self._begun(link) for link in links])
        found = {link: inner.owned(link, step.product) for link, inner in zip(links, begun, strict=True) if inner.is_whole}
        for link, inner in zip(links, begun, strict=True):
            if link not in found:
                rest = replace(asked, where=weakened(asked.where, found))
                found[link] = await self._met(step, rest, link, inner, parents)
        return filled(asked.where, found)

    async def _begun(self, link: Link) -> _Keys:
        """Read the first of the partners that match."""
        async with self._locks.setdefault(link, asyncio.Lock()):
            if (known := self._inner.get(link)) is not None:
                return known
            asked = Asked(where=link.where)
            if next(links_of(link.where), None) is not None:
                asked = Asked(where=await self._resolved(link.step, asked, _AT_ROOT))
            keys = self._inner[link] = _Keys(self.open(link.step), link.target_columns, asked, self.findings)
            await keys.read(pages=_PROBE_PAGES)
            return keys

    async def _met(self, step: Step, rest: Asked, link: Link, inner: _Keys, parents: Parents) -> list[Key]:
        """Find the keys that rows and partners share, from the side that has fewer."""
        product = step.product
        ports = self.open(replace(step, columns=frozenset(product.index_by_name[name] for name in link.own_columns)))
        keys_max = ports.pages.budget.bounds.keys_max
        if parents != _AT_ROOT:
            await inner.read()
            if inner.is_whole:
                return inner.owned(link, product)
            outer: list[Key] | None = await self._of_parents(ports, link, rest, parents)
        else:
            keys = _Keys(ports, link.own_columns, rest, self.findings)
            await keys.read(pages=_PROBE_PAGES)
            if not keys.is_whole:
                await inner.read()
                if inner.is_whole:
                    return inner.owned(link, product)
                await keys.read()
            outer = list(keys.found) if keys.is_whole else None
        if outer is None or len(outer) > keys_max:
            raise inner.refusal or _too_many(step, link, keys_max)
        return as_own_keys(link, await self._among(link, inner.asked, outer), product)

    async def _of_parents(self, ports: Ports, link: Link, rest: Asked, parents: Parents) -> list[Key]:
        columns, keys = parents
        fetched = await ports.do(Use.LOOKUP, lambda pages, asked: read_partners(pages, columns, keys, asked=asked), rest, keys=columns)
        self.findings.note(ports.product, fetched)
        return _keys_in(ports.pages, link.own_columns, fetched.rows)

    async def _among(self, link: Link, asked: Asked, keys: list[Key]) -> list[Key]:
        """Find which of ``keys`` have a partner that matches."""
        ports, columns = self.open(link.step), link.target_columns
        fetched = await ports.do(Use.LOOKUP, lambda pages, asked: read_partners(pages, columns, keys, asked=asked), asked, keys=columns)
        self.findings.note(ports.product, fetched)
        return _keys_in(ports.pages, columns, fetched.rows)


def _keys_in(pages: Pages, columns: tuple[str, ...], rows: list[Any]) -> list[Key]:
    key_of = _key_reader(pages, columns)
    return list(dict.fromkeys(key for row in rows if None not in (key := key_of(row))))


def _key_reader(pages: Pages, columns: tuple[str, ...]) -> Callable[[Any], Key]:
    cells = [pages.cells.of(name) for name in columns]
    return lambda row: tuple([cell(row) for cell in cells])


def _too_many(step: Step, link: Link, keys_max: int) -> GatewayError:
    name, id_ = link.step.relation.graphql_name, step.product.id
    return GatewayError(
        "LIMIT_EXCEEDED",
        f"The condition on {name} of {id_} meets more than {keys_max} keys, from either side.",
        hint=f"Narrow the condition on {name}, or narrow {id_} by columns of its own.",
        limit="keys_max",
        bound=keys_max,
        product=id_,
    )


class _Keys:
    """The different keys of the rows that match, read page by page; reading may stop and go on.

    Where another port takes over, it begins again. ``is_whole``: all are found; ``refusal``: why no more can be read.
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
        "is_whole",
        "refusal",
    )

    def __init__(self, ports: Ports, columns: tuple[str, ...], asked: Asked, findings: Findings) -> None:
        self.asked = replace(asked, order=(), place=None, counts=False)
        self.found: dict[Key, None] = {}
        self.is_whole = False
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

    async def read(self, *, pages: int | None = None) -> None:
        """Read so many pages more, or until there are no more, or more keys than may be passed on."""
        async with self._reading:
            if self.is_whole or self.refusal is not None:
                return
            try:
                await self._ports.do(Use.TOTALS, lambda through, _: self._on(through, pages), self.asked)
            except GatewayError as error:
                if error.code.name != "PORT_CANNOT":
                    raise
                self.refusal = error

    def owned(self, link: Link, product: Product) -> list[Key]:
        """Give the keys as values of the own columns of ``product``."""
        return as_own_keys(link, self.found, product)

    async def _on(self, through: Pages, pages: int | None) -> None:
        if self._pages is not through:
            self._begin(through)
        left = pages
        keys_max = through.budget.bounds.keys_max
        while not self.is_whole and left != 0 and len(self.found) <= keys_max:
            assert self._walk is not None
            if (page := await self._walk.next()) is not None:
                self._take(page, through)
            self.is_whole = self._walk.is_over and len(self.found) <= keys_max
            left = None if left is None else left - 1

    def _begin(self, pages: Pages) -> None:
        self._pages = pages
        self.found = {}
        wanted = pages.wanted(self.asked)
        self.is_whole = wanted == FALSE
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
            self._walk = pages.walk(read, frozenset())
            return
        key_columns = pages.cells.indices(self._columns)
        self._walk, self._passes = pages.scanned(self.asked, wanted, key_columns, must=key_columns)

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
