"""What is kept between requests, bounded in bytes, with a fair share for every caller.

When the bytes are used up, whoever holds most gives first: a caller who never asks the same twice pushes out own entries only,
and one who is alone may use everything. Within a caller's entries, what was used since the last round stays. Marking an entry
as used is a plain assignment, so that a request that finds what it needs takes no lock and keeps no order.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Entry", "Kept"]


@dataclass(slots=True, eq=False)
class Entry:
    """One thing kept. ``used``: set by whoever uses it; ``let_go``: called once when it is given up, under the lock of `Kept`."""

    owner: str
    size_bytes: int
    let_go: Callable[[], None]
    used: bool = True
    is_kept: bool = True


class Kept:
    """At most ``max_bytes`` of entries, by owner."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rounds: dict[str, deque[Entry]] = {}
        self._held: dict[str, int] = {}
        self._lock = threading.RLock()
        self.size_bytes = 0

    def add(self, owner: str, size_bytes: int, let_go: Callable[[], None]) -> Entry:
        """Keep something, at the cost of what its owner, or who holds more, has not used lately."""
        entry = Entry(owner, size_bytes, let_go)
        with self._lock:
            self._rounds.setdefault(owner, deque()).append(entry)
            self._weigh(owner, size_bytes)
            self._shed()
        return entry

    def resize(self, entry: Entry, size_bytes: int) -> None:
        """Take in that an entry has grown or shrunk; what was let go stays so."""
        with self._lock:
            if entry.is_kept:
                self._weigh(entry.owner, size_bytes - entry.size_bytes)
                entry.size_bytes = size_bytes
                self._shed()

    def _weigh(self, owner: str, added: int) -> None:
        self.size_bytes += added
        self._held[owner] = self._held.get(owner, 0) + added

    def _shed(self) -> None:
        while self.size_bytes > self._max_bytes:
            owner = max(self._held, key=self._held.__getitem__)
            waiting = self._rounds[owner]
            entry = waiting.popleft()
            if entry.used:
                entry.used = False
                waiting.append(entry)
                continue
            entry.is_kept = False
            self._weigh(owner, -entry.size_bytes)
            if not waiting:
                del self._rounds[owner], self._held[owner]
            entry.let_go()
