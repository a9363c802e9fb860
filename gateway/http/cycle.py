"""One request on a connection and its response, as ASGI says: messages of the application -> bytes on the transport.

The head waits for the first piece of the body, so that a small answer leaves in one write. Headers that would break the framing
are refused here, whoever made them.
"""

from __future__ import annotations

import asyncio
import http
from collections.abc import Callable
from typing import Final, Protocol

from starlette.types import ASGIApp, Message, Scope

from gateway.observe import logs

__all__ = ["BODY_AHEAD_BYTES", "Cycle", "Line"]

BODY_AHEAD_BYTES: Final = 64 * 1024
"""How much of a body may arrive before somebody asks for it; reading pauses beyond."""

_COPIED_BYTES: Final = 16 * 1024
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_BODYLESS: Final = frozenset({204, 304})
_STATUS_LINES: Final = {it.value: f"HTTP/1.1 {it.value} {it.phrase}\r\n".encode() for it in http.HTTPStatus}
_FAILED: Final = b"Internal Server Error"


class Line(Protocol):
    """What a cycle needs of its connection."""

    transport: asyncio.Transport
    is_write_paused: bool

    def fixed_headers(self) -> bytes:
        """Give header lines that every response has."""

    async def writable(self) -> None:
        """Wait until the client has taken enough of what was written."""

    def resume_reading(self) -> None:
        """Let more of the request in."""

    def answered(self) -> None:
        """Take note that the response is complete."""


class Cycle:
    """A request and its response. The connection fills ``body`` and tells by `wake`; `run` lets the application answer."""

    __slots__ = (
        "_chunked",
        "_expects_continue",
        "_head",
        "_is_head",
        "_left",
        "_line",
        "_news",
        "_scope",
        "_started",
        "_woken",
        "body",
        "disconnected",
        "is_complete",
        "keep_alive",
        "more_body",
    )

    def __init__(self, line: Line, scope: Scope, *, keep_alive: bool, expects_continue: bool) -> None:
        self._line = line
        self._scope = scope
        self._expects_continue = expects_continue
        self._is_head = scope["method"] == "HEAD"
        self._started = self._chunked = self._news = False
        self._woken: asyncio.Event | None = None
        self._head = b""
        self._left = 0
        self.keep_alive = keep_alive
        self.body: bytes | bytearray = b""
        self.more_body = True
        self.disconnected = False
        self.is_complete = False

    # -- what the connection calls -----------------------------------------------------------------------------------------

    async def run(self, application: ASGIApp, done: Callable[[], object]) -> None:
        """Let the application answer; whatever it leaves unfinished closes the connection."""
        try:
            await application(self._scope, self.receive, self.send)
            if not self.is_complete and not self.disconnected:
                await self._fail()
        except BaseException as error:
            # As a server's task this is nobody's to await: not even cancelling it has to show.
            if not isinstance(error, asyncio.CancelledError):
                logs.fault("application_failed", error)
            if not self.is_complete and not self.disconnected:
                await self._fail()
        finally:
            done()

    def wake(self) -> None:
        """Tell whoever receives that there is something new: body, its end, or the end of the connection."""
        self._news = True
        if self._woken is not None:
            self._woken.set()

    def take(self, part: bytes) -> int:
        """Add a part of the body; gives how much of it nobody has asked for yet."""
        if not self.body:
            self.body = part
        else:
            if isinstance(self.body, bytes):
                self.body = bytearray(self.body)
            self.body += part
        self.wake()
        return len(self.body)

    # -- what the application calls ----------------------------------------------------------------------------------------

    async def receive(self) -> Message:
        """Give the next part of the request, or tell that the client is gone or answered."""
        line = self._line
        if self._expects_continue:
            self._expects_continue = False
            if not line.transport.is_closing():
                line.transport.write(_CONTINUE)
        if not self._news and not self.disconnected and not self.is_complete:
            line.resume_reading()
            while not self._news:
                if self._woken is None:
                    self._woken = asyncio.Event()
                await self._woken.wait()
                self._woken.clear()
        self._news = False
        if self.disconnected or self.is_complete:
            return {"type": "http.disconnect"}
        body, self.body = self.body, b""
        return {"type": "http.request", "body": bytes(body), "more_body": self.more_body}

    async def send(self, message: Message) -> None:
        """Send the head, or a piece of the body. **Raises** RuntimeError for what HTTP or ASGI does not allow."""
        if self._line.is_write_paused and not self.disconnected:
            await self._line.writable()
        if self.disconnected:
            return
        if not self._started:
            self._start(message)
        elif not self.is_complete:
            self._go_on(message)
        else:
            raise RuntimeError("the response is complete already")

    def _start(self, message: Message) -> None:
        if message["type"] != "http.response.start":
            raise RuntimeError("a response begins with its start")
        status = message["status"]
        lines = [_STATUS_LINES[status], self._line.fixed_headers()]
        count = 1 + lines[1].count(b"\n")
        self._expects_continue = False
        left: int | None = None
        closes = False
        for name, value in message.get("headers", ()):
            lower = name.lower()
            lines += (lower, b": ", value, b"\r\n")
            count += 1
            if lower == b"content-length":
                left = int(value)
            elif lower == b"transfer-encoding":
                raise RuntimeError("how a response is framed is the server's business")
            elif lower == b"connection" and b"close" in value.lower():
                closes = True
        if closes:
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(b"connection: close\r\n")
            count += 1
        if left is None and not self._is_head and status not in _BODYLESS:
            self._chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
            count += 1
        lines.append(b"\r\n")
        head = b"".join(lines)
        # One end of line per line, and none inside a name or value: nobody ends the head early or adds to it.
        if head.count(b"\n") != count + 1 or head.count(b"\r") != count + 1 or b"\0" in head:
            raise RuntimeError("a response header holds what ends one")
        self._left = left or 0
        self._head = head
        self._started = True

    def _go_on(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            raise RuntimeError("a response goes on with its body")
        body = message.get("body", b"")
        is_last = not message.get("more_body", False)
        if self._is_head:
            body = b""
            self._left = 0
        elif self._chunked:
            piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body = piece + b"0\r\n\r\n" if is_last else piece
        else:
            self._left -= len(body)
            if self._left < 0 or (is_last and self._left):
                raise RuntimeError("the body is not as long as its head says")
        self._write(body)
        if is_last:
            self.is_complete = True
            self.wake()
            if not self.keep_alive:
                self._line.transport.close()
            self._line.answered()

    def _write(self, body: bytes) -> None:
        head, self._head = self._head, b""
        if not head:
            self._line.transport.write(body)
        elif len(body) <= _COPIED_BYTES:
            self._line.transport.write(head + body)
        else:
            self._line.transport.writelines((head, body))

    async def _fail(self) -> None:
        # What has left cannot be taken back; that the rest is missing shows by the framing.
        if self._started and not self._head:
            self._line.transport.close()
            return
        self._started, self._chunked, self._head = False, False, b""
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(_FAILED)), (b"connection", b"close")]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": _FAILED})
