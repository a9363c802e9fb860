"""A limit is never pushed below a condition that is applied here: whatever ports can do, and whatever is asked."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from contracts.model import Access, Grant
from contracts.predicates import TRUE, Claim, Compare, Operator, Predicate
from domain_adapters.port import Capabilities, Port, Read
from domain_adapters.sql import capabilities_for
from gateway.catalog.snapshot import Product, snapshot_of
from gateway.engine.reading.pages import Pages
from gateway.engine.reading.pushdown import divide

from ..differential.running import engine_of
from ..differential.shop import ANALYST, shop
from .several_ports import less_able, named

WHERE = (
    "status:{eq:PAID}",
    "status:{in:[PAID,PLACED]}",
    'total:{gt:"1"}',
    'day:{lt:"2026-11-09"}',
    'or:[{total:{gt:"2"}},{day:{lt:"2026-11-05"}}]',
    "not:{status:{eq:SHIPPED}}",
    'customer:{country:{eq:"DE"}}',
)
ORDERS = ("", "orderBy:[{total:DESC}]", "orderBy:[{day:ASC},{status:DESC}]")
CALLER = replace(ANALYST, claims={"statuses": ["PAID", "SHIPPED"]})


def question(random: Random) -> str:
    """Draw lists, at the root and per parent, with conditions, orders and limits."""

    def arguments() -> str:
        where = ",".join(f"{{{it}}}" for it in random.sample(WHERE, random.randint(0, 2)))
        return f"first:{random.randint(1, 6)}, where:{{and:[{where}]}} {random.choice(ORDERS)}"

    below = f"orders({arguments()}){{{random.choice(('', 'totalCount '))}nodes{{orderId total}}}}"
    return f"{{order{{orders({arguments()}){{nodes{{orderId}}}}}} customer{{customers(first:5){{nodes{{{below}}}}}}}}}"


class Watched:
    """Notes with every read what was wanted of it when it was made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads: list[tuple[Product, Capabilities, Predicate, Read]] = []
        self.wanted: dict[int, list[Predicate]] = {}
        wanted_of, one = Pages.wanted, Pages.one

        def wanted(pages: Pages, asked: object) -> Predicate:
            found = wanted_of(pages, asked)  # type: ignore[arg-type]  # Hypothesis draws them of the right kinds
            self.wanted.setdefault(id(pages), []).append(found)
            return found

        async def read(pages: Pages, read: Read, *given: object, **more: object) -> object:
            for predicate in self.wanted.get(id(pages), ())[-1:]:
                self.reads.append((pages.product, pages.port.capabilities, predicate, read))
            return await one(pages, read, *given, **more)  # type: ignore[arg-type]  # whatever is given is handed on

        monkeypatch.setattr(Pages, "wanted", wanted)
        monkeypatch.setattr(Pages, "one", read)


@pytest.mark.parametrize("seed", range(20))
async def test_a_limit_goes_with_the_whole_condition_or_not_at_all(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)
    world = shop()
    ports: dict[str, tuple[Port, ...]] = {}
    if random.random() < 0.5:
        ruled = Grant(role="analyst", fields=("*",), row_filter=Compare("status", Operator.IN, Claim("statuses")))
        world.contracts[0] = world.contracts[0].model_copy(update={"access": Access(grants=(ruled,))})
    for contract in world.contracts:
        able = replace(less_able(capabilities_for(contract), random), page_max=50)
        ports[contract.key] = (await named(contract, world, "port", able),)
    asked = engine_of(snapshot_of(world.contracts, ports), world)
    watched = Watched(monkeypatch)
    for _ in range(12):
        answer = await asked.ask(CALLER, question(random))
        assert answer.refusal is None
        watched.wanted.clear()
    for port in asked.ports:
        await port.aclose()
    cut = [it for it in watched.reads if it[3].limit_per_key is not None or (it[3].limit or 50) < it[1].page_max]
    for product, able, wanted, read in cut:
        assert divide(wanted, able)[1] == TRUE or (read.count and not read.select), (product.id, read)
    assert watched.reads
