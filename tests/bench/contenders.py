"""The contenders: how each is started, how it is asked the five questions, how its answers are read."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.governance.masks import MaskKeys
from gateway.http.tokens import sign
from gateway.settings import Settings
from tests.bench.load import ask, request_of
from tests.bench.processes import Process, wait_until
from tests.bench.workload import CURSORS, QUESTIONS, STEP, Row, Workload

__all__ = ["CONTENDERS", "Contender", "free_port", "headers_of", "pseudonym_key", "rows_of", "settings_of"]

_HERE = Path(__file__).parent
_KEY = "the-key-of-tokens-that-only-benchmarks-use"
_SECRET = "the-secret-of-a-gateway-that-is-only-measured"
_ORDER = "orderId customerId contactEmail status currency totalAmount itemCount createdAt"
_JOINED = "orderId status totalAmount customer { customerId name country segment loyaltyTier }"
_PAYMENT = "paymentId method amount"
_FIRST = {"Q1": 1, "Q2": 100, "Q3": 1_000, "Q4": 100, "Q5": 100}


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
    return port


def pseudonym_key() -> bytes:
    """Give the key under which the measured gateway makes pseudonyms of orders."""
    return MaskKeys(Settings(secret=_SECRET).key("engine")).key("order", "domain")


@dataclass
class Contender:
    """One server to measure. ``requests``: whole HTTP requests of every question, one per cursor, once `open` has run."""

    name: str
    title: str
    module: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    text: Callable[[str], str] = str
    port: int = 0
    requests: dict[str, list[bytes]] = field(default_factory=dict)

    def open(self, folder: Path, upstreams: Mapping[str, int], core: int | None) -> Process:
        """Start the server and prepare the requests."""
        self.port = free_port()
        urls = [f"http://127.0.0.1:{upstreams[name]}/data-products/{name}" for name in ("orders", "payments", "customers")]
        environment = {"BENCH_UPSTREAMS": " ".join(urls), "BENCH_PSEUDONYM_KEY": pseudonym_key().hex(), **self.environment}
        process = Process(self._command(folder, upstreams), core=core, log=folder / f"{self.name}.log", environment=environment)
        try:
            wait_until(self._is_ready, process)
            self.prepare(QUESTIONS)
        except BaseException:
            process.__exit__(None, None, None)
            raise
        return process

    def _command(self, folder: Path, upstreams: Mapping[str, int]) -> list[str]:
        if self.module is None:
            return [sys.executable, "-m", "gateway.cli", "serve", "--config", str(settings_of(folder, upstreams, self.port))]
        served = ["--host=127.0.0.1", f"--port={self.port}", "--loop=uvloop", "--http=httptools", "--lifespan=on", "--ws=none"]
        return [sys.executable, "-m", "uvicorn", f"tests.bench.{self.module}:app", *served, "--no-access-log", "--log-level=warning"]

    def _is_ready(self) -> bool:
        if self.module is None:
            return ask(self.port, [b"GET /readyz HTTP/1.1\r\nhost: bench\r\n\r\n"])[0][0] == 200
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True

    def prepare(self, questions: Sequence[str]) -> None:
        """Prepare the requests, of a server that runs."""
        for question in questions:
            headers = headers_of(question) if self.module is None else {}
            cursors = _walked(self.port, headers) if self.module is None else [Workload(b"").cursor(it) for it in range(CURSORS)]
            text = self.text(question)
            bodies = [json.dumps({"operationName": question, "query": text, "variables": {"after": it}}).encode() for it in cursors]
            self.requests[question] = [request_of(self.port, body, headers) for body in bodies]


def _mesh_text(question: str) -> str:
    selected = f"{_JOINED} payments {{ nodes {{ {_PAYMENT} }} }}" if question == "Q4" else _ORDER
    return (
        f"query {question}($after: String) {{ order {{ orders(first: {_FIRST[question]}, after: $after) {{ nodes {{ {selected} }} }} }} }}"
    )


def _strawberry_text(question: str) -> str:
    selected = f"{_JOINED} payments {{ {_PAYMENT} }}" if question == "Q4" else _ORDER
    if question == "Q5":
        selected = selected.replace("contactEmail", "contactEmail: pseudonym")
    return f"query {question}($after: String!) {{ orders(first: {_FIRST[question]}, after: $after) {{ {selected} }} }}"


CONTENDERS: dict[str, Callable[[], Contender]] = {
    "f1": lambda: Contender("f1", "F1 aiohttp, dicts", "floor_plain"),
    "f2": lambda: Contender("f2", "F2 pyreqwest, typed", "floor_typed"),
    "f2-pooled": lambda: Contender("f2-pooled", "F2 with our client", "floor_typed", {"BENCH_CLIENT": "pooled"}),
    "strawberry": lambda: Contender("strawberry", "plain Strawberry", "plain_strawberry", text=_strawberry_text),
    "meshgate": lambda: Contender("meshgate", "Meshgate", text=_mesh_text),
}
"""``f2-pooled`` runs only when asked for: it tells the gateway's own cost apart from its client's."""


def settings_of(
    folder: Path,
    upstreams: Mapping[str, int],
    port: int,
    *,
    catalog: Path = _HERE / "mesh/contracts",
    shapes: Sequence[str] = (),
    further: Sequence[str] = (),
) -> Path:
    """Write the measured gateway's settings. ``shapes``: products of another domain that are served as well."""
    placed = {"order/orders": "orders", "payment/payments": "payments", "customer/customers": "customers"}
    placed |= {f"shape/{name}": name for name in shapes}
    lines = [
        f"catalog_dir = {json.dumps(str(catalog))}",
        f"policy_file = {json.dumps(str(_HERE / 'mesh/policy.yaml'))}",
        f'secret = "{_SECRET}"',
        *(f'products."{product}".endpoint = "http://127.0.0.1:{upstreams[name]}"' for product, name in placed.items()),
        f'[auth]\ndemo_key = "{_KEY}"',
        # As many streams as there are clients: on a busy machine all of them may have one.
        f"[http]\nport = {port}\nstreams_max = 64",
        *further,
    ]
    file = folder / "meshgate.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def headers_of(question: str) -> dict[str, str]:
    """Give the headers of the caller who asks a question."""
    role = "analyst" if question == "Q5" else "reader"
    token = sign([role], {}, purposes=[], domain=None, key=_KEY, lifetime_s=6 * 3_600)
    return {"authorization": f"Bearer {token}"}


def _walked(port: int, headers: dict[str, str]) -> list[str]:
    """Collect cursors as a caller would: our cursors are opaque, and belong to the caller's view."""
    text = f"query Walk($after: String) {{ order {{ orders(first: {STEP}, after: $after) {{ pageInfo {{ endCursor }} }} }} }}"
    cursors: list[str] = []
    while len(cursors) < CURSORS:
        after = cursors[-1] if cursors else None
        body = json.dumps({"query": text, "variables": {"after": after}}).encode()
        ((status, answer, _),) = ask(port, [request_of(port, body, headers)])
        found = json.loads(answer)
        if status != 200 or "errors" in found:
            raise RuntimeError(f"the walk was refused: {answer[:500]!r}")
        cursors.append(found["data"]["order"]["orders"]["pageInfo"]["endCursor"])
    return cursors


def rows_of(answer: bytes) -> list[Row]:
    """Read anybody's answer: names as in the contract, lists without what is wrapped around them. Raises: ValueError for errors."""
    found = json.loads(answer)
    if found.get("errors"):
        raise ValueError(f"answered with errors: {json.dumps(found['errors'])[:500]}")
    found = found["data"]
    while isinstance(found, dict):
        (found,) = found.values()
    return [_spelled(row) for row in found]


def _spelled(value: Any) -> Any:
    match value:
        case {"nodes": list(rows), **rest} if not rest:
            return [_spelled(row) for row in rows]
        case dict():
            return {re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), name): _spelled(it) for name, it in value.items()}
        case list():
            return [_spelled(it) for it in value]
    return value
