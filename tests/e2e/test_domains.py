"""The three demo domains as processes, read through remote ports as the gateway reads them."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from msgspec import structs

from contracts.load import load_contract
from contracts.predicates import Compare, Operator
from domain_adapters.addresses import AddressPolicy
from domain_adapters.domains.generate import Sizes, ensure
from domain_adapters.domains.service import contract_file
from domain_adapters.endpoint import Endpoint
from domain_adapters.errors import PortCannotError
from domain_adapters.kinds import Surroundings, open_remote
from domain_adapters.port import Call, Keys, Order, Read, calls_of
from domain_adapters.remote import RemotePort

pytestmark = pytest.mark.e2e
CALL = Call(timeout_s=20.0)
AROUND = Surroundings(policy=AddressPolicy(loopback=True))
PRODUCTS = {"order": "orders-daily", "payment": "payments", "customer": "customers"}


@dataclass
class Domain:
    process: subprocess.Popen[bytes]
    url: str


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def domains(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Domain]]:
    data = ensure(tmp_path_factory.mktemp("demo"), Sizes(customers=2_000, orders=8_000))
    ports = {name: free_port() for name in PRODUCTS}
    started = {}
    for name, port in ports.items():
        command = [sys.executable, "-m", f"domain_adapters.domains.{name}", "--port", str(port), "--data", str(data)]
        if name == "order":
            command += ["--payments", f"http://127.0.0.1:{ports['payment']}/internal/orders-to-be-paid", "--no-feed"]
        started[name] = Domain(subprocess.Popen(command), f"http://127.0.0.1:{port}")
    try:
        yield started
    finally:
        for domain in started.values():
            domain.process.send_signal(signal.SIGTERM)
        for domain in started.values():
            domain.process.wait(10)


@asynccontextmanager
async def port_of(domains: dict[str, Domain], name: str) -> AsyncIterator[RemotePort]:
    contract = load_contract(contract_file(name, PRODUCTS[name]))
    port = open_remote(contract, contract.output_ports[0], Endpoint(domains[name].url), AROUND)
    try:
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(60):
            while True:
                try:
                    await client.get(domains[name].url)
                    break
                except httpx.TransportError:
                    assert domains[name].process.poll() is None
                    await asyncio.sleep(0.05)
        await port.probe(CALL)
        yield port
    finally:
        await port.aclose()


async def rows_of(port: RemotePort, read: Read) -> list[dict[str, Any]]:
    """Read every page of every call."""
    rows: list[dict[str, Any]] = []
    for call in calls_of(port, read):
        cursor: str | None = None
        while True:
            page = json.loads(await port.read(structs.replace(call, cursor=cursor), CALL))
            rows += page["data"]
            cursor = page["nextCursor"]
            if cursor is None:
                break
    return rows


async def test_orders_with_their_customers_and_payments_are_three_reads(domains: dict[str, Domain]) -> None:
    async with port_of(domains, "order") as orders, port_of(domains, "customer") as customers, port_of(domains, "payment") as payments:
        where = Compare("country", Operator.EQ, "FR")
        first = Read(select=("order_id", "customer_id", "country"), where=where, order_by=(Order("order_id"),), limit=100)
        page = json.loads(await orders.read(first, CALL))
        assert [row["country"] for row in page["data"]] == ["FR"] * 100
        customer_ids = tuple({(row["customer_id"],) for row in page["data"]})
        found = await rows_of(customers, Read(keys=Keys(("customer_id",), customer_ids)))
        assert len(found) >= 0.9 * len(customer_ids)
        order_ids = tuple((row["order_id"],) for row in page["data"])
        read = Read(keys=Keys(("order_id",), order_ids))
        assert len(calls_of(payments, read)) == 1
        paid = await rows_of(payments, read)
        assert len(paid) >= 100
        assert {row[payments.spelling["order_id"]] for row in paid} <= {order_id for (order_id,) in order_ids}


async def test_levels_are_what_the_teams_offer(domains: dict[str, Domain]) -> None:
    async with port_of(domains, "order") as orders, port_of(domains, "customer") as customers, port_of(domains, "payment") as payments:
        assert [port.capabilities.level for port in (orders, customers, payments)] == [1, 1, 0]
        assert payments.capabilities.key_columns == frozenset((("order_id",), ("payment_id",)))
        with pytest.raises(PortCannotError):
            await payments.read(Read(order_by=(Order("amount"),)), CALL)


async def test_a_thousand_orders_payments_take_a_few_look_ups(domains: dict[str, Domain]) -> None:
    async with port_of(domains, "payment") as payments:
        keys = Keys(("order_id",), tuple((f"O{number:07}",) for number in range(1, 1_001)))
        assert 1 < len(calls_of(payments, Read(keys=keys))) <= 4
        rows = await rows_of(payments, Read(keys=keys))
        assert len({row["paymentId"] for row in rows}) == len(rows) > 1_000


async def test_level_0_walks_all_payments(domains: dict[str, Domain]) -> None:
    async with port_of(domains, "payment") as payments:
        first = json.loads(await payments.read(Read(limit=1000), CALL))
        second = json.loads(await payments.read(Read(limit=1000, cursor=first["nextCursor"]), CALL))
        assert len(first["data"]) == len(second["data"]) == 1000
        assert not {row["paymentId"] for row in first["data"]} & {row["paymentId"] for row in second["data"]}


async def test_figures_come_from_every_domain(domains: dict[str, Domain]) -> None:
    for name in PRODUCTS:
        async with port_of(domains, name) as port:
            assert "freshness" in json.loads(await port.slo(CALL))
            assert json.loads(await port.schema(CALL))


async def test_the_live_feed_places_orders_and_their_payments_follow(domains: dict[str, Domain]) -> None:
    async with (
        port_of(domains, "order") as orders,
        port_of(domains, "payment") as payments,
        httpx.AsyncClient(trust_env=False, base_url=domains["order"].url) as client,
    ):
        async with asyncio.timeout(30):
            before = (await client.get("/demo/feed")).json()["orders"]
            await client.post("/demo/feed", json={"running": True})
            while (await client.get("/demo/feed")).json()["orders"] == before:
                await asyncio.sleep(0.05)
            await client.post("/demo/feed", json={"running": False})
            read = Read(order_by=(Order("updated_at", descending=True), Order("order_id")), limit=1)
            (newest,) = json.loads(await orders.read(read, CALL))["data"]
            assert newest["status"] == "PLACED"
            paid: list[Any] = []
            while not paid:
                paid = await rows_of(payments, Read(keys=Keys(("order_id",), ((newest["order_id"],),))))
            assert paid[0]["amount"] == float(newest["total_amount"])
