"""The lists of many parents, one after another, so that their rows are shaped at once: sorted, cut and told apart again. Pure."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

from gateway.engine.tasks import Once, in_turns

__all__ = ["Portions", "sort_each"]

_LISTS_AT_ONCE = 250
_ROWS_AT_ONCE = 1_000


@dataclass(slots=True)
class Portions:
    """``rows[span]`` is the list of one parent, found by its key among ``lookups``; ``sizes``: of each, before it was cut."""

    lookups: list[Any]
    rows: list[Any]
    spans: list[slice]
    sizes: list[int]

    @classmethod
    async def of(cls, groups: Mapping[Any, list[Any]], first: int) -> Portions:
        """Take the ``first`` rows of each group."""
        made = cls(list(groups), [], [], [])
        async for lists in in_turns(list(groups.values()), _ROWS_AT_ONCE):
            sizes = list(map(len, lists))
            is_cut = max(sizes, default=0) > first
            ends = list(accumulate([min(size, first) for size in sizes] if is_cut else sizes, initial=len(made.rows)))
            made.rows += chain.from_iterable([rows[:first] for rows in lists] if is_cut else lists)
            made.spans += map(slice, ends, ends[1:])
            made.sizes += sizes
        return made

    def whose(self, index: int) -> tuple[Any, int]:
        """Say to which parent's list a row belongs, and its place there."""
        at = bisect_right(self.spans, index, key=lambda span: span.start) - 1
        return self.lookups[at], index - self.spans[at].start

    def in_turns(self) -> AsyncIterator[Portions]:
        """Give some lists at a time, with a turn of the event loop for others between them."""
        return Once(self) if len(self.spans) <= _LISTS_AT_ONCE else self._turns()

    async def _turns(self) -> AsyncIterator[Portions]:
        for start in range(0, len(self.spans), _LISTS_AT_ONCE):
            some = slice(start, start + _LISTS_AT_ONCE)
            yield Portions(self.lookups[some], self.rows, self.spans[some], self.sizes[some])
            await asyncio.sleep(0)


async def sort_each(lists: list[list[Any]], key: Callable[[Any], Any]) -> None:
    """Sort every list by ``key``, in turns with others."""
    sorted_rows = 0
    for rows in lists:
        if len(rows) > 1:
            rows.sort(key=key)
            sorted_rows += len(rows)
            if sorted_rows > _ROWS_AT_ONCE:
                sorted_rows = 0
                await asyncio.sleep(0)
