"""Plain Strawberry over the products of deep and wide shapes: generated types, a DataLoader per link, httpx."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import strawberry
from starlette.applications import Starlette
from starlette.routing import Route
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader

from tests.bench.shapes_mesh import CHAIN, COLUMNS

URLS = dict(pair.split("=", 1) for pair in os.environ["BENCH_UPSTREAMS"].split())
TYPES = (str, int, float, bool)
client: httpx.AsyncClient


async def rows_of(name: str, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(URLS[name], params=params)).raise_for_status().json()["data"]
    return found


def item(number: int, following: Any) -> Any:
    names: dict[str, Any] = {"id": str, "next_id": str, "name": str, "amount": float, "count": int, "at": str}
    body: dict[str, Any] = {"__annotations__": names}
    if following is not None:

        async def next_(self: Any, info: strawberry.Info) -> Any:
            return await info.context[f"item{number + 1}"].load(self.next_id)

        next_.__annotations__["return"] = following | None
        body["next"] = strawberry.field(next_, name="next")
    return strawberry.type(type(f"Item{number}", (), body))


ITEMS: list[Any] = [None] * (CHAIN + 1)
for place in reversed(range(CHAIN)):
    ITEMS[place] = item(place, ITEMS[place + 1])
WIDE: Any = strawberry.type(
    type("Wide", (), {"__annotations__": {"id": str} | {f"c{column}": TYPES[column % 4] for column in range(1, COLUMNS)}})
)


async def item0(first: int) -> list[Any]:
    return [ITEMS[0](**row) for row in await rows_of("item0", limit=first)]


async def wide(first: int) -> list[Any]:
    return [WIDE(**row) for row in await rows_of("wide", limit=first)]


item0.__annotations__["return"] = list[ITEMS[0]]
wide.__annotations__["return"] = list[WIDE]
Query: Any = strawberry.type(type("Query", (), {"item0": strawberry.field(item0), "wide": strawberry.field(wide)}))


def loader(number: int) -> DataLoader[str, Any]:
    async def load(keys: list[str]) -> list[Any]:
        found = {row["id"]: ITEMS[number](**row) for row in await rows_of(f"item{number}", id=f"in:({','.join(keys)})")}
        return [found.get(key) for key in keys]

    return DataLoader(load_fn=load)


class Endpoint(GraphQL[Any, Any]):
    async def get_context(self, request: Any, response: Any) -> dict[str, Any]:
        return {f"item{number}": loader(number) for number in range(1, CHAIN)}


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    global client
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=100, max_keepalive_connections=100)) as client:
        yield


app = Starlette(routes=[Route("/graphql", Endpoint(strawberry.Schema(Query)))], lifespan=lifespan)
