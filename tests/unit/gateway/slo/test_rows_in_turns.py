"""A large page is decoded in turns, to the same rows as in one go."""

from __future__ import annotations

import asyncio
import json

import pytest

from domain_adapters.errors import PortBrokenPromiseError
from gateway.slo.rows import rows_in_turns, rows_of

ROWS = [{"id": number, "text": 'a "}, {" in a text', "nested": [{"id": 1}, {"id": [2]}]} for number in range(4_000)]
PAGES = {
    "large": json.dumps({"data": ROWS, "nextCursor": "n"}),
    "other names": json.dumps({"metadata": {"data": []}, "Data": ROWS, "NextCursor": 7}),
    "small": json.dumps({"data": ROWS[:3], "nextCursor": None}),
    "rows that are no objects": json.dumps({"data": ["x" * 100_000, 3], "nextCursor": None}),
}


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_holds_the_same_rows_in_turns(name: str) -> None:
    body = PAGES[name].encode()
    assert await rows_in_turns(body) == rows_of(body)


async def test_others_get_their_turns_meanwhile() -> None:
    reading = asyncio.ensure_future(rows_in_turns(PAGES["large"].encode()))
    turns = 0
    while not reading.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 3


@pytest.mark.parametrize("cut", [1, 50_000, 100_000])
async def test_a_page_that_ends_too_early_is_a_broken_promise(cut: int) -> None:
    body = PAGES["large"].encode()[:-cut]
    with pytest.raises(PortBrokenPromiseError, match="not JSON"):
        await rows_in_turns(body)
