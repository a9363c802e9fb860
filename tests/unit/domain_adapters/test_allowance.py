"""What all answers may hold together: nobody holds more, whoever ends gives everything back, and what is small is never refused."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.model import OutputPort
from domain_adapters.addresses import AddressPolicy
from domain_adapters.allowance import UNCOUNTED_BYTES, Allowance, Share
from domain_adapters.breaker import Breaker, Circuit
from domain_adapters.endpoint import Endpoint
from domain_adapters.errors import NoRoomError, PortBrokenPromiseError, PortError
from domain_adapters.kinds import Surroundings, open_remote
from domain_adapters.port import Call, Read
from domain_adapters.remote import RemotePort
from domain_adapters.transport import Limits, PooledClient

from .crooked import PAGE, CrookedServer, Visit, crooked
from .products import THINGS

LOOPBACK = AddressPolicy(loopback=True)
MB = 1_000_000
BODY = b'{"data": [' + b" " * MB + b"]}"

HOSTILE = [
    "good",
    "chunks",
    "until-eof",
    "gzip",
    "close",
    "truncated",
    "truncated-chunks",
    "reset",
    "slow-head",
    "slow-body",
    "huge",
    "bomb",
    "half-gzip",
    "no-gzip",
    "garbage",
    "answers-twice",
    "more-than-announced",
    "large",
    "large-chunks",
    "large-until-eof",
    "large-gzip",
    "large-cut",
    "large-stalled",
]


async def large(visit: Visit) -> None:
    """Answer a megabyte in some way, or misbehave as `crooked` does."""
    match visit.path.strip("/"):
        case "large":
            await visit.answer(BODY)
        case "large-chunks":
            await visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for start in range(0, len(BODY), 100_000):
                await visit.send(b"%x\r\n%s\r\n" % (len(BODY[start : start + 100_000]), BODY[start : start + 100_000]))
            await visit.send(b"0\r\n\r\n")
        case "large-until-eof":
            await visit.send(b"HTTP/1.1 200 OK\r\n\r\n", BODY)
            visit.writer.close()
        case "large-gzip":
            packer = zlib.compressobj(1, zlib.DEFLATED, 31)
            await visit.answer(packer.compress(BODY) + packer.flush(), headers=("Content-Encoding: gzip",))
        case "large-cut":
            await visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY), BODY[:500_000])
            visit.writer.close()
        case "large-stalled":
            await visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY), BODY[:500_000])
            await visit.until_closed()
        case _:
            await crooked(visit)


@pytest.fixture
async def server() -> AsyncIterator[CrookedServer]:
    async with CrookedServer(large) as server:
        yield server


def client_of(server: CrookedServer, most: int = 100 * MB) -> tuple[PooledClient, Allowance]:
    allowance = Allowance(most)
    return PooledClient(server.origin, policy=LOOPBACK, limits=Limits(connections=16), allowance=allowance), allowance


async def get(client: PooledClient, path: str, timeout_s: float = 5.0, body_max_bytes: int = 4 * MB) -> Any:
    return await client.send("GET", f"/{path}", timeout_s=timeout_s, body_max_bytes=body_max_bytes)


# -- the count


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 300_000)), max_size=60))
def test_whatever_shares_do_the_count_is_right_and_in_the_end_nothing(steps: list[tuple[int, int]]) -> None:
    allowance = Allowance(500_000)
    shares, holds = [Share(allowance, 1_000) for _ in range(5)], [0] * 5
    for place, size in steps:
        if size < 0:
            shares[place].close()
            holds[place] = 0
            continue
        counted = size if size > 1_000 else 0
        others = sum(holds) - holds[place]
        try:
            shares[place].reach(size)
        except NoRoomError:
            assert others + counted > 500_000
        else:
            assert others + counted <= 500_000
            holds[place] = max(holds[place], counted)
        assert allowance.held_bytes == sum(holds) <= 500_000
    for share in shares:
        share.close()
    assert allowance.held_bytes == 0


def test_what_is_small_is_never_refused_and_what_fits_alone_is_taken() -> None:
    allowance = Allowance(1_000_000)
    with Share(allowance) as all_of_it:
        all_of_it.reach(1_000_000)
        with Share(allowance) as small:
            small.reach(UNCOUNTED_BYTES)
            with pytest.raises(NoRoomError):
                small.reach(UNCOUNTED_BYTES + 1)
    with Share(allowance) as again:
        again.reach(1_000_000)
    assert allowance.held_bytes == 0


# -- what arrives


@pytest.mark.parametrize("path", HOSTILE)
async def test_after_an_exchange_nothing_is_counted_however_it_ended(server: CrookedServer, path: str) -> None:
    client, allowance = client_of(server)
    for _ in range(2):
        waits = 0.3 if "slow" in path or "stalled" in path else 5.0
        (found,) = await asyncio.gather(get(client, path, timeout_s=waits), return_exceptions=True)
        assert found.body in (PAGE, BODY) if not isinstance(found, PortError) else not isinstance(found, NoRoomError)
        assert allowance.held_bytes == 0
    await client.aclose()


@pytest.mark.parametrize("path", ["large-stalled", "slow-body", "slow-head"])
async def test_after_a_cancelled_exchange_nothing_is_counted(server: CrookedServer, path: str) -> None:
    client, allowance = client_of(server)
    task = asyncio.create_task(get(client, path, timeout_s=60))
    await server.arrived.wait()
    while path == "large-stalled" and not allowance.held_bytes:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert allowance.held_bytes == 0
    await client.aclose()


async def test_a_mix_of_hostile_exchanges_some_of_them_cancelled_leaves_nothing_counted(server: CrookedServer) -> None:
    random = Random(7)
    mixed = [it for it in HOSTILE if it != "bomb"]  # which takes a second to make
    client, allowance = client_of(server, 3 * MB)
    for _ in range(4):
        tasks = [asyncio.create_task(get(client, random.choice(mixed), timeout_s=random.choice((0.05, 0.3)))) for _ in range(20)]
        for task in random.sample(tasks, 6):
            for _ in range(random.randrange(20)):
                await asyncio.sleep(0)
            assert allowance.held_bytes <= 3 * MB
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert allowance.held_bytes == 0
    assert (await get(client, "large")).body == BODY
    await client.aclose()


@pytest.mark.parametrize("path", ["large", "large-chunks", "large-until-eof", "large-gzip"])
async def test_where_there_is_no_room_large_answers_are_refused_and_small_ones_are_not(server: CrookedServer, path: str) -> None:
    client, allowance = client_of(server, 2 * MB)
    with Share(allowance) as others:
        others.reach(2 * MB - 500_000)
        with pytest.raises(NoRoomError) as caught:
            await get(client, path)
        assert (caught.value.reason, allowance.held_bytes) == ("no_room", 2 * MB - 500_000)
        assert (await get(client, "good")).body == PAGE
        assert (await get(client, "gzip")).body == PAGE
    assert (await get(client, path)).body == BODY
    assert allowance.held_bytes == 0
    await client.aclose()


async def test_what_an_answer_announces_is_taken_at_once_so_that_it_also_arrives(server: CrookedServer) -> None:
    client, allowance = client_of(server, 3 * MB)
    task = asyncio.create_task(get(client, "large-stalled", timeout_s=60))
    while not allowance.held_bytes:
        await asyncio.sleep(0)
    assert allowance.held_bytes == len(BODY)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(PortBrokenPromiseError, match="larger than the limit"):
        await get(client, "large-stalled", body_max_bytes=len(BODY) - 1)
    await client.aclose()


async def test_an_idle_connection_does_not_keep_its_last_answer(server: CrookedServer) -> None:
    client, _ = client_of(server)
    await get(client, "large-chunks")
    server.visits.clear()
    gc.collect()
    tracemalloc.start()
    try:
        assert len((await get(client, "large-chunks")).body) == len(BODY)
        await asyncio.sleep(0)  # this very turn of the loop was woken by the answer
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < MB // 2
    finally:
        tracemalloc.stop()
    assert len(server.visits) == 1
    await client.aclose()


async def test_packed_answers_are_unpacked_to_their_last_byte_wherever_steps_end(server: CrookedServer) -> None:
    for size in (0, 1, 65_535, 65_536, 65_537, 512 * 1024 - 1, 512 * 1024, 512 * 1024 + 1, 1_500_000):
        for kind in (b"x" * size, Random(size).randbytes(size)):
            packer = zlib.compressobj(1, zlib.DEFLATED, 31)
            packed = packer.compress(kind) + packer.flush()

            async def answer(visit: Visit, packed: bytes = packed) -> None:
                await visit.answer(packed + (b"more" if visit.path == "/more" else b""), headers=("Content-Encoding: gzip",))

            server.handler = answer
            client, allowance = client_of(server)
            assert (await get(client, "packed")).body == kind
            with pytest.raises(PortBrokenPromiseError, match="decompressed"):
                await get(client, "more")
            assert allowance.held_bytes == 0
            await client.aclose()


# -- whose fault it is


async def test_want_of_room_is_no_failure_of_the_endpoint(server: CrookedServer) -> None:
    allowance = Allowance(MB // 2)
    around = Surroundings(policy=LOOPBACK, allowance=allowance)
    output = OutputPort(type="rest-api", path="/large", level=0)
    port = open_remote(THINGS, output, Endpoint(server.origin, level=0), around)
    for _ in range(10):
        with pytest.raises(NoRoomError):
            await port.read(Read(), Call(5.0))
    assert port.circuit is Circuit.CLOSED
    await port.aclose()


async def test_want_of_room_leaves_a_circuit_on_trial_as_it_is(server: CrookedServer) -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0], failures_max=1)
    breaker.failed()
    now[0] = 60.0
    client, _ = client_of(server, MB // 2)
    output = OutputPort(type="rest-api", path="/large", level=0)
    port = RemotePort(THINGS, output, Endpoint(server.origin, level=0), client, breaker=breaker)
    for _ in range(2):
        assert port.circuit is Circuit.HALF_OPEN
        with pytest.raises(NoRoomError):
            await port.read(Read(), Call(5.0))
    await port.aclose()
