"""The payment domain as its own clients see it: level 0, its own spelling, its own errors."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from domain_adapters.domains.generate import Sizes, ensure
from domain_adapters.domains.payment import EVENTS_MAX_BYTES, SCHEMA, Ledger, iso, make_app

NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
ALL = {"since": "1970-01-01T00:00:00Z"}
PATH = "/data-products/payments"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure(tmp_path_factory.mktemp("demo"), Sizes(customers=40, orders=150))


@pytest.fixture
def ledger(folder: Path) -> Ledger:
    return Ledger.load(folder, NOW)


@pytest.fixture
async def client(ledger: Ledger) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(ledger, Random(1)))
    async with httpx.AsyncClient(transport=transport, base_url="http://payments.test") as client:
        yield client


async def page(client: httpx.AsyncClient, **asked: str) -> dict[str, Any]:
    answer = await client.get(PATH, params={**ALL, **asked})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_rows_are_camel_case_and_fit_the_schema(client: httpx.AsyncClient, ledger: Ledger) -> None:
    found = await page(client, limit="1000")
    assert len(found["data"]) == len(ledger.rows)
    assert set(found["metadata"]) == {"generatedAt", "version", "totalRecords"}
    for row in found["data"]:
        assert list(row) == [*SCHEMA["properties"]]
        assert row["paidAt"].endswith("Z")
        assert len(row["paidAt"]) == len("2026-11-23T00:00:00.000Z")
    amount = json.loads(ledger.rows[0], parse_float=Decimal)["amount"]
    assert amount.as_tuple().exponent == -2


async def test_walking_the_cursor_gives_every_row_once_in_order_of_change(client: httpx.AsyncClient, ledger: Ledger) -> None:
    rows, asked = [], {"limit": "7"}
    while True:
        found = await page(client, **asked)
        rows += found["data"]
        assert len(found["data"]) <= 7
        if found["nextCursor"] is None:
            break
        asked["cursor"] = found["nextCursor"]
    assert [row["paymentId"] for row in rows] == [json.loads(row)["paymentId"] for row in ledger.rows]
    assert [row["updatedAt"] for row in rows] == sorted(row["updatedAt"] for row in rows)


async def test_since_is_inclusive(client: httpx.AsyncClient, ledger: Ledger) -> None:
    middle = ledger.changed[len(ledger.changed) // 2]
    found = await page(client, since=iso(middle, 6), limit="1000")
    assert len(found["data"]) == sum(1 for changed in ledger.changed if changed >= middle)
    assert found["data"][0]["updatedAt"] == iso(middle, 6)


async def test_batch_look_up_finds_all_payments_of_the_orders_named(client: httpx.AsyncClient, ledger: Ledger) -> None:
    orders = list(ledger.by_order)[:20]
    found = await page(client, orderId=f"in:({','.join([*orders, 'O-unknown'])})", limit="1000")
    assert {row["orderId"] for row in found["data"]} == set(orders)
    assert len(found["data"]) == sum(len(ledger.by_order[order]) for order in orders)
    first = found["data"][0]
    assert (await page(client, paymentId=first["paymentId"]))["data"] == [first]
    assert (await page(client, paymentId=f"in:({first['paymentId']})", orderId="O-unknown"))["data"] == []


async def test_look_ups_are_paged_too(client: httpx.AsyncClient, ledger: Ledger) -> None:
    wanted = f"in:({','.join(ledger.by_order)})"
    first = await page(client, orderId=wanted, limit="10")
    second = await page(client, orderId=wanted, limit="1000", cursor=first["nextCursor"])
    assert len(first["data"]) + len(second["data"]) == len(ledger.rows)
    assert second["nextCursor"] is None


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"since": "yesterday"},
        {**ALL, "limit": "0"},
        {**ALL, "limit": "-1"},
        {**ALL, "limit": "ten"},
        {**ALL, "limit": "9" * 20},
        {**ALL, "cursor": "bm90IG91cnM"},
        {**ALL, "cursor": "%%%"},
    ],
    ids=str,
)
async def test_mistakes_are_told_in_plain_text(client: httpx.AsyncClient, asked: dict[str, str]) -> None:
    answer = await client.get(PATH, params=asked)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")


async def test_a_local_since_counts_as_utc_and_a_large_limit_is_cut(client: httpx.AsyncClient) -> None:
    assert (await page(client, since="1970-01-01T00:00:00", limit="100000"))["data"]
    assert len((await page(client))["data"]) == 100


async def test_orders_to_be_paid_become_payments_of_now(client: httpx.AsyncClient, ledger: Ledger) -> None:
    before = len(ledger.rows)
    events = [{"orderId": f"O77{number}", "amount": "12.50", "currency": "EUR"} for number in range(8)]
    assert (await client.post("/internal/orders-to-be-paid", json=events)).status_code == 204
    assert len(ledger.rows) == before + 8
    (row,) = (await page(client, orderId="O770"))["data"]
    assert (row["amount"], row["status"]) == (12.5, "AUTHORISED")
    slo = (await client.get(f"{PATH}/slo")).json()
    assert float(slo["freshness"].removeprefix("PT").removesuffix("S")) < 60


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"not json", 400),
        (b"{}", 204),
        (b'[{"orderId": "O1"}]', 400),
        (b'[{"orderId": "O1", "amount": "much", "currency": "EUR"}]', 400),
        (b'[{"orderId": "O1", "amount": "NaN", "currency": "EUR"}]', 400),
        (b'[{"orderId": "O\\"1", "amount": "1", "currency": "EUR"}]', 400),
        (b"[" * 50_000, 400),
        (b" " * (EVENTS_MAX_BYTES + 1), 413),
    ],
    ids=range(8),
)
async def test_events_that_cannot_be_meant_change_nothing(client: httpx.AsyncClient, ledger: Ledger, body: bytes, status: int) -> None:
    before = len(ledger.rows)
    assert (await client.post("/internal/orders-to-be-paid", content=body)).status_code == status
    assert len(ledger.rows) == before


async def test_schema_slo_and_health_are_the_teams_own(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{PATH}/schema")).json() == SCHEMA
    slo = (await client.get(f"{PATH}/slo")).json()
    assert slo["freshness"].startswith("PT")
    assert set(slo) == {"freshness", "completeness", "accuracy", "availability"}
    assert (await client.get("/health")).json() == {"status": "UP"}
    assert (await client.get(f"{PATH}/capabilities")).status_code == 404


async def test_an_empty_ledger_answers_too() -> None:
    ledger = Ledger()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(make_app(ledger)), base_url="http://payments.test") as client:
        assert (await page(client))["data"] == []
        assert (await client.get(f"{PATH}/slo")).status_code == 200
        event = [{"orderId": "O1", "amount": 1, "currency": "EUR"}]
        assert (await client.post("/internal/orders-to-be-paid", json=event)).status_code == 204
    assert len(ledger.rows) == 1
