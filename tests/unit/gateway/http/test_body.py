"""Bodies: read whole, decompressed, and never beyond their bound."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Iterable

import pytest
from starlette.types import Message, Receive

from gateway.http.body import ClientGoneError, read
from gateway.http.refusals import RefusalError

BODY = b'{"query": "{ hello }"}'


def arriving(chunks: Iterable[bytes], *, end: Message | None = None) -> Receive:
    """Receive chunks, then ``end``, then nothing for ever."""
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append(end or {"type": "http.request"})

    async def receive() -> Message:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    return receive


async def body(chunks: Iterable[bytes], headers: dict[bytes, bytes] | None = None, max_bytes: int = 1000) -> bytes:
    return await read(arriving(chunks), headers or {}, max_bytes, 5.0)


async def refusal(chunks: Iterable[bytes], headers: dict[bytes, bytes] | None = None, max_bytes: int = 1000) -> RefusalError:
    with pytest.raises(RefusalError) as caught:
        await body(chunks, headers, max_bytes)
    return caught.value


async def test_chunks_are_joined() -> None:
    assert await body([BODY[:5], b"", BODY[5:]]) == BODY


async def test_a_body_at_the_bound_passes_and_one_byte_more_does_not() -> None:
    assert await body([b"x" * 500, b"x" * 500]) == b"x" * 1000
    assert (await refusal([b"x" * 500, b"x" * 501])).status == 413


async def test_an_announced_length_beyond_the_bound_is_refused_unread() -> None:
    async def never() -> Message:
        raise AssertionError

    with pytest.raises(RefusalError) as caught:
        await read(never, {b"content-length": b"1001"}, 1000, 5.0)
    assert caught.value.status == 413
    assert (b"connection", b"close") in caught.value.headers
    assert "body_max_bytes" in caught.value.message


@pytest.mark.parametrize("length", [b"-1", b"1e3", b"", b"9" * 30, "٣".encode()])
async def test_a_length_that_is_no_number_is_refused(length: bytes) -> None:
    assert (await refusal([], {b"content-length": length})).status == 400


async def test_two_ways_of_framing_are_refused() -> None:
    assert (await refusal([], {b"content-length": b"1", b"transfer-encoding": b"chunked"})).status == 400


PACKED = {
    b"gzip": gzip.compress(BODY, mtime=0),
    b"x-gzip": gzip.compress(BODY, mtime=0),
    b" GZIP ": gzip.compress(BODY, mtime=0),
    b"deflate": zlib.compress(BODY),
    b"identity": BODY,
    b"": BODY,
}


@pytest.mark.parametrize("encoding", PACKED)
async def test_bodies_are_decompressed(encoding: bytes) -> None:
    assert await body([PACKED[encoding]], {b"content-encoding": encoding}) == BODY


async def test_deflate_without_its_envelope_is_understood() -> None:
    packer = zlib.compressobj(wbits=-15)
    assert await body([packer.compress(BODY) + packer.flush()], {b"content-encoding": b"deflate"}) == BODY


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, gzip", b"compress", b"\xff"])
async def test_other_encodings_are_refused(encoding: bytes) -> None:
    assert (await refusal([BODY], {b"content-encoding": encoding})).status == 415


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
async def test_a_bomb_ends_at_the_bound(encoding: bytes) -> None:
    plain = b"0" * 50_000_000
    bomb = gzip.compress(plain, mtime=0) if encoding == b"gzip" else zlib.compress(plain)
    assert (await refusal([bomb], {b"content-encoding": encoding}, max_bytes=100_000)).status == 413


async def test_a_body_at_the_bound_after_decompression_passes() -> None:
    assert await body([gzip.compress(b"x" * 1000)], {b"content-encoding": b"gzip"}) == b"x" * 1000
    assert (await refusal([gzip.compress(b"x" * 1001)], {b"content-encoding": b"gzip"})).status == 413


@pytest.mark.parametrize(
    ("packed", "told"),
    [
        (b"not compressed", "not compressed as"),
        (gzip.compress(BODY, mtime=0)[:-4], "cut off"),
        (b"", "cut off"),
        (gzip.compress(BODY, mtime=0) + b"more", "followed by"),
        (gzip.compress(BODY, mtime=0) * 2, "followed by"),
    ],
)
async def test_broken_compression_is_refused(packed: bytes, told: str) -> None:
    found = await refusal([packed], {b"content-encoding": b"gzip"})
    assert found.status == 400
    assert told in found.message


async def test_a_client_that_leaves_is_noticed() -> None:
    with pytest.raises(ClientGoneError):
        await read(arriving([b"x"], end={"type": "http.disconnect"}), {}, 1000, 5.0)


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    messages: list[Message] = [{"type": "http.request", "body": b"x", "more_body": True}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        return await asyncio.Event().wait()  # type: ignore[return-value]  # never returns

    with pytest.raises(RefusalError) as caught:
        await read(receive, {}, 1000, 0.01)
    assert caught.value.status == 408
