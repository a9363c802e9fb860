"""HTTP/1.1 as our own protocol speaks it, over real sockets and with applications that do odd things."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.deadlines import Deadlines
from gateway.http.protocol import protocol_of
from gateway.settings import load
from tests.unit.gateway.http.asking import KEY
from tests.unit.gateway.http.served import served

BOUNDS = {"MESHGATE_AUTH__DEMO_KEY": KEY, "MESHGATE_TIMEOUTS__HEAD_S": "0.3", "MESHGATE_TIMEOUTS__IDLE_S": "0.3"}
PLAIN = [(b"content-type", b"text/plain")]


async def quiet(scope: Scope, receive: Receive, send: Send) -> bool:
    """Do what a lifespan demands; tell whether that was all."""
    if scope["type"] != "lifespan":
        return False
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
    return True


async def body_of(receive: Receive) -> bytes:
    found = b""
    while (message := await receive())["type"] == "http.request":
        found += message["body"]
        if not message["more_body"]:
            break
    return found


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell what was asked: method, path, query, headers and body."""
    if await quiet(scope, receive, send):
        return
    body = await body_of(receive)
    told = {key: scope[key] for key in ("method", "path", "http_version")}
    told |= {"query": scope["query_string"].decode(), "headers": [name.decode() for name, _ in scope["headers"]], "body": body.decode()}
    answer = json.dumps(told).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [*PLAIN, (b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})


@contextmanager
def at(application: ASGIApp, **settings: str) -> Iterator[socket.socket]:
    """Serve an application and connect to it."""
    protocol = protocol_of(load(environment={**BOUNDS, **settings}))
    with (
        served(application, http=protocol) as url,
        socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=10) as connection,
    ):
        yield connection


def rest(connection: socket.socket) -> bytes:
    """Read until the server closes."""
    found = b""
    try:
        while chunk := connection.recv(65536):
            found += chunk
    except ConnectionError:
        pass
    return found


def answers(found: bytes) -> list[dict[str, Any]]:
    """Split answers that `echo` gave on one connection."""
    told = []
    while found:
        head, _, found = found.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
        told.append(json.loads(found[:length]))
        found = found[length:]
    return told


def test_requests_sent_at_once_are_answered_in_their_order() -> None:
    with at(echo) as connection:
        connection.sendall(b"".join(b"GET /%d?a=%d HTTP/1.1\r\nhost: x\r\n\r\n" % (it, it) for it in range(40)))
        found = answers(rest(connection))
    assert [(it["path"], it["query"]) for it in found] == [(f"/{it}", f"a={it}") for it in range(40)]


def test_bodies_come_whole_however_they_are_framed_and_cut() -> None:
    long = b"x" * 300_000
    with at(echo) as connection:
        connection.sendall(b"POST /a%20b HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n" + long)
        connection.sendall(b"POST /c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab")
        connection.sendall(b"c\r\n2\r\nde\r\n0\r\nx-role: admin\r\n\r\n")
        first, second = answers(rest(connection))
    assert (first["path"], first["body"]) == ("/a b", long.decode())
    assert second["body"] == "abcde"
    assert second["headers"] == ["host", "transfer-encoding"], "what follows a body is no header of the request"


@pytest.mark.parametrize("body", [b"", b"content-length: 2\r\n"])
def test_an_offer_of_another_protocol_is_passed_over(body: bytes) -> None:
    offer = b"host: x\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAAB\r\n"
    with at(echo) as connection:
        connection.sendall(b"POST /graphql HTTP/1.1\r\n" + offer + body + b"\r\n" + (b"{}" if body else b""))
        connection.sendall(b"GET /next HTTP/1.1\r\nhost: x\r\n\r\n")
        first, second = answers(rest(connection))
    assert (first["method"], first["path"], first["body"]) == ("POST", "/graphql", "{}" if body else "")
    assert "upgrade" not in first["headers"]
    assert second["path"] == "/next"


def test_a_head_in_a_tunnel_or_of_no_kind_is_refused() -> None:
    for request in (
        b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
    ):
        with at(echo) as connection:
            connection.sendall(request)
            assert rest(connection).startswith(b"HTTP/1.1 400 ")


def test_a_whole_address_and_an_old_version_are_served() -> None:
    with at(echo) as connection:
        connection.sendall(b"GET http://x/y HTTP/1.0\r\n\r\n")
        found = rest(connection)
    assert b"\r\nconnection: close\r\n" in found
    assert answers(found)[0]["path"] == "/y"
    assert answers(found)[0]["http_version"] == "1.0"


def test_a_client_that_waits_before_its_body_is_told_to_go_on() -> None:
    with at(echo) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-Continue\r\ncontent-length: 2\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ok")
        assert answers(rest(connection))[0]["body"] == "ok"


def test_the_head_of_an_answer_comes_without_its_body() -> None:
    with at(echo) as connection:
        connection.sendall(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n")
        head, end, body = rest(connection).partition(b"\r\n\r\n")
    assert b"\r\ndate: " in head
    assert b"\r\ncontent-length: " in head
    assert (end, body) == (b"\r\n\r\n", b"")


def test_pieces_are_framed_and_wait_for_a_client_that_reads_slowly() -> None:
    written = 0

    async def long(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal written
        if await quiet(scope, receive, send):
            return
        await send({"type": "http.response.start", "status": 200, "headers": PLAIN})
        for _ in range(200):
            await send({"type": "http.response.body", "body": b"y" * 100_000, "more_body": True})
            written += 1
        await send({"type": "http.response.body", "body": b""})

    with at(long) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        found = connection.recv(10)
        seen = written
        assert seen < 200
        found += rest(connection)
    head, _, body = found.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body.count(b"186a0\r\n") == 200
    assert body.endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x", b"a\r\nset-cookie: b")],
        [(b"x\r\n\r\n<html>", b"a")],
        [(b"x", b"a\0")],
        [(b"transfer-encoding", b"chunked")],
        [(b"content-length", b"1")],
    ],
)
def test_an_answer_that_would_break_the_framing_is_none(headers: list[tuple[bytes, bytes]], caplog: pytest.LogCaptureFixture) -> None:
    async def odd(scope: Scope, receive: Receive, send: Send) -> None:
        if await quiet(scope, receive, send):
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"two"})

    with at(odd) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        found = rest(connection)
    assert found.startswith(b"HTTP/1.1 500 ")
    assert found.endswith(b"\r\n\r\nInternal Server Error")
    assert b"set-cookie" not in found
    assert any(record.message == "application_failed" for record in caplog.records)


@pytest.mark.parametrize("messages", [[], ["http.response.start"], ["http.response.body"]])
def test_an_answer_that_is_never_begun_is_an_error(messages: list[str]) -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        if await quiet(scope, receive, send):
            return
        for type_ in messages:
            await send({"type": type_, "status": 200, "headers": PLAIN})

    with at(silent) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert rest(connection).startswith(b"HTTP/1.1 500 ")


def test_an_answer_that_is_broken_off_shows_it() -> None:
    async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
        if await quiet(scope, receive, send):
            return
        await send({"type": "http.response.start", "status": 200, "headers": PLAIN})
        await send({"type": "http.response.body", "body": b"some", "more_body": True})
        raise RuntimeError("customer@example.com")

    with at(breaks) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        found = rest(connection)
    assert found.endswith(b"4\r\nsome\r\n"), "without the last chunk, a client knows that there was more"
    assert b"customer" not in found


def test_an_answer_is_given_once() -> None:
    failures: list[str] = []

    async def twice(scope: Scope, receive: Receive, send: Send) -> None:
        if await quiet(scope, receive, send):
            return
        await send({"type": "http.response.start", "status": 204, "headers": []})
        with pytest.raises(RuntimeError):
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})
        with pytest.raises(RuntimeError):
            await send({"type": "http.response.body"})
        failures.append((await receive())["type"])

    with at(twice) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n12")
        assert connection.recv(100).startswith(b"HTTP/1.1 204 ")
        connection.sendall(b"34GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert rest(connection).startswith(b"HTTP/1.1 204 ")
    assert failures == ["http.disconnect"] * 2, "what comes after an answer is let go, and the next request read"


def test_a_client_that_leaves_is_told_to_those_who_answer() -> None:
    left: list[str] = []

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        if await quiet(scope, receive, send):
            return
        await body_of(receive)
        left.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200, "headers": PLAIN})

    with at(waits) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    assert left in (["http.disconnect"], []), "requests that were not begun are not begun any more"


def test_an_idle_connection_is_closed_and_a_busy_one_is_not() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if await quiet(scope, receive, send):
            return
        await asyncio.sleep(0.8)  # longer than a connection may be idle
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    with at(slow) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert rest(connection).startswith(b"HTTP/1.1 200 ")


async def test_what_is_overdue_is_ended_and_nothing_else_is() -> None:
    class Ends:
        def __init__(self, due_s: float) -> None:
            self.due_s = due_s
            self.ended = asyncio.Event()

        def late(self, now_s: float) -> None:
            self.due_s = now_s + 100
            self.ended.set()

    deadlines = Deadlines(0.001)
    now_s = asyncio.get_running_loop().time()
    late, kept = Ends(now_s), Ends(now_s + 100)
    deadlines.watch(late)
    deadlines.watch(kept)
    await asyncio.wait_for(late.ended.wait(), 10)
    assert not kept.ended.is_set()
    deadlines.forget(late)
    deadlines.forget(kept)
    deadlines.watch(again := Ends(now_s))
    await asyncio.wait_for(again.ended.wait(), 10)
    deadlines.forget(again)
