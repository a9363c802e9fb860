"""HTTP/1.1 on one connection: bytes of a client -> requests for the application, one after the other.

uvicorn's own protocol waits for a head for ever, takes one of any size, and spends on each request what an answer of ours takes
altogether; this one is served by uvicorn in its place. Parsed by llhttp. What is no HTTP gets a JSON refusal, like every other.
Touches the transport and the loop's clock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import unquote

import httptools
from starlette.types import ASGIApp, Scope
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from gateway.http.cycle import BODY_AHEAD_BYTES, Cycle
from gateway.http.deadlines import NEVER_S, Deadlines
from gateway.http.refusals import RefusalError, body_of
from gateway.observe import traces
from gateway.settings import Settings

__all__ = ["HttpProtocol", "Limits", "protocol_of"]

_HEADERS_MAX: Final = 100
_QUEUED_MAX: Final = 64
"""Requests of one client that may wait behind another while more are read, so that its leaving is noticed."""

_LINGER_S: Final = 10.0
"""How long what was written may take to leave once the connection is closed."""

_METHODS: Final = {b"GET": "GET", b"POST": "POST", b"HEAD": "HEAD", b"OPTIONS": "OPTIONS"}
_OFFERS: Final = frozenset({b"upgrade", b"http2-settings"})
_HEAD, _IDLE, _BUSY = range(3)


class Limits:
    """Bounds of a server's connections, and what they share. ``deadlines``: closes the late ones."""

    def __init__(self, settings: Settings) -> None:
        self.head_max_bytes = settings.http.header_max_bytes
        self.head_s = settings.timeouts.head_s
        self.idle_s = settings.timeouts.idle_s
        self.deadlines = Deadlines(min(self.head_s, self.idle_s))
        self._fixed: tuple[list[tuple[bytes, bytes]], bytes] = ([], b"")

    def fixed(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Write the headers of every response; they are others once a second, when the date is."""
        if self._fixed[0] is not headers:
            self._fixed = headers, b"".join(b"%b: %b\r\n" % pair for pair in headers)
        return self._fixed[1]


class HttpProtocol(asyncio.Protocol):
    """A connection. ``due_s``: loop time at which it is closed if nothing happens before."""

    __slots__ = (
        "_application",
        "_client",
        "_cycle",
        "_drained",
        "_expects_continue",
        "_has_begun",
        "_head_bytes",
        "_headers",
        "_in_head",
        "_is_read_paused",
        "_limits",
        "_loop",
        "_parser",
        "_queue",
        "_running",
        "_server",
        "_shared",
        "_size",
        "_state",
        "_upgrades",
        "_url",
        "_waits_for",
        "due_s",
        "is_write_paused",
        "transport",
    )

    def __init__(self, limits: Limits, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        self._limits = limits
        self._application: ASGIApp = config.loaded_app
        self._shared = server_state
        self._state = app_state
        self._loop = asyncio.get_running_loop()
        self._parser = self._fresh_parser()
        self._cycle: Cycle | None = None
        """The request that is coming in, or came in last."""
        self._running: Cycle | None = None
        self._queue: deque[Cycle] = deque()
        self._headers: list[tuple[bytes, bytes]] = []
        self._url = b""
        self._size = self._head_bytes = 0
        self._in_head = True
        self._has_begun = False
        """Whether some of a head has come, and not all of it."""
        self._expects_continue = self._upgrades = False
        self._is_read_paused = False
        self._waits_for = _HEAD
        self._drained: asyncio.Event | None = None
        self.is_write_paused = False
        self.due_s = self._loop.time() + limits.head_s

    def _fresh_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        # What follows a request that asks to close the connection is not read; it does not make that request a bad one.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    # -- what the event loop and the server call ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a head."""
        self.transport = cast("asyncio.Transport", transport)
        self._server, self._client = get_local_addr(self.transport), get_remote_addr(self.transport)
        self._shared.connections.add(self)  # type: ignore[arg-type]  # uvicorn names its own classes there, and calls `shutdown` alone
        self._limits.deadlines.watch(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell those who answer that nobody is there any more."""
        self._shared.connections.discard(self)
        self._limits.deadlines.forget(self)
        for cycle in (self._running, self._cycle):
            if cycle is not None:
                cycle.disconnected = True
                cycle.wake()
        self._queue.clear()
        self.resume_writing()
        # They know this connection as it knows them, and all would wait for the collector together.
        self._cycle = None
        del self._parser

    def shutdown(self) -> None:
        """Close when what is in flight is answered."""
        if self._running is None:
            self.transport.close()
        elif self._cycle is not None:
            self._cycle.keep_alive = False

    def pause_writing(self) -> None:
        """Note that the client takes less than is written."""
        self.is_write_paused = True

    def resume_writing(self) -> None:
        """Note that the client has taken what was written."""
        self.is_write_paused = False
        if self._drained is not None:
            self._drained.set()
            self._drained = None

    def data_received(self, data: bytes) -> None:
        """Parse what arrived."""
        if self.transport.is_closing():
            # What follows a refused request is not read as the next one.
            return
        if self._in_head:
            self._head_bytes += len(data)
        self._feed(data)
        if self._running is not None:
            self._wait_for(_BUSY, NEVER_S)
        # A head that came whole has been measured by the callbacks below; this one, or blank lines before it, is still coming.
        elif self._has_begun or (self._in_head and self._head_bytes):
            self._wait_for(_HEAD, self._limits.head_s)
        if self._in_head and self._head_bytes > self._limits.head_max_bytes and not self.transport.is_closing():
            self._refuse("The request's head is too large.")

    def late(self, now_s: float) -> None:
        """Close what is overdue, and break off what is then still there."""
        if self.transport.is_closing():
            self.transport.abort()
        else:
            self.transport.close()
        self.due_s = now_s + _LINGER_S

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # Nobody has to accept an upgrade: the same request without the offer is an ordinary one.
            (offset,) = upgrade.args
            head = self._without_upgrade()
            self._parser = self._fresh_parser()
            self._feed(head + data[offset:])
        except httptools.HttpParserError:
            self._refuse("Invalid HTTP request received.")

    def _wait_for(self, what: int, most_s: float) -> None:
        if self._waits_for != what:
            self._waits_for = what
            self.due_s = self._loop.time() + most_s

    # -- what the parser calls ---------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head = self._has_begun = True
        self._size = 0
        self._url = b""
        self._headers = []
        self._expects_continue = False

    def on_url(self, url: bytes) -> None:
        """Keep the target, or a part of it."""
        self._url += url
        self._measure(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; those that follow a body are none of the request's."""
        if not self._has_begun:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True
        self._headers.append((name, value))
        self._measure(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """Begin the request, or queue it behind the one that is being answered."""
        parser = self._parser
        version, method = parser.get_http_version(), parser.get_method()
        self._upgrades = parser.should_upgrade()
        if self._upgrades:
            if method == b"CONNECT":
                raise ValueError("no tunnels here")
            return
        self._in_head = self._has_begun = False
        keep_alive = version != "1.0" and parser.should_keep_alive()
        scope = self._scope(version, _METHODS.get(method) or method.decode("ascii"))
        cycle = self._cycle = Cycle(self, scope, keep_alive=keep_alive, expects_continue=self._expects_continue)
        if self._running is None:
            self._start(cycle)
        else:
            self._pause_reading()
            self._queue.append(cycle)

    def on_body(self, part: bytes) -> None:
        """Hand a part of the body on; what comes after the answer is let go."""
        cycle = self._cycle
        if cycle is not None and not cycle.is_complete and cycle.take(part) > BODY_AHEAD_BYTES:
            self._pause_reading()

    def on_message_complete(self) -> None:
        """End the request."""
        if self._upgrades:
            return
        self._in_head = True
        self._head_bytes = 0
        cycle = self._cycle
        if cycle is not None and not cycle.is_complete:
            cycle.more_body = False
            cycle.wake()

    def _measure(self, added: int) -> None:
        self._size += added
        if self._size > self._limits.head_max_bytes or len(self._headers) > _HEADERS_MAX:
            # Ends the parsing of this connection with a refusal.
            raise ValueError("head too large")

    def _scope(self, version: str, method: str) -> Scope:
        target = self._url
        raw_path, query = target, b""
        if target != b"/graphql":
            parsed = httptools.parse_url(target)
            raw_path, query = parsed.path or b"/", parsed.query or b""
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "method": method,
            "scheme": "http",
            "server": self._server,
            "client": self._client,
            "root_path": "",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self._headers,
            "state": self._state.copy(),
        }

    def _without_upgrade(self) -> bytes:
        self._upgrades = False
        lines = [b"%b %b HTTP/1.1" % (self._parser.get_method(), self._url)]
        for name, value in self._headers:
            if name in _OFFERS:
                continue
            kept = value
            if name == b"connection":
                kept = b", ".join(it for it in map(bytes.strip, value.split(b",")) if it.lower() not in _OFFERS)
            lines.append(name + b": " + kept)
        return b"\r\n".join([*lines, b"", b""])

    # -- what a cycle calls ------------------------------------------------------------------------------------------------

    def fixed_headers(self) -> bytes:
        """Give the header lines of every response."""
        return self._limits.fixed(self._shared.default_headers)

    async def writable(self) -> None:
        """Wait until the client has taken enough of what was written."""
        while self.is_write_paused:
            if self._drained is None:
                self._drained = asyncio.Event()
            await self._drained.wait()

    def answered(self) -> None:
        """Begin the next request, or wait for one."""
        self._shared.total_requests += 1
        self._running = None
        if self.transport.is_closing():
            self.due_s = self._loop.time() + _LINGER_S
            return
        if self._queue:
            self._start(self._queue.popleft())
            if self._queue:
                return
        elif self._has_begun or (self._in_head and self._head_bytes):
            self._wait_for(_HEAD, self._limits.head_s)
        else:
            self._wait_for(_IDLE, self._limits.idle_s)
        self.resume_reading()

    def resume_reading(self) -> None:
        """Let more of the request in."""
        if self._is_read_paused and len(self._queue) <= _QUEUED_MAX:
            self._is_read_paused = False
            self.transport.resume_reading()

    def _pause_reading(self) -> None:
        if not self._is_read_paused:
            self._is_read_paused = True
            self.transport.pause_reading()

    def _start(self, cycle: Cycle) -> None:
        self._running = cycle
        tasks = self._shared.tasks
        task = self._loop.create_task(cycle.run(self._application, lambda: tasks.discard(task)))
        tasks.add(task)

    def _refuse(self, message: str) -> None:
        for cycle in (self._running, self._cycle):
            if cycle is not None and not cycle.is_complete:
                # A request that turns out malformed after its head must not be answered twice.
                cycle.disconnected = True
                cycle.wake()
        self._queue.clear()
        refusal = RefusalError("BAD_USER_INPUT", message, hint="Send one well-formed HTTP/1.1 request with a smaller head.")
        body = body_of(refusal, traces.new_id())
        head = (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json; charset=utf-8\r\n"
            b"cache-control: no-store\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        )
        self.transport.write(head + body)
        self.transport.close()
        self.due_s = self._loop.time() + _LINGER_S


def protocol_of(settings: Settings) -> Callable[..., HttpProtocol]:
    """Make what uvicorn opens connections with, with the bounds that the settings give."""
    limits = Limits(settings)

    class Bounded(HttpProtocol):
        __slots__ = ()

        def __init__(
            self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: asyncio.AbstractEventLoop | None = None
        ) -> None:
            super().__init__(limits, config, server_state, app_state)

    return Bounded
