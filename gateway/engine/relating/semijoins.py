"""Conditions on related products -> conditions on own key columns, found before the list itself is read.

*Inner first*: the keys of the partners that match, read under their own row rules. *Outer first*: the keys of the rows that all other
conditions leave, then which of them have a partner that matches, in chunks. Which of the two is found by reading a page of each; either
is bounded by ``keys_max``, so that ports can be told of all of them. *By heart*: where both have more keys, all of one side are held here,
and every row is tested here; bounded by the scan budget, which the links of an operation share. Rejects with LIMIT_EXCEEDED where both
meet more than that, and what reading rejects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from msgspec import structs

from contracts.model import Use
from contracts.predicates import Predicate
from gateway.catalog.snapshot import Product
from gateway.compiler.executable import Step
from gateway.engine.asking.asked import Asked, Fetched
from gateway.engine.asking.links import Key, Link, as_own_keys, columns_in, filled, links_below, links_of, weakened
from gateway.engine.reading.findings import Findings
from gateway.engine.reading.pages import Pages
from gateway.engine.reading.partners import read_partners
from gateway.engine.reading.ports import Ports
from gateway.engine.relating.keys import Keys, forget, keys_in
from gateway.engine.tasks import in_portions, in_turns, let_go, together
from gateway.errors import GatewayError

__all__ = ["AT_ROOT", "TOO_MUCH", "Parents", "Partly", "Semijoins"]

_PROBE_PAGES = 1
_KEYS_AT_ONCE = 2_000
_LOOKED_UP_AT_ONCE = 4_000
TOO_MUCH = ("LIMIT_EXCEEDED", "PORT_CANNOT")
"""Codes of what is refused for its size."""
T = TypeVar("T")

Parents = tuple[tuple[str, ...], tuple[Key, ...]]
"""Whose lists are asked for: key columns and keys."""
AT_ROOT: Parents = ((), ())


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
    bound: Mapping[tuple[str, ...], Any]
    _found: dict[Hashable, Any] = field(default_factory=dict)
    _locks: dict[Hashable, asyncio.Lock] = field(default_factory=dict)
    _looked_up: dict[Link, dict[Key, bool]] = field(default_factory=dict)
    _by_heart: list[set[Key]] = field(default_factory=list)
    _read_whole: list[Keys] = field(default_factory=list)

    async def resolved(self, step: Step, asked: Asked, parents: Parents = AT_ROOT) -> Asked:
        """Give a question without links: by heart where there are too many keys for anything else.

        **Raises** `GatewayError` LIMIT_EXCEEDED, PORT_CANNOT where a link cannot be resolved.
        """
        known = await self.partly(step, asked, parents)
        if not known.open:
            return structs.replace(asked, where=known.rest)
        place = ("by heart", step.product.id, asked.where, asked.since, parents)
        where: Predicate = await self._once(place, lambda: self._wholly(step, asked, known, parents))
        return structs.replace(asked, where=where)

    def refusal_of(self, known: Partly) -> GatewayError:
        """Say why a condition with open links cannot be told to a port."""
        return _again(next(iter(known.open.values())))

    async def let_go(self) -> None:
        """Forget all keys, in turns with others: they may be many. Nothing may be read any more."""
        for looked_up in self._looked_up.values():
            await forget(looked_up)
        while self._by_heart:
            await let_go(self._by_heart.pop())
        while self._read_whole:
            await self._read_whole.pop().let_go()

    async def partly(self, step: Step, asked: Asked, parents: Parents = AT_ROOT) -> Partly:
        """Find out what can be known of a question's condition before its rows are."""
        if next(links_of(asked.where), None) is None:
            return Partly(asked.where)
        # Totals and rows of one list ask side by side, mostly the same: what one finds the other has.
        place = (step.product.id, asked.where, asked.since, parents)
        return await self._once(place, lambda: self._partly(step, asked, parents))

    async def kept(self, pages: Pages, rows: list[Any], known: Partly) -> list[Any]:
        """Keep those rows that satisfy a condition with open links: by looking up the partners of these rows."""
        keys = dict(known.found)
        for link in known.open:
            own = keys_in(pages, link.own_columns, rows)
            keys[link] = as_own_keys(link, await self._among(link, own), pages.product)
        passes = pages.cells.passes(filled(known.where, keys))
        return rows if passes is None else list(filter(passes, rows))

    async def _partly(self, step: Step, asked: Asked, parents: Parents) -> Partly:
        links = list(dict.fromkeys(links_of(asked.where)))
        begun = await together([self._inner(link) for link in links])
        found = {link: it.keys.owned(link, step.product) for link, it in zip(links, begun, strict=True) if it.keys and it.keys.is_whole}
        refused: dict[Link, GatewayError] = {}
        for link, inner in zip(links, begun, strict=True):
            if link not in found:
                rest = structs.replace(asked, where=weakened(asked.where, found))
                try:
                    found[link] = await self._met(step, rest, link, inner, parents)
                except GatewayError as error:
                    if error.code.name not in TOO_MUCH:
                        raise
                    refused[link] = error
        return Partly(asked.where, found, refused)

    async def _inner(self, link: Link) -> _Inner:
        return await self._once(link, lambda: self._begun(link))

    async def _begun(self, link: Link) -> _Inner:
        """Read the first of the partners that match."""
        known = Partly(link.where)
        if next(links_of(link.where), None) is not None:
            known = await self._partly(link.step, Asked(where=link.where), AT_ROOT)
        keys = None
        if not known.open:
            keys = Keys(self.open(link.step), link.target_columns, Asked(where=known.rest), self.findings)
            await keys.read(pages=_PROBE_PAGES)
        return _Inner(known, keys)

    async def _met(self, step: Step, rest: Asked, link: Link, inner: _Inner, parents: Parents) -> list[Key]:
        """Find the keys that rows and partners share, from the side that has fewer."""
        product = step.product
        ports = self._owning(step, link)
        keys_max = ports.pages.budget.bounds.keys_max
        outer: list[Key] | None
        if parents != AT_ROOT:
            if await inner.whole():
                return inner.owned(link, product)
            outer = await self._of_parents(ports, link, rest, parents)
        else:
            keys = Keys(ports, link.own_columns, rest, self.findings)
            await keys.read(pages=_PROBE_PAGES)
            if not keys.is_whole:
                if await inner.whole():
                    return inner.owned(link, product)
                await keys.read()
            outer = list(keys.found) if keys.is_whole else None
        if outer is None or len(outer) > keys_max:
            raise inner.refusal or _too_many(step, link, keys_max)
        return as_own_keys(link, await self._among(link, outer), product)

    def _owning(self, step: Step, link: Link) -> Ports:
        return self.open(replace(step, columns=frozenset(step.product.index_by_name[name] for name in link.own_columns)))

    async def _of_parents(self, ports: Ports, link: Link, rest: Asked, parents: Parents) -> list[Key]:
        columns, keys = parents
        fetched = await ports.do(Use.LOOKUP, lambda pages, asked: read_partners(pages, columns, keys, asked=asked), rest, keys=columns)
        self.findings.note(ports.product, fetched)
        return keys_in(ports.pages, link.own_columns, fetched.rows)

    async def _among(self, link: Link, keys: list[Key]) -> list[Key]:
        """Find which of ``keys`` have a partner that matches."""
        if not keys:
            return []
        known, columns = (await self._inner(link)).known, link.target_columns
        ports = self.open(replace(link.step, columns=link.step.columns | known.columns(link.step.product)))
        asked = Asked(where=known.rest)
        # Pages of a list that is sifted lead to the same partners again and again.
        looked_up = self._looked_up.setdefault(link, {})
        found: list[Key] = []
        async for some in in_portions(keys, min(_LOOKED_UP_AT_ONCE, ports.pages.budget.bounds.keys_max)):
            if unknown := [key for key in some if key not in looked_up]:
                fetched = await ports.do(Use.LOOKUP, _lookup(columns, unknown), asked, keys=columns)
                self.findings.note(ports.product, fetched)
                rows = await self.kept(ports.pages, fetched.rows, known) if known.open else fetched.rows
                matching = set(keys_in(ports.pages, columns, rows))
                looked_up.update((key, key in matching) for key in unknown)
            found += [key for key in some if looked_up[key]]
        return found

    # -- by heart ----------------------------------------------------------------------------------------------------------

    async def _wholly(self, step: Step, asked: Asked, known: Partly, parents: Parents) -> Predicate:
        found: dict[Link, Collection[Key]] = dict(known.found)
        for link in known.open:
            rest = structs.replace(asked, where=weakened(asked.where, found))
            found[link] = await self._learnt(step, rest, link, parents)
        return filled(asked.where, found)

    async def _learnt(self, step: Step, rest: Asked, link: Link, parents: Parents) -> set[Key]:
        """Learn the keys of all partners that match; where they are too many, of those that the rows lead to."""
        try:
            inner: Collection[Key] = (await self._once(("whole", link), lambda: self._whole(link))).found
        except GatewayError as refusal:
            if refusal.code.name not in TOO_MUCH:
                raise
            inner = await self._led_to(step, rest, link, parents, refusal)
        learnt: set[Key] = set()
        self._by_heart.append(learnt)
        async for some in in_turns(list(inner), _KEYS_AT_ONCE):
            learnt.update(as_own_keys(link, some, step.product))
        return learnt

    async def _whole(self, link: Link) -> Keys:
        """Read the keys of all partners that match, however many within the bounds."""
        inner = await self._inner(link)
        keys = inner.keys
        if keys is None:
            where = await self._wholly(link.step, Asked(where=link.where), inner.known, AT_ROOT)
            keys = Keys(self.open(link.step), link.target_columns, Asked(where=where), self.findings)
        await self._read_all(link.step, link, keys)
        return keys

    async def _led_to(self, step: Step, rest: Asked, link: Link, parents: Parents, refusal: GatewayError) -> list[Key]:
        """Find the partners that match among those that the rows lead to. ``refusal``: why not all partners are known."""
        ports = self._owning(step, link)
        if parents == AT_ROOT:
            keys = Keys(ports, link.own_columns, rest, self.findings)
            try:
                await self._read_all(step, link, keys)
            except GatewayError as error:
                raise (refusal if refusal.code.name == "PORT_CANNOT" and error.code.name in TOO_MUCH else error) from None
            return await self._among(link, list(keys.found))
        outer = await self._of_parents(ports, link, rest, parents)
        if len(outer) > (most := self._share(step)):
            raise _too_many(step, link, most, "scan_rows_max")
        return await self._among(link, outer)

    async def _read_all(self, step: Step, link: Link, keys: Keys) -> None:
        most = self._share(step)
        self._read_whole.append(keys)
        await keys.read(most=most)
        if not keys.is_over or len(keys.found) > most:
            raise keys.refusal or _too_many(step, link, most, "scan_rows_max")

    def _share(self, step: Step) -> int:
        """Say how many keys one link of the operation may hold: together no more than rows that may be scanned."""
        asked = [it.asked for it in self.bound.values() if not isinstance(it, tuple)]
        count = len({link for it in asked for link in links_below(it.where)})
        return max(1, self.open(step).pages.budget.bounds.scan_rows_max // max(1, count))

    async def _once(self, what: Hashable, find: Callable[[], Awaitable[T]]) -> T:
        """Find something once for all who ask for it side by side."""
        async with self._locks.setdefault(what, asyncio.Lock()):
            found = self._found.get(what)
            if found is None:
                try:
                    found = await find()
                except GatewayError as error:
                    found = error
                self._found[what] = found
        if isinstance(found, GatewayError):
            raise _again(found)
        result: T = found
        return result


@dataclass(frozen=True, slots=True)
class _Inner:
    """The partners' side of a link. ``keys`` None: its own condition has open links."""

    known: Partly
    keys: Keys | None

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


def _lookup(columns: tuple[str, ...], keys: list[Key]) -> Callable[[Pages, Asked], Awaitable[Fetched]]:
    return lambda pages, asked: read_partners(pages, columns, keys, asked=asked)


def _too_many(step: Step, link: Link, most: int, limit: str = "keys_max") -> GatewayError:
    name, id_ = link.step.relation.graphql_name, step.product.id
    return GatewayError(
        "LIMIT_EXCEEDED",
        f"The condition on {name} of {id_} meets more than {most} keys, from either side.",
        hint=f"Narrow the condition on {name}, or narrow {id_} by columns of its own.",
        limit=limit,
        bound=most,
        product=id_,
    )
