"""Cursors: sealed, padded, bound (SPEC C5)."""

from __future__ import annotations

from base64 import urlsafe_b64decode

import pytest

from gateway.errors import GatewayError
from gateway.governance.cursors import PAYLOAD_BYTES_MAX, CursorCodec

CODEC = CursorCodec(b"a secret of the mesh, for tests")
HERE = b"order/orders-daily@2.1.0|order|filter|ruling|key"


def refusal(cursor: str, bound_to: bytes = HERE, codec: CursorCodec = CODEC) -> tuple[str, str, str]:
    with pytest.raises(GatewayError) as caught:
        codec.open(cursor, bound_to)
    return caught.value.code.name, caught.value.message, caught.value.hint


def test_a_cursor_opens_where_it_was_sealed() -> None:
    for payload in (b"", b"x", b"\0\0", bytes(range(256)), b"y" * PAYLOAD_BYTES_MAX):
        assert CODEC.open(CODEC.seal(payload, HERE), HERE) == payload


def test_equal_pages_have_equal_cursors_and_many_are_sealed_as_one() -> None:
    payloads = [b"%d" % number for number in range(100)]
    sealed = CODEC.seal_many(payloads, HERE)
    assert sealed == [CODEC.seal(payload, HERE) for payload in payloads]
    assert len(set(sealed)) == 100
    assert CursorCodec(b"a secret of the mesh, for tests").open(sealed[7], HERE) == b"7"


def test_a_cursor_shows_neither_payload_nor_its_exact_length() -> None:
    short, long = CODEC.seal(b"4111111111111111", HERE), CODEC.seal(b"4", HERE)
    assert len(short) == len(long) == 64
    assert b"4111" not in urlsafe_b64decode(short)
    assert short[:20] != long[:20]
    assert set(CODEC.seal(b"z" * 500, HERE)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_every_cursor_that_is_not_ours_is_refused_with_one_message() -> None:
    cursor = CODEC.seal(b"payload", HERE)
    edited = cursor[:10] + ("A" if cursor[10] != "A" else "B") + cursor[11:]
    refusals = {
        refusal(edited),
        refusal(cursor, b"another list"),
        refusal(cursor, codec=CursorCodec(b"another secret of a mesh")),
        refusal(cursor[:-1]),
        refusal(""),
        refusal("!" * 64),
        refusal("é" * 64),
        refusal("=" * 64),
        refusal("A" * 100_000),
        refusal(cursor + "\n"),
    }
    assert len(refusals) == 1
    assert refusals.pop()[0] == "BAD_USER_INPUT"


def test_a_cursor_that_was_opened_is_refused_elsewhere_and_edited_as_before() -> None:
    sealed = CODEC.seal(b"place", HERE)
    assert CODEC.open(sealed, HERE) == CODEC.open(sealed, HERE) == b"place"
    other = refusal(sealed, b"another list")
    assert other == refusal(sealed[:-1] + ("A" if sealed[-1] != "A" else "B")) == refusal(sealed, b"another list")
    assert CODEC.open(sealed, HERE) == b"place"


def test_long_cursors_open_as_often_as_they_are_sent() -> None:
    sealed = CODEC.seal(b"p" * 1_000, HERE)
    assert CODEC.open(sealed, HERE) == CODEC.open(sealed, HERE) == b"p" * 1_000


def test_a_cursor_has_one_spelling_only() -> None:
    cursor = next(found for number in range(100) if "-" in (found := CODEC.seal(b"%d" % number, HERE)))
    assert refusal(cursor.replace("-", "+"))[0] == "BAD_USER_INPUT"


def test_what_is_too_long_or_too_weak_is_refused_when_made() -> None:
    with pytest.raises(ValueError, match="at most"):
        CODEC.seal(b"x" * (PAYLOAD_BYTES_MAX + 1), HERE)
    with pytest.raises(ValueError, match="16 bytes"):
        CursorCodec(b"short")
