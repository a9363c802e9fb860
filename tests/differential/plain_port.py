"""A level-0 endpoint in process, as teams really write them: its own order, its own spelling, extra columns, pages of its own size."""

from __future__ import annotations

import datetime as dt
import zlib
from random import Random
from typing import Any

import msgspec

from contracts.fields import FieldType, Kind, List, Map, Record, Scalar, Unit
from contracts.model import Contract
from contracts.predicates import And, Operator, compile_test
from domain_adapters.errors import PortCannotError
from domain_adapters.level0 import spelling_of
from domain_adapters.port import Call, Capabilities, Read
from domain_adapters.values import emitter_of

__all__ = ["PlainPort"]

_ENVELOPES = (
    ("data", "nextCursor", "metadata", "generatedAt"),
    ("data", "next_cursor", "metadata", "generated_at"),
    ("Data", "NextCursor", "Metadata", "GeneratedAt"),
)
_ZONE = dt.timezone(dt.timedelta(hours=-5))


class PlainPort:
    """Pages rows in the order given; knows look-ups by some columns and a few filters, and nothing else."""

    def __init__(
        self,
        contract: Contract,
        rows: list[dict[str, Any]],
        lookups: frozenset[str],
        seed: str,
        *,
        capabilities: Capabilities | None = None,
    ) -> None:
        random = Random(f"{seed} {contract.key}")
        self._contract = contract
        self._rows = rows
        self._envelope = random.choice(_ENVELOPES)
        output = _Naming(random.choice(("asIs", "camelCase")))
        self._spelling = spelling_of(contract, output)  # type: ignore[arg-type]  # contracts of these worlds declare one port at the most
        self._writers = [(self._spelling[it.name], it.name, _writer(it.type, loose=random.random() < 0.3)) for it in contract.fields]
        plain = [it.name for it in contract.fields if isinstance(it.type, Scalar) and it.type.kind in (Kind.STRING, Kind.INT, Kind.DATE)]
        pairs = {(name, op) for name in plain for op in (Operator.EQ, Operator.IN, Operator.GTE) if random.random() < 0.3}
        self._capabilities = capabilities or Capabilities(
            level=0,
            filters=frozenset(pairs),
            filter_columns=frozenset(name for name, _ in pairs),
            since=contract.times.updated is not None and random.random() < 0.8,
            keys=bool(lookups),
            key_columns=frozenset((name,) for name in lookups),
            keys_max=random.choice((2, 5, 500)),
            page_max=random.choice((3, 7, 50)),
        )
        self.calls = 0

    @property
    def name(self) -> str:
        return "rest-api"

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def spelling(self) -> dict[str, str]:
        return self._spelling

    async def read(self, read: Read, call: Call) -> bytes:
        del call
        self.calls += 1
        self._refuse(read)
        rows = self._matching(read)
        start = 0 if read.cursor is None else int(read.cursor.removeprefix("c"))
        size = min(read.limit or self._capabilities.page_max, self._capabilities.page_max)
        page = rows[start : start + size]
        more = start + size < len(rows)
        data, cursor, metadata, generated_at = self._envelope
        body: dict[str, Any] = {data: [self._written(row) for row in page], metadata: {generated_at: "2026-11-23T12:00:00Z"}}
        if more:
            body[cursor] = f"c{start + size}"
        return msgspec.json.encode(body)

    async def slo(self, call: Call) -> bytes:
        del call
        return b"{}"

    async def aclose(self) -> None:
        pass

    def _refuse(self, read: Read) -> None:
        able = self._capabilities
        if read.order_by or read.limit_per_key or read.aggregates or read.group_by or read.having or read.count:
            raise PortCannotError("a level 0 port only pages", reason="level")
        if read.keys is not None:
            assert read.keys.columns in (able.key_columns or ())
            assert 0 < len(read.keys.values) <= able.keys_max
        for part in read.where.parts if isinstance(read.where, And) else (read.where,) if read.where is not None else ():
            assert able.tests(part.column, part.operator)  # type: ignore[union-attr]  # this port is always given its filters

    def _matching(self, read: Read) -> list[dict[str, Any]]:
        rows = self._rows
        if read.where is not None:
            test = compile_test(read.where, lambda name: lambda row: row[name])
            rows = [row for row in rows if test(row) is True]
        updated = self._contract.times.updated
        if read.since is not None and updated is not None:
            rows = [row for row in rows if row[updated] is not None and _is_since(row[updated], read.since)]
        if read.keys is not None:
            wanted = set(read.keys.values)
            rows = [row for row in rows if tuple(row[name] for name in read.keys.columns) in wanted]
        return rows

    def _written(self, row: dict[str, Any]) -> dict[str, Any]:
        found = {spelt: write(row[name]) for spelt, name, write in self._writers}
        return {"_links": {"self": "x"}, **found, "secret_extra": "never seen"}


class _Naming:
    def __init__(self, naming: str) -> None:
        self.naming = naming


def _is_since(cell: Any, since: str) -> bool:
    instant = dt.datetime.fromisoformat(since)
    match cell:
        case str():
            return cell >= instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond:06}000Z"
        case dt.datetime():
            return (cell if cell.tzinfo else cell.replace(tzinfo=dt.UTC)) >= instant
    return bool(cell >= instant.date())


def _respelt(type_: FieldType, value: Any) -> Any:
    """Call the members of records what the source calls them."""
    match type_:
        case List(item=item) if value is not None:
            return [_respelt(item, it) for it in value]
        case Map(value=held) if value is not None:
            return {key: _respelt(held, it) for key, it in value.items()}
        case Record(fields=fields) if value is not None:
            return {it.physical_name or it.name: _respelt(it.type, value[it.name]) for it in fields}
    return value


def _writer(type_: FieldType, *, loose: bool) -> Any:
    emit = emitter_of(type_)

    def strict(value: Any) -> Any:
        return _respelt(type_, emit(value))

    if not loose or not isinstance(type_, Scalar):
        return strict

    def write(value: Any) -> Any:
        if value is None:
            return None
        match type_.kind:
            case Kind.INT:
                return float(value)
            case Kind.DECIMAL:
                return msgspec.Raw(format(value, "f").encode())
            case Kind.INSTANT if type_.unit is not Unit.NANOS:
                return value.astimezone(_ZONE).isoformat()
            case Kind.DATE if value.year > 1900:
                return (value - dt.date(1970, 1, 1)).days
            case Kind.UUID:
                return value.upper() if zlib.crc32(value.encode()) % 2 else value
        return strict(value)

    return write
