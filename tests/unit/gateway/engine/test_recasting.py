"""Rows that an answer shows whole become its objects; all others are left alone."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.engine.recasting import recast


def row_class(*columns: int) -> type[msgspec.Struct]:
    fields = [(f"c{index}", Any, None) for index in columns]
    return msgspec.defstruct("Row", fields, rename={f"c{index}": f"column_{index}" for index in columns}, gc=False)


def test_rows_shown_whole_are_spelt_as_the_answer_and_can_still_be_read() -> None:
    rows = msgspec.json.decode(b'[{"column_1":"a","column_3":1.5},{"column_3":null}]', type=list[row_class(1, 3)])  # type: ignore[misc]
    assert recast(rows, (("total", 1), ("amount", 3)))
    assert msgspec.json.encode(rows) == b'[{"total":"a","amount":1.5},{"total":null,"amount":null}]'
    assert [row.c1 for row in rows] == ["a", None]


def test_a_row_with_a_column_that_is_not_shown_is_left_alone() -> None:
    rows = [row_class(1, 2, 3)("a", "hidden", "b")]
    assert not recast(rows, (("one", 1), ("three", 3)))
    assert b"one" not in msgspec.json.encode(rows)


def test_columns_in_another_order_or_shown_twice_are_shaped_instead() -> None:
    rows = [row_class(1, 3)("a", "b")]
    assert not recast(rows, (("three", 3), ("one", 1)))
    assert not recast(rows, (("one", 1), ("three", 3), ("again", 3)))
    assert not recast(rows, (("one", 1),))


def test_pages_that_were_decoded_differently_are_shaped_instead() -> None:
    rows = [row_class(1)("a"), row_class(1)("b")]
    assert not recast(rows, (("one", 1),))
    assert msgspec.json.encode(rows) == b'[{"column_1":"a"},{"column_1":"b"}]'


def test_no_rows_need_no_class() -> None:
    assert recast([], (("one", 1),))
