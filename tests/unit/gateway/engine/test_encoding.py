"""A long answer is the same bytes in pieces as in one go."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.compiler.structs import output_class
from gateway.engine import encoding
from gateway.engine.encoding import in_json, in_pieces
from gateway.engine.respond import receipts_bytes, reply_bytes, reply_pieces

encode = msgspec.json.Encoder(decimal_format="string").encode
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**62), 2**62), st.text(max_size=8), st.decimals(allow_nan=False, places=2))
RAW = st.sampled_from([b"1", b"[]", b'{"a":1}']).map(msgspec.Raw)
KEYS = st.lists(st.sampled_from(["a", "b", "caf\u00e9", "nodes"]), unique=True, max_size=4).map(tuple)


def struct_of(keys: tuple[str, ...], values: list[Any]) -> Any:
    return output_class(keys)(*values[: len(keys)])


VALUES = st.recursive(
    st.one_of(SCALARS, RAW),
    lambda inner: st.one_of(
        st.lists(inner, max_size=30),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.builds(struct_of, KEYS, st.lists(inner, min_size=4, max_size=4)),
    ),
    max_leaves=60,
)


async def joined(value: Any) -> bytes:
    return b"".join(await in_pieces(value, lambda _: None))


@given(VALUES)
async def test_any_answer_is_the_same_bytes_in_pieces(value: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "_PIECE_BYTES", 40)
        patch.setattr(encoding, "_SLICE_BYTES", 20)
        assert await joined(value) == encode(value)


@pytest.mark.parametrize("count", [0, 1, 2, 9, 1_000, 30_001])
async def test_long_lists_of_rows_are_the_same_bytes_in_pieces(count: int) -> None:
    row = output_class(("id", "name", "price"))
    rows = [row(at, "n" * (at % 50), Decimal(at) / 4) for at in range(count)]
    data = output_class(("shop",))(output_class(("orders", "raw"))(output_class(("nodes",))(rows), in_json(rows, lambda _: None)))
    assert await joined(data) == encode(data)


async def test_what_is_nested_without_end_is_the_same_bytes_in_pieces() -> None:
    value: Any = [1]
    for _ in range(60):
        value = output_class(("a", "b"))(value, [2])
    assert await joined(value) == encode(value)


async def test_an_answer_in_pieces_has_the_same_errors_and_receipts() -> None:
    receipts = receipts_bytes(slo=b"{}", masked=b"[]", denied=b'[{"path":"x"}]', unmet=[{"path": "y"}])
    for size in (1, 3_000_000):
        data = output_class(("shop",))(["x" * 1_000] * (size // 1_000 + 1))
        for errors in ([], [{"message": "no", "price": Decimal(1)}]):
            pieces = reply_pieces(await in_pieces(data, lambda _: None), errors, receipts)
            assert b"".join(pieces) == reply_bytes(data, errors, receipts)
            assert len(pieces) == (1 if size == 1 else 4)


async def test_what_the_pieces_weigh_is_told_and_refusing_them_ends_the_writing() -> None:
    told: list[int] = []

    def spend(piece: bytes) -> None:
        told.append(len(piece))
        if len(told) == 3:
            raise OverflowError

    with pytest.raises(OverflowError):
        await in_pieces(["x" * 1_000] * 10_000, spend)
    assert all(1_000_000 < size < 1_400_000 for size in told)
