"""One product over a port that can be told to fail, to wait and to be level 0; and an engine that streams from it."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec

from contracts.fields import Enumeration, Field, FieldType, Kind, List, Map, Record, Scalar, Unit
from contracts.masks import Mask, MaskKind
from contracts.model import Access, Contract, FieldClassification, Grant, Metadata, Relationship, Times
from contracts.objectives import Objectives
from contracts.policy import MeshPolicy
from contracts.predicates import Operator
from domain_adapters.errors import PortUnavailableError
from domain_adapters.port import Call, Capabilities, Read
from domain_adapters.sources import Rows
from domain_adapters.sql import capabilities_for, open_sql
from gateway.caller import Caller
from gateway.catalog.snapshot import snapshot_of
from gateway.engine.budget import Bounds
from gateway.engine.engine import Engine
from gateway.engine.signals import Signals
from gateway.exchange import Form, Frame, Question, Reply, Stream
from gateway.settings_sections import Limits
from gateway.slo.board import Board

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
ANALYST = Caller("someone", frozenset({"analyst"}))
TYPES: dict[str, FieldType] = {
    "id": Scalar(Kind.INT),
    "partner_id": Scalar(Kind.INT),
    "name": Scalar(Kind.STRING),
    "mail": Scalar(Kind.STRING),
    "secret": Scalar(Kind.STRING),
    "price": Scalar(Kind.DECIMAL, 38, 9),
    "at": Scalar(Kind.INSTANT),
    "exact_at": Scalar(Kind.INSTANT, unit=Unit.NANOS),
    "local": Scalar(Kind.LOCAL_DATETIME),
    "day": Scalar(Kind.DATE),
    "hour": Scalar(Kind.TIME),
    "count": Scalar(Kind.LONG),
    "ratio": Scalar(Kind.FLOAT),
    "open": Scalar(Kind.BOOLEAN),
    "raw": Scalar(Kind.BYTES),
    "doc": Scalar(Kind.JSON),
    "free": Scalar(Kind.DECIMAL),
    "grade": Enumeration("Grade", ("A", "B")),
    "tags": List(Scalar(Kind.STRING)),
    "prices": List(Scalar(Kind.DECIMAL, 10, 2), False),
    "labels": Map(Scalar(Kind.INT)),
    "place": Record("Place", (Field("street", Scalar(Kind.STRING)), Field("fee", Scalar(Kind.DECIMAL, 10, 2)))),
}


def contract(*, name: str = "items", key: tuple[str, ...] = ("id",), masked_key: bool = False) -> Contract:
    """Make the contract: ``mail`` is masked, ``secret`` denied, ``partner`` another item."""
    shown = tuple(column for column in TYPES if column != "secret")
    masks = {"mail": FieldClassification(mask=Mask(MaskKind.EMAIL))}
    if masked_key:
        masks["id"] = FieldClassification(mask=Mask(MaskKind.NULLIFY))
    return Contract(
        metadata=Metadata(name=name, domain="depot", owner="depot@example.com", version="1.0.0"),
        fields=tuple(Field(column, type_) for column, type_ in TYPES.items()),
        objectives=Objectives(),
        primary_key=key,
        times=Times(updated="at"),
        classification=tuple(masks.items()),
        access=Access(grants=(Grant(role="analyst", fields=shown),)),
        relationships=(Relationship(name="partner", to=f"depot/{name}", on=(("partner_id", "id"),), inverse="partners"),),
        revision=name,
    )


def row(number: int, **cells: Any) -> dict[str, Any]:
    """Make a row; what is not given is null."""
    return {**dict.fromkeys(TYPES), "id": number, **cells}


@dataclass
class TestedPort:
    """A SQL port that can be made to fail at the nth page, or to wait there until it is cancelled."""

    __test__ = False

    inner: Any
    capabilities: Capabilities
    fails_at: int | None = None
    waits_at: int | None = None
    spoil: bytes | None = None
    """Put in place of the second ``id`` of page two, as a number that is none."""
    reads: list[Read] = field(default_factory=list)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False
    name: str = "tested"

    @property
    def spelling(self) -> dict[str, str]:
        found: dict[str, str] = self.inner.spelling
        return found

    async def read(self, read: Read, call: Call) -> bytes:
        self.reads.append(read)
        if len(self.reads) == self.fails_at:
            raise PortUnavailableError("gone", reason="refused")
        if len(self.reads) == self.waits_at:
            self.waiting.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        body: bytes = await self.inner.read(read, call)
        if self.spoil is not None:
            page = msgspec.json.decode(body)
            page["data"][1]["price"] = self.spoil.decode()
            body = msgspec.json.encode(page)
        return body

    async def slo(self, call: Call) -> bytes:
        found: bytes = await self.inner.slo(call)
        return found

    async def aclose(self) -> None:
        await self.inner.aclose()


@dataclass
class Depot:
    """An engine over one product, and its port."""

    engine: Engine
    port: TestedPort
    internal: list[BaseException]

    async def ask(self, text: str, form: Form = Form.JSONL, **variables: Any) -> Stream | Reply:
        deadline_s = asyncio.get_running_loop().time() + 30
        return await self.engine.stream(Question(text, None, variables), Frame(ANALYST, deadline_s, "r"), form)

    async def body(self, text: str, form: Form = Form.JSONL) -> bytes:
        found = await self.ask(text, form)
        assert isinstance(found, Stream), found
        async with aclosing(found.rest) as rest:
            return found.first + b"".join([piece async for piece in rest])

    async def lines(self, text: str) -> list[Any]:
        return [msgspec.json.decode(line) for line in (await self.body(text)).splitlines()]

    async def code(self, text: str, form: Form = Form.JSONL) -> tuple[str, str]:
        found = await self.ask(text, form)
        assert isinstance(found, Reply), found
        assert found.refusal is not None
        return found.refusal.name, msgspec.json.decode(found.body)["errors"][0]["message"]


async def depot(
    rows: list[dict[str, Any]],
    *,
    page_max: int = 10,
    level: int = 1,
    made: Contract | None = None,
    bounds: Bounds | None = None,
    operators: frozenset[Operator] = frozenset(Operator),
    **port: Any,
) -> Depot:
    """Open the product. ``level`` 0: pages in the port's order and nothing else."""
    promise = made or contract()
    inner = await open_sql(promise, Rows(rows), clock=lambda: NOW, cursors=1)
    can = Capabilities(page_max=page_max) if level == 0 else replace(capabilities_for(promise), page_max=page_max, operators=operators)
    tested = TestedPort(inner, can, **port)
    internal: list[BaseException] = []
    engine = Engine(
        snapshot_of([promise], {promise.key: (tested,)}),
        MeshPolicy(roles=("analyst",)),
        secret=b"a secret of 32 bytes, for tests!",
        limits=Limits(),
        bounds=bounds or Bounds(),
        clock=lambda: NOW,
        board=Board([promise], lambda: NOW),
        signals=Signals(internal=lambda error, _id: internal.append(error)),
    )
    return Depot(engine, tested, internal)


def rows_of(count: int) -> list[dict[str, Any]]:
    return [row(number, name=f"n{number}", partner_id=number // 2, price=Decimal(number) / 4) for number in range(count)]
