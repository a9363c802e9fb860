"""Endpoints that lie, hang, flood or break off: what each costs an answer, and what never gets through."""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.predicates import Operator
from domain_adapters.port import Capabilities
from domain_adapters.wire import encode_capabilities
from tests.e2e.mesh_under_test import mesh
from tests.unit.domain_adapters.crooked import CrookedServer, Visit

CONTRACT = """
apiVersion: datamesh/v1
kind: DataContract
metadata: {{name: {name}, domain: shop, owner: shop-team@example.com, version: "1.0.0"}}
spec:
  schema:
    type: inline
    fields:
      - {{name: id, type: long, required: true}}
      - {{name: title, type: string}}
      - {{name: email, type: string}}
      - {{name: secret, type: string}}
      - {{name: price, type: decimal, precision: 9, scale: 2}}
      - {{name: updated_at, type: instant}}
  primaryKey: [id]
  time: {{updated: updated_at}}
  classification:
    pii: [email]
  access:
    - {{role: analyst, fields: [id, title, email, price, updated_at]}}
  ports:
    output:
      - {{type: rest-api, path: /{name}, level: {level}}}
"""
ROW = {"id": 1, "title": "a", "email": "ada@example.com", "secret": "S3CR3T", "price": "1.50", "updated_at": "2026-01-01T00:00:00Z"}
QUERY = "{ shop { things { nodes { id title email price } } others { nodes { id } } } }"
GOOD = {"id": 1, "title": "a", "email": "a***@example.com", "price": "1.50"}

Answer = Callable[[Visit], Awaitable[None]]


def page(*rows: Any, **more: Any) -> bytes:
    return json.dumps({"data": rows, "nextCursor": None, "metadata": {}, **more}).encode()


async def asked(folder: Path, answer: Answer, query: str = QUERY, *, level: int = 0, **settings: str) -> tuple[Any, CrookedServer]:
    """Ask through a gateway whose ``things`` are served by ``answer`` and whose ``others`` are well."""

    async def serve(visit: Visit) -> None:
        if visit.path.startswith("/others"):
            await visit.answer(page({"id": 7}))
        else:
            await answer(visit)

    contracts = {"things.yaml": CONTRACT.format(name="things", level=level), "others.yaml": CONTRACT.format(name="others", level=0)}
    async with CrookedServer(serve) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with mesh(folder, contracts, {"shop/things": url, "shop/others": url}, **settings) as found:
            return await found.ask(query), server


def only_things_failed(answer: Any, code: str) -> None:
    assert answer["data"] == {"shop": {"things": None, "others": {"nodes": [{"id": 7}]}}}
    (error,) = answer["errors"]
    assert error["path"] == ["shop", "things"]
    assert error["extensions"]["code"] == code
    assert error["extensions"]["product"] == "shop/things"
    assert error["extensions"]["owner"] == "shop-team@example.com"
    assert "S3CR3T" not in json.dumps(answer)
    assert "ada@example" not in json.dumps(answer)


async def test_more_columns_than_asked_never_get_through(tmp_path: Path) -> None:
    async def answer(visit: Visit) -> None:
        await visit.answer(page({**ROW, "password": "S3CR3T"}))

    answer_, _ = await asked(tmp_path, answer)
    assert answer_["data"]["shop"]["things"]["nodes"] == [GOOD]
    assert "S3CR3T" not in json.dumps(answer_)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>S3CR3T</html>",
        b"",
        b"[]",
        b"null",
        b'{"data": 5}',
        b'{"rows": []}',
        b'{"data": [{"id": 1, "title": "S3CR3T',
        b'{"data": [' + b"[" * 100_000,
        b'{"data": [{"id": 1}], "nextCursor": {"S3CR3T": 1}}',
        b'\xff\xfe{"data": []}',
    ],
    ids=["html", "empty", "array", "null", "scalar", "no-rows", "cut", "deep", "cursor-object", "not-utf8"],
)
async def test_a_page_that_is_none_fails_its_own_subtree(tmp_path: Path, body: bytes) -> None:
    async def answer(visit: Visit) -> None:
        await visit.answer(body)

    only_things_failed((await asked(tmp_path, answer))[0], "UPSTREAM_INVALID")


async def test_a_truncated_body_fails_its_own_subtree(tmp_path: Path) -> None:
    async def answer(visit: Visit) -> None:
        await visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", page(ROW)[:40])
        visit.writer.close()

    answer_, _ = await asked(tmp_path, answer)
    assert answer_["errors"][0]["extensions"]["code"] in {"UPSTREAM_INVALID", "UPSTREAM_UNAVAILABLE"}
    only_things_failed(answer_, answer_["errors"][0]["extensions"]["code"])


async def test_one_bad_cell_costs_one_cell(tmp_path: Path) -> None:
    async def answer(visit: Visit) -> None:
        await visit.answer(page(ROW, {**ROW, "id": 2, "price": "S3CR3T"}, {**ROW, "id": 3}))

    answer_, _ = await asked(tmp_path, answer)
    assert answer_["data"]["shop"]["things"]["nodes"] == [GOOD, {**GOOD, "id": 2, "price": None}, {**GOOD, "id": 3}]
    (error,) = answer_["errors"]
    assert error["path"] == ["shop", "things", "nodes", 1, "price"]
    assert error["extensions"]["code"] == "UPSTREAM_INVALID"
    assert "S3CR3T" not in json.dumps(answer_)


async def test_of_many_bad_cells_ten_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    async def answer(visit: Visit) -> None:
        await visit.answer(page(*({**ROW, "id": number, "price": True} for number in range(15))))

    answer_, _ = await asked(tmp_path, answer)
    assert len(answer_["data"]["shop"]["things"]["nodes"]) == 15
    assert [error["path"][3] for error in answer_["errors"][:10]] == list(range(10))
    assert answer_["errors"][10]["extensions"]["count"] == 5
    assert len(answer_["errors"]) == 11


async def test_a_bad_cell_of_a_masked_column_is_null_and_never_shown(tmp_path: Path) -> None:
    async def answer(visit: Visit) -> None:
        await visit.answer(page({**ROW, "email": {"S3CR3T": "ada@example.com"}}))

    answer_, _ = await asked(tmp_path, answer)
    assert answer_["data"]["shop"]["things"]["nodes"][0]["email"] is None
    assert "S3CR3T" not in json.dumps(answer_)


async def test_a_body_that_is_too_large_is_cut_off_while_it_streams(tmp_path: Path) -> None:
    async def answer(visit: Visit) -> None:
        await visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        try:
            for _ in range(1_000):
                await visit.send(chunk)
        except OSError:
            return

    only_things_failed((await asked(tmp_path, answer, UPSTREAM__PAGE_MAX_BYTES="200000"))[0], "UPSTREAM_INVALID")


async def test_a_compressed_bomb_is_bounded_by_what_it_unpacks_to(tmp_path: Path) -> None:
    bomb = zlib.compress(b" " * 50_000_000)

    async def answer(visit: Visit) -> None:
        await visit.answer(bomb, headers=("Content-Encoding: deflate",))

    started = time.monotonic()
    only_things_failed((await asked(tmp_path, answer, UPSTREAM__PAGE_MAX_BYTES="1000000"))[0], "UPSTREAM_INVALID")
    assert time.monotonic() - started < 5


async def test_a_hung_endpoint_costs_its_callers_the_timeout_and_the_rest_is_delivered(tmp_path: Path) -> None:
    async def answer(visit: Visit) -> None:
        await visit.until_closed()

    started = time.monotonic()
    only_things_failed((await asked(tmp_path, answer, TIMEOUTS__UPSTREAM_S="0.5"))[0], "UPSTREAM_UNAVAILABLE")
    assert time.monotonic() - started < 5


async def test_the_request_deadline_ends_a_slow_read_and_delivers_the_rest(tmp_path: Path) -> None:
    async def answer(visit: Visit) -> None:
        await visit.until_closed()

    only_things_failed((await asked(tmp_path, answer, TIMEOUTS__REQUEST_S="1"))[0], "DEADLINE_EXCEEDED")


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    async def answer(visit: Visit) -> None:
        await visit.answer(b"", "302 Found", headers=("Location: /others",))

    answer_, server = await asked(tmp_path, answer, "{ shop { things { nodes { id title email price } } others { nodes { id } } } }")
    assert answer_["errors"][0]["extensions"]["code"] == "UPSTREAM_INVALID"
    assert sum(visit.path == "/others" for visit in server.visits) == 1


async def test_a_cursor_that_repeats_ends_the_walk(tmp_path: Path) -> None:
    async def answer(visit: Visit) -> None:
        await visit.answer(page(ROW, nextCursor="again"))

    query = "{ shop { things { totalCount } others { nodes { id } } } }"
    answer_, server = await asked(tmp_path, answer, query)
    assert answer_["data"]["shop"]["things"]["totalCount"] is None
    assert answer_["errors"][0]["extensions"]["code"] == "UPSTREAM_INVALID"
    assert len(server.visits) < 10


async def test_an_endless_walk_ends_at_the_scan_budget_and_names_the_remedy(tmp_path: Path) -> None:
    pages = iter(range(10_000))

    async def answer(visit: Visit) -> None:
        number = next(pages)
        await visit.answer(page(*({**ROW, "id": number * 100 + place} for place in range(100)), nextCursor=str(number)))

    query = "{ shop { things { totalCount } others { nodes { id } } } }"
    answer_, server = await asked(tmp_path, answer, query, LIMITS__SCAN_ROWS_MAX="1000")
    (error,) = answer_["errors"]
    assert error["extensions"]["code"] == "PORT_CANNOT"
    assert "shop-team@example.com" in error["extensions"]["hint"]
    assert len(server.visits) < 20


async def test_a_page_longer_than_asked_is_cut_and_paged_through_without_gap_or_repeat(tmp_path: Path) -> None:
    async def answer(visit: Visit) -> None:
        await visit.answer(page(*({**ROW, "id": number} for number in range(7))))

    async def serve(visit: Visit) -> None:
        await answer(visit)

    contracts = {"things.yaml": CONTRACT.format(name="things", level=0)}
    query = "query($after: String) { shop { things(first: 3, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } } }"
    async with CrookedServer(serve) as server, mesh(tmp_path, contracts, {"shop/things": f"http://127.0.0.1:{server.port}"}) as found:
        seen: list[int] = []
        after = None
        for _ in range(3):
            things = (await found.ask(query, variables={"after": after}))["data"]["shop"]["things"]
            seen += [node["id"] for node in things["nodes"]]
            after = things["pageInfo"]["endCursor"]
        assert seen == list(range(7))
        assert things["pageInfo"]["hasNextPage"] is False


@pytest.mark.parametrize("status", ["500 Internal Server Error", "503 Service Unavailable", "429 Too Many Requests"])
async def test_a_failing_endpoint_is_unavailable_and_its_own_words_stay_out(tmp_path: Path, status: str) -> None:
    async def answer(visit: Visit) -> None:
        await visit.answer(b"Traceback: S3CR3T ada@example.com", status)

    only_things_failed((await asked(tmp_path, answer))[0], "UPSTREAM_UNAVAILABLE")


async def test_a_level_1_port_that_ignores_the_row_rule_cannot_show_foreign_rows(tmp_path: Path) -> None:
    rows = [{**ROW, "id": number, "title": "mine" if number % 2 else "theirs"} for number in range(6)]
    capabilities = encode_capabilities(
        Capabilities(level=1, select=True, operators=frozenset(Operator), boolean=True, order_by=True, count=True)
    )

    async def answer(visit: Visit) -> None:
        if visit.path.endswith("/capabilities"):
            await visit.answer(capabilities)
        else:
            await visit.answer(page(*rows, count=6))

    contract = CONTRACT.format(name="things", level=1).replace(
        "fields: [id, title, email, price, updated_at]}", 'fields: ["*"], rowFilter: {title: {eq: "mine"}}}'
    )
    async with (
        CrookedServer(answer) as server,
        mesh(tmp_path, {"t.yaml": contract}, {"shop/things": f"http://127.0.0.1:{server.port}"}) as found,
    ):
        await found.service.probe()
        answer_ = await found.ask("{ shop { things(first: 10) { nodes { id title } totalCount } } }")
    things = answer_["data"]["shop"]["things"]
    assert [node["title"] for node in things["nodes"]] == ["mine"] * 3
    assert things["totalCount"] == 3, "a count that was not proved is counted from rows"


async def test_hundreds_of_hung_reads_do_not_hold_up_other_products(tmp_path: Path) -> None:
    async def serve(visit: Visit) -> None:
        if visit.path.startswith("/others"):
            await visit.answer(page({"id": 7}))
        else:
            await visit.until_closed()

    contracts = {"things.yaml": CONTRACT.format(name="things", level=0), "others.yaml": CONTRACT.format(name="others", level=0)}
    async with CrookedServer(serve) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with mesh(tmp_path, contracts, {"shop/things": url, "shop/others": url}, TIMEOUTS__UPSTREAM_S="3") as found:
            hung = [asyncio.create_task(found.ask("{ shop { things { nodes { id } } } }")) for _ in range(200)]
            await asyncio.wait_for(server.arrived.wait(), 5)
            started = time.monotonic()
            answers = [await found.ask("{ shop { others { nodes { id } } } }") for _ in range(5)]
            took = time.monotonic() - started
            for task in hung:
                task.cancel()
            await asyncio.gather(*hung, return_exceptions=True)
    assert all(answer["data"]["shop"]["others"]["nodes"] == [{"id": 7}] for answer in answers)
    assert took < 2


async def test_a_contract_without_endpoint_is_listed_and_unavailable(tmp_path: Path) -> None:
    async with mesh(tmp_path, {"things.yaml": CONTRACT.format(name="things", level=0)}, {}) as found:
        answer = await found.ask('{ shop { things { nodes { id } } } mesh { product(domain: "shop", name: "things") { accessible } } }')
    assert answer["data"] == {"shop": {"things": None}, "mesh": {"product": {"accessible": True}}}
    assert answer["errors"][0]["extensions"]["code"] == "UPSTREAM_UNAVAILABLE"
