"""The order domain: the SDK's server over the generated orders, no code of its own but the live feed.

``GET /demo/feed`` tells whether new orders are being placed, ``POST /demo/feed {"running": false}`` stops them.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from contracts.load import load_contract
from domain_adapters.domains.feed import OrderFeed
from domain_adapters.domains.generate import ensure
from domain_adapters.domains.service import arguments, contract_file, main, serve
from domain_adapters.domains.store import open_store
from domain_adapters.serve import app as serve_port
from domain_adapters.sources import Live
from domain_adapters.sql import open_sql

__all__ = ["feed_app", "opened", "run"]

_COMMAND_MAX_BYTES = 1024


class _Command(msgspec.Struct, forbid_unknown_fields=True):
    running: bool


def feed_app(feed: OrderFeed, product: ASGIApp) -> Starlette:
    """Put the feed's switch beside the product's paths."""

    def state() -> Response:
        return JSONResponse({"running": feed.running, "orders": feed.placed})

    async def show(request: Request) -> Response:
        return state()

    async def switch(request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _COMMAND_MAX_BYTES:
                return PlainTextResponse("too large", 413)
        try:
            command = msgspec.json.decode(bytes(body), type=_Command)
        except (ValueError, RecursionError):
            return PlainTextResponse('expected {"running": true} or {"running": false}', 400)
        (feed.start if command.running else feed.stop)()
        return state()

    return Starlette(
        routes=[
            Route("/demo/feed", show, methods=["GET"]),
            Route("/demo/feed", switch, methods=["POST"]),
            Mount("/", product),
        ]
    )


@contextlib.asynccontextmanager
async def opened(data: Path, *, payments_url: str | None = None, every_s: float = 1.0) -> AsyncIterator[tuple[Starlette, OrderFeed]]:
    """Open the orders of a data folder, with a feed that is not started; ``payments_url`` is told of each order to be paid."""
    contract = load_contract(contract_file("order", "orders-daily"))
    db = await asyncio.to_thread(lambda: open_store(ensure(data), "orders", "customers", now=dt.datetime.now(dt.UTC)))
    try:
        port = await open_sql(contract, Live(db, "orders"))
        async with httpx.AsyncClient(trust_env=False, timeout=2.0) as client:

            async def tell(orders: list[dict[str, Any]]) -> None:
                if payments_url is not None:
                    with contextlib.suppress(httpx.HTTPError):
                        await client.post(payments_url, json=orders)

            feed = OrderFeed(db, tell, every_s=every_s)
            try:
                yield feed_app(feed, serve_port(contract, port)), feed
            finally:
                feed.close()
                await port.aclose()
    finally:
        db.close()


async def run(host: str, port: int, data: Path, payments_url: str | None, *, feed_runs: bool) -> None:
    """Serve the orders of a data folder while new ones are being placed."""
    async with opened(data, payments_url=payments_url) as (app, feed):
        if feed_runs:
            feed.start()
        placing = asyncio.create_task(feed.run())
        try:
            await serve(app, host, port)
        finally:
            placing.cancel()
            await asyncio.gather(placing, return_exceptions=True)


if __name__ == "__main__":
    parser = arguments("order", 9001)
    parser.add_argument("--payments", metavar="URL", help="who to tell of orders to be paid (default: nobody)")
    parser.add_argument("--no-feed", action="store_true", help="start with the live feed stopped")
    given = parser.parse_args()
    main(run(given.host, given.port, given.data, given.payments, feed_runs=not given.no_feed))
