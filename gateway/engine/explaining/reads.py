"""One part of an operation and one request's numbers -> how many rows and groups it reads at most, and how many go on.

What is not pushed is reckoned at all rows that the settings say the product has, or may be scanned, so nothing here is a guess
(`tests/property/test_estimates_are_upper_bounds.py`). Not reckoned with: ports that answer more than they were asked, or go away. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from contracts.predicates import Predicate
from domain_adapters.port import Capabilities
from gateway.catalog.snapshot import Product
from gateway.compiler.executable import ConnectionStep
from gateway.compiler.parts import Part
from gateway.engine.asking.asked import Asked
from gateway.engine.asking.grouping import Grouping
from gateway.engine.asking.links import Link, links_of
from gateway.engine.reading.choice import Work

__all__ = ["keys_read", "rows_read"]

_SIFTED = 3
"""How often a row of a list is read at most while a page is looked for whose rows have partners, so many rows at once."""

_ROWS_AT_ONCE = 500
Scanned = Callable[[Product], int]
"""A product -> how many of its rows one scan reads at most."""


def rows_read(
    part: Part,
    parents: int | None,
    asked: Asked,
    grouping: Grouping | None,
    *,
    works: frozenset[Work],
    able: Capabilities,
    keys_max: int,
    scanned: Scanned,
) -> tuple[int, int]:
    """Reckon a list, a look-up or totals. ``parents``: how many rows it is read for, None at the root; ``works``: what is done here."""
    if Work.REFUSED in works:
        return 0, 0
    lists = 1 if parents is None else parents
    if grouping is not None:
        return _of_totals(part, lists, grouping, works, able.page_max, scanned)
    if part.connection is None:
        is_one_each = bool(part.product.primary_key) and set(part.product.primary_key) <= set(part.keys)
        return (lists if is_one_each and Work.SCAN not in works else scanned(part.product)), lists
    whole = scanned(part.product) if works or part.connection.links else 0
    kept = lists * asked.first if asked.rows else 0
    kept = min(kept, whole) if works and max(works) >= Work.COUNT else kept
    read = _of_page(part.connection, asked, works, able, whole) if parents is None else _of_each(part, asked, works, lists, whole)
    if part.connection.links and next(links_of(asked.where), None) is not None:
        # Looked for by looking up the partners of so many rows, and if in vain all of them tested.
        sifted = _SIFTED * whole if parents is not None else min(whole, keys_max + _ROWS_AT_ONCE) * _SIFTED
        read += whole + sifted
    return read, kept


def _of_page(step: ConnectionStep, asked: Asked, works: frozenset[Work], able: Capabilities, whole: int) -> int:
    if not asked.rows:
        return whole if Work.COUNT in works else 1
    is_sorted = bool(step.product.primary_key) and (able.order_by or bool(asked.order))
    is_later = "after" in step.arguments
    if Work.SCAN in works or Work.FILTER in works:
        read = whole
    elif is_sorted:
        read = _in_pages(asked.first + 1, able.page_max)
    else:
        # A page of the port's own may be shorter than asked for, and is read from its start.
        read = max(1, asked.first) + (able.page_max if is_later else asked.first)
    if asked.counts and Work.COUNT in works:
        return read + whole
    # A page that is neither the first nor sorted does not tell how many there are.
    return read + (asked.counts and Work.SCAN not in works and (is_later or not is_sorted))


def _of_each(part: Part, asked: Asked, works: frozenset[Work], lists: int, whole: int) -> int:
    # A port is asked for one row of each at least, and gives one more to tell that there are others.
    read = whole if works else lists * (max(asked.first, 1) + 1)
    if part.connection is not None and part.connection.counts:
        read += whole if works else lists
    return read


def _of_totals(part: Part, lists: int, grouping: Grouping, works: frozenset[Work], page_max: int, scanned: Scanned) -> tuple[int, int]:
    kept = lists * (grouping.first if grouping.by else 1)
    is_pushed = not works and not grouping.paths and next(links_of(grouping.asked.where), None) is None
    if is_pushed and not grouping.by:
        return lists, kept
    if is_pushed and not part.keys:
        return _in_pages(grouping.first, page_max), kept
    along = {product.id: product for path in grouping.paths for _, product in path}
    read = scanned(part.product) + sum(map(scanned, along.values()))
    return max(read, lists), kept


def _in_pages(rows: int, page_max: int) -> int:
    """Round up to whole pages, which is how more rows than one holds are read."""
    return rows if rows <= page_max else -(-rows // page_max) * page_max


def keys_read(part: Part, bound: Mapping[tuple[str, ...], Any], scanned: Scanned) -> int:
    """Reckon what conditions on a related product read, from whichever side.

    Of the partners: all that match, once more where they are filtered in turn, and those that are looked up. Of the rows: their keys, as
    far as may be passed on, and all of them.
    """
    read = 0
    for step in part.asks:
        for outer, link in _links(step.product, bound[step.path].asked.where):
            if link.step is part.step:
                inner = 3 if next(links_of(link.where), None) is not None else 2
                read += inner * scanned(part.product) + 2 * scanned(outer)
    return read


def _links(product: Product, where: Predicate) -> Iterator[tuple[Product, Link]]:
    for link in links_of(where):
        yield product, link
        yield from _links(link.step.product, link.where)
