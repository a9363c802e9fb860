"""A store in PostgreSQL, for several replicas: a small pool of connections that is opened when first used, and again after a failure.

Needs the extra ``postgres`` (asyncpg). Touches the network. Rejects with `StoreError`s, whose messages quote no address and no row.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import lru_cache
from typing import Any

import asyncpg

from gateway.store.errors import StoreConflictError, StoreError, StoreUnavailableError
from gateway.store.store import Row, Statement

__all__ = ["PostgresStore"]

_NOW_MS = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_AWAY = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.OperatorInterventionError, asyncpg.InsufficientResourcesError)
_LOST = (asyncpg.UniqueViolationError, asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


class PostgresStore:
    """A store at ``url``. ``timeout_s`` bounds one transaction, connecting included."""

    is_shared = True

    def __init__(self, url: str, *, timeout_s: float = 5.0, connections_max: int = 4) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._connections_max = connections_max
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def run(self, *statements: Statement) -> list[list[Row]]:
        """Run statements in one transaction."""
        try:
            async with asyncio.timeout(self._timeout_s):
                pool = await self._opened()
                async with pool.acquire() as connection, connection.transaction():
                    return [await _one(connection, statement) for statement in statements]
        except StoreError:
            raise
        except _LOST:
            raise StoreConflictError("somebody else was first") from None
        except (TimeoutError, OSError, *_AWAY) as error:
            raise StoreUnavailableError(f"the store cannot be reached ({type(error).__name__})") from None
        except (asyncpg.PostgresError, asyncpg.exceptions.ClientConfigurationError) as error:
            raise StoreError(f"the store refused a statement ({type(error).__name__})") from None

    async def rows(self, sql: str, *params: Any) -> list[Row]:
        """Run one statement and give its rows."""
        return (await self.run(Statement(sql, params)))[0]

    async def aclose(self) -> None:
        """Close the connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            with contextlib.suppress(TimeoutError, OSError, *_AWAY):
                async with asyncio.timeout(self._timeout_s):
                    await pool.close()
            pool.terminate()

    async def _opened(self) -> Any:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    # No prepared statements are kept: poolers in front of the server do not know them from one transaction to the next.
                    self._pool = await asyncpg.create_pool(self._url, min_size=0, max_size=self._connections_max, statement_cache_size=0)
        return self._pool


async def _one(connection: Any, statement: Statement) -> list[Row]:
    rows = [tuple(row) for row in await connection.fetch(_numbered(statement.sql), *statement.params)]
    if statement.rows_expected is not None and len(rows) != statement.rows_expected:
        raise StoreConflictError("a row was not as expected")
    return rows


@lru_cache(maxsize=512)
def _numbered(sql: str) -> str:
    first, *rest = sql.replace("now_ms()", _NOW_MS).split("?")
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))
