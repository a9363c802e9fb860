"""Ports that answer whatever a test wants, under contracts made in place."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from contracts.fields import Field, FieldType, Kind, Scalar
from contracts.model import (
    Access,
    Cardinality,
    Contract,
    FieldClassification,
    Grant,
    Metadata,
    OutputPort,
    Relationship,
    Times,
    Visibility,
)
from contracts.objectives import Objectives
from contracts.policy import MeshPolicy, TagPolicy
from contracts.predicates import Operator, Predicate
from domain_adapters.port import Call, Capabilities, Read
from gateway.caller import Caller
from gateway.catalog.snapshot import snapshot_of
from gateway.engine.budget import Bounds
from gateway.engine.engine import Engine
from gateway.engine.signals import Signals
from gateway.exchange import Frame, Question
from gateway.settings_sections import Limits
from gateway.slo.board import Board

__all__ = ["LEVEL_0", "LEVEL_1", "STRING", "Answer", "Lying", "Mesh", "analyst", "contract", "page"]

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
STRING = Scalar(Kind.STRING)
LEVEL_0 = Capabilities(page_max=100)
LEVEL_1 = Capabilities(
    level=1,
    select=True,
    operators=frozenset(Operator),
    boolean=True,
    order_by=True,
    since=True,
    keys=True,
    keys_max=500,
    limit_per_key=True,
    count=True,
    aggregates=frozenset({"count"}),
    group_by=True,
    page_max=1_000,
)


def page(rows: Iterable[dict[str, Any]], cursor: Any = None, **more: Any) -> bytes:
    """Write a page as ports do."""
    return msgspec.json.encode({"data": list(rows), "nextCursor": cursor, "metadata": {"generatedAt": "2026-11-23T11:00:00Z"}, **more})


@dataclass(slots=True)
class Lying:
    """A port that answers what ``answer`` makes of a read, and remembers what it was asked."""

    answer: Callable[[Read], bytes]
    capabilities: Capabilities = LEVEL_1
    spelling: dict[str, str] = field(default_factory=dict)
    name: str = "rest-api"
    asked: list[Read] = field(default_factory=list)

    async def read(self, read: Read, call: Call) -> bytes:
        """Answer a read."""
        del call
        self.asked.append(read)
        await asyncio.sleep(0)
        return self.answer(read)

    async def slo(self, call: Call) -> bytes:
        """Say nothing."""
        del call
        return b"{}"

    async def aclose(self) -> None:
        """Have nothing to close."""


def contract(
    name: str,
    columns: Mapping[str, FieldType],
    *,
    key: tuple[str, ...] = ("id",),
    classified: dict[str, FieldClassification] | None = None,
    rule: Predicate | None = None,
    clear: tuple[str, ...] = (),
    links: tuple[Relationship, ...] = (),
    domain: str = "shop",
    updated: str | None = None,
    visibility: Visibility = Visibility.LISTED,
    grants: tuple[Grant, ...] | None = None,
) -> Contract:
    """Make a contract that grants everything to analysts, but for ``rule``."""
    given = grants if grants is not None else (Grant(role="analyst", fields=("*",), clear=clear, row_filter=rule),)
    return Contract(
        metadata=Metadata(name=name, domain=domain, owner="shop@example.com", version="1.0.0", visibility=visibility),
        fields=tuple(Field(column, type_) for column, type_ in columns.items()),
        objectives=Objectives(),
        classification=tuple((classified or {}).items()),
        primary_key=key,
        times=Times(updated=updated),
        access=Access(grants=given),
        relationships=links,
        output_ports=(OutputPort(type="rest-api", path=f"/data-products/{name}"),),
        revision="1",
    )


def link(name: str, to: str, on: dict[str, str], *, many: bool = False, inverse: str | None = None) -> Relationship:
    """Declare a relationship."""
    cardinality = Cardinality.MANY if many else Cardinality.ONE
    return Relationship(name=name, to=to, on=tuple(on.items()), cardinality=cardinality, inverse=inverse)


def analyst(**claims: Any) -> Caller:
    """Make a caller."""
    return Caller(subject="ann", roles=frozenset({"analyst"}), claims=claims)


@dataclass(slots=True)
class Answer:
    """What came back. ``size``: of the whole body."""

    data: Any
    errors: list[dict[str, Any]]
    body: bytes
    refusal: str | None

    @property
    def codes(self) -> list[str]:
        """The codes of all errors."""
        return [error["extensions"]["code"] for error in self.errors]


class Mesh:
    """An engine over contracts and their ports (by product id)."""

    def __init__(
        self, *products: tuple[Contract, Lying | None], bounds: Bounds | None = None, proved: bool = True, limits: Limits | None = None
    ) -> None:
        contracts = [contract for contract, _ in products]
        self.policy = MeshPolicy(roles=("analyst", "guest"), tags=(TagPolicy(tag="pii"), TagPolicy(tag="key")))
        self.failures: list[BaseException] = []
        snapshot = snapshot_of(contracts, {contract.key: (port,) for contract, port in products if port is not None})
        self.engine = Engine(
            snapshot,
            self.policy,
            secret=b"a secret of 32 bytes, for tests!",
            limits=limits or Limits(),
            bounds=bounds or Bounds(),
            clock=lambda: NOW,
            board=Board(contracts, lambda: NOW),
            signals=Signals(internal=lambda error, _: self.failures.append(error)),
        )
        for product in snapshot.products.values():
            for port in product.ports:
                self.engine.note_proof(product, port, proved=proved)

    async def ask(
        self, text: str, variables: dict[str, Any] | None = None, *, caller: Caller | None = None, within_s: float = 20
    ) -> Answer:
        """Ask as a caller."""
        deadline_s = asyncio.get_running_loop().time() + within_s
        reply = await self.engine.answer(Question(text, None, variables), Frame(caller or analyst(), deadline_s, "r"))
        whole = b"".join(reply.pieces)
        body = json.loads(whole)
        return Answer(body.get("data"), body.get("errors", []), whole, None if reply.refusal is None else reply.refusal.name)
