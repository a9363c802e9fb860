"""Rows and contracts that mirrors are tested with."""

from __future__ import annotations

from typing import Any

from contracts.fields import Field, Kind, Scalar, Unit
from contracts.model import Contract, Times
from tests.unit.domain_adapters.origin import ago
from tests.unit.domain_adapters.products import product

__all__ = ["EVENTS", "thing", "with_time"]

EVENTS = product(Field("kind", Scalar(Kind.STRING)), key=())


def thing(number: int, updated: str = "", **more: Any) -> dict[str, Any]:
    return {"id": number, "name": f"thing {number}", "price": 1.25, "updated": updated or ago(hours=1), **more}


def with_time(contract: Contract, **times: str) -> Contract:
    fields = (*contract.fields, *(Field(name, Scalar(Kind.INSTANT, unit=Unit.MICROS)) for name in times.values() if name != "updated"))
    return contract.model_copy(update={"fields": fields, "times": Times(updated="updated", **times)})
