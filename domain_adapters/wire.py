"""Turns reads into the body of ``POST {path}/query``, and what a port found into the protocol's pages and documents.

Also reads the ``/capabilities`` document, leniently: what it does not say is absent. Rejects documents of another shape;
touches nothing. The other direction of a query is `domain_adapters.query`. Source: SPEC B3.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from contracts.predicates import Among, And, Compare, Not, Operator, Or, Predicate
from domain_adapters.algebra import AGGREGATES, TRUNCATIONS
from domain_adapters.errors import PortBrokenPromiseError, PortCannotError
from domain_adapters.port import Capabilities, Nulls, Order, Read
from domain_adapters.query import decode_read

__all__ = [
    "Metadata",
    "decode_capabilities",
    "decode_read",
    "encode_capabilities",
    "encode_page",
    "encode_predicate",
    "encode_read",
    "raw_json",
]

_encode = msgspec.json.Encoder().encode
_RAW = msgspec.json.Decoder(float_hook=Decimal)


def raw_json(body: bytes) -> Any:
    """Decode JSON to plain Python, numbers with a fraction as `Decimal`, which is what `values.parse` wants.

    Raises: `ValueError` (bad JSON, bad UTF-8), `RecursionError`.
    """
    return _RAW.decode(body)


def encode_read(read: Read) -> bytes:
    """Write the body of a query. msgspec writes every value in its wire form: dates as ISO text, decimals as strings."""
    body: dict[str, Any] = {}
    if read.select is not None:
        body["select"] = read.select
    if read.where is not None:
        body["where"] = encode_predicate(read.where)
    if read.order_by:
        body["orderBy"] = [_encode_order(term) for term in read.order_by]
    if read.limit is not None:
        body["limit"] = read.limit
    if read.cursor is not None:
        body["cursor"] = read.cursor
    if read.since is not None:
        body["since"] = read.since
    if read.keys is not None:
        body["keys"] = {"columns": read.keys.columns, "values": read.keys.values}
    if read.limit_per_key is not None:
        body["limitPerKey"] = read.limit_per_key
    if read.aggregates or read.group_by:
        _encode_groups(read, body)
    if read.count:
        body["count"] = True
    return _encode(body)


def _encode_order(term: Order) -> dict[str, str]:
    body = {"col": term.column}
    if term.descending:
        body["dir"] = "desc"
    if term.nulls is Nulls.FIRST:
        body["nulls"] = "first"
    return body


def _encode_groups(read: Read, body: dict[str, Any]) -> None:
    if read.aggregates:
        body["aggregates"] = [
            {"fn": item.function, "as": item.name} if item.column is None else {"fn": item.function, "col": item.column, "as": item.name}
            for item in read.aggregates
        ]
    if read.group_by:
        body["groupBy"] = [
            {
                "col": item.column,
                **({} if item.truncate is None else {"truncate": item.truncate}),
                **({} if item.time_zone is None else {"timeZone": item.time_zone}),
            }
            for item in read.group_by
        ]
    if read.having is not None:
        body["having"] = encode_predicate(read.having)


def encode_predicate(predicate: Predicate) -> dict[str, Any]:
    """Write a condition as the wire's tree, ready for msgspec."""
    match predicate:
        case Compare(column=column, operator=op, value=value):
            return {"col": column, "op": op.value, "value": value}
        case Among():
            raise PortCannotError("the protocol asks for keys of several columns by keys, not by a condition", reason="among")
        case And(parts=parts):
            return {"and": [encode_predicate(part) for part in parts]}
        case Or(parts=parts):
            return {"or": [encode_predicate(part) for part in parts]}
        case Not(part=part):
            return {"not": encode_predicate(part)}


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """The ``metadata`` of a page."""

    generated_at: str
    version: str
    total_records: int | None = None
    slo_status: str | None = None


class _Page(msgspec.Struct, frozen=True, rename="camel"):
    data: msgspec.Raw
    next_cursor: str | None
    metadata: Metadata
    applied: Sequence[str] | UnsetType = UNSET
    count: int | UnsetType = UNSET
    groups: msgspec.Raw | UnsetType = UNSET


def encode_page(
    data: bytes,
    *,
    next_cursor: str | None,
    metadata: Metadata,
    applied: Sequence[str] | None = None,
    count: int | None = None,
    groups: bytes | None = None,
) -> bytes:
    """Write a page; ``data`` and ``groups`` are JSON arrays already. What was not asked for is left out.

    A group is ``{"key": [one value per groupBy entry], "values": {as: value}}``.
    """
    return _encode(
        _Page(
            data=msgspec.Raw(data),
            next_cursor=next_cursor,
            metadata=metadata,
            applied=UNSET if applied is None else applied,
            count=UNSET if count is None else count,
            groups=UNSET if groups is None else msgspec.Raw(groups),
        )
    )


class _Abilities(msgspec.Struct, rename="camel"):
    select: bool = False
    operators: list[str] = []
    boolean: bool = False
    filter_columns: list[str] | None = None
    order_by: bool = False
    since: bool = False
    keys: bool = False
    key_columns: list[list[str]] | None = None
    keys_max: int = 1_000
    limit_per_key: bool = False
    count: bool = False
    aggregates: list[str] = []
    group_by: bool = False
    truncations: list[str] = []
    having: bool = False
    stats: bool = False
    page_max: int = 1_000


class _CapabilitiesDocument(msgspec.Struct):
    level: int
    capabilities: _Abilities


_CAPABILITIES = msgspec.json.Decoder(_CapabilitiesDocument)


def encode_capabilities(capabilities: Capabilities) -> bytes:
    """Write the ``/capabilities`` document: ``{level, capabilities}``."""
    return _encode(
        _CapabilitiesDocument(
            level=capabilities.level,
            capabilities=_Abilities(
                select=capabilities.select,
                operators=sorted(capabilities.operators),
                boolean=capabilities.boolean,
                filter_columns=None if capabilities.filter_columns is None else sorted(capabilities.filter_columns),
                order_by=capabilities.order_by,
                since=capabilities.since,
                keys=capabilities.keys,
                key_columns=None if capabilities.key_columns is None else sorted(map(list, capabilities.key_columns)),
                keys_max=capabilities.keys_max,
                limit_per_key=capabilities.limit_per_key,
                count=capabilities.count,
                aggregates=[name for name in AGGREGATES if name in capabilities.aggregates],
                group_by=capabilities.group_by,
                truncations=[part for part in TRUNCATIONS if part in capabilities.truncations],
                having=capabilities.having,
                stats=capabilities.stats,
                page_max=capabilities.page_max,
            ),
        )
    )


def decode_capabilities(body: bytes) -> Capabilities:
    """Read a ``/capabilities`` document; words that we do not know are left out, so never relied on.

    Raises: `PortBrokenPromiseError`.
    """
    try:
        document = _CAPABILITIES.decode(body)
    except (ValueError, RecursionError):
        raise PortBrokenPromiseError("the capabilities document has another shape", reason="bad_capabilities") from None
    can = document.capabilities
    if document.level not in (0, 1) or can.page_max < 1 or can.keys_max < 1:
        raise PortBrokenPromiseError("the capabilities document states an impossible level or size", reason="bad_capabilities")
    known = {operator.value: operator for operator in Operator}
    return Capabilities(
        level=document.level,
        select=can.select,
        operators=frozenset(known[word] for word in can.operators if word in known),
        boolean=can.boolean,
        filter_columns=None if can.filter_columns is None else frozenset(can.filter_columns),
        order_by=can.order_by,
        since=can.since,
        keys=can.keys,
        key_columns=None if can.key_columns is None else frozenset(map(tuple, can.key_columns)),
        keys_max=can.keys_max,
        limit_per_key=can.limit_per_key,
        count=can.count,
        aggregates=frozenset(can.aggregates) & frozenset(AGGREGATES),
        group_by=can.group_by,
        truncations=frozenset(can.truncations) & frozenset(TRUNCATIONS),
        having=can.having,
        stats=can.stats,
        page_max=can.page_max,
    )
