"""A large page -> typed rows, some at a time, with turns for other requests between them; the same page that `decode` gives.

What cannot be cut is decoded whole in another thread, which holds the interpreter for the length of that one call: bounded by the bytes
that a page may have. Rejects what `decode` rejects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import UNSET

from domain_adapters.wire import raw_json
from gateway.engine.decoding.decode import UNFIT, Page, PageDecoder, page_of, raw_page
from gateway.engine.decoding.slices import NotCutError, slices
from gateway.errors import GatewayError

__all__ = ["fast_in_turns", "slow_in_turns"]

_FAST_BYTES = 64 * 1024
_SLOW_BYTES = 8 * 1024


_LEARNT_FROM_BYTES = 256 * 1024


async def fast_in_turns(decoder: PageDecoder, body: bytes) -> Page | None:
    """Decode a page every cell of which keeps its type; None for any other."""
    if decoder.doubts(body[:_LEARNT_FROM_BYTES]):
        return None
    rows: list[Any] = []
    try:
        rest = await _walked(body, decoder.rows, rows.extend, _FAST_BYTES)
        page = decoder.page(rest)
        _check(page)
    except NotCutError:
        return await asyncio.to_thread(decoder.fast, body)
    except UNFIT:
        return None
    return page_of(rows, page)


async def slow_in_turns(decoder: PageDecoder, body: bytes, must: frozenset[int]) -> tuple[Page, frozenset[int], frozenset[int]]:
    """Decode a page cell by cell; say which columns came in other forms, and spellings, than their own."""
    reading = decoder.cell_by_cell(must)
    try:
        page = raw_page(await _walked(body, _raw_rows, reading.take, _SLOW_BYTES))
        _check(page)
    except (NotCutError, GatewayError, *UNFIT):
        return await asyncio.to_thread(decoder.slow, body, must)
    return reading.onto(page_of([], page))


async def _walked(body: bytes, decode: Callable[[bytes], Sequence[Any]], take: Callable[[Sequence[Any]], None], size: int) -> bytes:
    walk = slices(body, decode, size)
    while True:
        try:
            take(next(walk))
        except StopIteration as end:
            rest: bytes = end.value
            return rest
        await asyncio.sleep(0)


def _check(page: Any) -> None:
    # The rows that were cut must be those that count, should there be others under the same name or another spelling of it.
    found = page.data if page.data is not UNSET else page.Data
    if not isinstance(found, list) or len(found) != 1:
        raise NotCutError


def _raw_rows(text: bytes) -> list[Any]:
    found: list[Any] = raw_json(text)
    return found
