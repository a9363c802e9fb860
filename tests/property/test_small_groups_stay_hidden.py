"""Columns that are for aggregates only: true totals for enough subjects, nothing for fewer, nothing by subtraction (SPEC A8)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from contracts.model import Restriction
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from gateway.catalog.snapshot import snapshot_of

from ..differential.plain_port import PlainPort
from ..differential.ruling_cases import SEED
from ..differential.running import Answer, Asked, engine_of
from ..differential.worlds import NOW
from .wages import CLERK, LEAST, wages_of


async def opened(rows: Sequence[tuple[str, str | None, int | None]], *, plain: bool = False, **changes: Any) -> Asked:
    """Serve wages: (person, team, pay) each. ``plain``: by a port that only pages."""
    made = [
        {"wage_id": at, "person": person, "team": team, "pay": pay, "at": NOW - dt.timedelta(days=at)}
        for at, (person, team, pay) in enumerate(rows)
    ]
    world = wages_of("wages", made, **changes)
    (contract,) = world.contracts
    port: Any = (
        PlainPort(contract, made, frozenset(), "wages") if plain else await open_sql(contract, Rows(made), clock=lambda: NOW, cursors=1)
    )
    return engine_of(snapshot_of([contract], {contract.key: (port,)}), world)


async def ask(asked: Asked, body: str) -> Answer:
    answer = await asked.ask(CLERK, "{people{wages" + body + "}}")
    for port in asked.ports:
        await port.aclose()
    return answer


def codes(answer: Answer) -> list[str]:
    return [error["extensions"]["code"] for error in answer.errors]


TEAMS = [("a", "red", 10), ("b", "red", 20), ("c", "red", 30), ("d", "blue", 400), ("e", "green", 5000), ("f", "green", None)]


async def test_rows_are_masked_while_totals_are_true() -> None:
    answer = await ask(await opened(TEAMS), "{nodes{pay} aggregate{count sum{pay} avg{pay}}}")
    wages = answer.data["people"]["wages"]
    assert wages["nodes"] == [{"pay": None}] * 6
    assert wages["aggregate"] == {"count": 6, "sum": {"pay": 5460}, "avg": {"pay": 1092.0}}
    receipts = answer.body["extensions"]["mesh"]["masked"]
    assert {(it["path"], it["mask"]) for it in receipts} >= {
        ("people.wages.nodes.pay", "nullify"),
        ("people.wages.aggregate.sum.pay", "aggregateOnly"),
    }


@pytest.mark.parametrize(
    "body",
    [
        "{aggregate{min{pay}}}",
        "{aggregate{max{pay}}}",
        "{aggregate{countDistinct{pay}}}",
        "{groups(by:[{field:PAY}]){count}}",
        "{groups(by:[{field:TEAM}], orderBy:[{max:{pay:ASC}}]){count}}",
        "{groups(by:[{field:TEAM}], having:{min:{pay:{gt:1}}}){count}}",
        "{groups(by:[{field:TEAM}], where:{pay:{gt:1}}){count}}",
        "(where:{pay:{gt:100}}){aggregate{count}}",
    ],
)
async def test_what_would_show_one_value_is_refused(body: str) -> None:
    answer = await ask(await opened(TEAMS), body)
    assert answer.refusal == "MASKED_FIELD_IN_PREDICATE"


async def test_small_groups_become_one_remainder_that_takes_in_others_until_it_is_large_enough() -> None:
    answer = await ask(await opened(TEAMS), "{groups(by:[{field:TEAM}]){key{team} count sum{pay}}}")
    # Blue and green have two values together, so red, the smallest other group, has to join them.
    assert answer.data["people"]["wages"]["groups"] == [{"key": {"team": None}, "count": 6, "sum": {"pay": 5460}}]
    large = [*TEAMS, ("g", "green", 7)]
    answer = await ask(await opened(large), "{groups(by:[{field:TEAM}]){key{team} count sum{pay} cursor}}")
    groups = [(it["key"]["team"], it["count"], it["sum"]["pay"]) for it in answer.data["people"]["wages"]["groups"]]
    assert groups == [("red", 3, 60), (None, 4, 5407)]


async def test_groups_without_totals_of_what_is_protected_stay_as_they_are() -> None:
    answer = await ask(await opened(TEAMS), "{groups(by:[{field:TEAM}]){key{team} count}}")
    assert len(answer.data["people"]["wages"]["groups"]) == 3


@pytest.mark.parametrize("arguments", ["having:{sum:{pay:{gt:0}}}", "orderBy:[{avg:{pay:DESC}}]"])
async def test_filtering_and_sorting_groups_by_a_protected_total_merges_them_as_well(arguments: str) -> None:
    answer = await ask(await opened(TEAMS), f"{{groups(by:[{{field:TEAM}}], {arguments}){{key{{team}} count}}}}")
    assert answer.data["people"]["wages"]["groups"] == [{"key": {"team": None}, "count": 6}]


async def test_too_few_subjects_have_no_total_however_many_rows_they_have() -> None:
    rows = [("a", "red", 10), ("a", "red", 20), ("a", "blue", 30), ("b", "blue", 40)]
    answer = await ask(await opened(rows), "{aggregate{count sum{pay}}}")
    assert answer.data["people"]["wages"]["aggregate"] == {"count": 4, "sum": {"pay": None}}
    assert codes(answer) == ["GROUP_TOO_SMALL"]
    assert answer.errors[0]["path"] == ["people", "wages", "aggregate"]
    answer = await ask(await opened(rows, subject=None), "{aggregate{count sum{pay}}}")
    assert answer.data["people"]["wages"]["aggregate"] == {"count": 4, "sum": {"pay": 100}}


async def test_a_second_total_that_would_give_it_by_subtraction_is_withheld() -> None:
    rows = [(f"p{at}", "red" if at else "blue", at) for at in range(9)]
    body = '{aggregate{sum{pay}} groups(by:[{field:TEAM}], where:{team:{eq:"red"}}){sum{pay}}}'
    answer = await ask(await opened(rows), body)
    assert answer.data["people"]["wages"] == {"aggregate": {"sum": {"pay": 36}}, "groups": [{"sum": {"pay": None}}]}
    assert codes(answer) == ["GROUP_TOO_SMALL"]


async def test_what_a_restriction_masks_has_no_totals() -> None:
    restriction = Restriction(name="audit", effect="mask", fields=("pay",))
    answer = await ask(await opened(TEAMS, restrictions=(restriction,)), "{aggregate{sum{pay}}}")
    assert answer.refusal == "MASKED_FIELD_IN_PREDICATE"


@pytest.mark.parametrize("plain", [False, True], ids=["level 1", "level 0"])
async def test_which_group_the_remainder_takes_in_does_not_depend_on_the_order_of_rows(plain: bool) -> None:
    teams = [*"aaabbbcccd", None, None, None]
    rows = [(f"p{at}", str(team) if team else None, at) for at, team in enumerate(teams)]
    found = []
    for seed in range(6):
        Random(seed).shuffle(rows)
        answer = await ask(await opened(rows, plain=plain), "{groups(by:[{field:TEAM}]){key{team} count sum{pay}}}")
        found.append(answer.data["people"]["wages"]["groups"])
    assert [it["key"]["team"] for it in found[0]] == ["b", "c", None, None]
    assert all(it == found[0] for it in found)


async def test_every_group_shown_is_of_enough_subjects_and_all_add_up() -> None:
    random = Random(f"{SEED} small groups")
    for _ in range(40):
        people = random.randint(1, 12)
        rows = [
            (f"p{random.randrange(people)}", random.choice("abcdef"), random.choice((None, 1, 2, 50))) for _ in range(random.randint(1, 40))
        ]
        answer = await ask(await opened(rows), "{totalCount groups(first:1000, by:[{field:TEAM}]){key{team} count sum{pay}}}")
        groups = answer.data["people"]["wages"]["groups"]
        assert sum(it["count"] for it in groups) == len(rows)
        shown = {it["key"]["team"] for it in groups} - {None}
        for team in shown:
            assert len({person for person, its, pay in rows if its == team and pay is not None}) >= LEAST
        rest = {person for person, its, pay in rows if its not in shown and pay is not None}
        (remainder,) = [it for it in groups if it["key"]["team"] is None] or [None]
        if remainder is not None:
            assert (remainder["sum"]["pay"] is None) == (len(rest) < LEAST)
            assert len(rest) >= LEAST or len(groups) == 1


@pytest.mark.parametrize("plain", [False, True], ids=["level 1", "level 0"])
async def test_a_total_of_no_rows_hides_nothing_and_says_so_of_none(plain: bool) -> None:
    asked = await opened(TEAMS, plain=plain)
    answer = await ask(asked, '(where:{team:{eq:"none"}}){totalCount aggregate{count sum{pay}} groups(by:[{field:TEAM}]){sum{pay}}}')
    assert answer.data["people"]["wages"] == {"totalCount": 0, "aggregate": {"count": 0, "sum": {"pay": None}}, "groups": []}
    assert not answer.errors


async def test_that_there_are_too_few_values_does_not_tell_whether_there_are_any() -> None:
    for pay in (None, 10):
        answer = await ask(await opened([("a", "red", pay)]), "{aggregate{count sum{pay}}}")
        assert answer.data["people"]["wages"]["aggregate"] == {"count": 1, "sum": {"pay": None}}
        assert codes(answer) == ["GROUP_TOO_SMALL"]
