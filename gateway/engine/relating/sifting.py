"""A page of a list whose condition on related products meets more keys than may be passed on, from either side.

The list is read on in its order, page after page; the partners of each page's rows are looked up, and the rows that have one are kept,
until the page asked for is full. No limit is pushed below the condition: what is read at once is what this module says. Bounded by
``keys_max`` keys looked up and the scan budget. Rejects with LIMIT_EXCEEDED; how many rows match in all is not known.
"""

from __future__ import annotations

from dataclasses import replace

from contracts.model import Use
from gateway.compiler.executable import ConnectionStep
from gateway.engine.asking.asked import Asked, Fetched
from gateway.engine.reading.lists import read_list
from gateway.engine.relating.semijoins import Partly, Semijoins

__all__ = ["sifted"]

_ROWS_AT_FIRST = 50
_ROWS_AT_ONCE = 500


async def sifted(step: ConnectionStep, asked: Asked, semijoins: Semijoins, known: Partly) -> Fetched:
    """Read one page of a list at the root whose condition has open links."""
    ports = semijoins.open(replace(step, columns=step.columns | known.columns(step.product)))
    pages = ports.chosen(Use.LIST, asked)
    refusal = semijoins.refusal_of(known)
    if not asked.rows or pages.cells.ties or (asked.order and not pages.port.capabilities.order_by):
        raise refusal  # the whole list would be read again for every page
    bounds = pages.budget.bounds
    found = Fetched([], has_previous=asked.place is not None, count_error=refusal if asked.counts else None)
    # Most pages are found soon; the further one has to look, the more is read at once.
    size = max(_ROWS_AT_FIRST, asked.first + 1)
    question = replace(asked, where=known.rest, first=min(size, _ROWS_AT_ONCE), counts=False, places=True)
    scanned = 0
    while True:
        page = await ports.do(Use.LIST, read_list, question)
        scanned += len(page.rows)
        if scanned > min(bounds.keys_max, bounds.scan_rows_max):
            raise refusal
        kept = set(map(id, await semijoins.kept(ports.pages, page.rows, known)))
        found.bad += page.bad
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
        question = replace(question, place=page.places[-1], first=min(2 * question.first, _ROWS_AT_ONCE))
