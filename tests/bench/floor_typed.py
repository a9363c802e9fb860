"""F2, the typed floor: bare ASGI, pyreqwest, msgspec structs of just the columns asked for. The fastest that a person would write
by hand for these five questions. With ``BENCH_CLIENT=pooled`` it asks through the gateway's own client instead."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

import msgspec

ORDERS, PAYMENTS, CUSTOMERS = os.environ["BENCH_UPSTREAMS"].split()
keyed = blake2b(key=bytes.fromhex(os.environ["BENCH_PSEUDONYM_KEY"]), digest_size=16).copy
close: list[Callable[[], Awaitable[Any]]] = []


class Variables(msgspec.Struct):
    after: str


class Question(msgspec.Struct):
    operationName: str  # noqa: N815 - the wire's name
    variables: Variables


class Order(msgspec.Struct):
    order_id: str
    customer_id: str
    contact_email: str
    status: str
    currency: str
    total_amount: float
    item_count: int
    created_at: str


class Parent(msgspec.Struct):
    order_id: str
    customer_id: str
    status: str
    total_amount: float


class Customer(msgspec.Struct):
    customer_id: str
    name: str
    country: str
    segment: str
    loyalty_tier: str


class Payment(msgspec.Struct):
    payment_id: str
    order_id: str
    method: str
    amount: float


class ShownPayment(msgspec.Struct):
    payment_id: str
    method: str
    amount: float


class Joined(msgspec.Struct):
    order_id: str
    status: str
    total_amount: float
    customer: Customer | None
    payments: list[ShownPayment]


class Orders(msgspec.Struct):
    data: list[Order]


class Parents(msgspec.Struct):
    data: list[Parent]


class Customers(msgspec.Struct):
    data: list[Customer]


class Payments(msgspec.Struct):
    data: list[Payment]


class Data(msgspec.Struct):
    orders: list[Any]


class Answer(msgspec.Struct):
    data: Data


question_of = msgspec.json.Decoder(Question).decode
orders_of = msgspec.json.Decoder(Orders).decode
parents_of = msgspec.json.Decoder(Parents).decode
customers_of = msgspec.json.Decoder(Customers).decode
payments_of = msgspec.json.Decoder(Payments).decode
encode = msgspec.json.Encoder().encode
get: Callable[[str], Awaitable[Any]]


async def listed(first: int, cursor: str) -> list[Order]:
    return orders_of(await get(f"{ORDERS}?limit={first}&cursor={cursor}")).data


async def masked(first: int, cursor: str) -> list[Order]:
    rows = await listed(first, cursor)
    for row in rows:
        digest = keyed()
        digest.update(row.contact_email.encode())
        row.contact_email = "v1:" + digest.hexdigest()
    return rows


async def joined(first: int, cursor: str) -> list[Joined]:
    orders = parents_of(await get(f"{ORDERS}?limit={first}&cursor={cursor}")).data
    customer_keys = ",".join({row.customer_id: None for row in orders})
    order_keys = ",".join([row.order_id for row in orders])
    customers, payments = await asyncio.gather(
        get(f"{CUSTOMERS}?customer_id=in:({customer_keys})"), get(f"{PAYMENTS}?order_id=in:({order_keys})")
    )
    customer_by_id = {row.customer_id: row for row in customers_of(customers).data}
    payments_by_order: dict[str, list[ShownPayment]] = {row.order_id: [] for row in orders}
    for row in payments_of(payments).data:
        payments_by_order[row.order_id].append(ShownPayment(row.payment_id, row.method, row.amount))
    find = customer_by_id.get
    return [Joined(row.order_id, row.status, row.total_amount, find(row.customer_id), payments_by_order[row.order_id]) for row in orders]


ANSWERS: dict[str, tuple[Callable[[int, str], Awaitable[list[Any]]], int]] = {
    "Q1": (listed, 1),
    "Q2": (listed, 100),
    "Q3": (listed, 1_000),
    "Q4": (joined, 100),
    "Q5": (masked, 100),
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    question = question_of((await receive())["body"])
    answer, first = ANSWERS[question.operationName]
    body = encode(Answer(Data(await answer(first, question.variables.after))))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def live(receive: Any, send: Any) -> None:
    global get  # noqa: PLW0603 - one per process, as servers of this kind have
    await receive()
    get = through_pools() if os.environ.get("BENCH_CLIENT") == "pooled" else through_pyreqwest()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    for one in close:
        await one()
    await send({"type": "lifespan.shutdown.complete"})


def through_pyreqwest() -> Callable[[str], Awaitable[Any]]:
    from pyreqwest.client import ClientBuilder

    client = ClientBuilder().follow_redirects(False).no_proxy().max_connections(100).build()
    close.append(client.close)

    async def fetch(url: str) -> Any:
        return await (await client.get(url).build().send()).bytes()

    return fetch


def through_pools() -> Callable[[str], Awaitable[Any]]:
    from domain_adapters.addresses import AddressPolicy
    from domain_adapters.transport import PooledClient

    senders: dict[str, Any] = {}
    for origin in {"{0.scheme}://{0.netloc}".format(urlsplit(url)) for url in (ORDERS, PAYMENTS, CUSTOMERS)}:
        client = PooledClient(origin, policy=AddressPolicy(loopback=True))
        close.append(client.aclose)
        senders[origin] = client.send

    async def fetch(url: str) -> bytes:
        at = url.index("/", 8)
        body: bytes = (await senders[url[:at]]("GET", url[at:], timeout_s=10.0, body_max_bytes=1 << 26)).body
        return body

    return fetch
