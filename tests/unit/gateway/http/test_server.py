"""The server: heads that are late or too large, and requests that are none, over real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from starlette.types import Receive, Scope, Send

from gateway.app import build
from gateway.http.protocol import protocol_of
from gateway.http.server import ListenError, listen, serve
from gateway.settings import load
from tests.unit.gateway.http.asking import KEY, token
from tests.unit.gateway.http.core_answerer import CoreAnswerer
from tests.unit.gateway.http.served import served

BODY = b'{"query": "{ hello }"}'


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    environment = {
        "MESHGATE_AUTH__DEMO_KEY": KEY,
        "MESHGATE_HTTP__HEADER_MAX_BYTES": "4096",
        "MESHGATE_TIMEOUTS__HEAD_S": "0.3",
        "MESHGATE_TIMEOUTS__IDLE_S": "3",
    }
    settings = load(environment=environment)
    with served(build(CoreAnswerer(), settings), http=protocol_of(settings)) as url:
        yield "127.0.0.1", urlsplit(url).port or 0


def talk(address: tuple[str, int], *parts: bytes) -> bytes:
    """Send parts and read until the server closes."""
    found = b""
    with socket.create_connection(address, timeout=10) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            while chunk := connection.recv(65536):
                found += chunk
        except ConnectionError:
            pass
    return found


def request(*headers: bytes, body: bytes = BODY) -> bytes:
    lines = [b"POST /graphql HTTP/1.1", b"host: x", b"content-type: application/json", b"authorization: Bearer " + token().encode()]
    lines += [b"content-length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_a_well_formed_request_is_answered_without_naming_the_server(address: tuple[str, int]) -> None:
    found = talk(address, request(b"connection: close"))
    assert found.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nserver:" not in found.lower()
    assert found.endswith(b'{"data":{"hello":"hello mesh"}}')


def test_a_kept_connection_answers_again_and_bounds_each_head(address: tuple[str, int]) -> None:
    found = talk(address, request(), request(), b"POST /graphql HTTP/1.1\r\n")
    assert found.count(b"HTTP/1.1 200 ") == 2


def refused(found: bytes) -> None:
    head, _, body = found.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in head
    entry = json.loads(body)["errors"][0]
    assert entry["extensions"]["code"] == "BAD_USER_INPUT"
    assert entry["extensions"]["requestId"]


def test_what_is_no_http_gets_a_json_refusal(address: tuple[str, int]) -> None:
    refused(talk(address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"))


def test_a_head_too_large_is_refused_whole_or_in_parts(address: tuple[str, int]) -> None:
    refused(talk(address, request(b"x: " + b"y" * 5000)))
    refused(talk(address, request(*[b"x%d: y" % number for number in range(200)])))
    refused(talk(address, b"POST /" + b"a" * 5000 + b" HTTP/1.1\r\nhost: x\r\n\r\n"))
    refused(talk(address, b"POST /graphql HTTP/1.1\r\nx: ", *[b"y" * 1000] * 6))


def test_two_ways_of_framing_are_refused_and_the_connection_closed(address: tuple[str, int]) -> None:
    found = talk(address, request(b"transfer-encoding: chunked", body=b"0\r\n\r\n"), request())
    assert found.startswith(b"HTTP/1.1 400 ")
    assert found.count(b"HTTP/1.1 400 ") == 1


def test_a_body_that_turns_out_malformed_is_answered_once(address: tuple[str, int]) -> None:
    head = request(b"transfer-encoding: chunked", body=b"").replace(b"content-length: 0\r\n", b"")
    found = talk(address, head + b"5\r\n{    \r\n", b"zz\r\n\r\n")
    refused(found)
    assert found.count(b"HTTP/1.1 400 ") == 1


def test_a_head_that_dribbles_is_closed(address: tuple[str, int]) -> None:
    assert talk(address, b"POST /graphql HTTP/1.1\r\nhost: x\r\n") == b""
    assert talk(address) == b""


def test_blank_lines_before_a_head_keep_no_connection_open(address: tuple[str, int]) -> None:
    found = talk(address, request(), b"\r\n")
    assert found.count(b"HTTP/1.1 200 ") == found.count(b"HTTP/1.1 ") == 1
    assert talk(address, b"\r\n") == b""


def test_a_busy_port_is_told_and_so_is_an_odd_host() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(ListenError, match=r"http\.port"):
        listen("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(ListenError):
        listen("203.0.113.1", 1)


def stop_when_answering(address: tuple[str, int], number: int) -> None:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(request(b"connection: close"))
        while connection.recv(65536):
            pass
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_with_success_and_leaves_the_handlers_as_they_were(number: int) -> None:
    before = signal.getsignal(number)
    settings = load(environment={"MESHGATE_AUTH__DEMO_KEY": KEY})
    listener = listen("127.0.0.1", 0)
    thread = threading.Thread(target=stop_when_answering, args=(listener.getsockname(), number))
    thread.start()
    assert serve(build(CoreAnswerer(), settings), settings, listener) == 0
    thread.join(10)
    assert signal.getsignal(number) is before


def test_what_is_in_flight_at_sigterm_is_finished() -> None:
    settings = load(environment={"MESHGATE_AUTH__DEMO_KEY": KEY})
    application = build(CoreAnswerer(), settings)
    stopping: list[bool] = []

    async def stopped_while_answering(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(100):
                await asyncio.sleep(0)
            stopping.append(True)
        await application(scope, receive, send)

    found: list[bytes] = []
    listener = listen("127.0.0.1", 0)
    thread = threading.Thread(target=lambda address: found.append(talk(address, request())), args=(listener.getsockname(),))
    thread.start()
    assert serve(stopped_while_answering, settings, listener) == 0
    thread.join(10)
    assert stopping == [True]
    assert found[0].endswith(b'{"data":{"hello":"hello mesh"}}')


def test_a_start_that_fails_is_no_success_and_is_logged_without_its_message(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise RuntimeError("customer@example.com")

    settings = load(environment={"MESHGATE_AUTH__DEMO_KEY": KEY})
    assert serve(build(CoreAnswerer(), settings, start=fails), settings, listen("127.0.0.1", 0)) == 1
    assert any(record.message == "start_failed" for record in caplog.records)
    assert not any("customer@" in str(record.msg) for record in caplog.records)
