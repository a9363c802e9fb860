"""Forms under load: millions of rows through a gateway process; rows per second, growth of its memory, how long its loop is held.

``python -m tests.bench.forms [ROWS]`` runs the README's example into frames, then every form, and prints a line for each. The domain,
the gateway and the client are processes of their own. The suite runs the same with fewer rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Measured", "StreamingMesh", "frames", "streaming_mesh"]

README = Path(__file__).parents[2] / "README.md"
KEY = "a key for tests that is long enough to be one"
QUERY = (
    "{ order { orders(first: 10000000) { nodes"
    " { orderId customerId email status total quantity shipped orderedAt customer { country } } } } }"
)
ORDERS = """
apiVersion: datamesh/v1
kind: DataContract
metadata: {name: orders, domain: order, owner: order@example.com, version: "1.0.0"}
spec:
  schema:
    type: inline
    fields:
      - {name: order_id, type: long, required: true}
      - {name: customer_id, type: long, required: true}
      - {name: email, type: string}
      - {name: status, type: string}
      - {name: total, type: decimal, precision: 12, scale: 2}
      - {name: quantity, type: int}
      - {name: shipped, type: boolean}
      - {name: ordered_at, type: timestamp}
  primaryKey: [order_id]
  classification: {pii: [email]}
  access: [{role: analyst, fields: ["*"]}]
  relationships: [{name: customer, to: customer/customers, on: {customer_id: customer_id}, cardinality: one, inverse: orders}]
  ports: {output: [{type: rest-api, path: /orders}]}
"""
CUSTOMERS = """
apiVersion: datamesh/v1
kind: DataContract
metadata: {name: customers, domain: customer, owner: customer@example.com, version: "1.0.0"}
spec:
  schema:
    type: inline
    fields: [{name: customer_id, type: long, required: true}, {name: country, type: string}]
  primaryKey: [customer_id]
  access: [{role: analyst, fields: ["*"]}]
  ports: {output: [{type: rest-api, path: /customers}]}
"""
POLICY = """
apiVersion: datamesh/v1
kind: MeshPolicy
spec:
  roles: [analyst]
  tags: {pii: {rules: [{type: string, name: "*email*", mask: email}, {type: string, mask: redact}]}}
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """``held_s``: the longest the gateway's loop computed without a turn for others; ``grown_bytes``: its memory over the stream."""

    rows: int
    bytes: int
    seconds: float
    grown_bytes: int
    held_s: float


@dataclass(frozen=True, slots=True)
class StreamingMesh:
    """A gateway over a large product, both processes of their own."""

    port: int
    process: int
    token: str
    watch: Path

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def ask(self, accept: str, query: str = QUERY) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Ask for a form and return before its body is read."""
        connection = self.connect()
        headers = {"accept": accept, "content-type": "application/json", "authorization": f"Bearer {self.token}"}
        connection.request("POST", "/graphql", json.dumps({"query": query}), headers)
        return connection, connection.getresponse()

    def measured(self, accept: str, query: str = QUERY) -> Measured:
        """Read a whole form, as fast as it comes."""
        self.held_s()
        before, started = self.memory_bytes(), time.perf_counter()
        most = before
        connection, response = self.ask(accept, query)
        assert response.status == 200, response.read()
        size = lines = 0
        while piece := response.read1(1 << 20):
            size += len(piece)
            lines += piece.count(b"\n")
            most = max(most, self.memory_bytes())
        connection.close()
        rows = lines - 1 if "arrow" not in accept else 0
        return Measured(rows, size, time.perf_counter() - started, most - before, self.held_s())

    def memory_bytes(self) -> int:
        """Resident memory of the gateway."""
        return int(Path(f"/proc/{self.process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def upstream_reads(self) -> int:
        """How many pages the gateway has read from products."""
        connection = self.connect()
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return int(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("meshgate_upstream_reads_total{")))

    def held_s(self) -> float:
        """How long the loop was held at most since this was asked last."""
        found = float(self.watch.read_text() or 0)
        self.watch.with_suffix(".reset").touch()
        while self.watch.with_suffix(".reset").exists():
            time.sleep(0.005)
        return found


@contextlib.contextmanager
def streaming_mesh(folder: Path, rows: int) -> Iterator[StreamingMesh]:
    """Make the rows and run the mesh."""
    _made(folder, rows)
    watch = folder / "held"
    watch.write_text("0")
    with contextlib.ExitStack() as running:
        domain = running.enter_context(_process("domain", str(folder), dict(os.environ)))
        environment = {
            **os.environ,
            "MESHGATE_CATALOG_DIR": str(folder / "catalog"),
            "MESHGATE_POLICY_FILE": str(folder / "policy.yaml"),
            "MESHGATE_AUTH__DEMO_KEY": KEY,
            "MESHGATE_HTTP__METRICS_OPEN": "true",
            "MESHGATE_PRODUCTS__order/orders__ENDPOINT": f"http://127.0.0.1:{domain[1]}",
            "MESHGATE_PRODUCTS__customer/customers__ENDPOINT": f"http://127.0.0.1:{domain[1]}",
        }
        process, port = running.enter_context(_process("gateway", str(watch), environment))
        mesh = StreamingMesh(port, process, _token(), watch)
        while True:
            connection = mesh.connect()
            connection.request("GET", "/readyz")
            is_ready = connection.getresponse().status == 200
            connection.close()
            if is_ready:
                break
            time.sleep(0.05)
        yield mesh


def _token() -> str:
    from gateway.http.tokens import sign

    return sign(("analyst",), {}, purposes=(), domain=None, key=KEY, lifetime_s=3600)


def _made(folder: Path, rows: int) -> None:
    import duckdb

    for path, text in (("catalog/order/orders.yaml", ORDERS), ("catalog/customer/customers.yaml", CUSTOMERS), ("policy.yaml", POLICY)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (SELECT i AS order_id, i % 5000 AS customer_id, 'person' || i || '@example.com' AS email,
            CASE i % 3 WHEN 0 THEN 'PAID' WHEN 1 THEN 'SHIPPED' END AS status, CAST(i % 100000 / 100 AS DECIMAL(12, 2)) AS total,
            CAST(i % 7 AS INTEGER) AS quantity, i % 2 = 0 AS shipped,
            TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(i) AS ordered_at
            FROM range({rows}) AS t(i)) TO '{folder / "orders.parquet"}'"""
        )
        connection.execute(
            f"""COPY (SELECT i AS customer_id, CASE i % 2 WHEN 0 THEN 'DE' ELSE 'FR' END AS country FROM range(4900) AS t(i))
            TO '{folder / "customers.parquet"}'"""
        )


@contextlib.contextmanager
def _process(role: str, argument: str, environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    command = [sys.executable, "-m", "tests.bench.forms", role, argument]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            yield process.pid, port
        finally:
            process.terminate()
            process.wait(20)


async def _domain(folder: Path) -> None:
    import uvicorn

    from contracts.load import load_contract
    from domain_adapters.serve import Served, site
    from domain_adapters.sources import File
    from domain_adapters.sql import open_sql

    served = []
    for path, name in (("order/orders", "orders"), ("customer/customers", "customers")):
        contract = load_contract(folder / f"catalog/{path}.yaml")
        served.append(Served(contract, await open_sql(contract, File(folder / f"{name}.parquet", "parquet"))))
    listener = _listener()
    print(listener.getsockname()[1], flush=True)
    await uvicorn.Server(uvicorn.Config(site(served), log_level="error", access_log=False, ws="none")).serve([listener])


def _listener() -> Any:
    import socket

    # asyncio switches Nagle's algorithm off only on sockets that say they are TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    return listener


def _gateway(watch: Path) -> None:
    from gateway import app
    from gateway.http import server
    from gateway.service import build
    from gateway.settings import load

    settings = load()
    service = build(settings)
    tasks: list[asyncio.Task[None]] = []

    async def start() -> None:
        tasks.append(asyncio.create_task(_watched(watch)))
        await service.start()

    async def stop() -> None:
        tasks[0].cancel()
        await service.aclose()

    application = app.build(service.answerer, settings, metrics=service.metrics, readiness=service.readiness, start=start, stop=stop)
    listener = server.listen("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)
    server.serve(application, settings, listener)


async def _watched(watch: Path) -> None:
    """Note the most processor time that the loop's thread took between two turns of this task: other processes do not count."""
    most = written = 0.0
    reset = watch.with_suffix(".reset")
    last = time.thread_time()
    beats = 0
    while True:
        await asyncio.sleep(0.001)
        now = time.thread_time()
        most = max(most, now - last)
        beats += 1
        if beats % 20 == 0:
            if reset.exists():
                most = 0.0
                watch.write_text("0")
                reset.unlink()
            elif most != written:
                watch.write_text(str(most))
            written = most
        last = time.thread_time()


def frames(mesh: StreamingMesh) -> dict[str, Any]:
    """Run the README's example on this mesh, with the query for its product; gives the names that it defines."""
    code = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    text, asked = re.subn(r"(?m)^query = .*$", lambda _: f"query = {QUERY!r}", code.group(1))
    assert asked == 1
    names: dict[str, Any] = {"gateway": f"http://127.0.0.1:{mesh.port}", "token": mesh.token}
    exec(compile(text, "README.md", "exec"), names)  # noqa: S102  # our own page
    return names


def main(rows: int) -> None:
    """Measure every form."""
    with tempfile.TemporaryDirectory() as folder, streaming_mesh(Path(folder), rows) as mesh:
        before, started = mesh.memory_bytes(), time.perf_counter()
        found = frames(mesh)
        assert len(found["pandas_frame"]) == len(found["polars_frame"]) == rows
        seconds, grown = time.perf_counter() - started, mesh.memory_bytes() - before
        print(f"frames: {rows} rows into pandas and polars in {seconds:.1f} s, gateway grew by {grown / 2**20:.0f} MiB", flush=True)
    for accept in ("text/csv", "application/jsonl", "application/vnd.apache.arrow.stream"):
        with tempfile.TemporaryDirectory() as folder, streaming_mesh(Path(folder), rows) as mesh:
            mesh.measured(accept, QUERY.replace("10000000", "1000"))  # what is loaded and compiled once
            found = mesh.measured(accept)
            print(accept, asdict(found), f"{rows / found.seconds:,.0f} rows/s", f"{mesh.memory_bytes() / 2**20:.0f} MiB", flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["domain", folder]:
            asyncio.run(_domain(Path(folder)))
        case ["gateway", watch]:
            _gateway(Path(watch))
        case [rows]:
            main(int(rows))
        case _:
            main(2_000_000)
