"""Which port a read asks, which next, and what is left to the gateway."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

import pytest

from contracts.fields import Field, Kind, Scalar
from contracts.model import Contract, Metadata, Times, Use
from contracts.objectives import Objectives
from contracts.predicates import FALSE, And, Compare, Operator, Or
from domain_adapters.breaker import Circuit
from domain_adapters.port import Capabilities, Order
from domain_adapters.sql import capabilities_for
from gateway.catalog.snapshot import Product, snapshot_of
from gateway.engine.asking.asked import Asked
from gateway.engine.asking.grouping import Grouping, Measure, Term
from gateway.engine.reading.choice import Choice, Lack, Need, Offer, Work, choose
from gateway.engine.reading.positions import PagePlace, pack_keyset, pack_page
from gateway.errors import GatewayError

TEXT = Scalar(Kind.STRING)
CONTRACT = Contract(
    metadata=Metadata(name="orders", domain="order", owner="o@example.com", version="1.0.0"),
    fields=(Field("id", TEXT), Field("status", TEXT), Field("day", Scalar(Kind.DATE)), Field("at", Scalar(Kind.INSTANT))),
    objectives=Objectives(),
    primary_key=("id",),
    times=Times(updated="at"),
)
WHOLE = capabilities_for(CONTRACT)
PAGES = Capabilities()
PAID = Compare("status", Operator.EQ, "PAID")
DAYS = Compare("day", Operator.GT, "2026-01-01")


@dataclass
class Some:
    """A port as far as a choice sees it."""

    name: str
    capabilities: Capabilities
    circuit: Circuit = Circuit.CLOSED


def product(contract: Contract = CONTRACT) -> Product:
    return snapshot_of([contract], {}).products["order/orders"]


def offer(name: str, able: Capabilities = WHOLE, *, circuit: Circuit = Circuit.CLOSED, **more: Any) -> Offer:
    return Offer(Some(name, able, circuit), **more)  # type: ignore[arg-type]  # as little of a port as choosing needs


def chosen(need: Need, *offers: Offer, of: Contract = CONTRACT) -> list[str]:
    return names(choose(need, product(of), offers))


def names(choice: Choice) -> list[str]:
    return [it.offer.port.name for it in choice.options]


def lacks(need: Need, able: Capabilities, **more: Any) -> dict[str, Work]:
    (option,) = choose(need, product(), [offer("it", able, **more)]).options
    return {it.capability: it.work for it in option.lacks}


LIST = Need(Use.LIST, Asked())


def test_the_first_in_contract_order_that_can_do_all_is_asked_first() -> None:
    assert chosen(LIST, offer("a", PAGES), offer("b"), offer("c")) == ["b", "c", "a"]


def test_an_open_circuit_puts_a_port_last_and_a_half_open_one_does_not() -> None:
    away, back = offer("a", circuit=Circuit.OPEN), offer("b", circuit=Circuit.HALF_OPEN)
    assert chosen(LIST, away, offer("c", PAGES), back) == ["b", "c", "a"]


def test_a_port_that_nobody_has_heard_from_comes_after_those_that_are_known() -> None:
    assert chosen(LIST, offer("new", is_known=False), offer("known", PAGES), offer("away", circuit=Circuit.OPEN)) == [
        "known",
        "new",
        "away",
    ]


def test_where_none_can_do_all_the_one_that_leaves_least_is_asked() -> None:
    need = Need(Use.LIST, Asked(where=And((PAID, DAYS)), order=(Order("day"),)))
    half = replace(PAGES, filters=frozenset({("status", Operator.EQ)}))
    assert chosen(need, offer("nothing", PAGES), offer("half", half)) == ["half", "nothing"]
    lookups = Need(Use.LOOKUP, Asked(), keys=("status",))
    by_filter = replace(PAGES, filters=frozenset({("status", Operator.IN)}))
    assert chosen(lookups, offer("scans", half), offer("filters", by_filter)) == ["filters", "scans"]


def test_serves_restricts_a_port_to_its_uses() -> None:
    offers = offer("lists", PAGES, serves=frozenset({Use.LIST})), offer("totals", serves=frozenset({Use.TOTALS, Use.LOOKUP}))
    assert chosen(LIST, *offers) == ["lists"]
    assert chosen(Need(Use.LOOKUP, Asked(), keys=("id",)), *offers) == ["totals"]
    nobody = choose(Need(Use.EXPORT, Asked()), product(), offers)
    assert (names(nobody), [it.port.name for it in nobody.barred]) == ([], ["lists", "totals"])


def test_a_list_without_order_comes_by_key_as_soon_as_one_port_sorts() -> None:
    sorted_, paged = choose(LIST, product(), [offer("pages", PAGES), offer("sorts", circuit=Circuit.OPEN)]).options, None
    assert [(it.offer.port.name, it.asked.order) for it in sorted_] == [("pages", (Order("id"),)), ("sorts", ())]
    (paged,) = choose(LIST, product(), [offer("pages", PAGES)]).options
    assert (paged.asked.order, paged.work) == ((), Work.NONE)


def test_a_port_that_does_not_serve_lists_does_not_decide_their_order() -> None:
    (option,) = choose(LIST, product(), [offer("pages", PAGES), offer("looks up", serves=frozenset({Use.LOOKUP}))]).options
    assert option.asked.order == ()


def test_a_cursor_of_a_key_is_good_with_every_port() -> None:
    need = Need(Use.LIST, Asked(place=pack_keyset(["O1"])))
    (option,) = choose(need, product(), [offer("pages", PAGES)]).options
    assert (option.asked.order, option.lacks) == ((Order("id"),), (Lack("orderBy", Work.SCAN), Lack("filter with and, or, not", Work.SCAN)))


def test_a_cursor_of_a_page_is_good_with_its_port_alone() -> None:
    offers = [offer("a", PAGES), offer("b", PAGES)]
    assert chosen(Need(Use.LIST, Asked(place=pack_page(PagePlace("c1", port="b")))), *offers) == ["b"]
    assert chosen(Need(Use.LIST, Asked(place=pack_page(PagePlace("c1")))), *offers) == ["a"]
    assert chosen(Need(Use.LIST, Asked(place=pack_page(PagePlace("c1", port="gone")))), *offers) == []


def test_what_is_left_over_is_named() -> None:
    asked = Asked(where=And((PAID, Or((PAID, DAYS)))), order=(Order("day"),), counts=True)
    assert lacks(Need(Use.LIST, asked, DAYS), PAGES) == {
        "orderBy": Work.SCAN,
        "filter status eq": Work.SCAN,
        "filter with and, or, not": Work.SCAN,
        "filter of the row rule": Work.SCAN,
    }
    assert lacks(Need(Use.LIST, asked, DAYS), WHOLE) == {}


def test_a_filter_without_order_costs_pages_and_a_count_a_scan() -> None:
    assert lacks(Need(Use.LIST, Asked(where=PAID)), PAGES) == {"filter status eq": Work.FILTER}
    assert lacks(Need(Use.LIST, Asked(counts=True)), PAGES) == {"count": Work.COUNT}
    assert lacks(Need(Use.LIST, Asked(counts=True), PAID), WHOLE, trusts_counts=False) == {"count of these rows": Work.COUNT}
    assert lacks(Need(Use.LIST, Asked(rows=False)), PAGES) == {}


def test_masked_ties_are_broken_here_whatever_the_port_can() -> None:
    assert lacks(Need(Use.LIST, Asked(), sorts_here=True), WHOLE) == {"ties by masked keys": Work.SCAN}
    assert lacks(Need(Use.LOOKUP, Asked(), keys=("id",), per_key=True, sorts_here=True), WHOLE) == {"limitPerKey": Work.MORE}


def test_a_streamed_list_filters_here_without_a_scan() -> None:
    assert lacks(Need(Use.EXPORT, Asked(where=PAID)), replace(WHOLE, operators=frozenset())) == {"filter status eq": Work.FILTER}
    assert lacks(Need(Use.EXPORT, Asked(order=(Order("day"),))), PAGES) == {"orderBy": Work.SCAN}


def test_what_look_ups_lack_is_named() -> None:
    need = Need(Use.LOOKUP, Asked(where=PAID, counts=True), keys=("status",), per_key=True)
    assert lacks(need, PAGES) == {
        "keys by status": Work.SCAN,
        "filter status eq": Work.FILTER,
        "limitPerKey": Work.MORE,
        "count per key": Work.MORE,
    }
    assert lacks(need, WHOLE) == {}


GROUPS = Grouping(
    Asked(where=PAID),
    lambda group, cursor: None,
    by=(Term((), product().column_by_name["day"], "month"),),
    measures=(Measure("sum", product().column_by_name["day"], TEXT),),
    having=Compare("m0", Operator.GT, 1),
)


def test_what_totals_lack_is_named() -> None:
    need = Need(Use.TOTALS, GROUPS.asked, DAYS, grouping=GROUPS)
    assert lacks(need, PAGES) == {
        "aggregate sum": Work.SCAN,
        "groupBy": Work.SCAN,
        "truncate to month": Work.SCAN,
        "filter status eq": Work.SCAN,
        "filter of the row rule": Work.SCAN,
        "orderBy": Work.MORE,
        "having": Work.MORE,
    }
    assert lacks(need, WHOLE) == {}
    assert lacks(need, WHOLE, trusts_totals=False) == {"proof of its totals under row rules": Work.SCAN}
    assert lacks(replace(need, keys=("id",)), replace(WHOLE, group_by=False)) == {"groupBy": Work.MORE}


def test_what_no_row_satisfies_needs_nothing() -> None:
    assert lacks(Need(Use.LIST, Asked(where=FALSE, order=(Order("day"),))), PAGES) == {}


def test_since_is_a_filter_where_a_port_does_not_know_it() -> None:
    asked = Asked(since=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    assert lacks(Need(Use.LIST, asked), PAGES) == {"since": Work.FILTER}
    assert lacks(Need(Use.LIST, asked), replace(PAGES, since=True)) == {}


def test_a_cursor_that_belongs_to_another_order_is_refused() -> None:
    with pytest.raises(GatewayError) as refusal:
        chosen(Need(Use.LIST, Asked(place=pack_keyset(["O1", "x"]))), offer("a"))
    assert refusal.value.code.name == "CURSOR_EXPIRED"
