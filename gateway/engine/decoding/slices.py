"""A large page of bytes -> its rows some at a time, and the page around them: nothing of it is decoded in one go.

A C decoder holds the interpreter until it is through, in whichever thread, so a page of tens of megabytes is cut before it is
decoded. Cuts are guessed, by how the first row begins, and *proved by decoding*: what lies between two cuts must be whole rows. JSON is
read from left to right, so text that reads as whole rows from the beginning of a row on ends where a row ends, whatever stands in
strings and nested values. A page that is not cut after some guesses is left to whoever decodes it whole. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

__all__ = ["NotCutError", "slices"]

T = TypeVar("T")
_MISSES_MAX = 8
_LIKELY_MAX = 4
_DOUBTFUL_MAX = 8
_LOOKED_AT_MAX = 256
_HEAD_MAX = 64 * 1024
_BEGIN = re.compile(rb'"[dD]ata"[ \t\r\n]*:[ \t\r\n]*\[')
_FIRST_ROW = re.compile(rb'[ \t\r\n]*(\{[ \t\r\n]*"[^"\\]{0,250}"[ \t\r\n]*:)')
_ANY_ROW = b"{"
_SPACE = b" \t\r\n"


class NotCutError(Exception):
    """The page's rows cannot be told apart so."""


class _Head(msgspec.Struct):
    data: list[Any] | None = None
    Data: list[Any] | None = None


_head = msgspec.json.Decoder(_Head)


def slices(body: bytes, decode: Callable[[bytes], Sequence[T]], size: int) -> Generator[Sequence[T], None, bytes]:
    """Yield what ``decode`` makes of JSON arrays of rows, of about ``size`` bytes each; return the page with one row, ``{}``.

    **Raises** `NotCutError`, and what ``decode`` raises but for a plain `msgspec.DecodeError`, which says that these are no rows.
    """
    start = _start(body)
    if (first := _FIRST_ROW.match(body, start)) is None:
        raise NotCutError
    prefix, at, room = first[1], first.start(1), size
    misses, misses_max = 0, _MISSES_MAX
    while True:
        for end, next_at in _cuts(body, prefix, at, at + room, trusts=not misses):
            if (rows := _decoded(body, at, end, decode)) is not None:
                yield rows
                at, room = next_at, size
                misses_max += 1
                break
            misses += 1
            if misses > misses_max:
                raise NotCutError
        else:
            if at + room < len(body):
                room *= 2
                continue
            # Nothing here looks like the beginning of another row.
            for end in _ends(body, at):
                if (rows := _decoded(body, at, end, decode)) is not None:
                    yield rows
                    return b"%b{}%b" % (body[:start], body[end:])
            raise NotCutError


def _start(body: bytes) -> int:
    """Find where the rows begin: in an array that is a member of the page itself."""
    for found in _BEGIN.finditer(body, 0, _HEAD_MAX):
        try:
            head = _head.decode(body[: found.end()] + b"]}")
        except (msgspec.DecodeError, RecursionError):
            continue
        if (head.Data if head.data is None else head.data) == []:
            return found.end()
    raise NotCutError


def _cuts(body: bytes, prefix: bytes, start: int, stop: int, *, trusts: bool) -> Iterator[tuple[int, int]]:
    """Give places, the last before ``stop`` first, that look like the end of one row and the beginning of the next.

    ``trusts``: the first is as good as any, as it was until now.
    """
    for needle in (prefix, _ANY_ROW):
        doubtful: list[tuple[int, int]] = []
        likely, balance, known = 0, _Balance(body, start), None
        before = stop
        for _ in range(_LOOKED_AT_MAX):
            if (next_at := body.rfind(needle, start + 1, before)) < 0 or likely == _LIKELY_MAX:
                break
            before = next_at
            comma = _before(body, next_at)
            if body[comma - 1] != 0x2C or body[(end := _before(body, comma - 1)) - 1] != 0x7D:
                continue
            # Within a nested value more is opened than closed, as far as brackets in text do not blur that.
            known = (trusts and not likely) or balance.at(end)
            if known:
                likely += 1
                yield end, next_at
            elif len(doubtful) < _DOUBTFUL_MAX:
                doubtful.append((end, next_at))
        yield from doubtful
        if known is not None:
            return


class _Balance:
    """Whether as many brackets are opened as closed between ``start`` and places before it or after the last one asked for."""

    __slots__ = ("_at", "_body", "_braces", "_brackets")

    def __init__(self, body: bytes, start: int) -> None:
        self._body = body
        self._at = start
        self._braces = self._brackets = 0

    def at(self, end: int) -> bool:
        """Say so of the text up to ``end``."""
        count, low, high = self._body.count, min(end, self._at), max(end, self._at)
        sign = 1 if end > self._at else -1
        self._braces += sign * (count(b"{", low, high) - count(b"}", low, high))
        self._brackets += sign * (count(b"[", low, high) - count(b"]", low, high))
        self._at = end
        return not self._braces and not self._brackets


def _ends(body: bytes, start: int) -> Iterator[int]:
    """Give places that look like the end of the array in which the last row, or the last few, begin at ``start``."""
    doubtful: list[int] = []
    balance, end = _Balance(body, start), start
    for _ in range(_LOOKED_AT_MAX):
        if (end := body.find(b"]", end + 1)) < 0:
            break
        if balance.at(end):
            yield end
        elif len(doubtful) < _DOUBTFUL_MAX:
            doubtful.append(end)
    yield from doubtful


def _before(body: bytes, at: int) -> int:
    while body[at - 1] in _SPACE:
        at -= 1
    return at


def _decoded(body: bytes, start: int, end: int, decode: Callable[[bytes], Sequence[T]]) -> Sequence[T] | None:
    try:
        return decode(b"[%b]" % body[start:end])
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return None
