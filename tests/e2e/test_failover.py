"""A product that two processes serve, one of which dies: what callers see of it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import PATIENCE_S
from tests.e2e.mesh_under_test import Mesh, mesh
from tests.e2e.test_domains import free_port

pytestmark = pytest.mark.e2e
CONTRACT = """
apiVersion: datamesh/v1
kind: DataContract
metadata: {{name: things, domain: shop, owner: shop-team@example.com, version: "1.0.0"}}
spec:
  schema:
    type: inline
    fields:
      - {{name: id, type: long, required: true}}
      - {{name: kind, type: string}}
      - {{name: updated_at, type: instant}}
  {key}
  time: {{updated: updated_at}}
  access:
    - {{role: analyst, fields: ["*"]}}
  ports:
    output:
      - {{type: rest-api, path: /things, {serves}}}
      - {{type: rest-api, path: /things, name: copy}}
"""
ROWS = [{"id": number, "kind": "abc"[number % 3], "updated_at": "2026-01-01T00:00:00Z"} for number in range(40)]
PAGE = "{ shop { things(first: 3%s) { nodes { id } pageInfo { hasNextPage endCursor } metadata { port } } } }"
KINDS = "{ shop { things { groups(by: [{field: KIND}]) { key { kind } count } totalCount metadata { port } } } }"


@dataclass
class Twins:
    """Two processes that serve the same rows, and the gateway before them. ``first``: the port that the contract names first."""

    mesh: Mesh
    first: subprocess.Popen[bytes]

    async def things(self, query: str) -> Any:
        answer = await self.mesh.ask(query)
        assert "errors" not in answer, answer
        return answer["data"]["shop"]["things"]

    def die(self) -> None:
        """Kill the first port as a machine that fails would."""
        self.first.send_signal(signal.SIGKILL)
        self.first.wait()


async def listening(process: subprocess.Popen[bytes], url: str) -> None:
    async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient() as client:
        while True:
            assert process.poll() is None
            try:
                await client.get(url)
                return
            except httpx.TransportError:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def twins(
    folder: Path, *, levels: tuple[int, int] = (1, 1), key: str = "primaryKey: [id]", serves: str = "level: 1", **settings: str
) -> AsyncIterator[Twins]:
    contract = folder / "things.yaml"
    contract.write_text(CONTRACT.format(key=key, serves=serves))
    data = folder / "things.json"
    data.write_text(json.dumps(ROWS))
    started: list[subprocess.Popen[bytes]] = []
    ports = [free_port(), free_port()]
    try:
        for port, level in zip(ports, levels, strict=True):
            command = [sys.executable, "-m", "gateway.cli", "port", "serve", str(contract), "--data", str(data)]
            started.append(subprocess.Popen([*command, "--port", str(port), "--level", str(level)]))
        for process, port in zip(started, ports, strict=True):
            await listening(process, f"http://127.0.0.1:{port}/things/schema")
        placed = {"PRODUCTS__shop/things__PORTS__copy__ENDPOINT": f"http://127.0.0.1:{ports[1]}"}
        endpoints = {"shop/things": f"http://127.0.0.1:{ports[0]}"}
        async with mesh(folder, {"things.yaml": contract.read_text()}, endpoints, **placed, **settings) as found:
            await found.service.probe()
            yield Twins(found, started[0])
    finally:
        for process in started:
            process.terminate()
            process.wait()


async def test_the_next_port_answers_when_the_first_dies_and_cursors_go_on(tmp_path: Path) -> None:
    async with twins(tmp_path) as served:
        before = await served.things(PAGE % "")
        counted = await served.things(KINDS)
        assert (before["metadata"]["port"], counted["metadata"]["port"]) == ("rest-api", "rest-api")
        served.die()
        after = await served.things(PAGE % f', after: "{before["pageInfo"]["endCursor"]}"')
        assert [node["id"] for node in after["nodes"]] == [3, 4, 5]
        assert after["metadata"]["port"] == "copy"
        again = await served.things(KINDS)
        assert again == counted | {"metadata": {"port": "copy"}}


async def test_answers_of_the_stand_in_are_counted_while_the_first_port_is_away(tmp_path: Path) -> None:
    async with twins(tmp_path, levels=(1, 0)) as served:

        def shown(series: str, outcome: str = "") -> float:
            lines = served.mesh.service.metrics.render().decode().splitlines()
            return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(series) and outcome in line)

        stood_in = 'meshgate_port_failovers_total{level="0",port="copy",product="shop/things"}'
        await served.things(PAGE % "")
        assert shown("meshgate_port_failovers_total") == 0
        served.die()
        for times in range(1, 8):  # after five failures the circuit is open, and the stand-in is asked at once
            await served.things(PAGE % "")
            assert shown(stood_in) == times
        assert shown("meshgate_upstream_reads_total", 'level="1",outcome="unavailable",port="rest-api"') == 5
        assert shown("meshgate_upstream_reads_total", 'level="0",outcome="ok",port="copy"') >= 7


async def test_a_port_that_can_only_page_stands_in_with_the_same_answer(tmp_path: Path) -> None:
    async with twins(tmp_path, levels=(1, 0)) as served:
        before = await served.things(PAGE % "")
        counted = await served.things(KINDS)
        served.die()
        assert await served.things(PAGE % "") == before | {"metadata": {"port": "copy"}}
        assert await served.things(KINDS) == counted | {"metadata": {"port": "copy"}}


async def test_what_is_too_much_for_the_stand_in_is_told_of_the_port_that_is_away(tmp_path: Path) -> None:
    async with twins(tmp_path, levels=(1, 0), LIMITS__SCAN_ROWS_MAX="10") as served:
        served.die()
        for _ in range(7):  # after five failures the circuit is open
            answer = await served.mesh.ask(PAGE % "")
            assert answer["data"] == {"shop": {"things": None}}
            assert [error["extensions"]["code"] for error in answer["errors"]] == ["UPSTREAM_UNAVAILABLE"]


async def test_a_cursor_of_a_page_waits_for_its_port(tmp_path: Path) -> None:
    async with twins(tmp_path, levels=(0, 0), serves="level: 0", key="") as served:
        before = await served.things(PAGE % "")
        served.die()
        answer = await served.mesh.ask(PAGE % f', after: "{before["pageInfo"]["endCursor"]}"')
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["UPSTREAM_UNAVAILABLE"]
        fresh = await served.things(PAGE % "")
        assert (fresh["metadata"]["port"], [node["id"] for node in fresh["nodes"]]) == ("copy", [0, 1, 2])
        on = await served.things(PAGE % f', after: "{fresh["pageInfo"]["endCursor"]}"')
        assert [node["id"] for node in on["nodes"]] == [3, 4, 5]


async def test_uses_go_to_the_ports_that_serve_them(tmp_path: Path) -> None:
    async with twins(tmp_path, serves="serves: [lookup]") as served:
        found = await served.mesh.ask(
            "{ shop { things(first: 1) { nodes { id } metadata { port } } thingsByKey(key: {id: 7}) { id kind } } }"
        )
        assert found["data"]["shop"] == {
            "things": {"nodes": [{"id": 0}], "metadata": {"port": "copy"}},
            "thingsByKey": {"id": 7, "kind": "b"},
        }


async def test_costs_and_weights_are_as_the_settings_say(tmp_path: Path) -> None:
    settings = {
        "COST__MODE": "enforce",
        "COST__MAX": "100",
        "COST__WEIGHTS__rest-api": "2",
        "PRODUCTS__shop/things__PORTS__copy__WEIGHT": "50",
    }
    async with twins(tmp_path, **settings) as served:
        assert len((await served.things("{ shop { things(first: 40) { nodes { id } } } }"))["nodes"]) == 40
        refused = await served.mesh.ask("{ shop { things(first: 50) { nodes { id } } } }")
        (error,) = refused["errors"]
        assert "data" not in refused
        assert error["extensions"] | {"code": "COST_EXCEEDED", "cost": 102, "limit": 100, "part": "shop.things"} == error["extensions"]
        # What the stand-in costs is another matter.
        served.die()
        for _ in range(6):
            await served.mesh.ask("{ shop { things(first: 1) { nodes { id } } } }")
        refused = await served.mesh.ask("{ shop { things(first: 2) { nodes { id } } } }")
        assert refused["errors"][0]["extensions"]["cost"] == 150
        shown = served.mesh.service.metrics.render().decode()
        assert 'meshgate_operation_cost_bucket{le="100.0"} 7.0' in shown
        assert 'meshgate_requests_total{code="COST_EXCEEDED"} 2.0' in shown
