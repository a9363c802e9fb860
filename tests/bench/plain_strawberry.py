"""What a Python team writes without us: Strawberry types, async resolvers over httpx, DataLoaders for the joins.

Q5 selects ``contactEmail: pseudonym``, a resolver of its own, so that the other questions do not pay for it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import Any

import httpx
import strawberry
from starlette.applications import Starlette
from starlette.routing import Route
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader

ORDERS, PAYMENTS, CUSTOMERS = os.environ["BENCH_UPSTREAMS"].split()
KEY = bytes.fromhex(os.environ["BENCH_PSEUDONYM_KEY"])
client: httpx.AsyncClient


async def rows_of(url: str, **params: Any) -> list[dict[str, Any]]:
    response = await client.get(url, params=params)
    response.raise_for_status()
    found: list[dict[str, Any]] = response.json()["data"]
    return found


@strawberry.type
class Customer:
    customer_id: str
    name: str
    email: str
    country: str
    segment: str
    loyalty_tier: str
    signup_date: str
    is_active: bool


@strawberry.type
class Payment:
    payment_id: str
    order_id: str
    method: str
    provider: str
    status: str
    amount: float
    currency: str
    paid_at: str


@strawberry.type
class Order:
    order_id: str
    customer_id: str
    contact_email: str
    status: str
    currency: str
    total_amount: float
    item_count: int
    channel: str
    created_at: str
    updated_at: str

    @strawberry.field
    def pseudonym(self) -> str:
        return "v1:" + blake2b(self.contact_email.encode(), key=KEY, digest_size=16).hexdigest()

    @strawberry.field
    async def customer(self, info: strawberry.Info) -> Customer | None:
        found: Customer | None = await info.context["customers"].load(self.customer_id)
        return found

    @strawberry.field
    async def payments(self, info: strawberry.Info) -> list[Payment]:
        found: list[Payment] = await info.context["payments"].load(self.order_id)
        return found


async def load_customers(keys: list[str]) -> list[Customer | None]:
    found = {row["customer_id"]: Customer(**row) for row in await rows_of(CUSTOMERS, customer_id=f"in:({','.join(keys)})")}
    return [found.get(key) for key in keys]


async def load_payments(keys: list[str]) -> list[list[Payment]]:
    found: dict[str, list[Payment]] = {key: [] for key in keys}
    for row in await rows_of(PAYMENTS, order_id=f"in:({','.join(keys)})"):
        found[row["order_id"]].append(Payment(**row))
    return [found[key] for key in keys]


@strawberry.type
class Query:
    @strawberry.field
    async def orders(self, first: int, after: str) -> list[Order]:
        return [Order(**row) for row in await rows_of(ORDERS, limit=first, cursor=after)]


class Endpoint(GraphQL[Any, Any]):
    async def get_context(self, request: Any, response: Any) -> dict[str, Any]:
        return {"customers": DataLoader(load_fn=load_customers), "payments": DataLoader(load_fn=load_payments)}


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    global client
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    async with httpx.AsyncClient(limits=limits) as client:
        yield


app = Starlette(routes=[Route("/graphql", Endpoint(strawberry.Schema(Query)))], lifespan=lifespan)
