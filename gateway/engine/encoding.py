"""Objects of a long answer -> JSON: rows some at a time and before the answer is put together, and then the answer piece by piece. Pure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

__all__ = ["CELLS_ENCODED", "in_json", "in_pieces"]

CELLS_ENCODED = 20_000
"""From how many cells on a list is long: fewer are encoded at the end, in a few milliseconds at most."""

_PIECE_BYTES = 1024 * 1024
_SLICE_BYTES = 128 * 1024
_NESTED_MAX = 12
_Text = bytes | memoryview

_encoder = msgspec.json.Encoder(decimal_format="string")
_encode, _encode_lines = _encoder.encode, _encoder.encode_lines


def in_json(objects: Sequence[Any], spend: Callable[[bytes], object]) -> list[msgspec.Raw]:
    """Encode each object; a line break within one is never written as such. ``spend``: told of the bytes; what it raises is raised."""
    lines = _encode_lines(objects)
    spend(lines)
    return list(map(msgspec.Raw, lines.split(b"\n")[:-1]))


async def in_pieces(value: Any, spend: Callable[[bytes], object]) -> list[bytes]:
    """Encode an object, the same bytes as in one go, in pieces of about a megabyte with turns for others between them.

    Nothing in it changes meanwhile. ``spend``: as in `in_json`.
    """
    pieces: list[bytes] = []
    texts: list[_Text] = []
    size = 0
    for text in _texts(value, 0):
        texts.append(text)
        size += len(text)
        if size >= _PIECE_BYTES:
            pieces.append(b"".join(texts))
            spend(pieces[-1])
            texts, size = [], 0
            await asyncio.sleep(0)
    pieces.append(b"".join(texts))
    spend(pieces[-1])
    return pieces


def _texts(value: Any, depth: int) -> Iterator[_Text]:
    if depth < _NESTED_MAX:
        if isinstance(value, msgspec.Struct):
            yield from _members(value, depth + 1)
            return
        if type(value) is list and value:
            yield from _items(value, depth + 1)
            return
    yield _encode(value)


def _members(value: msgspec.Struct, depth: int) -> Iterator[_Text]:
    before = b"{"
    for name, key in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
        yield b"%b%b:" % (before, _encode(key))
        yield from _texts(getattr(value, name), depth)
        before = b","
    yield b"}" if before == b"," else b"{}"


def _items(items: list[Any], depth: int) -> Iterator[_Text]:
    """Encode as many items at once as seem to make a slice: the first by itself, as items may hold lists of any length."""
    before, at, at_once = b"[", 0, 1
    while at < len(items):
        yield before
        if at_once == 1:
            size = 0
            for text in _texts(items[at], depth):
                size += len(text)
                yield text
        else:
            some = memoryview(_encode(items[at : at + at_once]))[1:-1]
            size = len(some)
            yield some
        at += at_once
        at_once = max(1, min(at_once * 8, at_once * _SLICE_BYTES // max(1, size)))
        before = b","
    yield b"]"
