"""The rows in a page as teams spell it, for measuring only; the engine's own decoder is made for answers.

Rejects with `PortBrokenPromiseError` what is no page.
"""

from __future__ import annotations

import asyncio
from typing import Any

from domain_adapters.errors import PortBrokenPromiseError
from domain_adapters.wire import raw_json
from gateway.engine.decoding.slices import NotCutError, slices

__all__ = ["count_of", "rows_in_turns", "rows_of"]

_SLICE_BYTES = 64 * 1024


def rows_of(body: bytes) -> tuple[list[Any], str | None]:
    """Give the rows of a page and the cursor of the next one."""
    page = _page(body)
    rows = page.get("data", page.get("Data"))
    if rows is None and ("data" in page or "Data" in page):
        rows = []  # an empty slice of Go is null
    if not isinstance(rows, list):
        raise PortBrokenPromiseError("the answer holds no rows", reason="not_a_page")
    cursor = next((page[name] for name in ("nextCursor", "next_cursor", "NextCursor") if page.get(name) is not None), None)
    if isinstance(cursor, bool) or not isinstance(cursor, (str, int, type(None))):
        raise PortBrokenPromiseError("the cursor is no text", reason="bad_cursor")
    return rows, None if cursor in (None, "") else str(cursor)


async def rows_in_turns(body: bytes) -> tuple[list[Any], str | None]:
    """Give what `rows_of` gives, with turns for others while a large page is decoded."""
    rows: list[Any] = []
    walk = slices(body, _decoded, _SLICE_BYTES) if len(body) > _SLICE_BYTES else None
    while walk is not None:
        try:
            rows += next(walk)
        except StopIteration as end:
            return rows, rows_of(end.value)[1]
        except (NotCutError, ValueError, RecursionError):
            break
        await asyncio.sleep(0)
    return rows_of(body)


def count_of(body: bytes) -> int:
    """Give how many rows match in all, as the page says."""
    count = _page(body).get("count")
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise PortBrokenPromiseError("the answer holds no count", reason="bad_count")
    return count


def _decoded(part: bytes) -> list[Any]:
    found: list[Any] = raw_json(part)
    return found


def _page(body: bytes) -> dict[str, Any]:
    try:
        page = raw_json(body)
    except (ValueError, RecursionError):
        raise PortBrokenPromiseError("the answer is not JSON", reason="not_json") from None
    if not isinstance(page, dict):
        raise PortBrokenPromiseError("the answer is no object", reason="not_a_page")
    return page
