"""Bodies of tens of megabytes, received and sent: no turn of the event loop is held long by one of them, as the server runs it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
import uvloop

from domain_adapters.addresses import AddressPolicy
from domain_adapters.transport import PooledClient
from gateway.engine.budget import Bounds
from gateway.exchange import Frame, Question, Reply
from gateway.http.memory import keep_memory
from tests.conftest import within
from tests.unit.domain_adapters.crooked import CrookedServer, Visit

from .lying import STRING, Mesh, analyst, contract, link
from .shapes import LONG, in_one_page, looked_up, names, port
from .ticks import held, ticking

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


# -- answers

TEXT = "fifty characters and an answer, more or less, of it"
COLUMNS = {"id": LONG, **dict.fromkeys(names(8), STRING)}
ROWS = [dict.fromkeys(COLUMNS, TEXT) | {"id": at} for at in range(70_000)]
WIDE = Bounds(rows_max=100_000, request_bytes_max=1 << 30)


def of_many_rows() -> tuple[Mesh, str]:
    """Answer 37 MB of rows."""
    columns = " ".join(COLUMNS)
    return Mesh(
        (contract("orders", COLUMNS), in_one_page(ROWS)), bounds=WIDE
    ), f"{{ shop {{ orders(first: 70000) {{ nodes {{ {columns} }} }} }} }}"


def of_few_rows_with_long_cells() -> tuple[Mesh, str]:
    """Answer 40 MB of a thousand rows."""
    rows = [{"id": at, "c0": "x" * 40_000} for at in range(1_000)]
    mesh = Mesh((contract("orders", {"id": LONG, "c0": STRING}), in_one_page(rows)), bounds=WIDE)
    return mesh, "{ shop { orders(first: 1000) { edges { cursor node { id c0 } } } } }"


def of_long_lists_of_a_few() -> tuple[Mesh, str]:
    """Answer 26 MB of the partners of twenty rows."""
    links = (link("up", "shop/ups", {"up_id": "id"}, inverse="downs"),)
    downs = looked_up(lambda key: [{"id": key * 10_000 + at, "up_id": key, "c0": TEXT * 8} for at in range(3_000)])
    ups = port([{"id": at, "up_id": at, "c0": ""} for at in range(20)])
    mesh = Mesh(
        (contract("downs", {"id": LONG, "up_id": LONG, "c0": STRING}, links=links), downs),
        (contract("ups", {"id": LONG, "up_id": LONG, "c0": STRING}), ups),
        bounds=WIDE,
    )
    return mesh, "{ shop { ups(first: 20) { nodes { id downs(first: 3000) { nodes { id c0 } } } } } }"


async def answered(mesh: Mesh, text: str) -> Reply:
    return await mesh.engine.answer(Question(text), Frame(analyst(), asyncio.get_running_loop().time() + 600, "r"))


@pytest.mark.parametrize("case", [of_many_rows, of_few_rows_with_long_cells, of_long_lists_of_a_few])
async def test_writing_a_large_answer_does_not_hold_the_loop_long(case: Callable[[], tuple[Mesh, str]]) -> None:
    keep_memory()
    mesh, text = case()
    found: list[float] = []
    while len(found) < RUNS and not (found and min(found) < HELD_S / 2):
        async with held() as measured:
            reply = await answered(mesh, text)
        found.append(measured.loop_s)
    assert reply.refusal is None, reply.body
    whole = b"".join(reply.pieces)
    assert len(whole) > 24_000_000
    assert max(map(len, reply.pieces)) < 3_000_000
    assert json.loads(whole).keys() == {"data", "extensions"}
    assert min(found) < within(HELD_S), found


async def test_an_answer_that_repeats_what_was_read_is_bounded_as_well() -> None:
    rows = [{"id": at, "c0": "x" * 10_000} for at in range(1_000)]
    mesh = Mesh((contract("orders", {"id": LONG, "c0": STRING}), in_one_page(rows)), bounds=Bounds(request_bytes_max=64 * 1024 * 1024))
    again = " ".join(f"a{number}: c0" for number in range(90))
    reply = await answered(mesh, f"{{ shop {{ orders(first: 1000) {{ nodes {{ id {again} }} }} }} }}")
    (error,) = json.loads(reply.body)["errors"]
    assert (error["extensions"]["code"], error["message"]) == (
        "LIMIT_EXCEEDED",
        "This takes in, or answers, more bytes than one request may.",
    )
    assert mesh.engine.bounds.allowance.held_bytes == 0
    again = " ".join(f"a{number}: c0" for number in range(15))
    reply = await answered(mesh, f"{{ shop {{ orders(first: 1000) {{ nodes {{ id {again} }} }} }} }}")
    assert reply.refusal is not None
    assert (reply.refusal.name, mesh.engine.bounds.allowance.held_bytes) == ("LIMIT_EXCEEDED", 0)
