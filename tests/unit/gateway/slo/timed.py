"""A time of its own for what runs in the background, and ports that answer as told."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from contracts.fields import Field, FieldType, Kind, Scalar
from contracts.model import Contract, Metadata, Times
from contracts.objectives import Objectives, RatioObjective, TimeObjective
from contracts.predicates import Operator
from domain_adapters.port import Call, Capabilities, Read

START = dt.datetime(2026, 11, 23, 2, 30, tzinfo=dt.UTC)
PROMISED = Objectives(
    freshness=TimeObjective("< 1 hour", 3_600.0),
    completeness=RatioObjective("> 99%", 0.99),
    accuracy=RatioObjective("> 99%", 0.99),
    availability=RatioObjective("99%", 0.99),
)
GOOD = b'{"freshness": {"lagSeconds": 60}, "completeness": 1.0, "accuracy": 1.0}'
LEVEL_1 = Capabilities(
    level=1, select=True, order_by=True, since=True, count=True, stats=True, operators=frozenset(Operator), boolean=True, page_max=1_000
)


class Time:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def clock(self) -> dt.datetime:
        return START + dt.timedelta(seconds=self.passed_s)

    def time_s(self) -> float:
        return self.passed_s

    async def sleep(self, seconds: float) -> None:
        self.passed_s += seconds
        for _ in range(20):
            await asyncio.sleep(0)


def scalar(kind: Kind, **more: Any) -> FieldType:
    return Scalar(kind, **more)


def contract(
    name: str = "a", *, fields: Sequence[Field] = (), objectives: Objectives = PROMISED, updated: str | None = None, **more: Any
) -> Contract:
    metadata = Metadata(name=name, domain="d", owner="o@x", version="1.0.0")
    times = Times(updated=updated)
    return Contract(metadata=metadata, fields=tuple(fields), objectives=objectives, classification=(), times=times, **more)


ITEMS = (
    Field("id", scalar(Kind.STRING), required=True),
    Field("amount", scalar(Kind.INT), required=True),
    Field("updated_at", scalar(Kind.INSTANT), required=True),
)


def items(*, updated: str | None = "updated_at", **more: Any) -> Contract:
    return contract(fields=ITEMS, updated=updated, primary_key=("id",), **more)


def row(number: int, at: dt.datetime | str = START, **cells: Any) -> dict[str, Any]:
    when = at if isinstance(at, str) else at.isoformat().replace("+00:00", "Z")
    return {"id": f"i{number}", "amount": number, "updated_at": when, **cells}


class ScriptedPort:
    """``slo``: answers given one after the other, the last for ever; exceptions are raised, callables awaited. ``rows``: what it holds."""

    name = "rest-api"

    def __init__(self, *slo: Any, rows: Any = (), capabilities: Capabilities | None = None) -> None:
        self.answers = list(slo) or [b"{}"]
        self.rows = rows
        self.capabilities = capabilities or Capabilities()
        self.spelling = {field.name: field.name for field in ITEMS}
        self.asked = 0
        self.reads: list[Read] = []
        self.page_max: int | None = None

    async def read(self, read: Read, call: Call) -> bytes:
        self.reads.append(read)
        if isinstance(self.rows, Exception):
            raise self.rows
        if isinstance(self.rows, bytes):
            return self.rows
        rows = list(self.rows)
        if read.order_by:
            rows.sort(key=lambda it: str(it.get("updated_at")), reverse=True)
        if read.since is not None and self.capabilities.since:
            rows = [it for it in rows if not isinstance(it.get("updated_at"), str) or it["updated_at"] >= read.since]
        if read.where is not None:
            begin = read.where.value.isoformat().replace("+00:00", "Z")  # type: ignore[union-attr]  # since is the one condition that measuring sends
            rows = [it for it in rows if it["updated_at"] >= begin]
        start = int(read.cursor or 0)
        end = start + min(read.limit or 100, self.page_max or 1_000)
        page: dict[str, Any] = {"data": rows[start:end], "nextCursor": str(end) if end < len(rows) else None}
        if read.count:
            page["count"] = len(rows)
        return msgspec.json.encode(page)

    async def slo(self, call: Call) -> bytes:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            await answer()
            return GOOD
        return bytes(answer)

    async def aclose(self) -> None:
        return


async def ran(work: Any, until: Callable[[], bool]) -> None:
    """Run something endless until a fact holds."""
    running = asyncio.create_task(work)
    async with asyncio.timeout(20):
        while not until():
            await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
