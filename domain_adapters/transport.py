"""The client seam of the hot path: a bounded pool of connections to one upstream that keeps its promises (SPEC B7).

No redirects, no proxy from the environment, connections to checked addresses only with the name kept for ``Host`` and TLS,
mutual TLS, bytes counted while they stream and again while they are decompressed, cancellation closes the socket.
Rejects answers that are redirects, encoded unknown to us, or too large; touches sockets and the resolver.
"""

from __future__ import annotations

import asyncio
import email.utils
import re
import ssl
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from domain_adapters.addresses import AddressPolicy, Resolve, checked_addresses, system_resolve
from domain_adapters.allowance import Allowance, Share
from domain_adapters.errors import PortBrokenPromiseError, PortUnavailableError
from domain_adapters.http1 import Connection, RawAnswer

__all__ = ["Answer", "Client", "Limits", "PooledClient", "Tls"]

_VISIBLE = bytes(range(0x21, 0x7F))
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_INFLATE_STEP = 512 * 1024
_PACKED_STEP = 64 * 1024


class Answer(msgspec.Struct, frozen=True):
    """An upstream's whole answer, decompressed. ``retry_after_s``: seconds it asks us to wait, None if it does not."""

    status: int
    body: bytes
    content_type: str = ""
    retry_after_s: float | None = None


class Client(Protocol):
    """What a remote port needs of an HTTP client: one upstream, one pool, every promise of SPEC B7."""

    async def send(
        self,
        method: str,
        target: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes | None = None,
        timeout_s: float,
        body_max_bytes: int,
    ) -> Answer:
        """Send one idempotent request and read its whole answer.

        ``target``: path and query, already encoded. Raises: `PortUnavailableError` (nobody answered in time),
        `PortBrokenPromiseError` (redirect, not HTTP, unknown encoding, too large), `NoRoomError` (too much held here already).
        """

    async def aclose(self) -> None:
        """Close every connection."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files for TLS. ``ca_file`` replaces the system's authorities; certificate and key make it mutual."""

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = field(default=None, repr=False)

    def context(self) -> ssl.SSLContext:
        """Build the context; names and chains are always verified. Raises: OSError, ssl.SSLError."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate_file is not None:
            context.load_cert_chain(self.certificate_file, self.key_file)
        return context


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one upstream's pool. ``resolved_s``: how long a checked address holds; ``age_s``: how long a connection may live."""

    connections: int = 64
    connect_s: float = 3.0
    idle_s: float = 20.0
    age_s: float = 300.0
    resolved_s: float = 30.0


class PooledClient:
    """`Client` over our own HTTP/1.1 connections.

    Why not a library: of the candidates that `tests/bench/transport.py` measures, pyreqwest leaves a cancelled request's socket
    open until the head arrives, which SPEC B7 forbids; aiohttp could keep every promise and serves about a third of the small
    requests per CPU second. Beside pyreqwest this one does about 1.3 times as many small ones, and about 0.8 to 0.9 times as
    many answers of 180 KB, where the spread of the measurement is larger than the difference.
    """

    def __init__(
        self,
        origin: str,
        *,
        policy: AddressPolicy,
        tls: Tls | None = None,
        limits: Limits | None = None,
        compressed: bool = False,
        resolve: Resolve = system_resolve,
        allowance: Allowance | None = None,
    ) -> None:
        """Prepare a pool for ``origin`` (scheme, host, port); nothing is opened yet. Raises: ValueError for other URLs.

        ``allowance``: what answers are counted against while they arrive and are unpacked, by default the client's own.
        """
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None or parts.password is not None:
            raise ValueError("an endpoint's URL is http:// or https:// with a host and without credentials")
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = (tls or Tls()).context() if parts.scheme == "https" else None
        self._policy = policy
        self._limits = limits or Limits()
        self._resolve = resolve
        self._allowance = allowance or Allowance()
        self._slots = asyncio.Semaphore(self._limits.connections)
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._addresses: tuple[str, ...] = ()
        self._resolved_at_s = float("-inf")
        self._closed = False
        literal = f"[{self._host}]" if ":" in self._host else self._host
        host = literal if parts.port is None else f"{literal}:{self._port}"
        accepted = "gzip, deflate" if compressed else "identity"
        self._fixed = f"Host: {host}\r\nAccept: application/json\r\nAccept-Encoding: {accepted}\r\nUser-Agent: meshgate\r\n"

    async def send(
        self,
        method: str,
        target: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes | None = None,
        timeout_s: float,
        body_max_bytes: int,
    ) -> Answer:
        """Send one idempotent request and read its whole answer, all within ``timeout_s``; see `Client.send`."""
        head = self._head(method, target, headers, body)
        until_s = time.monotonic() + timeout_s  # the event loop's clock, without looking for the loop
        try:
            if self._slots.locked():
                async with asyncio.timeout_at(until_s):
                    await self._slots.acquire()
            else:
                await self._slots.acquire()
            try:
                raw = await self._exchange(head, body, body_max_bytes, until_s)
                if 300 <= raw.status < 400:
                    raise PortBrokenPromiseError("the endpoint redirects", reason="redirected", status=raw.status)
                content = raw.body
                if b"content-encoding" in raw.headers:
                    async with asyncio.timeout_at(until_s):
                        content = await _decoded(raw, body_max_bytes, self._allowance)
            finally:
                self._slots.release()
        except TimeoutError as error:
            raise PortUnavailableError("the endpoint did not answer in time", reason="timeout") from error
        found = raw.headers
        retry_after_s = _retry_after_s(found[b"retry-after"]) if b"retry-after" in found else None
        return Answer(raw.status, content, found.get(b"content-type", b"").decode("latin-1"), retry_after_s)

    async def aclose(self) -> None:
        """Close every connection, those in use too."""
        self._closed = True
        connections = [*self._idle, *self._busy]
        self._idle.clear()
        for connection in connections:
            connection.close()
        if connections:
            await asyncio.sleep(0)  # lets the transports tell their protocols

    def _head(self, method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes | None) -> bytes:
        if target[:1] != "/" or not target.isascii() or target.encode().translate(None, _VISIBLE):
            raise ValueError("a request target is an encoded path and query")
        lines = [f"{method} {target} HTTP/1.1\r\n", self._fixed]
        for name, value in headers:
            if not _HEADER.match(name) or not value.isprintable():
                raise ValueError("a request header has characters that HTTP does not allow")
            lines.append(f"{name}: {value}\r\n")
        if body is not None:
            lines.append(f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n")
        lines.append("\r\n")
        return "".join(lines).encode("latin-1")

    async def _exchange(self, head: bytes, body: bytes | None, body_max: int, until_s: float) -> RawAnswer:
        kept = self._reusable()
        if kept is not None:
            try:
                return await self._on(kept, head, body, body_max, until_s)
            except PortUnavailableError:
                # A kept connection may have been closed under us; requests are reads, so asking once more is safe.
                if kept.began:
                    raise
                self._drop_idle()
        async with asyncio.timeout_at(until_s):
            opened = await self._connect()
        return await self._on(opened, head, body, body_max, until_s)

    async def _on(self, connection: Connection, head: bytes, body: bytes | None, body_max: int, until_s: float) -> RawAnswer:
        self._busy.add(connection)
        try:
            return await connection.exchange(head, body, body_max, until_s)
        finally:
            self._busy.discard(connection)
            if connection.reusable and not self._closed:
                connection.idle_since_s = time.monotonic()
                self._idle.append(connection)
            else:
                connection.close()

    def _reusable(self) -> Connection | None:
        now_s = time.monotonic()
        if self._idle and now_s - self._idle[0].idle_since_s > self._limits.idle_s:
            self._drop_idle(older_than_s=now_s - self._limits.idle_s)
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and now_s - connection.opened_at_s < self._limits.age_s:
                return connection
            connection.close()
        return None

    def _drop_idle(self, older_than_s: float = float("inf")) -> None:
        kept = [connection for connection in self._idle if connection.idle_since_s > older_than_s]
        for connection in self._idle:
            if connection.idle_since_s <= older_than_s:
                connection.close()
        self._idle = kept

    async def _connect(self) -> Connection:
        if self._closed:
            raise PortUnavailableError("the client is closed", reason="closed")
        failure: Exception | None = None
        for address in await self._checked():
            try:
                async with asyncio.timeout(self._limits.connect_s):
                    _, connection = await asyncio.get_running_loop().create_connection(
                        self._connection, address, self._port, ssl=self._tls, server_hostname=self._host if self._tls else None
                    )
            except ssl.SSLError as error:
                raise PortUnavailableError("the endpoint's TLS handshake failed", reason="tls") from error
            except (OSError, TimeoutError) as error:
                failure = error
            else:
                connection.opened_at_s = time.monotonic()
                return connection
        self._resolved_at_s = float("-inf")
        reason = "timeout" if isinstance(failure, TimeoutError) else "refused"
        raise PortUnavailableError("the endpoint cannot be reached", reason=reason) from failure

    def _connection(self) -> Connection:
        return Connection(self._allowance)

    async def _checked(self) -> tuple[str, ...]:
        if time.monotonic() - self._resolved_at_s > self._limits.resolved_s:
            self._addresses = await checked_addresses(self._host, self._port, self._policy, self._resolve)
            self._resolved_at_s = time.monotonic()
        return self._addresses


async def _decoded(raw: RawAnswer, body_max: int, allowance: Allowance) -> bytes:
    encoding = raw.headers[b"content-encoding"].strip().lower()
    if encoding in {b"", b"identity"}:
        return raw.body
    if encoding not in {b"gzip", b"x-gzip", b"deflate"}:
        raise PortBrokenPromiseError("the endpoint's answer is encoded in a way that was not asked for", reason="encoding")
    inflater = zlib.decompressobj(15 if encoding == b"deflate" else 31)
    found, size = BytesIO(), 0
    with Share(allowance) as share:
        share.reach(len(raw.body))
        try:
            for piece in _unpacked(inflater, raw.body):
                size += len(piece)
                if size > body_max:
                    raise PortBrokenPromiseError("the endpoint's answer is larger than the limit", reason="too_large")
                share.reach(len(raw.body) + size)
                found.write(piece)
                if size > _INFLATE_STEP:
                    await asyncio.sleep(0)
        except zlib.error as error:
            raise PortBrokenPromiseError("the endpoint's answer cannot be decompressed", reason="encoding") from error
    if not inflater.eof or inflater.unused_data or inflater.unconsumed_tail:
        raise PortBrokenPromiseError("the endpoint's answer cannot be decompressed", reason="encoding")
    return found.getvalue()


def _unpacked(inflater: zlib._Decompress, packed: bytes) -> Iterator[bytes]:
    """Unpack some at a time, also of what goes in: what is left of that is copied by every step."""
    for start in range(0, len(packed), _PACKED_STEP):
        rest = packed[start : start + _PACKED_STEP]
        while rest and not inflater.eof:
            yield inflater.decompress(rest, _INFLATE_STEP)
            rest = inflater.unconsumed_tail
        if inflater.eof:
            # Whatever follows the end of what was packed does not belong here.
            if rest or start + _PACKED_STEP < len(packed):
                raise zlib.error
            return
    while not inflater.eof and (piece := inflater.decompress(b"", _INFLATE_STEP)):
        yield piece


def _retry_after_s(value: bytes) -> float | None:
    text = value.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
