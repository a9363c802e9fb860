"""Deep and wide shapes: what each costs by itself, and what 64 clients that mix all of them get; pauses of the loop and the collector.

``python -m tests.bench --shapes`` prints a table. The gateway has a core to itself, plain Strawberry answers where it can be asked.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.http.tokens import sign
from tests.bench.contenders import free_port
from tests.bench.load import ask, press, request_of
from tests.bench.processes import Process, cores, wait_until
from tests.bench.shapes_mesh import SHAPES, names, write
from tests.bench.upstream import command
from tests.bench.watched import taken

__all__ = ["Found", "report"]

_KEY = "the-key-of-tokens-that-only-benchmarks-use"
_ONE_BY_ONE = 8
_MIXED = 64
_ALONE_S = 2


@dataclass(frozen=True, slots=True)
class Found:
    """One line. ``held_ms``, ``collector_ms``: the longest pause of the loop, of the collector; ``peer_ms``: CPU of plain Strawberry.

    ``alone_ms``: the longest pause of the loop while one client asks, one request after the other.
    """

    title: str
    rows: int
    per_s: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    alone_ms: float
    held_ms: float
    collector_ms: float
    memory_mib: float
    peer_ms: float | None = None

    def line(self) -> str:
        """Write it."""
        peer = "" if self.peer_ms is None else f"{self.peer_ms:>12.2f} {self.peer_ms / self.cpu_ms:>6.1f} x"
        return (
            f"{self.title:<26}{self.rows:>7,}{self.per_s:>9,.0f}{self.cpu_ms:>9.2f}{self.p50_ms:>9.1f}{self.p99_ms:>9.1f}"
            f"{self.alone_ms:>9.1f}{self.held_ms:>9.1f}{self.collector_ms:>11.1f}{self.memory_mib:>7.0f}{peer}"
        )


_HEADS = {
    "rows": 7,
    "per s": 9,
    "CPU ms": 9,
    "p50 ms": 9,
    "p99 ms": 9,
    "alone ms": 9,
    "held ms": 9,
    "collect ms": 11,
    "MiB": 7,
    "Strawberry": 12,
}
HEAD = " " * 26 + "".join(f"{name:>{width}}" for name, width in _HEADS.items())


def report(*, seconds: int = 3, say: Callable[[str], None] = lambda _: None) -> list[Found]:
    """Measure every shape. Raises: RuntimeError where an answer is not right."""
    gateway_core, load_core = cores()
    found: list[Found] = []
    with tempfile.TemporaryDirectory(prefix="meshgate-shapes-") as place, contextlib.ExitStack() as open_:
        folder = Path(place)
        write(folder)
        ports = {name: free_port() for name in names()}
        served, _ = command(folder, ports)
        upstream = open_.enter_context(Process(served, core=load_core, log=folder / "upstream.log"))
        for port in ports.values():
            wait_until(lambda port=port: ask(port, [b"GET /x/slo HTTP/1.1\r\n\r\n"]), upstream)
        pauses = folder / "pauses"
        gateway_port, peer_port = free_port(), free_port()
        watched = [sys.executable, "-m", "tests.bench.watched", str(_settings(folder, ports, gateway_port)), str(pauses)]
        gateway = open_.enter_context(Process(watched, core=gateway_core, log=folder / "gateway.log"))
        wait_until(lambda: ask(gateway_port, [b"GET /readyz HTTP/1.1\r\nhost: bench\r\n\r\n"])[0][0] == 200, gateway)
        urls = " ".join(f"{name}=http://127.0.0.1:{port}/{name}" for name, port in ports.items())
        options = ["--host=127.0.0.1", f"--port={peer_port}", "--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning"]
        strawberry = [sys.executable, "-m", "uvicorn", "tests.bench.shapes_strawberry:app", *options]
        peer = open_.enter_context(Process(strawberry, core=gateway_core, log=folder / "peer.log", environment={"BENCH_UPSTREAMS": urls}))
        wait_until(lambda: ask(peer_port, [request_of(peer_port, b'{"query":"{ __typename }"}', {})])[0][0] == 200, peer)

        def measured(title: str, rows: int, requests: Sequence[bytes], clients: int, peer_text: str | None) -> Found:
            taken(pauses)
            _right((load := press(gateway_port, requests, clients=1, seconds=_ALONE_S, core=load_core)).failed, load.requests, title)
            alone = taken(pauses)["held_ms"]
            before_s = gateway.cpu_s()
            load = press(gateway_port, requests, clients=clients, seconds=seconds, core=load_core)
            _right(load.failed, load.requests, title)
            cpu_ms, paused = 1_000 * (gateway.cpu_s() - before_s) / load.requests, taken(pauses)
            peer_ms = None
            if peer_text is not None:
                before_s = peer.cpu_s()
                others = press(peer_port, [_request(peer_port, peer_text)], clients=clients, seconds=seconds, core=load_core)
                _right(others.failed, others.requests, f"plain Strawberry, {title}")
                peer_ms = 1_000 * (peer.cpu_s() - before_s) / others.requests
            per_s = load.requests / load.seconds
            held, collector, memory = paused["held_ms"], paused["collector_ms"], gateway.memory_mib()
            return Found(title, rows, per_s, cpu_ms, load.p50_ms, load.p99_ms, alone, held, collector, memory, peer_ms)

        say(HEAD)
        mixed: list[bytes] = []
        for shape in SHAPES:
            requests = [_request(gateway_port, text) for text in shape.texts]
            _verify(gateway_port, requests[0], shape.title, shape.rows)
            found.append(measured(shape.title, shape.rows, requests, _ONE_BY_ONE, shape.peer))
            say(found[-1].line())
            mixed += (requests * 20)[:20]
        found.append(measured(f"all of them, {_MIXED} clients", 0, _turns(mixed), _MIXED, None))
        say(found[-1].line())
    return found


def _settings(folder: Path, ports: dict[str, int], port: int) -> Path:
    lines = [
        f"catalog_dir = {json.dumps(str(folder / 'contracts'))}",
        f"policy_file = {json.dumps(str(folder / 'policy.yaml'))}",
        'secret = "the-secret-of-a-gateway-that-is-only-measured"',
        *(f'products."shape/{name}".endpoint = "http://127.0.0.1:{at}"' for name, at in ports.items()),
        f'[auth]\ndemo_key = "{_KEY}"',
        f"[http]\nport = {port}",
        "[limits]\nrows_max = 10000",
    ]
    file = folder / "meshgate.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def _request(port: int, text: str) -> bytes:
    token = sign(["reader"], {}, purposes=[], domain=None, key=_KEY, lifetime_s=6 * 3_600)
    return request_of(port, json.dumps({"query": text}).encode(), {"authorization": f"Bearer {token}"})


def _turns(requests: list[bytes]) -> list[bytes]:
    # One of each in turn, not all of one kind and then all of the next.
    size = len(requests) // len(SHAPES)
    return [requests[kind * size + place] for place in range(size) for kind in range(len(SHAPES))]


def _verify(port: int, request: bytes, title: str, rows: int) -> None:
    ((status, body, _),) = ask(port, [request])
    answer = json.loads(body)
    count = sum(len(it["nodes"]) for it in answer["data"]["shape"].values()) if status == 200 and "errors" not in answer else -1
    if count != rows:
        raise RuntimeError(f"{title}: status {status}, {count} rows of {rows}: {body[:500]!r}")


def _right(failed: int, requests: int, title: str) -> None:
    if failed or not requests:
        raise RuntimeError(f"{title}: {failed} of {requests} requests failed")
