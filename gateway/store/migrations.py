"""The tables of one part of the gateway, brought up to date step by step: forward only, once each, by one process at a time.

Each step is one transaction that begins by writing its own row, so that of several replicas one makes the step and a process killed in the
middle leaves nothing behind. A store that is ahead, or whose steps read otherwise, is refused with `StoreSchemaError`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.store.errors import StoreConflictError, StoreSchemaError
from gateway.store.store import Statement, Store

__all__ = ["Migration", "migrate"]

_TABLE = Statement(
    "CREATE TABLE IF NOT EXISTS store_migrations (part TEXT NOT NULL, number BIGINT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, "
    "applied_ms BIGINT NOT NULL, PRIMARY KEY (part, number))"
)
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Migration:
    """One step; numbers count from 1 without gaps. Once released, a step is never changed: write the next one."""

    number: int
    name: str
    statements: tuple[str, ...]

    @property
    def digest(self) -> str:
        """What the step is recognised by."""
        return hashlib.sha256("\0".join(self.statements).encode()).hexdigest()


async def migrate(store: Store, part: str, steps: Sequence[Migration]) -> None:
    """Bring the tables of ``part`` up to date. **Raises** `StoreSchemaError`, `StoreUnavailableError`."""
    if [step.number for step in steps] != list(range(1, len(steps) + 1)):
        raise ValueError("migrations are numbered from 1 without gaps")
    await _begin(store)
    while (done := await _done(store, part, steps)) < len(steps):
        step = steps[done]
        mark = Statement(
            "INSERT INTO store_migrations (part, number, name, digest, applied_ms) VALUES (?, ?, ?, ?, now_ms()) "
            "ON CONFLICT DO NOTHING RETURNING number",
            (part, step.number, step.name, step.digest),
            rows_expected=1,
        )
        try:
            await store.run(mark, *(Statement(sql) for sql in step.statements))
        except StoreConflictError:
            continue  # another process made it; look what it made


async def _begin(store: Store) -> None:
    for left in reversed(range(_TRIES)):
        try:
            await store.run(_TABLE)
            return
        except StoreConflictError:
            # PostgreSQL may trip over two who create the same table, for all the IF NOT EXISTS.
            if not left:
                raise


async def _done(store: Store, part: str, steps: Sequence[Migration]) -> int:
    rows = await store.rows("SELECT number, digest FROM store_migrations WHERE part = ? ORDER BY number", part)
    if len(rows) > len(steps):
        raise StoreSchemaError(f"the store's tables of {part} are at step {len(rows)}, newer than this version's {len(steps)}; upgrade it")
    for (number, digest), step in zip(rows, steps, strict=False):
        if (number, digest) != (step.number, step.digest):
            raise StoreSchemaError(f"step {number} of the store's tables of {part} is not the one that this version knows")
    return len(rows)
