"""What is too much, fails or never comes costs its own part of the answer, and says so by name."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from domain_adapters.errors import PortBrokenPromiseError, PortRefusedError, PortUnavailableError
from domain_adapters.port import Call, Port, Read
from gateway.engine.budget import Bounds
from gateway.exchange import Frame, Question

from ..differential.operations import operation_of
from ..differential.plain_port import PlainPort
from ..differential.ruling_cases import SEED
from ..differential.running import running
from ..differential.shop import ANALYST, database, shop, shop_engine
from ..differential.test_engine_against_graphql_core import check
from ..differential.worlds import callers_of, world_of
from .office import CLERK, Counted, office, office_engine

STAFF = "{people{staff%s{%s}}}"


def codes(errors: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((error["extensions"]["code"], ".".join(map(str, error["path"]))) for error in errors)


async def paged(size: int, bounds: Bounds) -> Any:
    world = office(size)
    (contract,) = world.contracts
    return await office_engine(world, port=PlainPort(contract, world.rows[contract.key], frozenset(), "bounds"), bounds=bounds)


async def test_a_scan_over_the_budget_is_refused_by_name_and_a_page_within_it_is_not() -> None:
    asked, port = await paged(200, Bounds(scan_rows_max=100))
    answer = await asked.ask(CLERK, STAFF % ("(first: 2)", "nodes { name }"))
    assert (answer.errors, len(answer.data["people"]["staff"]["nodes"])) == ([], 2)
    answer = await asked.ask(CLERK, STAFF % ("(first: 2, orderBy: [{name: ASC}])", "nodes { name }"))
    assert codes(answer.errors) == [("PORT_CANNOT", "people.staff")]
    assert "people@example.com" in answer.errors[0]["extensions"]["hint"]
    assert answer.data == {"people": {"staff": None}}
    await port.aclose()


async def test_a_total_is_exact_or_null_with_a_code_never_of_a_part() -> None:
    asked, port = await paged(200, Bounds(scan_rows_max=100))
    answer = await asked.ask(CLERK, STAFF % ("(first: 2)", "totalCount nodes { name }"))
    assert answer.data["people"]["staff"]["totalCount"] is None
    assert len(answer.data["people"]["staff"]["nodes"]) == 2
    assert codes(answer.errors) == [("PORT_CANNOT", "people.staff.totalCount")]
    await port.aclose()
    asked, port = await paged(90, Bounds(scan_rows_max=100))
    answer = await asked.ask(CLERK, STAFF % ("(first: 2)", "totalCount"))
    assert (answer.data["people"]["staff"]["totalCount"], answer.errors) == (90, [])
    await port.aclose()


async def test_a_request_takes_in_no_more_bytes_than_it_may() -> None:
    asked, port = await paged(200, Bounds(request_bytes_max=5_000))
    answer = await asked.ask(CLERK, STAFF % ("(first: 1000)", "nodes { name }"))
    assert codes(answer.errors) == [("LIMIT_EXCEEDED", "people.staff")]
    await port.aclose()


class Failing(Counted):
    """Fails every read whose keys are over these columns; () stands for reads without keys."""

    def __init__(self, port: Port, failures: dict[tuple[str, ...], Exception]) -> None:
        super().__init__(port)
        self._failures = failures

    async def read(self, read: Read, call: Call) -> bytes:
        columns = read.keys.columns if read.keys is not None else ()
        if (failure := self._failures.get(columns)) is not None:
            raise failure
        return await super().read(read, call)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (PortUnavailableError("away", reason="refused"), "UPSTREAM_UNAVAILABLE"),
        (PortBrokenPromiseError("wrong", reason="not_json"), "UPSTREAM_INVALID"),
        (PortRefusedError("no", reason="refused"), "UPSTREAM_INVALID"),
    ],
)
async def test_each_failed_part_is_null_at_its_path_with_an_error_and_the_rest_is_there(failure: Exception, code: str) -> None:
    world = office()
    clean, clean_port = await office_engine(world)
    failing, port = await office_engine(world, port=None)
    product = failing.mesh.snapshot.products["people/staff"]
    broken = Failing(port, {("staff_id",): failure, ("boss_id",): failure})
    object.__setattr__(product, "ports", (broken,))
    text = STAFF % (
        "(first: 3)",
        "nodes { name boss { name } reports { totalCount } } edges { node { b: boss { boss { name } } } } totalCount",
    )
    answer, expected = await failing.ask(CLERK, text), await clean.ask(CLERK, text)
    assert codes(answer.errors) == [
        (code, "people.staff.edges.node.b"),
        (code, "people.staff.nodes.boss"),
        (code, "people.staff.nodes.reports"),
    ]
    assert all(error["extensions"]["product"] == "people/staff" for error in answer.errors)
    for node in expected.data["people"]["staff"]["nodes"]:
        node["boss"] = node["reports"] = None
    for edge in expected.data["people"]["staff"]["edges"]:
        edge["node"]["b"] = None
    assert answer.data == expected.data
    for one in (port, clean_port):
        await one.aclose()


async def test_one_domain_without_an_endpoint_costs_its_own_subtrees_only() -> None:
    world = shop()
    text = "{order{orders(first:3){nodes{orderId customer{name} payments{totalCount}}}} payment{payments(first:1){nodes{amount}}}}"
    answers = []
    for absent in (frozenset(), frozenset({"payment/payments"})):
        connection = database(world)
        asked = await shop_engine(replace(world, absent=absent), connection)
        answers.append(await asked.ask(ANALYST, text))
        for port in asked.ports:
            await port.aclose()
        connection.close()
    whole, partial = answers
    assert whole.errors == []
    assert codes(partial.errors) == [
        ("UPSTREAM_UNAVAILABLE", "order.orders.nodes.payments"),
        ("UPSTREAM_UNAVAILABLE", "payment.payments"),
    ]
    for node in whole.data["order"]["orders"]["nodes"]:
        node["payments"] = None
    whole.data["payment"]["payments"] = None
    assert partial.data == whole.data


class Slow(Counted):
    """Answers look-ups by key never: it gives up when its time is over, as every port must."""

    async def read(self, read: Read, call: Call) -> bytes:
        if read.keys is None:
            return await super().read(read, call)
        try:
            async with asyncio.timeout(call.timeout_s):
                await asyncio.Event().wait()
        except TimeoutError:
            raise PortUnavailableError("no answer in time", reason="timeout") from None
        raise AssertionError


async def test_a_deadline_costs_what_is_not_there_by_then_and_the_rest_is_delivered() -> None:
    asked, port = await office_engine(office())
    object.__setattr__(asked.mesh.snapshot.products["people/staff"], "ports", (Slow(port),))
    frame = Frame(CLERK, asyncio.get_running_loop().time() + 1.0, "r")
    reply = await asked.engine.answer(Question(STAFF % ("(first: 2)", "nodes { name boss { name } }")), frame)
    assert asyncio.get_running_loop().time() < frame.deadline_s + 1.0
    found = json.loads(reply.body)
    assert codes(found["errors"]) == [("DEADLINE_EXCEEDED", "people.staff.nodes.boss")]
    assert [node["name"] for node in found["data"]["people"]["staff"]["nodes"]] == ["Ann", "Bob"]
    await port.aclose()


async def test_denied_fields_can_be_left_to_the_receipt() -> None:
    asked, port = await office_engine(office())
    frame = Frame(CLERK, asyncio.get_running_loop().time() + 30, "r", denied_silently=True)
    found = json.loads((await asked.engine.answer(Question(STAFF % ("", "nodes { salary }")), frame)).body)
    await port.aclose()
    assert "errors" not in found
    assert [it["path"] for it in found["extensions"]["mesh"]["denied"]] == ["people.staff.nodes.salary"]


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("query($f: Int = 3){people{staff(first: $f) { totalCount }}}", {"f": None}),
        ("query($w: PeopleStaffWhere = {desk: {eq: 1}}){people{staff(where: $w) { totalCount }}}", {"w": None}),
        ("query($o: [PeopleStaffOrderBy!] = [{desk: ASC}]){people{staff(orderBy: $o) { totalCount }}}", {"o": None}),
        ("query($a: String){people{staff(after: $a) { totalCount }}}", {"a": None}),
        ("{people{staff(first: null, after: null, where: null, orderBy: null, since: null) { totalCount }}}", {}),
        ("query($v: Int){people{staff(where: {desk: {gte: $v}}) { totalCount }}}", {}),
    ],
)
async def test_null_and_nothing_for_an_argument_is_as_if_it_was_not_given(text: str, variables: dict[str, Any]) -> None:
    asked, port = await office_engine(office())
    answer = await asked.ask(CLERK, text, None, variables)
    await port.aclose()
    assert (answer.errors, answer.data) == ([], {"people": {"staff": {"totalCount": 12}}})


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("{people{staff(where: {desk: null}) { totalCount }}}", {}),
        ("{people{staff(where: {and: null}) { totalCount }}}", {}),
        ("{people{staff(where: {desk: {in: null}}) { totalCount }}}", {}),
        ("{people{staff(where: {desk: {isNull: null}}) { totalCount }}}", {}),
        ("query($v: Int){people{staff(where: {desk: {gte: $v}}) { totalCount }}}", {"v": None}),
        ('query($k: PeopleStaffKey = {staffId: "S001"}){people{staffByKey(key: $k) { name }}}', {"k": None}),
        ("{people{staff(first: -1) { totalCount }}}", {}),
    ],
)
async def test_null_as_a_condition_or_a_key_is_bad_input_before_any_read(text: str, variables: dict[str, Any]) -> None:
    asked, port = await office_engine(office())
    answer = await asked.ask(CLERK, text, None, variables)
    await port.aclose()
    assert (answer.refusal, port.reads) == ("BAD_USER_INPUT", [])


async def test_operations_asked_side_by_side_are_answered_as_one_after_another() -> None:
    world = world_of(f"{SEED} together")
    ready = await running(world)
    callers = callers_of(world, 4)
    random = Random(f"{SEED} together")
    checks = []
    for _ in range(60):
        caller = random.choice(callers)
        operation = operation_of(ready.level1.oracle(caller).schema, world, ready.level1.mesh.snapshot, random)
        for over, asked in (("level 1", ready.level1), ("level 0", ready.level0)):
            checks.append(check(asked, caller, operation, random, long_as_text=False, over=over))
    await asyncio.gather(*checks)
    await ready.aclose()
