"""The order and customer domains: served by the SDK, with a live feed that can be stopped."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from domain_adapters.domains import customer, order, payment
from domain_adapters.domains.feed import OrderFeed
from domain_adapters.domains.generate import Sizes, ensure
from domain_adapters.domains.payment import Ledger, make_app
from domain_adapters.domains.service import arguments, main

from .crooked import CrookedServer, Visit

SIZES = Sizes(customers=40, orders=150)
ORDERS = "/data-products/orders"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure(tmp_path_factory.mktemp("demo"), SIZES)


@pytest.fixture(autouse=True)
def no_other_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    for domain in (order, customer, payment):
        monkeypatch.setattr(domain, "ensure", lambda data: data)


@pytest.fixture
async def opened(folder: Path) -> AsyncIterator[tuple[Starlette, OrderFeed]]:
    async with order.opened(folder, every_s=0.0) as (app, feed):
        yield app, feed


def client_of(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://orders.test")


async def newest(client: httpx.AsyncClient) -> dict[str, Any]:
    body = {"orderBy": [{"col": "updated_at", "dir": "desc"}, {"col": "order_id", "dir": "asc"}], "limit": 1, "count": True}
    answer = await client.post(f"{ORDERS}/query", json=body)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_orders_and_customers_are_served_over_both_levels(folder: Path, opened: tuple[Starlette, OrderFeed]) -> None:
    async with client_of(opened[0]) as client:
        page = (await client.get(ORDERS, params={"since": "1970-01-01T00:00:00Z", "limit": "1000"})).json()
        assert len(page["data"]) == 150
        assert (await client.get(f"{ORDERS}/capabilities")).json()["level"] == 1
        assert "ordered_at" not in page["data"][0]
    async with customer.opened(folder) as app, client_of(app) as client:
        page = (await client.get("/data-products/customers", params={"since": "1970-01-01T00:00:00Z", "limit": "1000"})).json()
        assert len(page["data"]) == 40
        assert isinstance(page["data"][0]["marketing_consent"], bool)


async def test_a_placed_order_is_the_newest_row(opened: tuple[Starlette, OrderFeed]) -> None:
    app, feed = opened
    began = dt.datetime.now(dt.UTC)
    rows = await feed.place()
    async with client_of(app) as client:
        found = await newest(client)
    row = found["data"][0]
    assert found["count"] == 151
    assert row["order_id"] == rows[0]["order_id"] == "O0000151"
    assert dt.datetime.fromisoformat(row["updated_at"]) >= began
    assert row["status"] == "PLACED"


async def test_the_feed_runs_until_it_is_stopped_and_goes_on_when_started(opened: tuple[Starlette, OrderFeed]) -> None:
    app, feed = opened
    running = asyncio.create_task(feed.run())
    async with client_of(app) as client, asyncio.timeout(20):
        assert (await client.get("/demo/feed")).json() == {"running": False, "orders": 150}
        assert (await client.post("/demo/feed", json={"running": True})).json()["running"] is True
        while feed.placed < 155:
            await asyncio.sleep(0)
        stopped = (await client.post("/demo/feed", json={"running": False})).json()
        assert stopped["running"] is False
        assert not feed.running
        assert (await newest(client))["count"] >= 155
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b"{}", 400), (b'{"running": 1}', 400), (b'{"running": true, "x": 1}', 400), (b"x" * 2_000, 413)]
)
async def test_a_switch_that_cannot_be_meant_changes_nothing(opened: tuple[Starlette, OrderFeed], body: bytes, status: int) -> None:
    app, feed = opened
    async with client_of(app) as client:
        assert (await client.post("/demo/feed", content=body)).status_code == status
    assert not feed.running


async def test_payments_are_told_of_each_order(folder: Path) -> None:
    ledger = Ledger()
    events: list[bytes] = []

    async def payments(visit: Visit) -> None:
        events.append(visit.body)
        await visit.answer(b"")

    async with CrookedServer(payments) as server, order.opened(folder, payments_url=server.origin) as (_, feed):
        await feed.place()
    async with client_of(make_app(ledger)) as client:
        assert (await client.post("/internal/orders-to-be-paid", content=events[0])).status_code == 204
    assert list(ledger.by_order) == ["O0000151"]


async def test_orders_are_placed_even_if_payments_are_away(folder: Path) -> None:
    async with order.opened(folder, payments_url="http://127.0.0.1:1/") as (_, feed):
        assert len(await feed.place(3)) == 3
        assert feed.placed == 153


async def test_a_feed_whose_database_fails_goes_on_trying(opened: tuple[Starlette, OrderFeed], caplog: pytest.LogCaptureFixture) -> None:
    _, feed = opened
    feed.close()
    feed.start()
    running = asyncio.create_task(feed.run())
    async with asyncio.timeout(10):
        while "could not place" not in caplog.text:
            await asyncio.sleep(0)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_every_domain_takes_host_port_and_data() -> None:
    given = arguments("order", 9001).parse_args(["--data", "elsewhere"])
    assert (given.host, given.port, given.data) == ("127.0.0.1", 9001, Path("elsewhere"))


@pytest.mark.parametrize(
    ("path", "run"),
    [
        (ORDERS, lambda port, data: order.run("127.0.0.1", port, data, None, feed_runs=True)),
        (ORDERS, lambda port, data: order.run("127.0.0.1", port, data, None, feed_runs=False)),
        ("/data-products/payments", lambda port, data: payment.run("127.0.0.1", port, data)),
        ("/data-products/customers", lambda port, data: customer.run("127.0.0.1", port, data)),
    ],
    ids=["order", "order without feed", "payment", "customer"],
)
def test_a_domain_answers_until_ctrl_c(folder: Path, path: str, run: Callable[[int, Path], Coroutine[Any, Any, None]]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    statuses: list[int] = []

    def ask_and_interrupt() -> None:
        with httpx.Client(trust_env=False, transport=httpx.HTTPTransport(retries=12)) as client:
            statuses.append(client.get(f"http://127.0.0.1:{port}{path}/slo").status_code)
        os.kill(os.getpid(), signal.SIGINT)

    asking = threading.Thread(target=ask_and_interrupt)
    asking.start()
    with pytest.raises(SystemExit) as caught:
        main(run(port, folder))
    asking.join()
    assert (caught.value.code, statuses) == (0, [200])
