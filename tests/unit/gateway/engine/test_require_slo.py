"""``@requireSlo`` in whole operations: what is demanded and unmet is not read, and everything else is as it would be without it."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema

from contracts.objectives import Objectives, RatioObjective, TimeObjective
from gateway.caller import Caller
from gateway.catalog.snapshot import snapshot_of
from gateway.engine.demanding import check_demands
from gateway.exchange import Form, Frame, Question, Reply, Stream
from gateway.slo.demands import OnBreach, Wanted, strictest
from tests.differential.plain_port import PlainPort
from tests.differential.running import Asked, engine_of
from tests.differential.shop import ANALYST, shop
from tests.differential.worlds import NOW
from tests.property.office import Counted
from tests.unit.gateway.slo.readings import told

PROMISED = Objectives(freshness=TimeObjective("< 1 hour", 3_600.0), completeness=RatioObjective("> 99%", 0.99))
FLAT = "{ order { orders(first: 2) @requireSlo(%s) { nodes { orderId } } } }"


class Shop:
    """The shop's engine, with orders ten minutes old, customers two hours, payments never measured; and what was read."""

    def __init__(self, asked: Asked, ports: dict[str, Counted]) -> None:
        self.asked = asked
        self.ports = ports

    @property
    def reads(self) -> dict[str, int]:
        return {key: len(port.reads) for key, port in self.ports.items() if port.reads}

    def measure(self, product: str, *, age: dt.timedelta, complete: float = 1.0) -> None:
        self.asked.engine.board.take(product, told(NOW, NOW - age, complete))

    async def ask(self, text: str, **variables: Any) -> dict[str, Any]:
        return (await self.asked.ask(ANALYST, text, None, variables)).body

    async def stream(self, text: str, form: Form = Form.JSONL) -> Stream | Reply:
        frame = Frame(ANALYST, asyncio.get_running_loop().time() + 60, "r")
        return await self.asked.engine.stream(Question(text), frame, form)


@pytest.fixture
async def mesh() -> AsyncIterator[Shop]:
    world = shop()
    world.contracts[:] = [it.model_copy(update={"objectives": PROMISED}) for it in world.contracts]
    ports: dict[str, Counted] = {}
    for contract in world.contracts:
        rows, lookups = world.rows[contract.key], world.lookups.get(contract.key, frozenset())
        ports[contract.key] = Counted(PlainPort(contract, rows, lookups, "shop"))
    found = Shop(engine_of(snapshot_of(world.contracts, {key: (port,) for key, port in ports.items()}), world), ports)
    found.measure("order/orders", age=dt.timedelta(minutes=10))
    found.measure("customer/customers", age=dt.timedelta(hours=2))
    yield found
    found.asked.engine.close()
    for one in ports.values():
        await one.aclose()


def codes(body: dict[str, Any]) -> list[str]:
    return [error["extensions"]["code"] for error in body.get("errors", [])]


# -- refusing ------------------------------------------------------------------------------------------------------------------


async def test_an_unmet_demand_refuses_before_any_read_and_names_product_objective_figure_and_owner(mesh: Shop) -> None:
    body = await mesh.ask('query @requireSlo(freshness: "PT5M") { order { orders(first: 1) { nodes { orderId } } } }')
    (error,) = body["errors"]
    assert "data" not in body
    assert error["message"] == "freshness of order/orders is PT10M, and at most PT5M is demanded."
    assert error["path"] == ["order", "orders"]
    assert {key: error["extensions"][key] for key in ("code", "product", "objective", "figure", "demanded", "owner", "status")} == {
        "code": "SLO_UNMET",
        "product": "order/orders",
        "objective": "freshness",
        "figure": 600.0,
        "demanded": "at most PT5M",
        "owner": "order@example.com",
        "status": "MET",
    }
    assert mesh.reads == {}


async def test_a_met_demand_changes_nothing_of_the_answer(mesh: Shop) -> None:
    plain = await mesh.ask("{ order { orders(first: 2) { nodes { orderId } } } }")
    demanding = await mesh.ask(FLAT % 'freshness: "PT10M", completeness: 1, status: MET')
    assert demanding == plain


async def test_a_demand_holds_for_every_product_below_and_for_none_beside(mesh: Shop) -> None:
    joined = "nodes { orderId customer { name } }"
    body = await mesh.ask(f'{{ order {{ orders(first: 1) @requireSlo(freshness: "1 hour") {{ {joined} }} }} }}')
    assert [(it["extensions"]["product"], it["path"]) for it in body["errors"]] == [
        ("customer/customers", ["order", "orders", "nodes", "customer"])
    ]
    assert mesh.reads == {}
    alone = 'orders(first: 1) @requireSlo(freshness: "1 hour") { nodes { orderId } }'
    beside = f"{{ order {{ {alone} }} customer {{ customers(first: 1) {{ nodes {{ name }} }} }} }}"
    assert codes(await mesh.ask(beside)) == []


async def test_the_partners_that_groups_are_formed_by_are_below_too(mesh: Shop) -> None:
    grouped = '{ order { orders @requireSlo(freshness: "1 hour") { groups(by: [%s]) { count } } } }'
    assert codes(await mesh.ask(grouped % "{field: STATUS}")) == []
    before = mesh.reads
    body = await mesh.ask(grouped % "{path: [CUSTOMER], field: COUNTRY}")
    assert [it["extensions"]["product"] for it in body["errors"]] == ["customer/customers"]
    assert mesh.reads == before


async def test_the_partners_that_a_condition_follows_are_below_too(mesh: Shop) -> None:
    filtered = '{ order { orders(first: 1, where: %s) @requireSlo(freshness: "1 hour") { nodes { orderId } } } }'
    assert codes(await mesh.ask(filtered % "{status: {eq: PAID}}")) == []
    before = mesh.reads
    body = await mesh.ask(filtered % '{customer: {country: {eq: "DE"}}}')
    assert [(it["extensions"]["code"], it["extensions"]["product"]) for it in body["errors"]] == [("SLO_UNMET", "customer/customers")]
    assert mesh.reads == before


async def test_the_row_found_by_its_key_is_held_to_demands_as_a_list_is(mesh: Shop) -> None:
    body = await mesh.ask('{ customer { customersByKey(key: {customerId: "C1"}) @requireSlo(freshness: "1 hour") { name } } }')
    assert codes(body) == ["SLO_UNMET"]
    assert mesh.reads == {}


async def test_what_was_never_measured_meets_no_demand(mesh: Shop) -> None:
    for demand in ('freshness: "100 years"', "completeness: 0.001", "status: AT_RISK"):
        body = await mesh.ask(f"{{ payment {{ payments(first: 1) @requireSlo({demand}) {{ nodes {{ method }} }} }} }}")
        (error,) = body["errors"]
        assert (error["extensions"]["code"], error["extensions"]["status"]) == ("SLO_UNMET", "UNKNOWN")
    assert mesh.reads == {}


async def test_all_products_that_do_not_meet_it_are_named_once(mesh: Shop) -> None:
    body = await mesh.ask(
        'query @requireSlo(freshness: "1 min", status: MET) {'
        " order { a: orders(first: 1) { nodes { customer { name } } } b: orders(first: 1) { nodes { orderId } } } }"
    )
    assert sorted((it["extensions"]["product"], it["extensions"]["objective"]) for it in body["errors"]) == [
        ("customer/customers", "freshness"),
        ("customer/customers", "status"),
        ("order/orders", "freshness"),
    ]


async def test_a_recovered_product_is_served_again_by_the_same_compiled_operation(mesh: Shop) -> None:
    text = FLAT % 'freshness: "5 min"'
    assert codes(await mesh.ask(text)) == ["SLO_UNMET"]
    later = NOW + dt.timedelta(microseconds=1)
    mesh.asked.engine.board.take("order/orders", told(later, later))
    assert codes(await mesh.ask(text)) == []


# -- warning and nulling -------------------------------------------------------------------------------------------------------


async def test_warn_answers_and_says_so_in_the_extensions(mesh: Shop) -> None:
    body = await mesh.ask('{ order { orders(first: 1) { nodes { customer @requireSlo(freshness: "1 hour", onBreach: WARN) { name } } } } }')
    assert codes(body) == []
    assert body["data"]["order"]["orders"]["nodes"]
    assert body["extensions"]["mesh"]["unmet"] == [
        {
            "path": "order.orders.nodes.customer",
            "product": "customer/customers",
            "owner": "customer@example.com",
            "objective": "freshness",
            "demanded": "at most PT1H",
            "figure": 7_200.0,
            "status": "BREACHED",
        }
    ]


async def test_null_nulls_the_field_that_demands_with_an_error_and_reads_the_rest(mesh: Shop) -> None:
    body = await mesh.ask(
        '{ order { orders(first: 2) { nodes { orderId customer @requireSlo(freshness: "1 hour", onBreach: NULL) { name } } } } }'
    )
    assert [node["customer"] for node in body["data"]["order"]["orders"]["nodes"]] == [None, None]
    (error,) = body["errors"]
    assert (error["extensions"]["code"], error["path"]) == ("SLO_UNMET", ["order", "orders", "nodes", "customer"])
    assert mesh.reads == {"order/orders": 1}
    # What was not read did not feed the answer.
    assert list(body["extensions"]["mesh"]["slo"]["products"]) == ["order/orders"]


async def test_null_on_the_operation_nulls_the_root_fields_that_read_what_does_not_meet_it(mesh: Shop) -> None:
    body = await mesh.ask(
        'query @requireSlo(freshness: "1 hour", onBreach: NULL) {'
        " order { joined: orders(first: 1) { nodes { customer { name } } } alone: orders(first: 1) { nodes { orderId } } } }"
    )
    assert body["data"]["order"]["joined"] is None
    assert body["data"]["order"]["alone"]["nodes"]
    assert [it["path"] for it in body["errors"]] == [["order", "joined"]]
    assert mesh.reads == {"order/orders": 1}


async def test_null_inside_what_is_null_already_is_told_once(mesh: Shop) -> None:
    body = await mesh.ask(
        '{ order { orders(first: 1) @requireSlo(freshness: "1 min", onBreach: NULL)'
        ' { nodes { customer @requireSlo(freshness: "1 min", onBreach: NULL) { name } } } } }'
    )
    assert body["data"] == {"order": {"orders": None}}
    assert [(it["path"], it["extensions"]["product"]) for it in body["errors"]] == [
        (["order", "orders"], "order/orders"),
        (["order", "orders"], "customer/customers"),
    ]
    assert mesh.reads == {}


async def test_lists_of_parents_and_their_totals_are_nulled_whole(mesh: Shop) -> None:
    body = await mesh.ask(
        "{ order { orders(first: 2) { nodes { orderId"
        " payments(first: 1) @requireSlo(status: MET, onBreach: NULL) { totalCount nodes { amount } aggregate { count } } } } } }"
    )
    assert [node["payments"] for node in body["data"]["order"]["orders"]["nodes"]] == [None, None]
    assert mesh.reads == {"order/orders": 1}


# -- what GraphQL does with it -------------------------------------------------------------------------------------------------


async def test_arguments_may_be_variables_with_defaults_and_null(mesh: Shop) -> None:
    text = (
        'query Q($f: String = "5 min", $c: Float, $s: SloStatus, $b: SloOnBreach)'
        " { order { orders(first: 1) @requireSlo(freshness: $f, completeness: $c, status: $s, onBreach: $b) { nodes { orderId } } } }"
    )
    assert codes(await mesh.ask(text)) == ["SLO_UNMET"]
    assert codes(await mesh.ask(text, f="1 hour")) == []
    assert codes(await mesh.ask(text, f=None)) == []
    assert codes(await mesh.ask(text, f=None, s="MET", c=1)) == []
    assert codes(await mesh.ask(text, f=None, s="MET", c=0.5)) == []
    body = await mesh.ask(text, b="WARN")
    assert codes(body) == []
    assert body["extensions"]["mesh"]["unmet"]
    assert codes(await mesh.ask(text, b=None)) == ["SLO_UNMET"]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"f": "yesterday"}, "freshness"),
        ({"f": "-1 hour"}, "freshness"),
        ({"c": 1.5}, "completeness"),
        ({"c": -1}, "completeness"),
        ({"s": "UNKNOWN"}, "status"),
    ],
)
async def test_variables_that_cannot_be_meant_are_bad_input_with_a_hint(mesh: Shop, variables: dict[str, Any], said: str) -> None:
    text = (
        "query Q($f: String, $c: Float, $s: SloStatus)"
        " { order { orders(first: 1) @requireSlo(freshness: $f, completeness: $c, status: $s) { nodes { orderId } } } }"
    )
    (error,) = (await mesh.ask(text, **variables))["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["message"].startswith(f"@requireSlo: {said}")
    assert "@requireSlo(freshness:" in error["extensions"]["hint"]
    assert mesh.reads == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FLAT % 'freshness: "soon"', "expected a duration"),
        (FLAT % "completeness: 1.5", "expected a share"),
        (FLAT % "accuracy: 0", "expected a share"),
        (FLAT % "status: UNKNOWN", "demands nothing"),
        (FLAT % "onBreach: NULL", "demands nothing"),
        (FLAT % "freshness: null", "demands nothing"),
        ("query @requireSlo { order { orders { nodes { orderId } } } }", "demands nothing"),
        (FLAT % "freshness: 5", "String cannot represent"),
        (FLAT % "fresh: 5", "Unknown argument"),
        (FLAT.replace("@requireSlo(%s)", "@requireSlo(status: MET) @requireSlo(status: MET)"), "can only be used once"),
        ("{ order @requireSlo(status: MET) { orders { nodes { orderId } } } }", "nowhere else"),
        ("{ order { orders { nodes @requireSlo(status: MET) { orderId } } } }", "nowhere else"),
        ("{ order { orders { nodes { orderId @requireSlo(status: MET) } } } }", "nowhere else"),
        ("{ order { orders { edges { node @requireSlo(status: MET) { orderId } } } } }", "nowhere else"),
        ("{ order { orders { pageInfo @requireSlo(status: MET) { hasNextPage } } } }", "nowhere else"),
        ("{ mesh @requireSlo(status: MET) { products { name } } }", "nowhere else"),
        ("{ __schema @requireSlo(status: MET) { queryType { name } } }", "nowhere else"),
        ("{ order { orders { nodes { ... @requireSlo(status: MET) { orderId } } } } }", "may not be used on"),
        ("{ order { nothing @requireSlo(status: MET) { a } } }", "Cannot query field"),
    ],
)
async def test_what_the_text_alone_shows_to_be_wrong_does_not_validate(mesh: Shop, text: str, said: str) -> None:
    body = await mesh.ask(text)
    assert set(codes(body)) == {"GRAPHQL_VALIDATION_FAILED"}
    assert any(said in error["message"] for error in body["errors"]), body
    assert mesh.reads == {}


async def test_fragments_aliases_and_merged_fields_carry_their_demands(mesh: Shop) -> None:
    fragment = (
        "{ order { mine: orders(first: 1) { nodes { orderId } } ...F } }"
        ' fragment F on OrderDomain { mine: orders(first: 1) @requireSlo(freshness: "1 min") { nodes { status } } }'
    )
    (error,) = (await mesh.ask(fragment))["errors"]
    assert (error["extensions"]["code"], error["path"]) == ("SLO_UNMET", ["order", "mine"])


async def test_a_skipped_field_demands_nothing(mesh: Shop) -> None:
    text = (
        "query Q($all: Boolean!) { order { orders(first: 1) { nodes { orderId"
        ' customer @include(if: $all) @requireSlo(freshness: "1 hour") { name } } } } }'
    )
    assert codes(await mesh.ask(text, all=False)) == []
    assert codes(await mesh.ask(text, all=True)) == ["SLO_UNMET"]


async def test_of_what_a_caller_may_not_read_nothing_is_told(mesh: Shop) -> None:
    stranger = Caller("stranger", frozenset({"nobody"}))
    answer = await mesh.asked.ask(stranger, FLAT % 'freshness: "1 min"')
    assert answer.refusal == "FORBIDDEN"
    assert "PT10M" not in json.dumps(answer.body)


async def test_the_directive_stands_in_the_schema_of_every_view(mesh: Shop) -> None:
    frame = Frame(ANALYST, asyncio.get_running_loop().time() + 60, "r", scope=("order/*",))
    printed = mesh.asked.engine.sdl(frame)
    directive = build_schema(printed).get_directive("requireSlo")
    assert directive is not None
    assert list(directive.args) == ["freshness", "completeness", "accuracy", "status", "onBreach"]
    body = await mesh.ask("{ __schema { directives { name locations args { name defaultValue } } } }")
    (found,) = [it for it in body["data"]["__schema"]["directives"] if it["name"] == "requireSlo"]
    assert found["locations"] == ["QUERY", "FIELD"]
    assert found["args"][-1] == {"name": "onBreach", "defaultValue": "ERROR"}


# -- other forms ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_breach", ["ERROR", "NULL"])
async def test_a_stream_is_refused_before_its_first_byte(mesh: Shop, on_breach: str) -> None:
    reply = await mesh.stream(FLAT % f'freshness: "1 min", onBreach: {on_breach}')
    assert isinstance(reply, Reply)
    assert reply.refusal is not None
    assert reply.refusal.name == "SLO_UNMET"
    assert mesh.reads == {}


async def test_a_stream_with_a_warning_says_so_in_its_head(mesh: Shop) -> None:
    for form in (Form.JSONL, Form.ARROW):
        stream = await mesh.stream(FLAT % 'freshness: "1 min", onBreach: WARN', form)
        assert isinstance(stream, Stream)
        assert ("Mesh-Slo-Unmet", "order.orders:freshness") in stream.headers
        assert [piece async for piece in stream.rest]
        if form is Form.ARROW:
            assert b"mesh.unmet" in stream.first


async def test_the_documented_example_is_valid_but_for_names(mesh: Shop) -> None:
    text = Path("gateway/docs/demands.md").read_text().split("```graphql\n")[1].split("```")[0].replace("ordersDaily", "orders")
    assert codes(await mesh.ask(text.replace("status: AT_RISK", 'freshness: "1 day"'))) == ["SLO_UNMET"]
    body = await mesh.ask(text.replace("@requireSlo(completeness: 0.995, status: AT_RISK)", ""))
    assert [(it["path"], it["extensions"]["objective"]) for it in body["errors"]] == [(["order", "orders", "nodes", "customer"], "status")]
    assert "unmet" not in body["extensions"]["mesh"]


async def test_what_a_registration_or_client_demands_holds_for_everything_that_is_read(mesh: Shop) -> None:
    frame = Frame(ANALYST, asyncio.get_running_loop().time() + 60, "r")
    plain = mesh.asked.engine.explained(Question("{ order { orders { nodes { orderId customer { name } } } } }"), frame).executable
    board = mesh.asked.engine.board
    default = strictest([Wanted(freshness_s=n, on_breach=OnBreach.NULL) for n in (86_400.0, 3_600.0)])
    found = check_demands(plain, {}, {}, board, NOW, default=default)
    assert (found.nulled, [error.extensions["product"] for error in found.errors]) == ({("order", "orders")}, ["customer/customers"])
    assert found.drops(("order", "orders", "nodes", "customer"))
    assert check_demands(plain, {}, {}, board, NOW, default=Wanted(freshness_s=86_400.0)).nulled == frozenset()


async def test_many_demands_over_many_reads_are_held_against_the_board_once_per_product(mesh: Shop) -> None:
    lists = " ".join(f"a{number}: orders(first: 0) {{ nodes {{ customer {{ name }} }} }}" for number in range(40))
    text = f'query @requireSlo(freshness: "1 hour", onBreach: WARN) {{ order {{ {lists} }} }}'
    asked: list[str] = []
    board = mesh.asked.engine.board
    plain = board.product
    board.product = lambda key: asked.append(key) or plain(key)  # type: ignore[method-assign, func-returns-value]  # notes the key, and goes on as before
    frame = Frame(ANALYST, asyncio.get_running_loop().time() + 60, "r")
    found = check_demands(mesh.asked.engine.explained(Question(text), frame).executable, {}, {}, board, NOW)
    assert sorted(asked) == ["customer/customers", "order/orders"]
    assert len(found.warnings) == 40
