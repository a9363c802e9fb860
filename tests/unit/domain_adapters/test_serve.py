"""The served endpoint as a stranger meets it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from contracts.fields import Field, Kind, Scalar
from contracts.model import OutputPort
from domain_adapters.errors import PortBrokenPromiseError, PortError, PortRefusedError, PortUnavailableError, SourceError
from domain_adapters.port import Call, Capabilities, Read
from domain_adapters.serve import Limits, Served, app, path_of, run, site
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from tests.unit.domain_adapters.products import THINGS, product, things

JSON = {"content-type": "application/json"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    port = await open_sql(THINGS, Rows([*things(), {"id": 99, "name": "never updated", "price": None, "updated": None}]))
    transport = httpx.ASGITransport(app(THINGS, port, limits=Limits(body_max_bytes=1_000)))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        yield client
    await port.aclose()


async def test_since_the_beginning_of_time_means_all_rows(client: httpx.AsyncClient) -> None:
    for since in ("1970-01-01T00:00:00Z", "1970-01-01T01:00:00+01:00", ""):
        page = (await client.get("/things", params={"since": since})).json()
        assert len(page["data"]) == 11
    assert len((await client.get("/things", params={"since": "1970-01-01T00:00:01Z"})).json()["data"]) == 10


async def test_level_0_spells_columns_as_its_port_does_and_level_1_as_the_contract() -> None:
    camel = OutputPort(type="rest-api", path="/things", naming="camelCase")
    fields = (Field("unit_price", Scalar(Kind.INT)), Field("name", Scalar(Kind.STRING), physical_name="TITLE"))
    contract = product(*fields).model_copy(update={"output_ports": (camel,)})
    port = await open_sql(contract, Rows([{"id": 1, "unit_price": 5, "name": "a"}]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app(contract, port)), base_url="http://x") as client:
        level_0 = (await client.get("/things")).json()
        level_1 = (await client.post("/things/query", content="{}", headers=JSON)).json()
    await port.aclose()
    assert level_0["data"] == [{"id": 1, "unitPrice": 5, "TITLE": "a"}]
    assert level_1["data"] == [{"id": 1, "unit_price": 5, "name": "a"}]
    assert level_0["metadata"]["version"] == level_1["metadata"]["version"]
    assert level_0["nextCursor"] is None


async def test_pages_follow_the_cursor(client: httpx.AsyncClient) -> None:
    found: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await client.get("/things", params={"limit": 4, "cursor": cursor})).json()
        found += [row["id"] for row in page["data"]]
        cursor = page["nextCursor"]
    assert found == [*range(10), 99]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=%D9%A1",
        "limit=9999999999",
        "limit=1&limit=2",
        "since=yesterday",
        "since=2026-01-01T00:00:00",
        "cursor=nonsense",
        "cursor=" + "x" * 20_000,
        "order=asc",
    ],
)
async def test_a_wrong_page_request_is_a_problem_that_quotes_nothing(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/things?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "code", "detail"}
    assert "yesterday" not in answer.text
    assert "nonsense" not in answer.text


async def test_a_query_is_json_of_a_bounded_size(client: httpx.AsyncClient) -> None:
    assert (await client.post("/things/query", content=b"{}")).status_code == 415
    assert (await client.post("/things/query", content=b"{}", headers={**JSON, "content-encoding": "gzip"})).status_code == 415
    assert (await client.post("/things/query", content=b"{" * 1_001, headers=JSON)).status_code == 413
    assert (await client.post("/things/query", content=b"{", headers=JSON)).json()["code"] == "NOT_JSON"
    assert (
        await client.post("/things/query", content=b"{}", headers={"content-type": "application/json; charset=utf-8"})
    ).status_code == 200


async def test_unknown_paths_and_methods_are_problems_too(client: httpx.AsyncClient) -> None:
    assert (await client.get("/nope")).json()["code"] == "NOT_FOUND"
    answer = await client.delete("/things")
    assert answer.status_code == 405
    assert answer.headers["allow"]
    assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_since_without_a_column_for_it_is_refused_by_name() -> None:
    port = await open_sql(product(), Rows([{"id": 1}]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app(product(), port)), base_url="http://x") as client:
        assert (await client.get("/things", params={"since": "2026-01-01T00:00:00Z"})).json()["code"] == "PORT_CANNOT"
        assert (await client.get("/things", params={"since": "1970-01-01T00:00:00Z"})).status_code == 200
    await port.aclose()


async def test_a_token_opens_everything_but_is_not_needed_for_health() -> None:
    port = await open_sql(THINGS, Rows(things()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app(THINGS, port, token="s3cret")), base_url="http://x") as client:
        for given in ({}, {"authorization": "Bearer wrong"}, {"authorization": "s3cret"}, {"authorization": "Bearer s3crét"}):
            answer = await client.get("/things", headers=[(name, value.encode()) for name, value in given.items()])
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        assert (await client.get("/things", headers={"authorization": "Bearer s3cret"})).status_code == 200
        assert (await client.post("/things/query", json={})).status_code == 401
        assert (await client.get("/healthz")).status_code == 200
    await port.aclose()


class Odd:
    """A port that fails as it is told."""

    name = "odd"
    capabilities = Capabilities(level=1)

    def __init__(self, failure: Exception | None = None) -> None:
        self.spelling: dict[str, str] = {}
        self.failure = failure
        self.closed = False
        self.entered = asyncio.Event()
        self.leave = asyncio.Event()

    async def read(self, read: Read, call: Call) -> bytes:
        if self.failure is not None:
            raise self.failure
        self.entered.set()
        await self.leave.wait()
        return b"{}"

    async def slo(self, call: Call) -> bytes:
        raise RuntimeError("4111111111111111")

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (PortUnavailableError("late", reason="timeout"), 504, "TIMEOUT"),
        (PortUnavailableError("busy", reason="overloaded"), 503, "OVERLOADED"),
        (PortBrokenPromiseError("odd", reason="source"), 500, "SOURCE_INVALID"),
        (PortRefusedError("no", reason="mood"), 400, "MOOD"),
        (PortError("what", reason="x"), 500, "SOURCE_INVALID"),
    ],
)
async def test_each_kind_of_failure_has_its_status(failure: PortError, status: int, code: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app(THINGS, Odd(failure))), base_url="http://x") as client:
        answer = await client.get("/things")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ("retry-after" in answer.headers) is (status == 503)


async def test_a_mistake_of_ours_says_nothing_of_itself() -> None:
    transport = httpx.ASGITransport(app(THINGS, Odd()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.get("/things/slo")
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
    assert "4111" not in answer.text


async def test_requests_beyond_the_most_in_flight_are_told_to_come_back() -> None:
    port = Odd()
    transport = httpx.ASGITransport(app(THINGS, port, limits=Limits(requests_max=1)))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        first = asyncio.create_task(client.get("/things"))
        await port.entered.wait()
        assert (await client.get("/things")).status_code == 503
        port.leave.set()
        assert (await first).status_code == 200
        assert (await client.get("/things")).status_code == 200


@contextlib.asynccontextmanager
async def living(served: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        served.router.lifespan_context(served),
        httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://x") as client,
    ):
        yield client


async def test_a_site_serves_several_products_and_closes_their_ports() -> None:
    one, two = Odd(), Odd()
    async with living(site([Served(THINGS, one), Served(THINGS, two, "/others", frozenset({1}))])) as client:
        assert (await client.get("/others")).status_code == 404
        assert (await client.get("/others/capabilities")).json()["level"] == 1
        assert (await client.get("/things/schema")).json()["x-product"] == "test/things"
    assert one.closed
    assert two.closed


async def test_level_0_alone_has_no_query() -> None:
    async with living(app(THINGS, Odd(), levels=frozenset({0}))) as client:
        assert (await client.get("/things/capabilities")).status_code == 404
        assert (await client.post("/things/query", json={})).status_code == 404


def test_a_product_without_rest_port_has_the_guides_path() -> None:
    assert path_of(THINGS.model_copy(update={"output_ports": ()})) == "/data-products/things"


CATALOG = Path(__file__).parents[3] / "contracts" / "catalog" / "order" / "orders-daily.yaml"


@pytest.mark.parametrize(("data", "mock"), [(None, False), ("x.json", True)])
def test_a_contract_is_served_from_data_or_from_mock_rows(data: str | None, mock: bool) -> None:
    with pytest.raises(SourceError, match="either"):
        run(CATALOG, data, mock=mock)


def test_run_opens_the_source_before_it_listens(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no file"):
        run(CATALOG, str(tmp_path / "gone.parquet"))


def test_run_serves_mock_rows_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    async def serve(self: Any) -> None:
        seen.update(host=self.config.host, port=self.config.port)
        async with living(self.config.app) as client:
            seen["rows"] = (await client.get("/data-products/orders", params={"limit": 500})).json()["data"]

    monkeypatch.setattr("uvicorn.Server.serve", serve)
    run(CATALOG, mock=True, rows=30, port=9123)
    assert (seen["host"], seen["port"], len(seen["rows"])) == ("127.0.0.1", 9123, 30)
