"""Leases: what one process at a time may do, until a time by the store's clock. Compare and set; nobody's own clock counts.

A holder that was killed loses its leases as they run out; one that cannot renew knows by its own stopwatch when to stop, a little before
others may begin.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from gateway.store.migrations import Migration, migrate
from gateway.store.store import Statement, Store

__all__ = ["Leases"]

_STEPS = (
    Migration(
        1,
        "leases",
        ("CREATE TABLE store_leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until_ms BIGINT NOT NULL, turn BIGINT NOT NULL)",),
    ),
)
_TAKE = (
    "INSERT INTO store_leases (name, holder, until_ms, turn) VALUES (?, ?, now_ms() + ?, 1) "
    "ON CONFLICT (name) DO UPDATE SET until_ms = excluded.until_ms, holder = excluded.holder, "
    "turn = CASE WHEN store_leases.holder = excluded.holder THEN store_leases.turn ELSE store_leases.turn + 1 END "
    "WHERE store_leases.holder = excluded.holder OR store_leases.until_ms <= now_ms() RETURNING name, turn"
)
_EARLY = 0.9
"""A holder stops believing in a lease after that share of its time, counted from before it asked."""


class Leases:
    """The leases of one ``holder``, a name that no other process has. ``stopwatch``: monotonic seconds."""

    def __init__(self, store: Store, holder: str, *, stopwatch: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._stopwatch = stopwatch
        self.holder = holder
        self._until_s: dict[str, float] = {}
        self._turns: dict[str, int] = {}

    async def prepare(self) -> None:
        """Make the table where there is none."""
        await migrate(self._store, "leases", _STEPS)

    async def take(self, names: Iterable[str], *, for_s: float) -> frozenset[str]:
        """Take what is free or run out, renew what is held; give those that are held now. **Raises** `StoreUnavailableError`."""
        # One order for all, so that two who take several never wait for each other.
        wanted = sorted(set(names))
        if not wanted:
            return frozenset()
        began_s = self._stopwatch()
        found = await self._store.run(*(Statement(_TAKE, (name, self.holder, int(for_s * 1_000))) for name in wanted))
        taken = {name: turn for rows in found for name, turn in rows}
        for name in wanted:
            if name in taken:
                self._until_s[name] = began_s + for_s * _EARLY
                self._turns[name] = taken[name]
            else:
                self._until_s.pop(name, None)
        return frozenset(taken)

    async def give_back(self, names: Iterable[str]) -> None:
        """Let others have them at once."""
        given = sorted(set(names))
        for name in given:
            self._until_s.pop(name, None)
        gone = "DELETE FROM store_leases WHERE name = ? AND holder = ?"
        if given:
            await self._store.run(*(Statement(gone, (name, self.holder)) for name in given))

    def holds(self, name: str) -> bool:
        """Tell whether this process may believe that it holds a lease right now; asks nobody."""
        return self._stopwatch() < self._until_s.get(name, float("-inf"))

    def turn(self, name: str) -> int:
        """Tell how often the lease changed hands up to this holder: what is written under an older turn is outdated."""
        return self._turns.get(name, 0)

    async def holders(self, prefix: str) -> dict[str, str]:
        """Tell who holds the leases whose names begin with ``prefix``, as the store sees it."""
        rows = await self._store.rows(
            "SELECT name, holder FROM store_leases WHERE substr(name, 1, ?) = ? AND until_ms > now_ms()", len(prefix), prefix
        )
        return dict(rows)
