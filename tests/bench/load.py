"""Load: prepared requests go out in turn over many connections for a while; how many answers came back is counted.

`wrk` does it where it is installed; else our own generator, which cannot drive the fastest contenders to their limit (the report
says which it was).
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.processes import pinned

__all__ = ["Load", "ask", "generator", "press", "request_of"]

_SCRIPT = Path(__file__).with_name("rotate.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """What came back. ``bytes``: heads included; ``failed``: other statuses than 2xx, broken connections, time-outs."""

    requests: int
    seconds: float
    bytes: int
    failed: int
    p50_ms: float
    p99_ms: float


def generator() -> str:
    """Name what `press` uses."""
    return "wrk" if shutil.which("wrk") else "our own generator (wrk is not installed)"


def request_of(port: int, body: bytes, headers: dict[str, str]) -> bytes:
    """Write one HTTP request."""
    lines = ["POST /graphql HTTP/1.1", f"host: 127.0.0.1:{port}", "content-type: application/json", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def ask(port: int, requests: Sequence[bytes]) -> list[tuple[int, bytes, int]]:
    """Send requests one after the other; give (status, body, bytes with head) of each. Raises: OSError."""
    found = []
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection, connection.makefile("rb") as answers:
        for request in requests:
            connection.sendall(request)
            first = answers.readline()
            if not first:
                raise ConnectionError("the server closed the connection instead of answering")
            status = int(first.split(b" ", 2)[1])
            head_bytes, length = len(first), 0
            while (line := answers.readline()) not in {b"\r\n", b""}:
                head_bytes += len(line)
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            found.append((status, answers.read(length), head_bytes + 2 + length))
    return found


def press(port: int, requests: Sequence[bytes], *, clients: int, seconds: int, core: int | None) -> Load:
    """Press a server on ``port`` from one core."""
    if shutil.which("wrk") is None:
        with pinned(core):
            return asyncio.run(_press(port, requests, clients, seconds))
    with tempfile.NamedTemporaryFile(prefix="bench-requests-") as file:
        for request in requests:
            file.write(b"%d " % len(request) + request)
        file.flush()
        command = ["wrk", "--threads=1", f"--connections={clients}", f"--duration={seconds}s", "--timeout=30s", f"--script={_SCRIPT}"]
        with pinned(core):
            done = subprocess.run(
                [*command, f"http://127.0.0.1:{port}/graphql", "--", file.name], capture_output=True, text=True, check=True
            )
    return Load(**json.loads(done.stdout.splitlines()[-1]))


class _Client(asyncio.Protocol):
    """One connection: the next request goes out when the last answer is whole."""

    def __init__(self, requests: Sequence[bytes], turn: list[int], spans_s: list[float]) -> None:
        self._requests = requests
        self._turn = turn
        self._spans_s = spans_s
        self._length: int | None = None
        self._got = 0
        self.bytes = 0
        self.failed = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        if self._length is None:
            head, _, rest = data.partition(b"\r\n\r\n")
            self.failed += not head.startswith(b"HTTP/1.1 200")
            at = head.lower().index(b"content-length:")
            self._length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            self._got = len(rest)
        else:
            self._got += len(data)
        if self._got >= self._length:
            self._spans_s.append(time.perf_counter() - self._began_s)
            self._send()

    def _send(self) -> None:
        self._length = None
        self._turn[0] += 1
        self._began_s = time.perf_counter()
        self.transport.write(self._requests[self._turn[0] % len(self._requests)])


async def _press(port: int, requests: Sequence[bytes], clients: int, seconds: int) -> Load:
    loop = asyncio.get_running_loop()
    spans_s: list[float] = []
    turn = [0]
    began_s = time.perf_counter()
    made = [await loop.create_connection(lambda: _Client(requests, turn, spans_s), "127.0.0.1", port) for _ in range(clients)]
    await asyncio.sleep(seconds)
    took_s = time.perf_counter() - began_s
    for transport, _ in made:
        transport.abort()
    await asyncio.sleep(0)
    percentiles = statistics.quantiles(spans_s or [0.0, 0.0], n=100)
    return Load(
        len(spans_s),
        took_s,
        sum(client.bytes for _, client in made),
        sum(client.failed for _, client in made),
        1_000 * percentiles[49],
        1_000 * percentiles[98],
    )
