"""Long answers leave piece by piece, as fast as the client takes them; ordinary ones in one."""

from __future__ import annotations

import http.client
import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.app import build
from gateway.exchange import Frame, Question, Reply
from gateway.http.protocol import protocol_of
from gateway.observe.metrics import Metrics
from gateway.settings import load
from tests.conftest import PATIENCE_S

from .asking import KEY, token
from .core_answerer import CoreAnswerer
from .served import served

PIECE = b'{"data":"' + b"x" * 1_000_000
PIECES = (PIECE, *(b"x" * 1_000_000 for _ in range(30)), b'","extensions":{}}')
WHOLE = b"".join(PIECES)
HEADERS = {"authorization": f"Bearer {token()}", "content-type": "application/json", "accept": "application/json"}
BODY = json.dumps({"query": "{ hello }"}).encode()


class Long(CoreAnswerer):
    """Answers a long answer, or a short one."""

    def __init__(self, pieces: tuple[bytes, ...] = PIECES) -> None:
        super().__init__()
        self.pieces = pieces

    async def answer(self, question: Question, frame: Frame) -> Reply:
        body, *rest = self.pieces
        return Reply(body, has_data=True, headers=(("Mesh-Slo-Status", "MET"),), rest=tuple(rest))


def application(pieces: tuple[bytes, ...], metrics: Metrics | None = None, **environment: str) -> Any:
    return build(Long(pieces), load(environment={"MESHGATE_AUTH__DEMO_KEY": KEY, **environment}), metrics=metrics)


@pytest.mark.parametrize(("pieces", "count"), [((b'{"data":{}}',), 1), (PIECES, len(PIECES))])
async def test_an_answer_is_sent_in_as_many_pieces_as_it_has(pieces: tuple[bytes, ...], count: int) -> None:
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": BODY, "more_body": False}

    headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "headers": headers}
    await application(pieces)(scope, receive, send)
    start, *bodies = messages
    assert (start["status"], dict(start["headers"])[b"content-length"]) == (200, str(len(b"".join(pieces))).encode())
    assert dict(start["headers"])[b"mesh-slo-status"] == b"MET"
    assert [it["body"] for it in bodies] == list(pieces)
    assert [it.get("more_body", False) for it in bodies] == [True] * (count - 1) + [False]


def test_a_long_answer_arrives_whole_and_the_connection_is_used_again() -> None:
    settings = load(environment={"MESHGATE_AUTH__DEMO_KEY": KEY})
    with served(application(PIECES), http=protocol_of(settings), loop="uvloop") as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_S)
        for _ in range(2):
            connection.request("POST", "/graphql", BODY, HEADERS)
            assert connection.getresponse().read() == WHOLE
        connection.close()


def test_a_client_that_takes_nothing_of_a_long_answer_is_left_and_costs_no_place() -> None:
    metrics = Metrics()
    settings = load(environment={"MESHGATE_AUTH__DEMO_KEY": KEY})
    app = application(PIECES, metrics, MESHGATE_TIMEOUTS__STALL_S="0.2", MESHGATE_HTTP__CONCURRENT_MAX="1")
    with served(app, http=protocol_of(settings), loop="uvloop") as url, socket.create_connection(urlsplit(url).netloc.split(":")) as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        lines = [
            "POST /graphql HTTP/1.1",
            "host: gateway",
            f"content-length: {len(BODY)}",
            *(f"{name}: {it}" for name, it in HEADERS.items()),
        ]
        idle.sendall("\r\n".join([*lines, "", ""]).encode() + BODY)
        until_s = time.monotonic() + PATIENCE_S
        while b'meshgate_requests_total{code="CLIENT_GONE"} 1.0' not in metrics.render():
            assert time.monotonic() < until_s
            time.sleep(0.01)
        found = httpx.post(f"{url}/graphql", content=BODY, headers=HEADERS, timeout=PATIENCE_S)
        assert (found.status_code, found.content) == (200, WHOLE)
