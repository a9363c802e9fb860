"""The server's gate: what a query body may not be."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest

from contracts.fields import Field, Kind, List, Scalar
from contracts.predicates import And, Compare, Not, Operator, Or
from domain_adapters.errors import PortBrokenPromiseError, ReadInvalidError
from domain_adapters.port import Aggregate, Capabilities, GroupBy, Keys, Nulls, Order, Read
from domain_adapters.query import decode_read
from domain_adapters.wire import decode_capabilities, encode_capabilities, encode_read
from tests.unit.domain_adapters.products import product

CONTRACT = product(
    Field("name", Scalar(Kind.STRING)),
    Field("price", Scalar(Kind.DECIMAL, 10, 2)),
    Field("day", Scalar(Kind.DATE)),
    Field("tags", List(Scalar(Kind.STRING))),
)


def nested(depth: int) -> dict[str, Any]:
    node: dict[str, Any] = {"and": []}
    for _ in range(depth):
        node = {"not": node}
    return node


REFUSED: dict[str, Any] = {
    "unknown member": {"filter": 1},
    "unknown column": {"select": ["nope"]},
    "unknown column in where": {"where": {"col": "nope", "op": "eq", "value": 1}},
    "select too long": {"select": ["id"] * 6},
    "unknown operator": {"where": {"col": "id", "op": "like", "value": 1}},
    "value of another type": {"where": {"col": "id", "op": "eq", "value": "1"}},
    "null value": {"where": {"col": "id", "op": "eq", "value": None}},
    "missing value": {"where": {"col": "id", "op": "eq"}},
    "missing column": {"where": {"op": "eq", "value": 1}},
    "two forms at once": {"where": {"and": [], "or": []}},
    "tree with a column": {"where": {"and": [], "col": "id", "op": "eq", "value": 1}},
    "empty condition": {"where": {}},
    "in without array": {"where": {"col": "id", "op": "in", "value": 1}},
    "null in array": {"where": {"col": "id", "op": "in", "value": [1, None]}},
    "isNull of a text": {"where": {"col": "id", "op": "isNull", "value": "yes"}},
    "comparison of a list": {"where": {"col": "tags", "op": "eq", "value": []}},
    "contains of a number": {"where": {"col": "id", "op": "contains", "value": 1}},
    "too deep": {"where": nested(80)},
    "far too deep": {"where": nested(900)},
    "too many conditions": {"where": {"or": [{"col": "id", "op": "eq", "value": 1}] * 2_001}},
    "too many values": {"where": {"col": "id", "op": "in", "value": [1] * 50_001}},
    "order by a list": {"orderBy": [{"col": "tags"}]},
    "order in a third direction": {"orderBy": [{"col": "id", "dir": "up"}]},
    "too many terms": {"orderBy": [{"col": "id"}] * 257},
    "negative limit": {"limit": -1},
    "limit of a text": {"limit": "1"},
    "fraction of a row": {"limit": 1.5},
    "limit per key without keys": {"limitPerKey": 1},
    "no row per key": {"limitPerKey": 0, "keys": {"columns": ["id"], "values": [[1]]}},
    "cursor too long": {"cursor": "x" * 20_000},
    "since without zone": {"since": "2026-01-01T00:00:00"},
    "no key columns": {"keys": {"columns": [], "values": []}},
    "key column twice": {"keys": {"columns": ["id", "id"], "values": []}},
    "key of a list": {"keys": {"columns": ["tags"], "values": []}},
    "key too short": {"keys": {"columns": ["id", "name"], "values": [[1]]}},
    "null in a key": {"keys": {"columns": ["id"], "values": [[None]]}},
    "too many keys": {"keys": {"columns": ["id"], "values": [[1]] * 10_001}},
    "unknown aggregate": {"aggregates": [{"fn": "median", "col": "id", "as": "m"}]},
    "sum of a text": {"aggregates": [{"fn": "sum", "col": "name", "as": "s"}]},
    "sum of rows": {"aggregates": [{"fn": "sum", "as": "s"}]},
    "aggregate without name": {"aggregates": [{"fn": "count", "as": ""}]},
    "aggregates of one name": {"aggregates": [{"fn": "count", "as": "n"}, {"fn": "count", "as": "n"}]},
    "aggregate named as a group": {"aggregates": [{"fn": "count", "as": "day"}], "groupBy": [{"col": "day"}]},
    "group by a list": {"groupBy": [{"col": "tags"}]},
    "truncated number": {"groupBy": [{"col": "id", "truncate": "day"}]},
    "hour of a date": {"groupBy": [{"col": "day", "truncate": "hour"}]},
    "time zone without truncation": {"groupBy": [{"col": "day", "timeZone": "UTC"}]},
    "having without groups": {"having": {"col": "id", "op": "eq", "value": 1}},
    "having of a column that is not grouped": {"groupBy": [{"col": "day"}], "having": {"col": "id", "op": "eq", "value": 1}},
    "an array": [],
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_query_is_refused(name: str) -> None:
    with pytest.raises(ReadInvalidError) as refusal:
        decode_read(json.dumps(REFUSED[name]).encode(), CONTRACT)
    assert refusal.value.status == 400


@pytest.mark.parametrize("body", [b"", b"{", b'{"cursor": "\xff"}', b"nonsense"])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ReadInvalidError) as refusal:
        decode_read(body, CONTRACT)
    assert refusal.value.reason == "not_json"


def test_json_nested_without_end_is_refused() -> None:
    with pytest.raises(ReadInvalidError, match="nested too deeply"):
        decode_read(b'{"where":' + b'{"not":' * 200_000, CONTRACT)


def test_a_refusal_never_quotes_a_value() -> None:
    with pytest.raises(ReadInvalidError) as refusal:
        decode_read(b'{"where": {"col": "price", "op": "eq", "value": "4111111111111111"}}', CONTRACT)
    assert "4111" not in str(refusal.value)
    assert refusal.value.reason == "unfit_value"


def test_a_whole_read_survives_the_wire() -> None:
    read = Read(
        select=("id", "name"),
        where=And((Compare("price", Operator.GTE, Decimal("1.50")), Or((Not(Compare("day", Operator.IN, (dt.date(2026, 1, 1),))),)))),
        order_by=(Order("name", True, Nulls.FIRST), Order("id")),
        limit=10,
        cursor="abc",
        since="2026-01-01T00:00:00Z",
        keys=Keys(("id", "name"), ((1, "a"), (2, "b"))),
        limit_per_key=3,
        count=True,
    )
    assert decode_read(encode_read(read), CONTRACT) == read


def test_a_whole_grouped_read_survives_the_wire() -> None:
    read = Read(
        aggregates=(Aggregate("count", None, "n"), Aggregate("avg", "price", "mean")),
        group_by=(GroupBy("day", "month", "Europe/Berlin"), GroupBy("name")),
        having=Compare("mean", Operator.GT, Decimal("1.250000")),
        order_by=(Order("n", True),),
    )
    assert decode_read(encode_read(read), CONTRACT) == read


def test_a_decimal_sent_as_a_number_stays_exact() -> None:
    read = decode_read(b'{"where": {"col": "price", "op": "eq", "value": 12345678.10}}', CONTRACT)
    assert read.where == Compare("price", Operator.EQ, Decimal("12345678.10"))


def test_since_is_read_as_utc() -> None:
    assert decode_read(b'{"since": "2026-01-01T01:00:00.5+01:00"}', CONTRACT).since == "2026-01-01T00:00:00.500000Z"


def test_capabilities_survive_the_wire() -> None:
    can = Capabilities(
        level=1,
        select=True,
        operators=frozenset({Operator.EQ, Operator.IN}),
        filter_columns=frozenset({"id"}),
        keys=True,
        key_columns=frozenset({("id",), ("id", "name")}),
        aggregates=frozenset({"sum"}),
        truncations=frozenset({"day", "year"}),
        page_max=50,
    )
    assert decode_capabilities(encode_capabilities(can)) == can
    assert decode_capabilities(encode_capabilities(Capabilities())) == Capabilities()


def test_capabilities_that_we_do_not_know_are_left_out() -> None:
    body = b'{"level": 1, "capabilities": {"operators": ["eq", "soundsLike"], "aggregates": ["median"], "teleport": true}}'
    assert decode_capabilities(body) == Capabilities(level=1, operators=frozenset({Operator.EQ}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"level": 2, "capabilities": {}}',
        b'{"level": 1, "capabilities": {"pageMax": 0}}',
        b'{"level": 1, "capabilities": {"select": "yes"}}',
        b'{"level": 1, "capabilities": {"x": ' + b"[" * 100_000,
    ],
)
def test_capabilities_of_another_shape_are_a_broken_promise(body: bytes) -> None:
    with pytest.raises(PortBrokenPromiseError):
        decode_capabilities(body)
