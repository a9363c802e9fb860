"""What operations are estimated to cost, and what is refused before any read."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from contracts.model import OutputPort, Use
from domain_adapters.port import Capabilities
from domain_adapters.sql import capabilities_for
from gateway.catalog.snapshot import snapshot_of
from gateway.engine.asking.binding import Values, bind
from gateway.engine.budget import Bounds
from gateway.engine.engine import Engine
from gateway.engine.explaining.cost import Costs, Estimate, Tariff
from gateway.engine.signals import Signals
from gateway.exchange import Form, Frame, Question, Reply
from gateway.settings_sections import Limits
from gateway.slo.board import Board
from tests.differential.running import SECRET
from tests.differential.shop import ANALYST, shop
from tests.differential.worlds import NOW
from tests.property.several_ports import Named, named
from tests.unit.gateway.engine.test_choice import CONTRACT

PAGES = {"order_by": False, "keys": False, "limit_per_key": False, "count": False, "group_by": False, "aggregates": frozenset()}


class Desk:
    """An engine over the shop that tells what operations cost."""

    def __init__(self, engine: Engine, ports: list[Named], costs: list[tuple[float, int, int | None]]) -> None:
        self.engine, self.ports, self.costs = engine, ports, costs

    def estimate(self, text: str, **variables: Any) -> Estimate:
        """Estimate without asking."""
        frame = Frame(ANALYST, 0.0, "r")
        view = self.engine._views.of(ANALYST, NOW)
        prepared, values, executable = self.engine._compile(Question(text, None, variables), frame, view)
        rules = self.engine._bound_rules(executable, ANALYST)
        bound = bind(executable, Values(values, prepared.literals), Bounds(), decision=view.digest, rules=rules)
        return self.engine._costs.estimate(executable, bound, rules)

    async def error(self, text: str, **variables: Any) -> dict[str, Any]:
        """Ask what is refused, or fails."""
        frame = Frame(ANALYST, asyncio.get_running_loop().time() + 30, "r")
        body = json.loads((await self.engine.answer(Question(text, None, variables), frame)).body)
        return dict(body["errors"][0]["extensions"], message=body["errors"][0]["message"]) if "errors" in body else {}

    @property
    def reads(self) -> int:
        return sum(port.attempts for port in self.ports)


@asynccontextmanager
async def desk(less: dict[str, Any] | None = None, *, size: int = 100, **tariff: Any) -> AsyncIterator[Desk]:
    """Open the shop; ``less``: what the port of orders cannot do; ``size``: rows of each product at most."""
    world = shop()
    for rows in world.rows.values():
        del rows[size:]
    ports = []
    for contract in world.contracts:
        able: Capabilities = capabilities_for(contract)
        if less is not None and contract.key == "order/orders":
            able = replace(able, **less)
        ports.append(await named(contract, world, "rest-api", able))
    costs: list[tuple[float, int, int | None]] = []
    engine = Engine(
        snapshot_of(world.contracts, {it.key: (port,) for it, port in zip(world.contracts, ports, strict=True)}),
        world.policy,
        secret=SECRET,
        limits=Limits(),
        bounds=Bounds(),
        clock=lambda: NOW,
        board=Board(world.contracts, lambda: NOW),
        tariff=Tariff(**tariff),
        signals=Signals(cost=lambda cost, estimated, read: costs.append((cost, estimated, read))),
    )
    try:
        yield Desk(engine, ports, costs)
    finally:
        engine.close()
        for port in ports:
            await port.aclose()


LIST = "{order{orders(first:9){nodes{orderId status}}}}"
NESTED = "{customer{customers(first:10){nodes{customerId orders(first:4){nodes{orderId day payments(first:2){nodes{number}}}}}}}}"


async def test_a_page_costs_its_rows_and_one_more_by_its_columns() -> None:
    async with desk() as here:
        found = here.estimate(LIST)
        assert (found.rows, found.cost) == (10, 20.0)
        assert here.estimate("query($n: Int){order{orders(first:$n){nodes{orderId status}}}}", n=99).cost == 200.0


async def test_lists_in_lists_multiply() -> None:
    async with desk() as here:
        # Keys are columns as well: those of customers, of orders, and of payments that are grouped by order.
        assert [(part.rows, part.part.columns) for part in here.estimate(NESTED).parts] == [(11, 1), (50, 3), (120, 2)]


async def test_a_partner_costs_one_row_for_each_parent_and_a_row_by_key_one() -> None:
    async with desk() as here:
        found = here.estimate('{order{orders(first:7){nodes{customer{name}}} ordersByKey(key:{orderId:"O1"}){customer{name}}}}')
        assert [part.rows for part in found.parts] == [8, 7, 1, 1]


async def test_totals_cost_their_groups_where_the_port_makes_them_and_a_scan_where_it_does_not() -> None:
    groups = "{order{orders{groups(by:[{field:STATUS}], first:5){key{status} count}}}}"
    async with desk() as here:
        assert here.estimate(groups).parts[1].rows == 5
    async with desk(PAGES) as here:
        assert here.estimate(groups).parts[1].rows == Bounds().scan_rows_max
    async with desk(PAGES, rows={"order/orders": 500}) as here:
        assert here.estimate(groups).parts[1].rows == 500


async def test_what_is_filtered_here_costs_more_rows_and_what_is_sorted_here_all_of_them() -> None:
    text = "{order{orders(first:9%s){nodes{orderId}}}}"
    async with desk({"operators": frozenset(), "boolean": False}) as here:
        assert here.estimate(text % ", where:{status:{eq:PAID}}").rows == Bounds().scan_rows_max  # sorted by key
    async with desk(PAGES | {"operators": frozenset(), "boolean": False}) as here:
        assert here.estimate(text % ", where:{status:{eq:PAID}}").rows == Bounds().scan_rows_max  # none of them may match
        assert here.estimate(text % ", orderBy:[{day:ASC}]").rows == Bounds().scan_rows_max


async def test_weights_make_a_port_dearer() -> None:
    async with desk(port_weights={("order/orders", "rest-api"): 2.5}) as here:
        assert here.estimate(LIST).cost == 50.0
    async with desk(type_weights={"rest-api": 3.0}) as here:
        assert here.estimate(LIST).cost == 60.0
    contract = CONTRACT.model_copy(update={"output_ports": (OutputPort(type="a"), OutputPort(type="b", name="copy"))})
    tariff = Tariff(type_weights={"a": 2.0, "b": 4.0}, port_weights={("order/orders", "a"): 7.0})
    assert [tariff.weight(contract, name) for name in ("a", "copy", "other")] == [7.0, 4.0, 1.0]


async def test_an_operation_that_may_cost_too_much_is_refused_before_any_read() -> None:
    async with desk(is_enforced=True, cost_max=300) as here:
        assert await here.error(LIST) == {}
        before = here.reads
        found = await here.error(NESTED)
        assert here.reads == before
        assert (found["code"], found["cost"], found["limit"]) == ("COST_EXCEEDED", 401, 300)
        assert found["part"] == "customer.customers.nodes.orders.nodes.payments"
        assert found["hint"] == (
            "customer.customers.nodes.orders.nodes.payments alone may cost 240, as it is read for every row of "
            "customer.customers.nodes.orders: lower first of either, or select fewer columns."
        )
        assert "lower its first" in (await here.error("{order{orders(first:900){nodes{orderId}}}}"))["hint"]


async def test_a_refusal_names_what_the_port_lacks() -> None:
    async with desk(PAGES, is_enforced=True) as here:
        found = await here.error("{order{orders(orderBy:[{day:ASC}]){nodes{orderId again:orderId}}}}")
        assert found == {}  # one column, however often it is shown
    async with desk(PAGES, is_enforced=True, cost_max=100_000) as here:
        found = await here.error("{order{orders(orderBy:[{day:ASC}]){nodes{orderId}}}}")
        assert "up to 200000 rows are read for what its port lacks (orderBy): leave that out" in found["hint"]
        assert here.reads == 0


async def test_estimates_are_only_measured_unless_enforced() -> None:
    async with desk(cost_max=1) as here:
        assert await here.error(LIST) == {}
        assert here.costs == [(20.0, 10, 10)]


async def test_streams_have_a_limit_of_their_own() -> None:
    text = "{order{orders(first:1000000){nodes{orderId status}}}}"
    for limit, is_refused in ((10_000, True), (10_000_000, False)):
        async with desk(is_enforced=True, cost_max=10, stream_cost_max=limit) as here:
            frame = Frame(ANALYST, asyncio.get_running_loop().time() + 30, "r")
            answer = await here.engine.stream(Question(text), frame, Form.JSONL)
            if isinstance(answer, Reply):
                assert answer.refusal is not None
                assert answer.refusal.name == "COST_EXCEEDED"
            else:
                await answer.rest.aclose()
                assert here.costs == [(2_002_000.0, 1_001_000, None)]  # in whole pages
            assert isinstance(answer, Reply) is is_refused


async def test_a_scan_of_a_product_that_is_too_large_is_refused_before_any_read_with_what_is_missing() -> None:
    async with desk(PAGES, rows={"order/orders": 10**9}) as here:
        found = await here.error("{order{orders(orderBy:[{day:ASC}]){nodes{orderId}}}}")
        assert (found["code"], found["missing"], found["owner"]) == ("PORT_CANNOT", ["orderBy"], "order@example.com")
        assert found["hint"] == "Narrow it with where or since, or ask order@example.com for a level 1 port or a mirror."
        assert here.reads == 0
        # What may match a few rows only is tried, and a list is not refused for its number.
        assert await here.error("{order{orders(orderBy:[{day:ASC}], where:{status:{eq:PAID}}){nodes{orderId}}}}") == {}
        assert await here.error("{order{orders{totalCount nodes{orderId}}}}") == {}


async def test_a_scan_over_the_budget_names_what_is_missing() -> None:
    async with desk(PAGES) as here:
        here.engine.bounds = replace(here.engine.bounds, scan_rows_max=10)
        found = await here.error("{order{orders(orderBy:[{day:ASC}]){nodes{orderId}}}}")
        assert (found["code"], found["missing"]) == ("PORT_CANNOT", ["orderBy"])
        counted = await here.error("{order{orders{totalCount nodes{orderId}}}}")
        assert (counted["code"], counted["missing"]) == ("PORT_CANNOT", ["count"])


async def test_a_product_that_no_port_serves_so_is_refused_by_name() -> None:
    async with desk() as here:
        here.ports[0].serves = frozenset({Use.LOOKUP})
        found = await here.error(LIST)
        assert (found["code"], found["missing"]) == ("PORT_CANNOT", ["list"])
        assert found["hint"] == "Leave it out, or ask order@example.com for a port that serves list."
        assert here.estimate(LIST).rows == 10


async def test_what_is_told_at_sight_is_what_looking_closer_says() -> None:
    questions = (
        LIST,
        NESTED,
        '{order{ordersByKey(key:{orderId:"O1"}){customer{name} payments{totalCount nodes{number}}}}}',
        "{order{orders(first:3, where:{status:{eq:PAID}}, orderBy:[{day:ASC}]){totalCount nodes{customer{country}}}}}",
        "{order{orders{totalCount}} payment{payments{nodes{order{customer{name}}}}}}",
    )
    for less in ({}, PAGES, PAGES | {"keys": True}, {"limit_per_key": False}, {"select": False}):
        async with desk(less) as here:
            for text in questions:
                view = here.engine._views.of(ANALYST, NOW)
                prepared, values, executable = here.engine._compile(Question(text), Frame(ANALYST, 0.0, "r"), view)
                rules = here.engine._bound_rules(executable, ANALYST)
                bound = bind(executable, Values(values, prepared.literals), Bounds(), decision=view.digest, rules=rules)
                found = here.engine._costs.estimate(executable, bound, rules)
                assert here.engine._costs.checked(executable, bound, rules) == (found.cost, found.rows), (less, text)


async def test_an_estimate_takes_microseconds() -> None:
    async with desk() as here:
        view = here.engine._views.of(ANALYST, NOW)
        prepared, values, executable = here.engine._compile(Question(NESTED), Frame(ANALYST, 0.0, "r"), view)
        rules = here.engine._bound_rules(executable, ANALYST)
        bound = bind(executable, Values(values, prepared.literals), Bounds(), decision=view.digest, rules=rules)
        costs: Costs = here.engine._costs
        best = min(_timed(lambda: costs.checked(executable, bound, rules)) for _ in range(50))
        # Some 4 us for three reads on the machine this was written on.
        assert best < 200e-6


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


async def test_estimates_do_not_depend_on_what_the_rows_are() -> None:
    found = []
    for size in (1, 30):
        async with desk(PAGES, size=size) as here:
            found.append([(part.rows, part.cost) for part in here.estimate(NESTED).parts])
    assert found[0] == found[1]


async def test_conditions_on_partners_cost_what_either_side_may_hold() -> None:
    text = '{order{orders(first:2, where:{customer:{country:{eq:"DE"}}}){nodes{orderId}}}}'
    nested = "{customer{customers(first:4){nodes{orders(first:2, where:{payments:{some:{}}}){nodes{orderId}}}}}}"
    async with desk(rows={"order/orders": 100, "customer/customers": 40, "payment/payments": 70}) as here:
        # A page; where it is looked for, each row thrice; all rows. Partners and those looked up; the rows' keys, some and all of them.
        found = here.estimate(text)
        assert [(part.part.product.id, part.rows) for part in found.parts] == [
            ("order/orders", 3 + 3 * 100 + 100),
            ("customer/customers", 2 * 40 + 2 * 100),
        ]
        assert [part.rows for part in here.estimate(nested).parts] == [5, 4 * 3 + 4 * 100, 2 * 70 + 2 * 100]
        assert await here.error(text) == {}
        # A relationship that a variable does not name costs nothing.
        asked = "query($w: OrderOrdersWhere){order{orders(first:2, where:$w){nodes{orderId}}}}"
        assert here.estimate(asked, w={"status": {"eq": "PAID"}}).rows == 3
