"""A server that keeps no promise: each path misbehaves in a way of its own; every request and every closed socket is noted."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

Handler = Callable[["Visit"], Awaitable[None]]


@dataclass
class Visit:
    """One request as received, and the way to answer it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def answer(self, body: bytes, status: str = "200 OK", *, headers: tuple[str, ...] = ()) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        await self.send(("\r\n".join(lines) + "\r\n\r\n").encode(), body)

    async def until_closed(self) -> None:
        await self.reader.read()


@dataclass
class CrookedServer:
    handler: Handler
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    visits: list[Visit] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self._tasks: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def origin(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    @property
    def targets(self) -> list[str]:
        return [visit.target for visit in self.visits]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, target, _ = first.split(" ")
                visit = Visit(method, target, headers, body, reader, writer)
                self.visits.append(visit)
                self.arrived.set()
                await self.handler(visit)
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open_now -= 1
            self.gone.set()
            writer.close()


PAGE = b'{"data": [{"order_id": "O1"}], "nextCursor": null, "metadata": {}}'
HTML = b"<html><body>It works!</body></html>"


async def crooked(visit: Visit) -> None:  # noqa: C901, PLR0915 - a table of misdeeds
    """Misbehave as the path says."""
    send = visit.send
    match visit.path.strip("/"):
        case "redirect":
            await visit.answer(b"", "302 Found", headers=("Location: /good",))
        case "slow-head":
            await send(b"HTTP/1.1 200 OK\r\nContent-")
            await visit.until_closed()
        case "slow-body":
            await send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            await visit.until_closed()
        case "truncated":
            await send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            visit.writer.close()
        case "truncated-chunks":
            await send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            visit.writer.close()
        case "more-than-announced":
            await send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdefgh")
        case "answers-twice":
            await send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" * 2)
        case "two-lengths":
            await send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 8\r\n\r\nabcdefgh")
        case "garbage":
            await send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        case "upgrade":
            await send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: mystery\r\n\r\nabc")
        case "endless-head":
            for number in range(10_000):
                await send(b"HTTP/1.1 200 OK\r\n" if number == 0 else b"X-%d: %s\r\n" % (number, b"y" * 1_000))
        case "endless-interim":
            for _ in range(10_000):
                await send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
        case "endless-trailer":
            await send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Trailer: ")
            for _ in range(10_000):
                await send(b"y" * 1_000)
        case "interim":
            await send(b"HTTP/1.1 103 Early Hints\r\nContent-Type: text/css\r\n\r\n")
            await visit.answer(PAGE)
        case "huge":
            await send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(100_000):
                await send(b"%x\r\n%s\r\n" % (10_000, b"x" * 10_000))
        case "bomb":
            packer = zlib.compressobj(9, zlib.DEFLATED, 31)
            packed = b"".join(packer.compress(b"\0" * 1_000_000) for _ in range(300)) + packer.flush()
            await visit.answer(packed, headers=("Content-Encoding: gzip",))
        case "gzip":
            packer = zlib.compressobj(9, zlib.DEFLATED, 31)
            await visit.answer(packer.compress(PAGE) + packer.flush(), headers=("Content-Encoding: gzip",))
        case "deflate":
            await visit.answer(zlib.compress(b"[" + b"1," * 1_000_000 + b"1]"), headers=("Content-Encoding: deflate",))
        case "half-gzip":
            packer = zlib.compressobj(9, zlib.DEFLATED, 31)
            await visit.answer((packer.compress(PAGE) + packer.flush())[:-6], headers=("Content-Encoding: gzip",))
        case "no-gzip":
            await visit.answer(PAGE, headers=("Content-Encoding: gzip",))
        case "identity":
            await visit.answer(PAGE, headers=("Content-Encoding: identity",))
        case "brotli":
            await visit.answer(b"\x0b\x02\x80{}\x03", headers=("Content-Encoding: br",))
        case "reset":
            visit.writer.transport.abort()
        case "until-eof":
            await send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", PAGE[:10])
            await send(PAGE[10:])
            visit.writer.close()
        case "chunks":
            await send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for byte in PAGE:
                await send(b"1\r\n%c\r\n" % byte)
            await send(b"0\r\n\r\n")
        case "close":
            await visit.answer(PAGE, headers=("Connection: close",))
        case "html":
            await visit.answer(HTML, headers=("Content-Type: text/html",))
        case "error":
            await visit.answer(HTML, "500 Internal Server Error", headers=("Content-Type: text/html",))
        case "busy":
            await visit.answer(b"slow down", "429 Too Many Requests", headers=("Retry-After: 7",))
        case "away":
            await visit.answer(b"", "503 Service Unavailable", headers=("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT",))
        case "away-for-nonsense":
            await visit.answer(b"", "503 Service Unavailable", headers=("Retry-After: soon",))
        case _:
            await visit.answer(PAGE, headers=("Content-Type: application/json",))
