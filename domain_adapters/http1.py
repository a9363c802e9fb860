"""One HTTP/1.1 connection: a request's bytes go out, one bounded answer comes back.

Rejects what is not HTTP, heads and trailers above 64 KiB, bodies above the call's limit or what the process has room for, protocol
upgrades, and bytes that nobody asked for; touches one socket. Follows nothing and decompresses nothing (`transport` does, in steps).
"""

from __future__ import annotations

import asyncio
from io import BytesIO
from typing import cast

import httptools
import msgspec

from domain_adapters.allowance import UNCOUNTED_BYTES, Allowance, Share
from domain_adapters.errors import NoRoomError, PortBrokenPromiseError, PortError, PortUnavailableError

__all__ = ["Connection", "RawAnswer"]

QUIET_MAX_BYTES = 64 * 1024
_AT_ONCE_BYTES = 1024 * 1024
"""Of a large body, how much is taken before others get a turn of the event loop: it would read megabytes in one."""

_KEPT_HEADERS = frozenset((b"content-type", b"content-encoding", b"retry-after"))
_BODYLESS = frozenset((204, 304))


class RawAnswer(msgspec.Struct, frozen=True):
    """A whole answer as received; ``headers``: only those that a port reads, names in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


def _give_up(ready: asyncio.Future[RawAnswer]) -> None:
    if not ready.done():
        ready.set_exception(TimeoutError())


class Connection(asyncio.Protocol):
    """A connection that answers one request at a time and reports whether it may be used again.

    What an answer holds is taken of ``allowance`` while it arrives: all that its head announces at once, so that what has begun to arrive
    also ends, and else as it comes.
    """

    __slots__ = (
        "_answer",
        "_body",
        "_body_max",
        "_failure",
        "_head_done",
        "_headers",
        "_loop",
        "_parser",
        "_pauses_at",
        "_quiet",
        "_ready",
        "_room",
        "_share",
        "_size",
        "_status",
        "_transport",
        "_until_eof",
        "began",
        "idle_since_s",
        "opened_at_s",
        "reusable",
    )

    def __init__(self, allowance: Allowance) -> None:
        self._share = Share(allowance)
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._ready: asyncio.Future[RawAnswer] | None = None
        self.reusable = False
        self.began = False
        self.opened_at_s = 0.0
        self.idle_since_s = 0.0
        self._clear(0)

    def _clear(self, body_max: int) -> None:
        self._body_max = body_max
        self._room = min(body_max, UNCOUNTED_BYTES)
        self._pauses_at = _AT_ONCE_BYTES
        self._body: bytes | BytesIO = b""
        self._size = 0
        self._quiet = 0
        self._answer: RawAnswer | None = None
        self._failure: PortError | None = None
        self._clear_head()

    def _clear_head(self) -> None:
        self._head_done = self._until_eof = False
        self._headers: dict[bytes, bytes] = {}
        self._status = 0

    async def exchange(self, head: bytes, body: bytes | None, body_max: int, until_s: float) -> RawAnswer:
        """Send one request and wait for its whole answer, until ``until_s`` (loop time); whoever gives up waiting closes the socket.

        Raises: `TimeoutError`, `PortUnavailableError` (reset, truncated), `PortBrokenPromiseError` (not HTTP, too large),
        `NoRoomError`. ``began`` tells whether a byte of the answer had arrived.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            self.began = self.reusable = False
            raise PortUnavailableError("the connection was closed", reason="reset")
        self._clear(body_max)
        self.began = self.reusable = False
        loop = self._loop
        ready: asyncio.Future[RawAnswer] = loop.create_future()
        self._ready = ready
        # Not asyncio.timeout: there is one future to end, and this is the hot path.
        timer = loop.call_at(until_s, _give_up, ready)
        try:
            transport.write(head if body is None else head + body)
            return await ready
        finally:
            timer.cancel()
            self._ready = None
            # An idle connection holds nothing of its last answer, and counts nothing for it.
            self._answer, self._body = None, b""
            self._share.close()
            if not self.reusable:
                transport.abort()

    def close(self) -> None:
        """Close the socket at once."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    # -- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; bytes outside an exchange end the connection."""
        ready = self._ready
        if ready is None or ready.done():
            self.close()
            return
        self.began = True
        self._quiet += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(PortBrokenPromiseError("the endpoint switched protocols", reason="not_http"))
        except httptools.HttpParserError:
            # After a whole answer this means that more bytes followed than the head had announced.
            self._fail(PortBrokenPromiseError("the endpoint's answer is not well-formed HTTP", reason="not_http"))
        if self._failure is None and self._answer is None and self._quiet > QUIET_MAX_BYTES:
            self._fail(PortBrokenPromiseError("the endpoint's answer has too large a head", reason="too_large"))
        self._settle(ready)

    def connection_lost(self, exc: Exception | None) -> None:
        """End an answer that lasts until the end of the connection; fail any other."""
        self.reusable = False
        ready = self._ready
        if ready is None or ready.done():
            return
        if exc is None and self._until_eof and self._failure is None:
            self._answer = self._whole()
        elif self._failure is None:
            reason = "truncated" if self.began else "reset"
            self._fail(PortUnavailableError("the endpoint closed the connection before its answer was complete", reason=reason))
        self._settle(ready)
        self.reusable = False

    def _fail(self, failure: PortError) -> None:
        if self._failure is None:
            self._failure = failure

    def _settle(self, ready: asyncio.Future[RawAnswer]) -> None:
        if self._failure is not None:
            self.reusable = False
            ready.set_exception(self._failure)
        elif self._answer is not None:
            ready.set_result(self._answer)

    # -- what the parser calls

    def on_message_begin(self) -> None:
        """Refuse a second answer to one request."""
        if self._answer is not None:
            self._fail(PortBrokenPromiseError("the endpoint answered once more than it was asked", reason="not_http"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the few headers that ports read; trailers are not among them."""
        if not self._head_done:
            lower = name.lower()
            if lower in _KEPT_HEADERS:
                self._headers[lower] = value
            elif lower in {b"content-length", b"transfer-encoding"}:
                self._headers[b"framed"] = value

    def on_headers_complete(self) -> None:
        """Read the status and how the body ends."""
        self._status = self._parser.get_status_code()
        if self._status >= 200:
            self._head_done = True
            self._until_eof = b"framed" not in self._headers and self._status not in _BODYLESS
            self._quiet = 0

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body within the call's limit."""
        self._quiet = 0
        self._size += len(part)
        if self._size > self._room and not self._has_room():
            return
        if isinstance(self._body, BytesIO):
            self._body.write(part)
        elif not self._body:
            self._body = part
        else:
            # Unlike a bytearray, it gives its bytes away in the end without copying all of them in one go.
            body = BytesIO()
            body.write(self._body)
            body.write(part)
            self._body = body

    def _has_room(self) -> bool:
        """Take room for what has arrived and what is announced; else fail."""
        if self._failure is not None:
            return False
        announced = self._headers.get(b"framed", b"").strip()
        size = max(self._size, int(announced)) if announced.isdigit() else self._size
        if size > self._body_max:
            self._fail(PortBrokenPromiseError("the endpoint's answer is larger than the limit", reason="too_large"))
        else:
            try:
                self._share.reach(size)
            except NoRoomError as failure:
                self._fail(failure)
            else:
                if self._size > self._pauses_at:
                    self._pauses_at = self._size + _AT_ONCE_BYTES
                    self._pause()
                self._room = min(size, self._pauses_at)
                return True
        self.close()
        return False

    def _pause(self) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.resume_reading()

    def _whole(self) -> RawAnswer:
        return RawAnswer(self._status, self._headers, self._body if isinstance(self._body, bytes) else self._body.getvalue())

    def on_message_complete(self) -> None:
        """Finish the answer, or pass over an interim one (1xx)."""
        if self._status < 200:
            self._clear_head()
            return
        self._answer = self._whole()
        self.reusable = self._failure is None and self._parser.should_keep_alive()
