"""Hostile questions for totals, and ports that lie about them: clear codes, bounded cost, nothing believed that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contracts.predicates import Compare, Operator
from gateway.engine.budget import Bounds
from gateway.engine.totals.proof import totals_hold

from ..differential.running import Answer
from ..property.office import CLERK, office, office_engine

STAFF = "{people{staff%s}}"


async def ask(body: str, variables: dict[str, Any] | None = None, head: str = "", **changes: Any) -> Answer:
    asked, port = await office_engine(office(30), **changes)
    answer = await asked.ask(CLERK, head + STAFF % body, None, variables)
    await port.aclose()
    return answer


def code(answer: Answer) -> str:
    return answer.refusal or answer.errors[0]["extensions"]["code"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{groups(by:[{field:HIRED_AT, truncate:DAY}], timeZone:"Mars/Olympus"){count}}', "BAD_USER_INPUT"),
        ('{groups(by:[{field:HIRED_AT, truncate:DAY}], timeZone:"../../etc/passwd"){count}}', "BAD_USER_INPUT"),
        ("{groups(by:[{field:DESK, truncate:DAY}]){count}}", "BAD_USER_INPUT"),
        ("{groups(by:[]){count}}", "BAD_USER_INPUT"),
        ("{groups(by:[{field:TEAM},{field:TEAM}]){count}}", "BAD_USER_INPUT"),
        ("{groups(by:[{field:TEAM}]){key{desk} count}}", "BAD_USER_INPUT"),
        ("{groups(by:[{field:TEAM}], having:{key:{desk:{eq:1}}}){count}}", "BAD_USER_INPUT"),
        ("{groups(by:[{field:TEAM}], having:{count:{eq:null}}){count}}", "BAD_USER_INPUT"),
        ("{groups(by:[{field:TEAM}], orderBy:[{key:{desk:ASC}}]){count}}", "BAD_USER_INPUT"),
        ('{groups(by:[{field:TEAM}], after:"x"){count}}', "BAD_USER_INPUT"),
        ("{groups(by:[{field:TEAM}], first:-1){count}}", "BAD_USER_INPUT"),
        ("{groups(by:[{field:TEAM}], first:1001){count}}", "LIMIT_EXCEEDED"),
        ("{groups(by:[{path:[BOSS,BOSS,BOSS,BOSS,BOSS], field:TEAM}]){count}}", "LIMIT_EXCEEDED"),
        ("{{groups(by:[{}]){{count}}}}".format(",".join(["{field:TEAM}"] * 17)), "LIMIT_EXCEEDED"),
        ("{groups(by:[{field:EMAIL}]){count}}", "MASKED_FIELD_IN_PREDICATE"),
        ("{groups(by:[{path:[BOSS], field:EMAIL}]){count}}", "MASKED_FIELD_IN_PREDICATE"),
        ("{groups(by:[{field:TEAM}], having:{min:{email:{gt:\"a\"}}}){count}}", "MASKED_FIELD_IN_PREDICATE"),
        ("{aggregate{min{email}}}", "MASKED_FIELD_IN_PREDICATE"),
        ("{aggregate{sum{salary}}}", "MASKED_FIELD_IN_PREDICATE"),
        ("{groups(by:[{field:LOCKER}]){count}}", "GRAPHQL_VALIDATION_FAILED"),
        ("{aggregate{min{locker}}}", "GRAPHQL_VALIDATION_FAILED"),
        ("{groups(having:{count:{gt:1}}){count}}", "GRAPHQL_VALIDATION_FAILED"),
    ],
)  # fmt: skip
async def test_bad_questions_are_refused_by_name_before_any_read(body: str, expected: str) -> None:
    asked, port = await office_engine(office(5))
    answer = await asked.ask(CLERK, STAFF % body)
    await port.aclose()
    assert code(answer) == expected, answer.body
    assert port.reads == []


async def test_masked_and_hidden_fields_in_variables_are_told_apart_as_in_literals() -> None:
    head = "query($by: [PeopleStaff_GroupBy!]!)"
    body = "{groups(by: $by){count}}"
    assert code(await ask(body, {"by": [{"field": "EMAIL"}]}, head)) == "MASKED_FIELD_IN_PREDICATE"
    assert code(await ask(body, {"by": [{"field": "LOCKER"}]}, head)) == "BAD_USER_INPUT"
    answer = await ask("{groups(by: $by){key{boss{team}} count}}", {"by": [{"path": ["BOSS"], "field": "TEAM"}]}, head)
    assert answer.errors == []


async def test_a_cursor_of_other_groups_is_refused() -> None:
    asked, port = await office_engine(office(30))
    body = "{groups(by:[{field:%s}], first:1, after:$after){key{%s} cursor}}"
    head = "query($after:String)"
    found = await asked.ask(CLERK, head + STAFF % (body % ("TEAM", "team")))
    cursor = found.data["people"]["staff"]["groups"][0]["cursor"]
    again = await asked.ask(CLERK, head + STAFF % (body % ("TEAM", "team")), None, {"after": cursor})
    other = await asked.ask(CLERK, head + STAFF % (body % ("DESK", "desk")), None, {"after": cursor})
    await port.aclose()
    assert again.errors == []
    assert [code(other), other.data["people"]["staff"]["groups"]] == ["BAD_USER_INPUT", None]


async def test_groups_of_huge_cardinality_are_bounded_by_the_scan_budget() -> None:
    body = "{groups(by:[{field:STAFF_ID},{path:[BOSS], field:TEAM}]){count}}"
    answer = await ask(body, bounds=Bounds(scan_rows_max=20))
    assert code(answer) == "PORT_CANNOT"


async def test_the_page_of_groups_that_a_port_can_make_is_all_that_is_read() -> None:
    asked, port = await office_engine(office(30), bounds=Bounds(scan_rows_max=5))
    answer = await asked.ask(CLERK, STAFF % "{groups(by:[{field:STAFF_ID}], first:3, orderBy:[{key:{staffId:DESC}}]){key{staffId} count}}")
    await port.aclose()
    assert [it["key"]["staffId"] for it in answer.data["people"]["staff"]["groups"]] == ["S029", "S028", "S027"]
    assert len(port.reads) == 1


def _set(values: Any, key: Any = None) -> Callable[[Any], None]:
    def spoil(page: Any) -> None:
        for group in page.get("groups", ()):
            group["values"] = values
            if key is not None:
                group["key"] = key

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        _set({}),
        _set("none"),
        _set({"m0": -1}),
        _set({"m0": "many"}),
        _set({"m0": 2**70}),
        _set({"m0": 1}, key=[]),
        _set({"m0": 1}, key=[{"a": 1}]),
        _set({"m0": 1}, key=["red"]),
        lambda page: page.__setitem__("groups", [None]),
    ],
    ids=["no totals", "text", "negative", "no number", "huge", "no key", "a key of another type", "one key twice", "null"],
)
async def test_groups_that_cannot_be_are_invalid(spoil: Any) -> None:
    answer = await ask("{groups(by:[{field:TEAM}]){key{team} count}}", spoil=spoil)
    assert code(answer) == "UPSTREAM_INVALID"
    assert answer.data["people"]["staff"]["groups"] is None


async def test_a_port_without_an_answer_to_an_aggregate_is_invalid() -> None:
    answer = await ask("{aggregate{count}}", spoil=lambda page: page.__setitem__("groups", []))
    assert code(answer) == "UPSTREAM_INVALID"


RULES = (Compare("team", Operator.EQ, "red"),)


@pytest.mark.parametrize("only", [{"m0"}, {"m1"}, {f"m{at}" for at in range(2, 40)}], ids=["counts", "distinct counts", "the rest"])
async def test_a_port_that_lies_about_totals_under_a_row_rule_is_found_out(only: set[str]) -> None:
    def lie(page: Any) -> None:
        for group in page.get("groups", ()):
            values = group["values"]
            for name, value in values.items():
                if isinstance(value, int) and name in only:
                    values[name] = value + 1

    asked, port = await office_engine(office(30), spoil=lie)
    _, plain = await office_engine(office(30))
    (product,) = asked.mesh.snapshot.products.values()
    try:
        assert not await totals_hold(product, port, RULES, Bounds())
        assert await totals_hold(product, plain, RULES, Bounds())
        assert await totals_hold(product, port, (), Bounds())
    finally:
        await port.aclose()
        await plain.aclose()


async def test_totals_that_are_not_proved_come_from_rows() -> None:
    world = office(30)
    (contract,) = world.contracts
    grant = contract.access.grants[0].model_copy(update={"row_filter": RULES[0]})
    world.contracts[0] = contract.model_copy(update={"access": contract.access.model_copy(update={"grants": (grant,)})})
    for proved in (True, False):
        asked, port = await office_engine(world)
        (product,) = asked.mesh.snapshot.products.values()
        asked.engine.note_proof(product, port, proved=True, totals=proved)
        answer = await asked.ask(CLERK, STAFF % "{aggregate{count max{desk}} groups(by:[{field:TEAM}]){key{team} count}}")
        await port.aclose()
        staff = answer.data["people"]["staff"]
        assert [staff["aggregate"]["count"], staff["groups"]] == [10, [{"key": {"team": "red"}, "count": 10}]]
        assert all(bool(read.aggregates) is proved for read in port.reads)


async def test_the_largest_total_that_fits_is_shown_and_one_more_is_not() -> None:
    asked, port = await office_engine(office(3), spoil=_set({"m0": 2**63 - 1}))
    answer = await asked.ask(CLERK, STAFF % "{aggregate{sum{desk}}}", long_as_text=True)
    await port.aclose()
    assert answer.data["people"]["staff"]["aggregate"]["sum"]["desk"] == str(2**63 - 1)
    assert code(await ask("{aggregate{sum{desk}}}", spoil=_set({"m0": 2**63}))) == "UPSTREAM_INVALID"
