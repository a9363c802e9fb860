"""The customer domain: the SDK's server over the generated customers, no code of its own."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.types import ASGIApp

from contracts.load import load_contract
from domain_adapters.domains.generate import ensure
from domain_adapters.domains.service import arguments, contract_file, main, serve
from domain_adapters.domains.store import open_store
from domain_adapters.serve import app as serve_port
from domain_adapters.sources import Live
from domain_adapters.sql import open_sql

__all__ = ["opened", "run"]


@contextlib.asynccontextmanager
async def opened(data: Path) -> AsyncIterator[ASGIApp]:
    """Open the customers of a data folder."""
    contract = load_contract(contract_file("customer", "customers"))
    db = await asyncio.to_thread(lambda: open_store(ensure(data), "customers", now=dt.datetime.now(dt.UTC)))
    try:
        port = await open_sql(contract, Live(db, "customers"))
        try:
            yield serve_port(contract, port)
        finally:
            await port.aclose()
    finally:
        db.close()


async def run(host: str, port: int, data: Path) -> None:
    """Serve the customers of a data folder."""
    async with opened(data) as app:
        await serve(app, host, port)


if __name__ == "__main__":
    given = arguments("customer", 9003).parse_args()
    main(run(given.host, given.port, given.data))
