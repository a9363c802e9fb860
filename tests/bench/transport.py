"""Which HTTP client may carry the hot path? Requests per second of CPU that the candidates use, same upstream, 32 in flight.

Run: ``python -m tests.bench.transport [seconds per round] [rounds]``. Rounds are interleaved and their order rotates; shown are
median, least and most. CPU seconds are the client process's own, all threads: what other processes do on a shared machine
shows in wall-clock figures first (two runs an hour apart once ranked the candidates in opposite order).
Every candidate reads whole bodies with a bound on their size and follows no redirects; what a candidate cannot promise
(SPEC B7) stands beside its name.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, ClassVar

import uvloop

from domain_adapters.addresses import AddressPolicy
from domain_adapters.transport import Limits, PooledClient

IN_FLIGHT = 32
BODY_MAX = 64 * 1024 * 1024
ROWS = {"1 row": 1, "100 rows": 100, "1000 rows": 1000}
Get = Callable[[str], Awaitable[int]]


class Upstream(asyncio.Protocol):
    """Answers every request head with the page that its path names; as little work as Python can do."""

    pages: ClassVar[dict[bytes, bytes]] = {}

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(self.pages[data[5 : data.index(b" ", 5)]])


def page(rows: int) -> bytes:
    row = {"order_id": "O0000001", "customer_id": "C000001", "status": "PAID", "currency": "EUR", "total_amount": "12.50", "item_count": 3}
    row |= {"customer_email": "ana.ito@example.com", "updated_at": "2026-01-01T00:00:00Z"}
    body = json.dumps({"data": [row] * rows, "nextCursor": None, "metadata": {}}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def serve(ready: Any, core: int) -> None:
    pin(core)
    Upstream.pages = {str(rows).encode(): page(rows) for rows in ROWS.values()}

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


def pin(core: int) -> None:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[core]})


async def ours(origin: str) -> tuple[Get, Callable[[], Awaitable[Any]]]:
    client = PooledClient(origin, policy=AddressPolicy(loopback=True), limits=Limits(connections=IN_FLIGHT))

    async def get(path: str) -> int:
        return len((await client.send("GET", path, timeout_s=10, body_max_bytes=BODY_MAX)).body)

    return get, client.aclose


async def with_pyreqwest(origin: str) -> tuple[Get, Callable[[], Awaitable[Any]]]:
    from pyreqwest.client import ClientBuilder

    client = ClientBuilder().follow_redirects(False).no_proxy().max_connections(IN_FLIGHT).build()
    timeout = timedelta(seconds=10)

    async def get(path: str) -> int:
        size = 0
        async with client.get(origin + path).timeout(timeout).build_streamed() as answer:
            if answer.get_header("content-length"):
                return len(await answer.body_reader.bytes())
            while (part := await answer.body_reader.read_chunk()) is not None:
                size += len(part)
                if size > BODY_MAX:
                    raise ValueError("too large")
        return size

    return get, client.close


async def with_aiohttp(origin: str) -> tuple[Get, Callable[[], Awaitable[Any]]]:
    import aiohttp

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT), timeout=aiohttp.ClientTimeout(total=10))

    async def get(path: str) -> int:
        parts = []
        async with session.get(origin + path, allow_redirects=False) as answer:
            async for part in answer.content.iter_any():
                parts.append(part)
        return len(b"".join(parts))

    return get, session.close


async def with_httpx(origin: str) -> tuple[Get, Callable[[], Awaitable[Any]]]:
    import httpx

    client = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=IN_FLIGHT), timeout=10)

    async def get(path: str) -> int:
        return len((await client.get(origin + path)).content)

    return get, client.aclose


CANDIDATES = {
    "PooledClient": ours,
    "pyreqwest (cancelling before the head leaves the socket open)": with_pyreqwest,
    "aiohttp": with_aiohttp,
    "httpx (no bound while streaming in this form)": with_httpx,
}


async def rate(get: Get, path: str, seconds: float) -> float:
    done, ends_at_s = 0, time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < ends_at_s:
            await get(path)
            done += 1

    began_s = time.process_time()
    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return done / (time.process_time() - began_s)


async def measure(origin: str, seconds: float, rounds: int) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = {}
    for turn in range(rounds):
        names = list(CANDIDATES)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            make = CANDIDATES[name]
            get, close = await make(origin)
            for label, rows in ROWS.items():
                await get(f"/{rows}")
                found.setdefault((name, label), []).append(await rate(get, f"/{rows}", seconds))
            await close()
    return found


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    here, there = multiprocessing.Pipe()
    upstream = multiprocessing.get_context("spawn").Process(target=serve, args=(there, 0), daemon=True)
    upstream.start()
    pin(1)
    try:
        found = uvloop.run(measure(f"http://127.0.0.1:{here.recv()}", seconds, rounds))
    finally:
        upstream.terminate()
    lines = [f"{'requests per CPU second':<64}" + "".join(f"{label:>26}" for label in ROWS)]
    for name in CANDIDATES:
        figures = [found[name, label] for label in ROWS]
        cells = [f"{statistics.median(each):,.0f} ({min(each):,.0f}-{max(each):,.0f})" for each in figures]
        lines.append(f"{name:<64}" + "".join(f"{cell:>26}" for cell in cells))
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
