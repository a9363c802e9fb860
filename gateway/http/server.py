"""The server: uvicorn with uvloop and httptools, bounded where it has no bounds of its own.

uvicorn waits for a request's head for ever and takes one of any size; here a head must be there in time and be small enough, and
what is no HTTP gets a JSON answer like every other refusal. SIGTERM and SIGINT finish what is in flight, then end with success.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from typing import Any, ClassVar

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.http.memory import keep_memory
from gateway.http.refusals import RefusalError, body_of
from gateway.observe import logs, traces
from gateway.settings import Settings

__all__ = ["SWITCH_S", "ListenError", "listen", "protocol_of", "serve"]

# Rows are no business of the collector's; what compiling leaves behind is, in portions small enough to be no pause (the default of
# 700 collects for nothing).
_COLLECTOR_THRESHOLDS = (5_000, 10, 50)

SWITCH_S = 0.001
"""How long what computes beside the loop keeps the interpreter, for every turn of the loop meanwhile; by default it is five times that."""

_HEADERS_MAX = 100
_CLOSING_S = 1


class ListenError(Exception):
    """The address cannot be listened on; the message says what to do."""


class _BoundedProtocol(HttpToolsProtocol):
    head_max_bytes: ClassVar[int]
    head_s: ClassVar[float]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._in_head = True
        self._has_begun = False
        """Whether some of a head has come, and not all of it."""
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own narrowing
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            # What follows a refused request is not read as the next one.
            return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        # A head that came whole has been measured by the callbacks below, and needed no timer; this one, or blank lines before it, is
        # still coming.
        if self._has_begun or (self._in_head and self._head_bytes):
            if self._head_bytes > self.head_max_bytes and not self.transport.is_closing():
                self.send_400_response("The request's head is too large.")
            if self._head_timer is None:
                self._expect_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = self._has_begun = True
        self._size = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._measure(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._measure(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._head_is_here()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True
        self._head_bytes = 0

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            # A request that turns out malformed after its head must not be answered twice.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        refusal = RefusalError("BAD_USER_INPUT", msg, hint="Send one well-formed HTTP/1.1 request with a smaller head.")
        body = body_of(refusal, traces.new_id())
        head = (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json; charset=utf-8\r\n"
            b"cache-control: no-store\r\nconnection: close\r\ncontent-length: " + str(len(body)).encode() + b"\r\n\r\n"
        )
        self.transport.write(head + body)
        self.transport.close()

    def _measure(self, added: int) -> None:
        self._size += added
        if self._size > self.head_max_bytes or len(self.headers) > _HEADERS_MAX:
            # Ends the parsing of this connection with a refusal.
            raise ValueError("head too large")

    def _expect_head(self) -> None:
        self._head_timer = asyncio.get_running_loop().call_later(self.head_s, self._close)

    def _head_is_here(self) -> None:
        self._in_head = self._has_begun = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def protocol_of(settings: Settings) -> type[HttpToolsProtocol]:
    """Make the protocol with the bounds that the settings give."""
    bounds = {"head_max_bytes": settings.http.header_max_bytes, "head_s": settings.timeouts.head_s}
    return type("BoundedProtocol", (_BoundedProtocol,), bounds)


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket. Raises: `ListenError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        what = f"cannot listen on {host}:{port} ({error.strerror})"
        raise ListenError(f"{what}; set http.host and http.port, or stop what listens there") from None


def _quiet_collector() -> None:
    """Leave what lives as long as the process out of collections, and collect what requests leave behind in larger portions.

    What was made on the way and is garbage, a thousand objects of imports, stays with it: to find them in a wide mesh takes long.
    """
    gc.freeze()
    gc.enable()
    gc.set_threshold(*_COLLECTOR_THRESHOLDS)


def serve(application: ASGIApp, settings: Settings, listener: socket.socket) -> int:
    """Serve until SIGTERM or SIGINT; give the exit status: 0 after an orderly end, 1 when the start failed."""
    config = uvicorn.Config(
        application,
        http=protocol_of(settings),
        ws="none",
        loop="uvloop",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=int(settings.timeouts.idle_s) or 1,
        timeout_graceful_shutdown=max(1, int(settings.timeouts.shutdown_s) - _CLOSING_S),
    )
    server = uvicorn.Server(config)
    # uvicorn raises the signals again after it has stopped, for those who had the handlers before: that end would be no success.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    host, port = listener.getsockname()[:2]
    logs.event("listening", host=host, port=port)
    keep_memory()
    _quiet_collector()
    sys.setswitchinterval(SWITCH_S)
    try:
        with contextlib.closing(listener):
            server.run(sockets=[listener])
    except SystemExit:
        return 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    logs.event("stopped")
    return 0
