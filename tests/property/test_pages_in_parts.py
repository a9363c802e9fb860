"""A page that is decoded in parts gives what it gives decoded whole, however it is written and whatever stands in its text."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.fields import Kind, Scalar
from gateway.catalog.snapshot import snapshot_of
from gateway.engine.decoding.decode import PageDecoder, RowDecoders
from gateway.engine.decoding.large import fast_in_turns, slow_in_turns
from gateway.engine.decoding.slices import NotCutError, slices
from gateway.errors import GatewayError

from ..attacks.lying import STRING, contract

MISLEADING = st.sampled_from(['},{"id":1,', "}]", "],", '{"id":', '"data":[', "[{[{", '\\"},{\\"id\\":', "é"])
TEXTS = st.lists(st.one_of(MISLEADING, st.text(max_size=4)), max_size=3).map("".join)
CELLS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.integers(-5, 5), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["id", "x", "data"]), inner, max_size=2)),
    max_leaves=6,
)
ROWS = st.lists(st.dictionaries(st.sampled_from(["id", "n", "doc", "data", "other"]), CELLS, max_size=4), max_size=40)
BESIDE = st.dictionaries(st.sampled_from(["nextCursor", "metadata", "count", "groups", "more"]), CELLS, max_size=3)
LAYOUTS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {"separators": (",", ":")}, {"indent": 1}, {"separators": (" ,\t", " : ")}]
)


@st.composite
def pages(draw: st.DrawFn) -> bytes:
    members = [*draw(BESIDE).items(), ("data", draw(ROWS))]
    return json.dumps(dict(draw(st.permutations(members))), ensure_ascii=draw(st.booleans()), **draw(LAYOUTS)).encode()


@settings(max_examples=200, deadline=None)
@given(pages(), st.integers(1, 200))
def test_the_parts_of_a_page_are_its_rows_in_order_and_what_is_around_them(body: bytes, size: int) -> None:
    whole = msgspec.json.decode(body)
    rows: list[Any] = []
    around = None
    parts = slices(body, msgspec.json.Decoder(list[Any]).decode, size)
    with contextlib.suppress(NotCutError):
        while around is None:
            try:
                rows += next(parts)
            except StopIteration as end:
                around = msgspec.json.decode(end.value)
    if around is None:
        assert rows == whole["data"][: len(rows)]
        return
    assert rows == whole["data"] != []
    assert around == whole | {"data": [{}]}


def decoder() -> PageDecoder:
    columns = {"id": Scalar(Kind.LONG), "n": Scalar(Kind.DECIMAL, 10, 2), "t": STRING, "doc": Scalar(Kind.JSON)}
    (product,) = snapshot_of([contract("orders", columns)], {}).products.values()
    return RowDecoders(product, {}).decoder(frozenset(range(4)))


def plain(found: Any) -> Any:
    rows = [msgspec.structs.astuple(row) for row in found.rows]
    place = {id(row): at for at, row in enumerate(found.rows)}
    return (
        rows,
        [(place[id(row)], columns) for row, columns in found.bad.values()],
        found.dropped,
        found.next_cursor,
        found.metadata,
        found.count,
    )


ITEMS: list[dict[str, Any]] = [
    {
        "id": at,
        "n": f"{at}.25",
        "t": '},{"id":7,"x":[' * (at % 3),
        "doc": {"id": [{"id": at}, {"id": "]"}]},
        "unknown": [{"id": 1}, {"id": 2}],
    }
    for at in range(300)
]


def written(rows: Any, **beside: Any) -> bytes:
    return msgspec.json.encode({"metadata": {"data": [1]}, "data": rows, "nextCursor": "next", "count": 7, **beside})


@pytest.mark.parametrize(
    "body",
    [
        written(ITEMS),
        json.dumps(json.loads(written(ITEMS)), indent=3).encode(),
        written([*ITEMS, {"n": "1"}, {"t": "x", "id": 5}, {}]),
        written([{} for _ in range(300)]),
        written([{"id\\": 1} for _ in range(300)]),
        written(ITEMS)[:-1] + b',"data":[{"id":1},{"id":2}]}',
        written(ITEMS)[:-1] + b',"data":[]}',
        written(ITEMS)[:-1] + b',"Data":[{"id":1},{"id":2}]}',
        written(ITEMS).replace(b'"data":[{', b'"Data":[{'),
        written(ITEMS).replace(b'"data":[{', b'"Data":[{')[:-1] + b',"data":[]}',
    ],
)
async def test_typed_rows_of_a_page_in_turns_are_those_of_the_whole(body: bytes) -> None:
    given = await fast_in_turns(decoder(), body)
    whole = decoder().fast(body)
    assert given is not None
    assert whole is not None
    assert plain(given) == plain(whole)
    assert plain((await slow_in_turns(decoder(), body, frozenset()))[0]) == plain(decoder().slow(body, frozenset())[0])


BAD = [it | {"n": "bad" if it["id"] % 50 == 0 else it["n"]} for it in ITEMS]


@pytest.mark.parametrize("must", [frozenset[int](), frozenset({1})])
async def test_cells_that_break_their_type_are_found_in_turns_as_in_the_whole(must: frozenset[int]) -> None:
    body = written([*BAD, 5, None, {"id": 3, "n": 7.25}])
    assert await fast_in_turns(decoder(), body) is None
    given, whole = await slow_in_turns(decoder(), body, must), decoder().slow(body, must)
    assert plain(given[0]) == plain(whole[0])
    assert given[1:] == whole[1:]
    assert len(given[0].bad) + given[0].dropped == len([it for it in BAD if it["n"] == "bad"]) + 2


@pytest.mark.parametrize(
    "body", [written(ITEMS)[:-300], b"[" * 100_000, b'{"data":[' + b'{"id":1},' * 20_000, b'{"data":{}}' + b" " * 9_000]
)
async def test_a_large_page_that_is_none_is_refused(body: bytes) -> None:
    assert await fast_in_turns(decoder(), body) is None
    with pytest.raises(GatewayError) as refusal:
        await slow_in_turns(decoder(), body, frozenset())
    assert refusal.value.code.name == "UPSTREAM_INVALID"
