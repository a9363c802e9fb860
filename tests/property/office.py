"""An office to ask about: one product with a masked, a denied and a hidden field, and ports that count, add and spoil."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import msgspec

from contracts.fields import Field, Kind, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import Access, Contract, FieldClassification, Grant, Metadata, Relationship, Times, Visibility
from contracts.objectives import Objectives
from contracts.policy import MeshPolicy, TagPolicy, TagRule
from domain_adapters.port import Call, Port, Read
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from gateway.caller import Caller
from gateway.catalog.snapshot import snapshot_of
from gateway.engine.budget import Bounds

from ..differential.running import Asked, engine_of
from ..differential.worlds import NOW, World

__all__ = ["CLERK", "Counted", "office", "office_engine"]

CLERK = Caller("clerk", frozenset({"clerk"}))
_TEXT = Scalar(Kind.STRING)


def office(size: int = 12, *, keyed: bool = True, masked_key: bool = False) -> World:
    """Make an office of ``size`` people; ``masked_key``: their numbers are masked as well."""
    classification: list[tuple[str, FieldClassification]] = [
        ("email", FieldClassification(tags=("pii",))),
        ("locker", FieldClassification(visibility=Visibility.HIDDEN)),
    ]
    if masked_key:
        classification.append(("staff_id", FieldClassification(mask=Mask(MaskKind.REDACT))))
    contract = Contract(
        metadata=Metadata(name="staff", domain="people", owner="people@example.com", version="1.0.0"),
        fields=(
            Field("staff_id", _TEXT),
            Field("name", _TEXT),
            Field("email", _TEXT),
            Field("salary", Scalar(Kind.INT)),
            Field("locker", _TEXT),
            Field("boss_id", _TEXT),
            Field("team", _TEXT),
            Field("desk", Scalar(Kind.INT)),
            Field("hired_at", Scalar(Kind.INSTANT)),
        ),
        objectives=Objectives(),
        classification=tuple(classification),
        primary_key=("staff_id",) if keyed else (),
        times=Times(updated="hired_at"),
        access=Access(grants=(Grant(role="clerk", fields=("staff_id", "name", "email", "boss_id", "team", "desk", "hired_at")),)),
        relationships=(Relationship(name="boss", to="people/staff", on=(("boss_id", "staff_id"),), inverse="reports"),),
        revision="1",
    )
    rows = [
        {
            "staff_id": f"S{number:03}",
            "name": ("Ann", "Bob", "Zoë", None)[number % 4],
            "email": f"p{number}@example.com",
            "salary": 1_000 + number,
            "locker": f"locker-{number}",
            "boss_id": f"S{number // 3:03}" if number else None,
            "team": ("red", "blue", None)[number % 3],
            "desk": (None, 1, 2, 2)[number * 7 % 4],
            "hired_at": NOW - dt.timedelta(days=number),
        }
        for number in range(size)
    ]
    policy = MeshPolicy(roles=("clerk",), tags=(TagPolicy(tag="pii", rules=(TagRule(name="*email*", mask=Mask(MaskKind.EMAIL)),)),))
    return World("office", [contract], policy, {contract.key: rows})


class Counted:
    """A port that counts what it is asked, and may change what it answers."""

    def __init__(self, port: Port, *, page_max: int | None = None, keys_max: int | None = None, spoil: Any = None) -> None:
        self._port = port
        changes = {"page_max": page_max, "keys_max": keys_max}
        self.capabilities = replace(port.capabilities, **{name: value for name, value in changes.items() if value is not None})
        self.name, self.spelling = port.name, port.spelling
        self.reads: list[Read] = []
        self._spoil = spoil

    async def read(self, read: Read, call: Call) -> bytes:
        self.reads.append(read)
        body = await self._port.read(read, call)
        if self._spoil is None:
            return body
        page = msgspec.json.decode(body)
        self._spoil(page)
        return msgspec.json.encode(page)

    async def slo(self, call: Call) -> bytes:
        return await self._port.slo(call)

    async def aclose(self) -> None:
        await self._port.aclose()


async def office_engine(world: World, *, port: Port | None = None, bounds: Bounds | None = None, **changes: Any) -> tuple[Asked, Counted]:
    """Open an office: over SQL unless ``port`` is given."""
    (contract,) = world.contracts
    counted = Counted(port or await open_sql(contract, Rows(world.rows[contract.key]), clock=lambda: NOW, cursors=1), **changes)
    asked = engine_of(snapshot_of(world.contracts, {contract.key: (counted,)}), world, bounds=bounds)
    asked.engine.note_proof(asked.mesh.snapshot.products[contract.key], counted, proved=True)
    return asked, counted
