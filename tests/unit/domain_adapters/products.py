"""Small contracts for tests of ports."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from contracts.fields import Field, Kind, Scalar, Unit
from contracts.model import Contract, Metadata, OutputPort, Times
from contracts.objectives import Objectives, TimeObjective

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


def product(*fields: Field, key: tuple[str, ...] = ("id",), updated: str | None = None, limit_s: float | None = None) -> Contract:
    return Contract(
        metadata=Metadata(name="things", domain="test", owner="team@example.com", version="3.1.4"),
        fields=(Field("id", Scalar(Kind.LONG), required=True), *fields),
        objectives=Objectives(freshness=None if limit_s is None else TimeObjective("stated", limit_s)),
        primary_key=key,
        times=Times(updated=updated),
        output_ports=(OutputPort(type="rest-api", path="/things"),),
    )


THINGS = product(
    Field("name", Scalar(Kind.STRING)),
    Field("price", Scalar(Kind.DECIMAL, 10, 2)),
    Field("updated", Scalar(Kind.INSTANT, unit=Unit.MICROS), required=True),
    updated="updated",
    limit_s=3600.0,
)


def things(count: int = 10) -> list[dict[str, Any]]:
    return [
        {"id": at, "name": f"thing {at}", "price": Decimal(at) / 4, "updated": NOW - dt.timedelta(minutes=count - at)}
        for at in range(count)
    ]
