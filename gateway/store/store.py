"""What a store is: transactions of SQL that SQLite and PostgreSQL both speak, and a clock that all who share it agree on.

One dialect for both: ``?`` for parameters, ``now_ms()`` for the store's clock in milliseconds, types ``BIGINT``, ``TEXT``,
``DOUBLE PRECISION`` and ``BYTEA``, ``INSERT ... ON CONFLICT`` and ``RETURNING``. No quotes around question marks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Row", "Statement", "Store"]

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. ``rows_expected``: how many rows it must return, else the whole transaction is undone (compare and set)."""

    sql: str
    params: Row = ()
    rows_expected: int | None = None


class Store(Protocol):
    """An open store. ``is_shared``: whether other processes may use it too."""

    @property
    def is_shared(self) -> bool:
        """Whether other processes may use it too."""

    async def run(self, *statements: Statement) -> list[list[Row]]:
        """Run statements in one transaction, all or none, and give the rows of each.

        **Raises** `StoreUnavailableError`, `StoreConflictError`, `StoreError`.
        """

    async def rows(self, sql: str, *params: Any) -> list[Row]:
        """Run one statement and give its rows."""

    async def aclose(self) -> None:
        """Finish what is under way and close."""
