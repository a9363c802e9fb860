"""Conditions on related products -> conditions on own key columns, found before the list itself is read.

*Inner first*: the keys of the partners that match, read under their own row rules. *Outer first*: the keys of the rows that all other
conditions leave, then which of them have a partner that matches, in chunks. Which of the two is found by reading a page of each; either
is bounded by ``keys_max`` and the scan budget. Rejects with LIMIT_EXCEEDED where both meet more keys, and what reading rejects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from contracts.model import Use
from contracts.predicates import FALSE, TRUE, Predicate
from domain_adapters.port import Aggregate, GroupBy, Read
from domain_adapters.values import parser_of
from gateway.catalog.snapshot import Product
from gateway.compiler.executable import Step
from gateway.engine.asking.asked import Asked, Fetched
from gateway.engine.asking.links import Key, Link, as_own_keys, columns_in, filled, links_of, weakened
from gateway.engine.decoding.decode import Page
from gateway.engine.reading.findings import Findings
from gateway.engine.reading.pages import Pages, Walk
from gateway.engine.reading.partners import read_partners
from gateway.engine.reading.ports import Ports
from gateway.engine.reading.pushdown import can_push
from gateway.engine.tasks import together
from gateway.errors import GatewayError

__all__ = ["Partly", "Semijoins"]

_PROBE_PAGES = 1
_COUNT = Aggregate("count", None, "n")


Parents = tuple[tuple[str, ...], tuple[Key, ...]]
_AT_ROOT: Parents = ((), ())


@dataclass(frozen=True, slots=True)
class Partly:
    """A condition and what is known of its links. ``open``: those that meet too many keys from either side, and the refusal of each."""

    where: Predicate
    found: Mapping[Link, list[Key]] = field(default_factory=dict)
    open: Mapping[Link, GatewayError] = field(default_factory=dict)

    @property
    def rest(self) -> Predicate:
        """What is known of the condition: links that are open only narrow it further."""
        return weakened(self.where, self.found)

    def columns(self, product: Product) -> frozenset[int]:
        """Say which columns of its rows tell, with the keys of partners, whether the condition holds."""
        return frozenset(product.index_by_name[name] for name in columns_in(self.where)) if self.open else frozenset()


@dataclass(slots=True)
class Semijoins:
    """Finds the keys of one request's links, each once."""

    open: Callable[[Step], Ports]
    findings: Findings
    _inner: dict[Link, _Inner] = field(default_factory=dict)
    _known: dict[Any, Partly | GatewayError] = field(default_factory=dict)
    _locks: dict[Any, asyncio.Lock] = field(default_factory=dict)

    async def resolved(self, step: Step, asked: Asked, parents: Parents = _AT_ROOT) -> Asked:
        """Give a question without links. ``parents``: whose lists are asked for, key columns and keys; none at the root.

        **Raises** `GatewayError` LIMIT_EXCEEDED, PORT_CANNOT where a link cannot be resolved.
        """
        known = await self.partly(step, asked, parents)
        if known.open:
            raise self.refusal_of(known)
        return replace(asked, where=known.rest)

    def refusal_of(self, known: Partly) -> GatewayError:
        """Say why a condition with open links cannot be resolved."""
        return _again(next(iter(known.open.values())))

    async def partly(self, step: Step, asked: Asked, parents: Parents = _AT_ROOT) -> Partly:
        """Find out what can be known of a question's condition before its rows are."""
        if next(links_of(asked.where), None) is None:
            return Partly(asked.where)
        place = (step.product.id, asked.where, asked.since, parents)
        # Totals and rows of one list ask side by side, mostly the same: what one finds the other has.
        async with self._locks.setdefault(place, asyncio.Lock()):
            found = self._known.get(place)
            if found is None:
                try:
                    found = await self._partly(step, asked, parents)
                except GatewayError as error:
                    found = error
                self._known[place] = found
        if isinstance(found, GatewayError):
            raise _again(found)
        return found

    async def kept(self, pages: Pages, rows: list[Any], known: Partly) -> list[Any]:
        """Keep those rows that satisfy a condition with open links: by looking up the partners of these rows."""
        keys = dict(known.found)
        for link in known.open:
            own = _keys_in(pages, link.own_columns, rows)
            keys[link] = as_own_keys(link, await self._among(link, own), pages.product)
        passes = pages.cells.passes(filled(known.where, keys))
        return rows if passes is None else list(filter(passes, rows))

    async def _partly(self, step: Step, asked: Asked, parents: Parents) -> Partly:
        links = list(dict.fromkeys(links_of(asked.where)))
        begun = await together([self._begun(link) for link in links])
        found = {link: it.keys.owned(link, step.product) for link, it in zip(links, begun, strict=True) if it.keys and it.keys.is_whole}
        refused: dict[Link, GatewayError] = {}
        for link, inner in zip(links, begun, strict=True):
            if link not in found:
                rest = replace(asked, where=weakened(asked.where, found))
                try:
                    found[link] = await self._met(step, rest, link, inner, parents)
                except GatewayError as error:
                    if error.code.name not in ("LIMIT_EXCEEDED", "PORT_CANNOT"):
                        raise
                    refused[link] = error
        return Partly(asked.where, found, refused)

    async def _begun(self, link: Link) -> _Inner:
        """Read the first of the partners that match."""
        async with self._locks.setdefault(link, asyncio.Lock()):
            if (found := self._inner.get(link)) is None:
                known = Partly(link.where)
                if next(links_of(link.where), None) is not None:
                    known = await self._partly(link.step, Asked(where=link.where), _AT_ROOT)
                keys = None
                if not known.open:
                    keys = _Keys(self.open(link.step), link.target_columns, Asked(where=known.rest), self.findings)
                    await keys.read(pages=_PROBE_PAGES)
                found = self._inner[link] = _Inner(known, keys)
            return found

    async def _met(self, step: Step, rest: Asked, link: Link, inner: _Inner, parents: Parents) -> list[Key]:
        """Find the keys that rows and partners share, from the side that has fewer."""
        product = step.product
        ports = self.open(replace(step, columns=frozenset(product.index_by_name[name] for name in link.own_columns)))
        keys_max = ports.pages.budget.bounds.keys_max
        outer: list[Key] | None
        if parents != _AT_ROOT:
            if await inner.whole():
                return inner.owned(link, product)
            outer = await self._of_parents(ports, link, rest, parents)
        else:
            keys = _Keys(ports, link.own_columns, rest, self.findings)
            await keys.read(pages=_PROBE_PAGES)
            if not keys.is_whole:
                if await inner.whole():
                    return inner.owned(link, product)
                await keys.read()
            outer = list(keys.found) if keys.is_whole else None
        if outer is None or len(outer) > keys_max:
            raise inner.refusal or _too_many(step, link, keys_max)
        return as_own_keys(link, await self._among(link, outer), product)

    async def _of_parents(self, ports: Ports, link: Link, rest: Asked, parents: Parents) -> list[Key]:
        columns, keys = parents
        fetched = await ports.do(Use.LOOKUP, lambda pages, asked: read_partners(pages, columns, keys, asked=asked), rest, keys=columns)
        self.findings.note(ports.product, fetched)
        return _keys_in(ports.pages, link.own_columns, fetched.rows)

    async def _among(self, link: Link, keys: list[Key]) -> list[Key]:
        """Find which of ``keys`` have a partner that matches."""
        if not keys:
            return []
        known, columns = self._inner[link].known, link.target_columns
        ports = self.open(replace(link.step, columns=link.step.columns | known.columns(link.step.product)))
        asked = Asked(where=known.rest)
        fetched = await ports.do(Use.LOOKUP, lambda pages, asked: read_partners(pages, columns, keys, asked=asked), asked, keys=columns)
        self.findings.note(ports.product, fetched)
        rows = await self.kept(ports.pages, fetched.rows, known) if known.open else fetched.rows
        return _keys_in(ports.pages, columns, rows)


@dataclass(frozen=True, slots=True)
class _Inner:
    """The partners' side of a link. ``keys`` None: its own condition has open links."""

    known: Partly
    keys: _Keys | None

    async def whole(self) -> bool:
        """Read all keys, if they can be known and are not too many."""
        if self.keys is None:
            return False
        await self.keys.read()
        return self.keys.is_whole

    def owned(self, link: Link, product: Product) -> list[Key]:
        """Give the keys as values of the own columns of ``product``."""
        assert self.keys is not None
        return self.keys.owned(link, product)

    @property
    def refusal(self) -> GatewayError | None:
        """Why no more keys can be read, where that is not their number."""
        return self.keys.refusal if self.keys is not None else None


def _again(refusal: GatewayError) -> GatewayError:
    """Make a refusal for one more part that fails: an error has one path."""
    return GatewayError(refusal.code.name, refusal.message, hint=refusal.hint, **refusal.extensions)


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
