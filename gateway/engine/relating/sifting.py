"""Lists whose condition on related products meets more keys than ports may be told of, from either side.

*Sifted*: a list is read on in its order, the partners of the rows read are looked up, and the rows that have one are kept, until the page
asked for is full; no limit is pushed below the condition: what is read at once is what this module says. *By heart* (`semijoins`): every
row is read and tested here. Sifting is tried first where a page is all that is wanted, and last where its number is wanted as well.
Rejects with LIMIT_EXCEEDED where neither is within its bounds; where only the number is not, that alone is refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from msgspec import structs

from contracts.model import Use
from domain_adapters.port import Order
from gateway.compiler.executable import ConnectionStep
from gateway.engine.asking.asked import Asked, Fetched
from gateway.engine.reading.lists import read_list
from gateway.engine.reading.pages import Pages
from gateway.engine.reading.partners import Key, beyond, read_partners
from gateway.engine.relating.parents import grouped, lookup_reader
from gateway.engine.relating.semijoins import TOO_MUCH, Parents, Partly, Semijoins
from gateway.errors import GatewayError

__all__ = ["Each", "sifted", "sifted_each"]

_ROWS_AT_FIRST = 50
_ROWS_AT_ONCE = 500
_PER_KEY_AT_FIRST = 10
T = TypeVar("T")
Each = tuple[Fetched, dict[Key, int] | GatewayError]
"""The lists of all parents, and how long each is where the rows do not tell: an error where that is not known."""


async def sifted(step: ConnectionStep, asked: Asked, semijoins: Semijoins, known: Partly) -> Fetched:
    """Read one page of a list at the root whose condition has open links."""

    async def exact() -> Fetched:
        return await semijoins.open(step).do(Use.LIST, read_list, await semijoins.resolved(step, asked))

    async def some(refusal: GatewayError) -> Fetched:
        found = await _page(step, asked, semijoins, known, refusal)
        found.count_error = refusal if asked.counts else None
        return found

    return await _either(exact, some, semijoins.refusal_of(known), counts=asked.counts)


async def sifted_each(
    step: ConnectionStep,
    asked: Asked,
    semijoins: Semijoins,
    known: Partly,
    *,
    parents: Parents,
    order: tuple[Order, ...],
    read: Callable[[Asked], Awaitable[Each]],
) -> Each:
    """Read the lists of all parents where their condition has open links. ``read``: reads them where it has none."""

    async def exact() -> Each:
        return await read(await semijoins.resolved(step, asked, parents))

    async def some(refusal: GatewayError) -> Each:
        found = await _of_each(step, asked, semijoins, known, refusal, parents=parents, order=order)
        return found, refusal if step.counts else {}

    return await _either(exact, some, semijoins.refusal_of(known), counts=step.counts)


async def _either(
    exact: Callable[[], Awaitable[T]], some: Callable[[GatewayError], Awaitable[T]], refusal: GatewayError, *, counts: bool
) -> T:
    if not counts:
        try:
            return await some(refusal)
        except GatewayError as error:
            if error.code.name not in TOO_MUCH:
                raise
        return await exact()
    try:
        return await exact()
    except GatewayError as error:
        if error.code.name not in TOO_MUCH:
            raise
        return await some(error)


async def _page(step: ConnectionStep, asked: Asked, semijoins: Semijoins, known: Partly, refusal: GatewayError) -> Fetched:
    ports = semijoins.open(replace(step, columns=step.columns | known.columns(step.product)))
    pages = ports.chosen(Use.LIST, asked)
    if not asked.rows or pages.cells.ties or (asked.order and not pages.port.capabilities.order_by):
        raise refusal  # the whole list would be read again for every page
    bounds = pages.budget.bounds
    found = Fetched([], has_previous=asked.place is not None)
    # Most pages are found soon; the further one has to look, the more is read at once.
    size = max(_ROWS_AT_FIRST, asked.first + 1)
    question = structs.replace(asked, where=known.rest, first=min(size, _ROWS_AT_ONCE), counts=False, places=True)
    scanned = 0
    while True:
        page = await ports.do(Use.LIST, read_list, question)
        scanned += len(page.rows)
        if scanned > min(bounds.keys_max, bounds.scan_rows_max):
            raise refusal
        kept = set(map(id, await semijoins.kept(ports.pages, page.rows, known)))
        found.bad |= page.bad
        found.dropped += page.dropped
        found.metadata, found.port = page.metadata, page.port
        for row, place in zip(page.rows, page.places, strict=True):
            if id(row) not in kept:
                continue
            if len(found.rows) == asked.first:
                found.has_next = True
                return found
            found.rows.append(row)
            if asked.places:
                found.places.append(place)
        if not page.has_next:
            return found
        question = structs.replace(question, place=page.places[-1], first=min(2 * question.first, _ROWS_AT_ONCE))


async def _of_each(
    step: ConnectionStep,
    asked: Asked,
    semijoins: Semijoins,
    known: Partly,
    refusal: GatewayError,
    *,
    parents: Parents,
    order: tuple[Order, ...],
) -> Fetched:
    """Read more rows of each parent's list than are asked for, if there are."""
    columns, keys = parents
    ports = semijoins.open(replace(step, columns=step.columns | known.columns(step.product)))
    question = structs.replace(asked, where=known.rest)
    lookup_of = lookup_reader(step.target)
    found = Fetched([], limited=True)
    missing, per_key, scanned = list(keys), max(_PER_KEY_AT_FIRST, asked.first + 1), 0
    while missing:
        page = await ports.do(Use.LOOKUP, _first_of(columns, missing, order, per_key), question, keys=columns, per_key=True)
        scanned += len(page.rows)
        if scanned > ports.pages.budget.bounds.scan_rows_max:
            raise refusal
        kept = grouped(await semijoins.kept(ports.pages, page.rows, known), lookup_of)
        read = grouped(page.rows, lookup_of) if page.limited else {}
        again, served = [], set[int]()
        for key in missing:
            lookup = key if len(key) > 1 else key[0]
            rows = kept.get(lookup, [])
            if len(rows) <= asked.first and len(read.get(lookup, ())) > per_key:
                again.append(key)
                continue
            found.rows += rows
            served.update(map(id, rows) if page.bad else ())
        found.bad |= {row: page.bad[row] for row in served if row in page.bad}
        found.dropped += page.dropped
        found.metadata, found.port = page.metadata, page.port
        # Lists that have too few so far are read anew and further: most are short, or full soon.
        missing, per_key = again, 4 * per_key
    return found


def _first_of(
    columns: tuple[str, ...], keys: list[Key], order: tuple[Order, ...], per_key: int
) -> Callable[[Pages, Asked], Awaitable[Fetched]]:
    def read(pages: Pages, asked: Asked) -> Awaitable[Fetched]:
        plain = asked.at(None)
        listed = plain if asked.place is None else beyond(pages, plain, order, asked.place)
        return read_partners(pages, columns, keys, asked=listed, per_key=per_key)

    return read
