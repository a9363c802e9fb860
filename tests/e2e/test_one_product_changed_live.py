"""Products published, changed and withdrawn while the gateway answers: nobody else notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from contracts import parse_contract
from contracts.model import Contract
from gateway.catalog.snapshot import CatalogError
from gateway.settings_sections import ProductSettings
from tests.attacks.ticks import ticking
from tests.conftest import within
from tests.e2e.mesh_under_test import Mesh, bearer, mesh
from tests.unit.domain_adapters.crooked import CrookedServer, Visit

CONTRACT = """
apiVersion: datamesh/v1
kind: DataContract
metadata: {{name: {name}, domain: shop, owner: shop-team@example.com, version: "{version}"}}
spec:
  schema:
    type: inline
    fields:
      - {{name: id, type: long, required: true}}
      - {{name: other_id, type: long}}
      - {{name: {column}, type: string}}
  primaryKey: [id]
  classification:
    pii: [{column}]
  access:
    - {{role: analyst, fields: ["*"]}}
  {relationships}
  ports:
    output:
      - {{type: rest-api, path: /{name}, level: 0}}
"""
LINK = "relationships: [{name: other, to: shop/others, on: {other_id: id}, inverse: things}]"
OTHERS = "{ shop { others { nodes { id title } } } }"
THINGS = "{ shop { things { nodes { id title } } } }"
BOTH = "{ shop { things { nodes { id } } others { nodes { id } } } }"


def text_of(name: str, *, version: str = "1.0.0", column: str = "title", relationships: str = "") -> str:
    return CONTRACT.format(name=name, version=version, column=column, relationships=relationships)


def contract_of(name: str, **given: str) -> Contract:
    return parse_contract(text_of(name, **given))


@asynccontextmanager
async def running(folder: Path, *, gate: asyncio.Event | None = None) -> AsyncIterator[tuple[Mesh, str]]:
    """Run a gateway over things and others; reads of things wait for ``gate``."""

    async def serve(visit: Visit) -> None:
        if gate is not None and visit.path.startswith("/things"):
            await gate.wait()
        row = {"id": 7, "other_id": 7, "title": "a title", "label": "a label"}
        await visit.answer(json.dumps({"data": [row], "nextCursor": None, "metadata": {}}).encode())

    async with CrookedServer(serve) as server:
        url = f"http://127.0.0.1:{server.port}"
        contracts = {"things.yaml": text_of("things"), "others.yaml": text_of("others")}
        async with mesh(folder, contracts, {"shop/things": url, "shop/others": url}) as found:
            yield found, url


async def test_a_product_is_changed_without_a_failed_request_or_a_held_loop(tmp_path: Path) -> None:
    async with running(tmp_path) as (gateway, _):
        failed: list[Any] = []
        answered = 0
        done = asyncio.Event()

        async def ask() -> None:
            nonlocal answered
            while not done.is_set():
                answer = await gateway.ask(BOTH)
                answered += 1
                if "errors" in answer or answer["data"]["shop"]["things"] != {"nodes": [{"id": 7}]}:
                    failed.append(answer)

        for _ in range(3):
            await gateway.ask(BOTH)
        askers = [asyncio.create_task(ask()) for _ in range(4)]
        async with ticking() as longest_s:
            for number in range(1, 6):
                column = "label" if number % 2 else "title"
                await gateway.service.publish(contract_of("things", version=f"1.{number}.0", column=column, relationships=LINK))
            after = answered
            while answered < after + 20:
                await asyncio.sleep(0)
        done.set()
        await asyncio.gather(*askers)
        assert failed == []
        assert longest_s() < within(0.05)
        answer = await gateway.ask("{ shop { things { nodes { label other { title } } metadata { version } } } }")
        assert answer["data"]["shop"]["things"]["nodes"] == [{"label": "***", "other": {"title": "***"}}]
        assert answer["data"]["shop"]["things"]["metadata"]["version"] == "1.5.0"


async def test_what_a_change_does_not_touch_stays_compiled(tmp_path: Path) -> None:
    async with running(tmp_path) as (gateway, _):
        compiled: list[float] = []
        gateway.service.metrics.compiled = compiled.append  # type: ignore[method-assign]  # notes what is compiled
        for _ in range(3):
            for text in (OTHERS, THINGS):
                await gateway.ask(text)
        before = gateway.service.answerer.engine
        await gateway.service.publish(contract_of("things", version="1.1.0"))
        now = gateway.service.answerer.engine
        assert now is not before
        view = now._views.of
        assert view.__self__ is before._views  # type: ignore[attr-defined]  # a bound method's own
        kept = {text for text, *_ in now._operations._texts}
        assert kept == {OTHERS}
        assert (await gateway.ask(OTHERS))["data"]["shop"]["others"]["nodes"] == [{"id": 7, "title": "***"}]
        assert (await gateway.ask(THINGS))["data"]["shop"]["things"]["nodes"] == [{"id": 7, "title": "***"}]


async def test_a_request_under_way_finishes_on_what_it_began_on(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with running(tmp_path, gate=gate) as (gateway, _):
        asked = asyncio.create_task(gateway.ask(THINGS))
        while gateway.service.answerer.engine.readers._decoders == {}:
            await asyncio.sleep(0)
        change = asyncio.create_task(gateway.service.withdraw("shop/things"))
        await change
        assert "errors" in await gateway.ask(BOTH)
        gate.set()
        assert (await asked)["data"]["shop"]["things"]["nodes"] == [{"id": 7, "title": "***"}]


async def test_a_product_comes_and_goes_with_its_relationships(tmp_path: Path) -> None:
    async with running(tmp_path) as (gateway, url):
        text = "{ shop { others { nodes { id more(first: 1) { nodes { label } } } } } }"
        assert "errors" in await gateway.ask(text)
        link = LINK.replace("things", "more")
        await gateway.service.publish(contract_of("more", column="label", relationships=link), ProductSettings(endpoint=url))
        assert (await gateway.ask(text))["data"]["shop"]["others"]["nodes"] == [{"id": 7, "more": {"nodes": [{"label": "***"}]}}]
        sdl = (await gateway.client.get("/schema.graphql", headers=bearer("analyst"))).text
        assert "type ShopMore {" in sdl
        await gateway.service.withdraw("shop/more")
        assert "errors" in await gateway.ask(text)
        assert "ShopMore" not in (await gateway.client.get("/schema.graphql", headers=bearer("analyst"))).text


async def test_what_cannot_stand_beside_the_others_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as (gateway, url):
        before = gateway.service.answerer.engine
        with pytest.raises(CatalogError, match="look-up by key"):
            await gateway.service.publish(contract_of("things-by-key"), ProductSettings(endpoint=url))
        assert gateway.service.answerer.engine is before
        assert (await gateway.ask(THINGS))["data"]["shop"]["things"]["nodes"] == [{"id": 7, "title": "***"}]


async def test_what_a_contract_takes_away_is_gone_with_the_next_request(tmp_path: Path) -> None:
    async with running(tmp_path) as (gateway, _):
        for _ in range(3):
            assert "errors" not in await gateway.ask(THINGS)
        narrower = text_of("things", version="1.1.0").replace('fields: ["*"]', "fields: [id]")
        await gateway.service.publish(parse_contract(narrower))
        answer = await gateway.ask(THINGS)
        assert answer["data"]["shop"]["things"]["nodes"] == [{"id": 7, "title": None}]
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["FIELD_DENIED"]


async def test_claims_that_no_contract_read_before_are_read_from_then_on(tmp_path: Path) -> None:
    async with running(tmp_path) as (gateway, _):
        await gateway.ask(THINGS)
        before = gateway.service.answerer.engine._views
        rule = '{role: analyst, fields: ["*"], rowFilter: {id: {in: "$claims.numbers"}}}'
        await gateway.service.publish(parse_contract(text_of("things", version="1.1.0").replace('{role: analyst, fields: ["*"]}', rule)))
        assert gateway.service.answerer.engine._views is not before
        assert gateway.service.answerer.engine._views.rulings is before.rulings
        for numbers, expected in (([7], [{"id": 7, "title": "***"}]), ([8], [])):
            headers = bearer("analyst", numbers=numbers)
            reply = await gateway.client.post("/graphql", json={"query": THINGS}, headers=headers)
            assert reply.json()["data"]["shop"]["things"]["nodes"] == expected


async def test_another_major_is_served_beside_the_first(tmp_path: Path) -> None:
    async with running(tmp_path) as (gateway, _):
        await gateway.service.publish(contract_of("things", version="2.0.0", column="label"))
        assert sorted(gateway.service.snapshot.products) == ["shop/others", "shop/things", "shop/things@1"]
        found = await gateway.ask("{ shop { things { nodes { label } } } }")
        assert found["data"]["shop"]["things"]["nodes"] == [{"label": "***"}]
