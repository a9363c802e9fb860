"""A store's address -> the store. Nothing is touched before it is first used."""

from __future__ import annotations

from pathlib import Path

from gateway.store.sqlite import SqliteStore
from gateway.store.store import Store

__all__ = ["open_store"]


def open_store(url: str | None, *, timeout_s: float = 5.0) -> Store:
    """Open ``sqlite:PATH`` or ``postgresql://...``; None: in memory, gone with this process.

    **Raises** ValueError, which does not quote the address: it may hold a password.
    """
    if url is None:
        return SqliteStore(None, timeout_s=timeout_s)
    scheme, colon, rest = url.partition(":")
    if scheme == "sqlite" and rest.removeprefix("//"):
        return SqliteStore(Path(rest.removeprefix("//")), timeout_s=timeout_s)
    if scheme in ("postgresql", "postgres") and colon and rest.startswith("//"):
        try:
            from gateway.store.postgres import PostgresStore
        except ImportError:
            raise ValueError('a store in PostgreSQL needs the extra "postgres": pip install meshgate[postgres]') from None
        return PostgresStore(url, timeout_s=timeout_s)
    raise ValueError('write a store as "sqlite:PATH" or "postgresql://USER@HOST/DATABASE"')
