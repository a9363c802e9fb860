"""F1, the plain floor: bare ASGI, aiohttp, orjson into dicts and back. No GraphQL, no caller, no promise: what cannot be gone below
by a hand-written endpoint that keeps rows as dicts."""

from __future__ import annotations

import asyncio
import os
from hashlib import blake2b
from typing import Any

import aiohttp
import orjson

ORDERS, PAYMENTS, CUSTOMERS = os.environ["BENCH_UPSTREAMS"].split()
ORDER = ("order_id", "customer_id", "contact_email", "status", "currency", "total_amount", "item_count", "created_at")
CUSTOMER = ("customer_id", "name", "country", "segment", "loyalty_tier")
keyed = blake2b(key=bytes.fromhex(os.environ["BENCH_PSEUDONYM_KEY"]), digest_size=16).copy
session: aiohttp.ClientSession


async def rows_of(url: str) -> list[dict[str, Any]]:
    async with session.get(url) as answer:
        found: list[dict[str, Any]] = orjson.loads(await answer.read())["data"]
    return found


async def listed(first: int, cursor: str) -> list[dict[str, Any]]:
    rows = await rows_of(f"{ORDERS}?limit={first}&cursor={cursor}")
    return [{name: row[name] for name in ORDER} for row in rows]


async def masked(first: int, cursor: str) -> list[dict[str, Any]]:
    rows = await listed(first, cursor)
    for row in rows:
        digest = keyed()
        digest.update(row["contact_email"].encode())
        row["contact_email"] = "v1:" + digest.hexdigest()
    return rows


async def joined(first: int, cursor: str) -> list[dict[str, Any]]:
    orders = await rows_of(f"{ORDERS}?limit={first}&cursor={cursor}")
    customer_keys = ",".join(dict.fromkeys(row["customer_id"] for row in orders))
    order_keys = ",".join([row["order_id"] for row in orders])
    customers, payments = await asyncio.gather(
        rows_of(f"{CUSTOMERS}?customer_id=in:({customer_keys})"), rows_of(f"{PAYMENTS}?order_id=in:({order_keys})")
    )
    customer_by_id = {row["customer_id"]: {name: row[name] for name in CUSTOMER} for row in customers}
    payments_by_order: dict[str, list[dict[str, Any]]] = {}
    for row in payments:
        shown = {"payment_id": row["payment_id"], "method": row["method"], "amount": row["amount"]}
        payments_by_order.setdefault(row["order_id"], []).append(shown)
    return [
        {
            "order_id": row["order_id"],
            "status": row["status"],
            "total_amount": row["total_amount"],
            "customer": customer_by_id.get(row["customer_id"]),
            "payments": payments_by_order.get(row["order_id"], []),
        }
        for row in orders
    ]


ANSWERS = {"Q1": (listed, 1), "Q2": (listed, 100), "Q3": (listed, 1_000), "Q4": (joined, 100), "Q5": (masked, 100)}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    question = orjson.loads((await receive())["body"])
    answer, first = ANSWERS[question["operationName"]]
    rows = await answer(first, question["variables"]["after"])
    body = orjson.dumps({"data": {"orders": rows}})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def live(receive: Any, send: Any) -> None:
    global session  # noqa: PLW0603 - one per process, as servers of this kind have
    await receive()
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100))
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await session.close()
    await send({"type": "lifespan.shutdown.complete"})
