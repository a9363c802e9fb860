"""What the plan of an operation says beyond the golden cases."""

from __future__ import annotations

import datetime as dt

import pytest

from contracts.predicates import FALSE, TRUE, Among, And, Claim, Compare, Not, Operator, Or
from domain_adapters.breaker import Circuit
from domain_adapters.port import Nulls, Order
from gateway.engine.explaining.explain import explain
from gateway.engine.explaining.wording import conjuncts, order_words, words
from gateway.errors import GatewayError
from gateway.exchange import Frame, Question
from tests.differential.shop import ANALYST
from tests.property.several_ports import Named

from .test_cost import NESTED, PAGES, Desk, desk

FRAME = Frame(ANALYST, 0.0, "r")


def told(here: Desk, text: str, **variables: object) -> str:
    return explain(here.engine.explained(Question(text, None, variables), FRAME), here.engine.snapshot)


async def test_variables_without_values_are_named_and_what_they_say_is_left_out() -> None:
    text = "query($since: DateTime!, $all: Boolean!){order{orders(since:$since){nodes{orderId total @include(if:$all)}}}}"
    async with desk() as here:
        without = told(here, text)
        assert "without values for $since: what variables say is left out here" in without
        assert "columns: order_id, total" in without
        assert "    since:" not in without
        given = told(here, text, since="2026-11-01T00:00:00Z", all=False)
        assert "since: 2026-11-01T00:00:00+00:00 (pushed)" in given
        assert "columns: order_id\n" in given


async def test_what_answering_would_refuse_is_refused() -> None:
    async with desk() as here:
        with pytest.raises(GatewayError) as refusal:
            told(here, "{order{orders(first:5000){nodes{orderId}}}}")
        assert refusal.value.code.name == "LIMIT_EXCEEDED"


async def test_nothing_is_read_to_explain() -> None:
    async with desk() as here:
        told(here, NESTED)
        assert here.reads == 0


async def test_what_the_gateway_does_for_look_ups_and_totals_is_told() -> None:
    nested = (
        '{customer{customers{nodes{orders(since:"2026-11-01T00:00:00Z",first:2,where:{total:{gt:"1"}})'
        "{nodes{orderId} aggregate{max{total}}}}}}}"
    )
    async with desk(PAGES | {"since": False, "operators": frozenset()}) as here:
        plan = told(here, nested)
    assert "keys: customer_id (found by reading rows)" in plan
    assert "since: 2026-11-01T00:00:00+00:00 (here, as a condition)" in plan
    assert "filter: total gt 1 (here)" in plan
    assert "limit: 2 for each parent (here, after what is filtered or sorted here)" in plan
    assert "here: all that matches is read, at most 200000 rows, because the port lacks keys by customer_id" in plan
    async with desk({"limit_per_key": False, "having": False, "group_by": False}) as here:
        plan = told(here, nested)
        assert "here: all rows of the keys are read, and cut, because the port lacks limitPerKey" in plan
        assert "here: all rows of the keys are read, and added up, because the port lacks groupBy" in plan
    async with desk({"having": False}) as here:
        plan = told(here, "{order{orders{groups(by:[{field:STATUS}], having:{count:{gt:2}}){count}}}}")
        assert "having: count gt 2 (here)" in plan
        assert "here: all groups are read, sorted and cut, because the port lacks having" in plan


async def test_a_count_apart_is_a_call_of_its_own() -> None:
    async with desk({"count": False}) as here:
        plan = told(here, "{order{orders{totalCount nodes{orderId}}}}")
        assert "totalCount: by reading rows" in plan
        assert "here: rows are read to be counted, at most 200000, because the port lacks count" in plan
    async with desk() as here:
        assert "1 call, " in told(here, "{order{orders{totalCount}}}")


async def test_a_condition_that_no_row_satisfies_is_told() -> None:
    async with desk() as here:
        assert "nothing is read: no row satisfies" in told(here, "{order{orders(where:{or:[]}){nodes{orderId}}}}")


async def test_a_limit_that_is_enforced_is_told() -> None:
    async with desk(is_enforced=True, cost_max=77) as here:
        assert "of 77 (more is refused)" in told(here, "{order{orders{nodes{orderId}}}}")
        assert "cost: 0" in told(here, "{__typename}")


async def test_a_port_that_has_not_said_what_it_can_do_is_told() -> None:
    class Unprobed(Named):
        probed = False

        async def probe(self, call: object) -> object:
            raise NotImplementedError

    async with desk() as here:
        product = here.engine.snapshot.products["order/orders"]
        other = Unprobed(here.ports[0].port, "other")
        away = Named(here.ports[0].port, "away")
        away.circuit = Circuit.OPEN
        object.__setattr__(product, "ports", (other, away, here.ports[0]))
        plan = told(here, "{order{orders{nodes{orderId}}}}")
        assert "not other (level 1): it has not said yet what it can do" in plan
        assert "not away (level 1): its circuit is open" in plan


def test_conditions_are_written_in_words() -> None:
    one, many = Compare("a", Operator.EQ, None), Compare("b", Operator.IN, (1, 2, 3, 4, 5, 6))
    assert words(And((one, Or((many, Not(one)))))) == "a eq null and (b in [1, 2, 3, 4 and 2 more] or not a eq null)"
    assert words(Compare("c", Operator.IN, Claim("countries"))) == "c in $claims.countries"
    assert words(Compare("c", Operator.IS_NULL, True)) == "c isNull true"
    assert words(Compare("c", Operator.EQ, "x" * 50)) == f"c eq {'x' * 40}..."
    assert words(Compare("c", Operator.EQ, "a\x1b[31mb")) == "c eq a\\x1b[31mb"
    assert words(Compare("c", Operator.EQ, dt.date(2026, 1, 2))) == "c eq 2026-01-02"
    assert words(Among(("a", "b"), frozenset({(1, 2)}))) == "(a, b) among 1 keys"
    assert (words(TRUE), words(FALSE), conjuncts(TRUE)) == ("any row", "no row", ())


def test_orders_are_written_in_words() -> None:
    assert order_words((Order("a"), Order("b", True, Nulls.FIRST))) == "a, b descending nulls first"
