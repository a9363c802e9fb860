"""Bodies of tens of megabytes, received and sent: no turn of the event loop is held long by one of them, as the server runs it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
import uvloop

from domain_adapters.addresses import AddressPolicy
from domain_adapters.transport import PooledClient
from gateway.http.memory import keep_memory
from tests.conftest import within
from tests.unit.domain_adapters.crooked import CrookedServer, Visit

from .ticks import ticking

HELD_S = 0.010
RUNS = 4
BODY = b'{"data": [' + b" " * (64 * 1024 * 1024 - 12) + b"]}"


async def large(visit: Visit) -> None:
    """Answer 64 MiB, with or without saying so before."""
    if visit.path == "/announced":
        await visit.answer(BODY)
        return
    await visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """Serve from another thread, whose time is not the loop's, to a process that allocates as the server's does."""
    keep_memory()
    ready: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        async with CrookedServer(large) as server:
            ready.set_result((server.origin, asyncio.get_running_loop(), over))
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    origin, loop, over = ready.result()
    yield origin
    loop.call_soon_threadsafe(over.set)
    thread.join()


@pytest.mark.parametrize("path", ["/announced", "/unannounced"])
def test_receiving_a_large_body_does_not_hold_the_loop_long(origin: str, path: str) -> None:
    async def received() -> list[float]:
        client = PooledClient(origin, policy=AddressPolicy(loopback=True))
        found: list[float] = []
        while len(found) < RUNS and not (found and min(found) < HELD_S / 2):
            async with ticking() as longest_s:
                answer = await client.send("GET", path, timeout_s=120, body_max_bytes=len(BODY))
                await asyncio.sleep(0)
            assert len(answer.body) == len(BODY)
            found.append(longest_s())
        await client.aclose()
        return found

    found = uvloop.run(received())
    assert min(found) < within(HELD_S), found
