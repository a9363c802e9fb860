"""Partners of many parents at once: the rows of a product whose key columns equal one of many keys.

One batched read where the port knows look-ups by these columns, chunked as the port says; else a scan within the budget.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from msgspec import structs

from contracts.predicates import FALSE, TRUE, Compare, Operator, Predicate, columns_of, conjunction
from domain_adapters.port import Aggregate, GroupBy, Keys, Order, Read, calls_of
from domain_adapters.values import parser_of
from gateway.engine.asking.asked import Asked, Fetched
from gateway.engine.decoding.decode import COUNT_MAX
from gateway.engine.reading.choice import looks_up
from gateway.engine.reading.lists import full_order
from gateway.engine.reading.pages import Pages
from gateway.engine.reading.positions import after, pack_keyset, sort_key, unpack_keyset
from gateway.engine.reading.pushdown import divide
from gateway.engine.reading.walks import Walk, read_all, scan
from gateway.engine.tasks import in_turns, together
from gateway.errors import GatewayError

__all__ = ["Key", "beyond", "count_partners", "in_order", "place_of", "read_partners", "sorter"]

Key = tuple[Any, ...]
_CALLS_AT_ONCE = 8
_ROWS_AT_ONCE = 1_000


async def read_partners(
    pages: Pages, columns: tuple[str, ...], keys: Sequence[Key], *, asked: Asked | None = None, per_key: int | None = None
) -> Fetched:
    """Read the rows whose ``columns`` equal one of ``keys``; with ``per_key`` at least that many + 1 of each key, if there are.

    **Raises** `GatewayError` LIMIT_EXCEEDED (too many keys) and what reading raises.
    """
    product, capabilities, cells = pages.product, pages.port.capabilities, pages.cells
    keys_max = pages.budget.bounds.keys_max
    if len(keys) > keys_max:
        raise GatewayError("LIMIT_EXCEEDED", f"The answer would look up more than {keys_max} keys in {product.id}.", product=product.id)
    asked = asked or Asked()
    wanted = pages.wanted(asked)
    if wanted == FALSE or not keys:
        return Fetched([], port=pages.port.name)
    order = full_order(product, asked.order)
    key_columns = cells.indices(columns)
    needed = pages.visible | key_columns | (cells.indices(term.column for term in order) if per_key is not None else frozenset())
    if not looks_up(capabilities, columns):
        return await _scanned(pages, columns, keys, asked, wanted=wanted, needed=needed)
    pushed, left = divide(wanted, capabilities)
    limits = per_key is not None and capabilities.limit_per_key and capabilities.order_by and left == TRUE and not cells.ties
    read = Read(
        where=None if pushed == TRUE else pushed,
        since=pages.since(asked),
        keys=Keys(columns, tuple(keys)),
        order_by=order if limits else (),
        # A port gives one more than asked, and must be asked for one at least.
        limit_per_key=max(per_key or 0, 1) if limits else None,
        limit=capabilities.page_max,
    )
    if left is not TRUE:
        needed |= cells.indices(columns_of(left))
    if len(keys) > _ROWS_AT_ONCE:
        await asyncio.sleep(0)  # to tell as many keys apart takes as long as it took to gather them
    parts = await _each(pages, _calls(pages, read, columns), needed, key_columns)
    passes = cells.passes(left)
    among = await _among(pages, columns, keys)
    if passes is None and len(parts) == 1 and len(parts[0].rows) <= _ROWS_AT_ONCE:
        (fetched,) = parts
        fetched.rows = among(fetched.rows)
        fetched.count, fetched.limited = None, limits
        return fetched
    fetched = Fetched([], limited=limits)
    for part in parts:
        if fetched.rows:
            await asyncio.sleep(0)
        async for some in in_turns(part.rows, pages.at_once(left)):
            fetched.rows += among(some) if passes is None else filter(passes, among(some))
        fetched.bad |= part.bad
        fetched.dropped += part.dropped
        fetched.metadata = part.metadata or fetched.metadata
        fetched.port = part.port
    return fetched


def _calls(pages: Pages, read: Read, columns: tuple[str, ...]) -> Sequence[Read]:
    """Divide a look-up into calls; of one row per key a call asks for no more than a page holds, lest each page repeats all keys."""
    able, key = pages.port.capabilities, pages.product.primary_key
    assert read.keys is not None
    values = read.keys.values
    if len(values) <= able.page_max or not key or not set(key) <= set(columns) or able.keys_max <= able.page_max:
        return calls_of(pages.port, read)
    some = [structs.replace(read, keys=Keys(columns, values[at : at + able.page_max])) for at in range(0, len(values), able.page_max)]
    return [call for part in some for call in calls_of(pages.port, part)]


async def _each(pages: Pages, calls: Sequence[Read], needed: frozenset[int], must: frozenset[int]) -> list[Fetched]:
    if len(calls) == 1:
        return [await read_all(pages, calls[0], needed, must=must)]
    gate = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def one(call: Read) -> Fetched:
        async with gate:
            return await read_all(pages, call, needed, must=must)

    return await together([one(call) for call in calls])


async def _scanned(
    pages: Pages, columns: tuple[str, ...], keys: Sequence[Key], asked: Asked, *, wanted: Predicate, needed: frozenset[int]
) -> Fetched:
    if len(columns) == 1 and pages.port.capabilities.tests(columns[0], Operator.IN):
        wanted = conjunction(wanted, Compare(columns[0], Operator.IN, tuple(value for (value,) in keys)))
    fetched = await scan(pages, asked, wanted, needed, must=pages.cells.indices(columns))
    among, read = await _among(pages, columns, keys), fetched.rows
    fetched.rows = []
    async for some in in_turns(read, _ROWS_AT_ONCE):
        fetched.rows += among(some)
    return fetched


async def _among(pages: Pages, columns: tuple[str, ...], keys: Sequence[Key]) -> Callable[[list[Any]], list[Any]]:
    """Give the filter of rows that have one of the keys; a port that answers others is not let in."""
    lookup_of = pages.cells.together(columns)
    known: set[Any] = set()
    async for some in in_turns(list(keys), _ROWS_AT_ONCE):
        known.update(chain.from_iterable(some) if len(columns) == 1 else some)

    def among(rows: list[Any]) -> list[Any]:
        # Nearly every port answers what it was asked for, and this asks no row in Python.
        return rows if known.issuperset(map(lookup_of, rows)) else [row for row in rows if lookup_of(row) in known]

    return among


async def count_partners(pages: Pages, columns: tuple[str, ...], keys: Sequence[Key], asked: Asked) -> dict[Key, int] | None:
    """Count partners per key in one grouped read; None where the port cannot, or its counts are not proved."""
    capabilities = pages.port.capabilities
    wanted = pages.wanted(asked)
    if wanted == FALSE:
        return {}
    if not (capabilities.keys and capabilities.group_by and "count" in capabilities.aggregates and pages.counts(wanted)):
        return None
    read = Read(
        where=None if wanted == TRUE else wanted,
        since=pages.since(asked),
        keys=Keys(columns, tuple(keys)),
        aggregates=(Aggregate("count", None, "n"),),
        group_by=tuple(GroupBy(name) for name in columns),
        limit=capabilities.page_max,
    )
    found: dict[Key, int] = {}
    parsers = [parser_of(pages.product.column_by_name[name].type) for name in columns]
    for call in calls_of(pages.port, read):
        walk = Walk(pages, call, frozenset())
        while (page := await walk.next()) is not None:
            for group in page.groups or ():
                try:
                    key = tuple(parse(cell) for parse, cell in zip(parsers, group["key"], strict=True))
                    count = group["values"]["n"]
                except (KeyError, TypeError, ValueError):
                    raise pages.invalid("groups without their keys or counts") from None
                if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= COUNT_MAX:
                    raise pages.invalid("groups without their keys or counts")
                found[key] = count
    return found


def sorter(pages: Pages, order: tuple[Order, ...]) -> Callable[[Any], Any]:
    """Give the sort key function for rows, with masked keys by their pseudonym."""
    return sort_key(order, [pages.cells.tied(term.column) for term in order])


def in_order(pages: Pages, order: tuple[Order, ...], rows: list[Any]) -> list[Any]:
    """Sort rows as `sorter` says."""
    if len(order) == 1 and not order[0].descending:
        try:
            return sorted(rows, key=pages.cells.tied(order[0].column))
        except TypeError:  # for a null, which has a place of its own
            pass
    return sorted(rows, key=sorter(pages, order))


def place_of(pages: Pages, order: tuple[Order, ...]) -> Callable[[Any], bytes]:
    """Give the function that packs a row's place in an order."""
    cells = [pages.cells.tied(term.column) for term in order]
    return lambda row: pack_keyset([cell(row) for cell in cells])


def beyond(pages: Pages, asked: Asked, order: tuple[Order, ...], place: bytes) -> Asked:
    """Narrow a question to the rows after a place in its order. **Raises** PORT_CANNOT where a masked key breaks ties."""
    if pages.cells.ties:
        raise pages.cannot("page partners whose primary key is masked", "Ask for all of them at once")
    values = unpack_keyset(place, [pages.cells.tied_type(term.column) for term in order])
    return structs.replace(asked, where=conjunction(asked.where, after(order, values)))
