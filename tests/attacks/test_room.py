"""Eight clients whose pages are forty megabytes each, on a gateway that may hold a hundred: a process of its own, its memory watched.

All of them at once would be 320 MB. The gateway must stay within its bound, refuse what there is no room for with a code that says so,
go on answering small questions, and answer everything once the load is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import PATIENCE_S
from tests.e2e.mesh_under_test import DEMO_KEY, POLICY, bearer
from tests.unit.domain_adapters.crooked import CrookedServer, Visit

ROOT = Path(__file__).parents[2]
MB = 1_000_000
CLIENTS, ROUNDS = 8, 3
BOUND = 100 * MB
BESIDE = 60 * MB
"""What is not counted: one page's rows while they are decoded, buffers of sockets, and what the allocator keeps."""
SETTINGS = {"PAGE_MAX_BYTES": 48 * MB, "REQUEST_MAX_BYTES": 50 * MB, "PROCESS_MAX_BYTES": BOUND}
CONTRACT = """
apiVersion: datamesh/v1
kind: DataContract
metadata: {{name: {name}, domain: shop, owner: shop-team@example.com, version: "1.0.0"}}
spec:
  schema: {{type: inline, fields: [{{name: id, type: long, required: true}}, {{name: title, type: string}}]}}
  primaryKey: [id]
  access: [{{role: analyst, fields: ["*"]}}]
  ports: {{output: [{{type: rest-api, path: /{name}, level: 0}}, {{type: rest-api, name: copy, path: /copy/{name}, level: 0}}]}}
"""
LARGE = "{ shop { large(first: 3) { nodes { id } } } }"
SMALL = "{ shop { small(first: 3) { nodes { id title } } } }"
ROW = b'{"id": %d, "title": "t", "filler": "' + b"x" * 2_000 + b'"}'
PAGE = b'{"data": [' + b", ".join(ROW % number for number in range(40 * MB // len(ROW))) + b'], "nextCursor": null}'
FEW = json.dumps({"data": [{"id": number, "title": "t"} for number in range(3)], "nextCursor": None}).encode()


@dataclass(slots=True)
class Gateway:
    """A gateway process and the front door of it."""

    process: int
    client: httpx.AsyncClient

    async def ask(self, query: str) -> httpx.Response:
        return await self.client.post("/graphql", json={"query": query}, headers=bearer("analyst"))

    async def series(self) -> dict[str, float]:
        lines = (await self.client.get("/metrics")).text.splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}

    def memory_bytes(self) -> int:
        return int(Path(f"/proc/{self.process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextlib.asynccontextmanager
async def gateway(folder: Path, origin: str) -> AsyncIterator[Gateway]:
    """Run ``meshgate serve`` over a product of large pages and one of small ones."""
    (folder / "catalog").mkdir()
    for name in ("large", "small"):
        (folder / "catalog" / f"{name}.yaml").write_text(CONTRACT.format(name=name))
    (folder / "policy.yaml").write_text(POLICY)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("COV", "MESHGATE_"))},
        "MESHGATE_CATALOG_DIR": str(folder / "catalog"),
        "MESHGATE_POLICY_FILE": str(folder / "policy.yaml"),
        "MESHGATE_AUTH__DEMO_KEY": DEMO_KEY,
        "MESHGATE_HTTP__PORT": "0",
        "MESHGATE_HTTP__METRICS_OPEN": "true",
        "MESHGATE_TIMEOUTS__REQUEST_S": "120",
        "MESHGATE_TIMEOUTS__UPSTREAM_S": "120",
        **{f"MESHGATE_PRODUCTS__shop/{name}__ENDPOINT": origin for name in ("large", "small")},
        **{f"MESHGATE_UPSTREAM__{name}": str(value) for name, value in SETTINGS.items()},
    }
    command = [sys.executable, "-m", "gateway.cli", "serve"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, b"")
            told = await asyncio.to_thread(lambda: next(found for line in lines if (found := json.loads(line))["event"] == "listening"))
            draining = asyncio.ensure_future(asyncio.to_thread(lambda: list(lines)))
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{told['port']}", timeout=PATIENCE_S) as client:
                while (await client.get("/readyz")).status_code != 200:
                    await asyncio.sleep(0.05)
                yield Gateway(process.pid, client)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)
        await draining


class Upstream:
    """Answers large and small pages; half of the large ones do not say how long they are."""

    def __init__(self) -> None:
        self.large = 0

    async def __call__(self, visit: Visit) -> None:
        if visit.path == "/large":
            self.large += 1
            await (visit.answer(PAGE) if self.large % 2 else self._in_chunks(visit))
        elif visit.path == "/small":
            await visit.answer(FEW)
        else:
            await visit.answer(b"{}", "404 Not Found")

    async def _in_chunks(self, visit: Visit) -> None:
        await visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(PAGE), MB):
            part = PAGE[start : start + MB]
            await visit.send(b"%x\r\n%b\r\n" % (len(part), part))
        await visit.send(b"0\r\n\r\n")


async def test_large_pages_at_once_stay_within_the_bound_and_cost_nobody_else_their_answers(tmp_path: Path) -> None:
    answers: list[httpx.Response] = []
    small: list[Any] = []
    most = 0
    async with CrookedServer(Upstream()) as server, gateway(tmp_path, server.origin) as mesh:
        assert (await mesh.ask(LARGE)).json()["data"]["shop"]["large"]["nodes"] == [{"id": 0}, {"id": 1}, {"id": 2}]
        before = mesh.memory_bytes()

        async def large() -> None:
            for _ in range(ROUNDS):
                answers.append(await mesh.ask(LARGE))

        async def others() -> None:
            nonlocal most
            while not loading.done():
                small.append((await mesh.ask(SMALL)).json().get("data"))
                most = max(most, mesh.memory_bytes())

        loading = asyncio.gather(*(large() for _ in range(CLIENTS)))
        await asyncio.gather(loading, others())
        codes = Counter((it.status_code, it.json().get("errors", [{}])[0].get("extensions", {}).get("code")) for it in answers)
        assert codes.keys() == {(200, None), (503, "OVERLOADED")}, codes
        refused = next(it for it in answers if it.status_code == 503)
        assert refused.headers["retry-after"] == "1"
        assert refused.json().keys() == {"errors"}
        assert "large" not in refused.text
        assert most - before < BOUND + BESIDE, (before, most)
        assert len(small) >= 3
        assert all(it == {"shop": {"small": {"nodes": [{"id": number, "title": "t"} for number in range(3)]}}} for it in small)
        for _ in range(4):
            assert (await mesh.ask(LARGE)).json()["data"]["shop"]["large"]["nodes"] == [{"id": 0}, {"id": 1}, {"id": 2}]
        series = await mesh.series()
    assert series["meshgate_upstream_held_bytes"] == 0.0
    reads = {outcome for name in series if "reads_total" in name and "large" in name for outcome in re.findall(r'outcome="(\w+)"', name)}
    assert reads == {"ok", "overloaded"}
    assert not any(target.startswith("/copy/large?") for target in server.targets)
    bad = [value for name, value in series.items() if name.startswith("data_product_availability_events_total") and 'outcome="bad"' in name]
    assert set(bad) == {0.0}
