"""Groups that were formed and not asked for yet: the rest of a walk over many pages, so that it does not form them anew for each.

A first page is always formed from the rows there are; only what continues it comes from here, and not for long. Bounded in groups,
walks and time.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["AHEAD", "Leftovers"]

AHEAD = 20_000
"""How many groups are formed at once for a walk that goes on."""

_WALKS_MAX = 4
_KEPT_S = 30.0


@dataclass(frozen=True, slots=True)
class _Rest:
    offset: int
    rows: Sequence[Any]
    made_s: float


class Leftovers:
    """What is left of the last few walks. Any thread may ask."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, _Rest] = OrderedDict()

    def keep(self, walk: bytes, offset: int, rows: Sequence[Any]) -> None:
        """Keep the groups of a walk from ``offset`` on, in place of those kept before."""
        with self._lock:
            self._kept.pop(walk, None)
            self._kept[walk] = _Rest(offset, rows, self._clock_s())
            while len(self._kept) > _WALKS_MAX:
                self._kept.popitem(last=False)

    def page(self, walk: bytes, offset: int, size: int) -> Sequence[Any] | None:
        """Give ``size`` groups from ``offset`` on; None unless all of them, or all that there are, are here."""
        with self._lock:
            rest = self._kept.get(walk)
            if rest is None:
                return None
            at = offset - rest.offset
            # What is cut at its end may go on behind it.
            is_whole = len(rest.rows) <= AHEAD
            if at < 0 or self._clock_s() - rest.made_s > _KEPT_S or (at + size > len(rest.rows) and not is_whole):
                del self._kept[walk]
                return None
            return rest.rows[at : at + size]
