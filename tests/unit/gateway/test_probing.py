"""What is known of ports, when they are asked again and there is no room for their answers."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from contracts.model import Access, Grant
from contracts.policy import MeshPolicy
from contracts.predicates import Compare, Operator
from domain_adapters.allowance import Allowance, Share
from domain_adapters.errors import NoRoomError, PortUnavailableError
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from gateway.catalog.snapshot import snapshot_of
from gateway.engine.budget import Bounds
from gateway.ports import Probing
from gateway.settings import load
from tests.unit.domain_adapters.products import THINGS

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
POLICY = MeshPolicy(roles=("analyst",))
RULE = Grant(role="analyst", fields=("*",), row_filter=Compare("name", Operator.GTE, "n1"))


class Probed:
    """A port that is asked what it can do."""

    def __init__(self, port: Any, failure: Exception | None) -> None:
        self.port, self.failure = port, failure

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)

    async def probe(self, _call: Any) -> Any:
        if self.failure is not None:
            raise self.failure
        return self.port.capabilities


async def noted(failure: Exception | None = None, *, held_bytes: int = 0) -> tuple[bool, list[tuple[bool, bool]], int]:
    """Probe a port with a row rule; tell whether it answered, what was noted of it, and what is held afterwards."""
    contract = THINGS.model_copy(update={"access": Access(grants=(RULE,))})
    rows = [{"id": number, "name": f"n{number}" + "x" * 2_000, "price": None, "updated": NOW} for number in range(600)]
    port = Probed(await open_sql(contract, Rows(rows), clock=lambda: NOW), failure)
    (product,) = snapshot_of([contract], {contract.key: (port,)}).products.values()
    found: list[tuple[bool, bool]] = []
    allowance = Allowance(20_000_000)
    probing = Probing(
        POLICY, load(None, {}), Bounds(allowance=allowance), lambda _product, _port, *, proved, totals: found.append((proved, totals))
    )
    with Share(allowance) as others:
        others.reach(held_bytes)
        answered = await probing.one(product)
    await port.port.aclose()
    return answered, found, allowance.held_bytes


async def test_a_port_whose_counts_and_totals_hold_is_noted_and_nothing_stays_held() -> None:
    assert await noted() == (True, [(True, True)], 0)


async def test_a_port_that_does_not_answer_is_no_longer_believed() -> None:
    assert await noted(PortUnavailableError("gone", reason="refused")) == (False, [(False, False)], 0)


@pytest.mark.parametrize("held_bytes", [0, 19_900_000])
async def test_what_was_known_of_a_port_holds_where_there_is_no_room_to_ask_again(held_bytes: int) -> None:
    failure = None if held_bytes else NoRoomError()
    assert await noted(failure, held_bytes=held_bytes) == (False, [], 0)
