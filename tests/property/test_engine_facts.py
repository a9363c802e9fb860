"""Facts about the engine that hold for every operation, every page and every caller."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import msgspec
import pytest
from graphql import parse, validate
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.fields import Field
from contracts.model import Contract, Metadata
from contracts.objectives import Objectives
from domain_adapters.values import emitter_of
from gateway.catalog.snapshot import snapshot_of
from gateway.engine.budget import Bounds
from gateway.engine.decoding.decode import Page, RowDecoders

from ..differential.plain_port import PlainPort
from ..differential.ruling_cases import SEED
from ..differential.running import Answer, Asked
from ..differential.worlds import TYPES, value_of
from .office import CLERK, Counted, office, office_engine

STAFF = "{people{staff%s{%s}}}"


@pytest.fixture
async def opened() -> AsyncIterator[tuple[Asked, Counted]]:
    asked, port = await office_engine(office())
    yield asked, port
    await port.aclose()


def staff(answer: Answer) -> Any:
    return answer.data["people"]["staff"]


def codes(answer: Answer) -> list[str]:
    return [error["extensions"]["code"] for error in answer.errors]


# -- upstream calls ------------------------------------------------------------------------------------------------------------

NESTED = STAFF % (
    "(first: 1000)",
    "totalCount nodes { boss { name boss { name } } reports(first: 2) { totalCount nodes { name reports(first: 1) { nodes { name } } } } }",
)


async def test_the_number_of_upstream_calls_does_not_depend_on_the_number_of_rows() -> None:
    calls = []
    for size in (8, 30, 200):
        asked, port = await office_engine(office(size))
        answer = await asked.ask(CLERK, NESTED)
        assert answer.errors == []
        calls.append(len(port.reads))
        await port.aclose()
    # The list, bosses, their bosses, reports, how many, their reports.
    assert calls == [6, 6, 6]


async def test_keys_beyond_one_read_of_the_port_take_one_call_per_chunk() -> None:
    asked, port = await office_engine(office(60), keys_max=7)
    await asked.ask(CLERK, STAFF % ("(first: 1000)", "nodes { boss { name } }"))
    await port.aclose()
    keys = [len(read.keys.values) for read in port.reads if read.keys is not None]
    assert keys == [7, 7, 6]
    assert len(set(itertools.chain.from_iterable(read.keys.values for read in port.reads if read.keys is not None))) == 20


async def test_more_keys_than_the_gateway_passes_on_are_refused_by_name() -> None:
    asked, port = await office_engine(office(60), bounds=Bounds(keys_max=5))
    answer = await asked.ask(CLERK, STAFF % ("(first: 1000)", "nodes { name boss { name } }"))
    await port.aclose()
    assert codes(answer) == ["LIMIT_EXCEEDED"]
    assert answer.errors[0]["path"] == ["people", "staff", "nodes", "boss"]
    assert {node["boss"] for node in staff(answer)["nodes"]} == {None}


# -- pages ---------------------------------------------------------------------------------------------------------------------

WALK = """query($after: String, $first: Int, $orderBy: [PeopleStaffOrderBy!], $where: PeopleStaffWhere) {
  people { staff(first: $first, after: $after, orderBy: $orderBy, where: $where) {
    edges { cursor node { name desk hiredAt } } pageInfo { hasNextPage endCursor startCursor } totalCount
  } }
}"""


async def walked(asked: Asked, **variables: Any) -> list[Any]:
    """Page through a list to its end."""
    found: list[Any] = []
    while True:
        answer = await asked.ask(CLERK, WALK, None, variables)
        assert answer.errors == [], (SEED, variables)
        page = staff(answer)
        found.extend(edge["node"] for edge in page["edges"])
        cursors = [edge["cursor"] for edge in page["edges"]]
        assert [page["pageInfo"]["startCursor"], page["pageInfo"]["endCursor"]] == ([cursors[0], cursors[-1]] if cursors else [None, None])
        if not page["pageInfo"]["hasNextPage"]:
            assert page["totalCount"] == len(found)
            return found
        variables["after"] = cursors[-1]


@pytest.mark.parametrize("kind", ["level 1", "level 0", "no key", "no key, level 0", "masked key", "masked key, level 0"])
async def test_pages_put_together_are_the_whole_list_for_any_size_and_order(kind: str) -> None:
    random = Random(f"{SEED} {kind}")
    world = office(23, keyed="no key" not in kind, masked_key="masked" in kind)
    (contract,) = world.contracts
    plain = PlainPort(contract, world.rows[contract.key], frozenset(), "pages") if "level 0" in kind else None
    asked, port = await office_engine(world, port=plain)
    directions = ("ASC", "DESC", "ASC_NULLS_FIRST", "DESC_NULLS_FIRST")
    for _ in range(12):
        names = random.sample(("name", "team", "desk", "hiredAt"), random.choice((0, 1, 2)) if "no key" not in kind else 0)
        variables: dict[str, Any] = {
            "orderBy": [{name: random.choice(directions)} for name in names],
            "where": random.choice(({}, {"team": {"isNull": False}}, {"desk": {"gte": 2}})),
        }
        whole = await walked(asked, first=1_000, **variables)
        assert whole == await walked(asked, first=random.choice((1, 2, 3, 5, 7, 22, 23)), **variables), (SEED, variables)
    await port.aclose()


async def test_a_cursor_opens_no_other_list(opened: tuple[Asked, Counted]) -> None:
    asked, _ = opened
    first = await asked.ask(CLERK, WALK, None, {"first": 2, "orderBy": [{"name": "ASC"}]})
    cursor = staff(first)["pageInfo"]["endCursor"]
    for other in (
        {"orderBy": [{"name": "DESC"}]},
        {"orderBy": [{"name": "ASC"}], "where": {"desk": {"eq": 1}}},
        {"orderBy": [{"name": "ASC"}], "after": cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")},
        {"orderBy": [{"name": "ASC"}], "after": ""},
    ):
        answer = await asked.ask(CLERK, WALK, None, {"first": 2, "after": cursor, **other})
        assert codes(answer) == ["BAD_USER_INPUT"]
        assert staff(answer) is None


async def test_a_page_that_changed_under_a_level_0_cursor_is_expired_and_never_skips_or_repeats() -> None:
    world = office(20)
    (contract,) = world.contracts
    rows = list(world.rows[contract.key])
    asked, port = await office_engine(world, port=PlainPort(contract, rows, frozenset(), "changing"))
    # Three of a page with a condition that the port does not know: the place is within the port's page.
    variables: dict[str, Any] = {"first": 3, "where": {"desk": {"isNull": False}}}
    page = staff(await asked.ask(CLERK, WALK, None, variables))
    same = await asked.ask(CLERK, WALK, None, variables | {"after": page["pageInfo"]["endCursor"]})
    assert codes(same) == []
    rows.insert(0, {**rows[5], "staff_id": "S999"})
    changed = await asked.ask(CLERK, WALK, None, variables | {"after": page["pageInfo"]["endCursor"]})
    assert codes(changed) == ["CURSOR_EXPIRED"]
    assert staff(changed) is None
    await port.aclose()


# -- what arrives ---------------------------------------------------------------------------------------------------------------


async def test_columns_that_nobody_asked_for_never_get_through() -> None:
    def add(page: dict[str, Any]) -> None:
        for row in page["data"]:
            row |= {"salary": 666, "locker": "leaked", "anything": "leaked"}

    asked, port = await office_engine(office(), spoil=add)
    answer = await asked.ask(CLERK, STAFF % ("", "nodes { name salary boss { salary name } reports { nodes { salary } } }"))
    await port.aclose()
    assert "leaked" not in str(answer.body)
    assert "666" not in str(answer.body)


@pytest.mark.parametrize(
    ("column", "shown", "spoilt"), [("desk", "desk", "two"), ("hired_at", "hiredAt", "yesterday"), ("name", "name", 5)]
)
async def test_a_bad_cell_costs_one_cell(column: str, shown: str, spoilt: Any) -> None:
    def spoil(page: dict[str, Any]) -> None:
        if len(page["data"]) > 4 and column in page["data"][3]:
            page["data"][3][column] = spoilt

    asked, port = await office_engine(office(), spoil=spoil)
    clean, clean_port = await office_engine(office())
    text = STAFF % ("", "a: nodes { staffId name hiredAt desk } edges { node { " + shown + " } }")
    answer, expected = await asked.ask(CLERK, text), await clean.ask(CLERK, text)
    for one in (port, clean_port):
        await one.aclose()
    assert codes(answer) == ["UPSTREAM_INVALID", "UPSTREAM_INVALID"]
    assert [error["path"] for error in answer.errors] == [
        ["people", "staff", "a", 3, shown],
        ["people", "staff", "edges", 3, "node", shown],
    ]
    assert str(spoilt) not in str(answer.errors)
    staff(expected)["a"][3][shown] = staff(expected)["edges"][3]["node"][shown] = None
    assert answer.data == expected.data


async def test_a_bad_key_costs_its_partner_and_names_its_cell() -> None:
    def spoil(page: dict[str, Any]) -> None:
        if "boss_id" in page["data"][0]:
            page["data"][1]["boss_id"] = ["S000"]

    asked, port = await office_engine(office(), spoil=spoil)
    answer = await asked.ask(CLERK, STAFF % ("", "nodes { bossId boss { name } }"))
    await port.aclose()
    assert [error["path"] for error in answer.errors] == [["people", "staff", "nodes", 1, "bossId"]]
    assert staff(answer)["nodes"][1] == {"bossId": None, "boss": None}
    assert all(node["boss"] for node in staff(answer)["nodes"][2:])


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(seed=st.integers(0, 2**32), names=st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=8, unique=True))
def test_both_gears_read_every_well_formed_page_alike(seed: int, names: list[str]) -> None:
    random = Random(seed)
    contract = Contract(
        metadata=Metadata(name="pages", domain="d", owner="o@example.com", version="1.0.0"),
        fields=tuple(Field(name, TYPES[name]) for name in names),
        objectives=Objectives(),
    )
    product = snapshot_of([contract], {}).products["d/pages"]
    rows = [{name: value_of(random, name, TYPES[name]) for name in names} for _ in range(random.randrange(6))]
    data = [{name: emitter_of(TYPES[name])(row[name]) for name in names if row[name] is not None or random.random() < 0.5} for row in rows]
    body = msgspec.json.encode(
        {"data": data, "nextCursor": random.choice((None, "c")), "metadata": {"generatedAt": "2026-11-23T12:00:00Z"}}
    )
    columns = frozenset(random.sample(range(len(names)), random.randint(1, len(names))))
    decoder = RowDecoders(product, {}).decoder(columns)
    fast, slow = decoder.decode(body, frozenset()), decoder.slow(body, frozenset())[0]
    assert plain(fast) == plain(slow)
    assert not slow.bad
    assert not slow.dropped


def plain(page: Page) -> Any:
    return msgspec.to_builtins([page.rows, page.next_cursor, page.metadata], builtin_types=(), enc_hook=repr)


# -- @skip and @include ----------------------------------------------------------------------------------------------------------


async def test_every_vector_of_conditions_is_answered_in_any_order(opened: tuple[Asked, Counted]) -> None:
    asked, _ = opened
    text = (
        "query($a: Boolean!, $b: Boolean!, $c: Boolean!, $d: Boolean!, $e: Boolean = true) { people { staff(first: 2) {"
        " totalCount @include(if: $a) nodes @skip(if: $b) { name @include(if: $c) ...F @skip(if: $d) } ... @include(if: $e) { __typename }"
        " } } } fragment F on PeopleStaff { desk boss @include(if: $a) { name } }"
    )
    vectors = [dict(zip("abcde", values, strict=True)) for values in itertools.product((False, True), repeat=5)]
    Random(SEED).shuffle(vectors)
    for vector in vectors + vectors[::-1]:
        answer = await asked.ask(CLERK, text, None, vector)
        expected = asked.oracle(CLERK).answer(parse(text), None, vector, {}, long_as_text=False)
        assert answer.data == expected.data, (SEED, vector)


async def test_null_is_no_answer_to_a_condition(opened: tuple[Asked, Counted]) -> None:
    asked, port = opened
    answer = await asked.ask(CLERK, "query($a: Boolean = true) { people { staff { totalCount @skip(if: $a) } } }", None, {"a": None})
    assert (answer.refusal, len(port.reads)) == ("BAD_USER_INPUT", 0)


# -- literals ----------------------------------------------------------------------------------------------------------------------


async def test_texts_that_differ_in_literals_only_are_checked_once(opened: tuple[Asked, Counted]) -> None:
    asked, _ = opened
    text = "{people{staff(first: %d, where: {name: {in: [%s]}, desk: {gte: %d}}) { nodes { name } } }}"
    texts = [text % it for it in ((1, '"Ann"', 1), (2, '"Bob", "Zoë"', 0), (3, '"Ann", "Bob", "C"', 2), (30, '"Bob"', 2))]
    operations = asked.engine._operations  # what is shared is what is tested
    view = asked.engine._views.of(CLERK, asked.engine._clock())
    checked = [operations.prepare(it, None, view, long_as_text=False).checked for it in (texts[0], *texts)]
    # What is seen once is run but not kept.
    assert len({id(it) for it in checked[1:]}) == 1
    answers = [await asked.ask(CLERK, it) for it in texts]
    for one, it in zip(answers, texts, strict=True):
        assert one.data == asked.oracle(CLERK).answer(parse(it), None, {}, {}, long_as_text=False).data


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("(first: 1)", "(first: 99999999999)"),
        ('(since: "2026-01-01T00:00:00Z")', '(since: "yesterday")'),
        ('(where: {hiredAt: {in: ["2026-01-01T00:00:00Z"]}})', '(where: {hiredAt: {in: ["2026-01-01T00:00:00Z", "now"]}})'),
        ("(where: {desk: {in: [1]}})", "(where: {desk: {in: [1, 99999999999]}})"),
        ("(where: {not: {desk: {eq: 1}}})", "(where: {not: {desk: {eq: 3000000000}}})"),
    ],
)
async def test_a_bad_literal_is_refused_as_graphql_core_refuses_it_whatever_went_before(
    opened: tuple[Asked, Counted], good: str, bad: str
) -> None:
    asked, _ = opened
    text = STAFF % ("%s", "totalCount")
    for _ in range(3):
        assert (await asked.ask(CLERK, text % good)).refusal is None
    answer = await asked.ask(CLERK, text % bad)
    expected = validate(asked.oracle(CLERK).schema, parse(text % bad))
    assert [error["message"] for error in answer.errors] == [error.message for error in expected]
    assert [[(it["line"], it["column"]) for it in error.get("locations", ())] for error in answer.errors] == [
        [(it.line, it.column) for it in error.locations or ()] for error in expected
    ]


async def test_fields_that_do_not_merge_are_refused_even_when_their_shape_was_valid_before(opened: tuple[Asked, Counted]) -> None:
    asked, _ = opened
    text = "{people{staff(first: %d) { totalCount } staff(first: %d) { nodes { name } }}}"
    for number in (1, 1, 2, 2):
        assert (await asked.ask(CLERK, text % (number, number))).refusal is None
    assert (await asked.ask(CLERK, text % (1, 2))).refusal == "GRAPHQL_VALIDATION_FAILED"


async def test_the_catalogue_is_asked_with_the_literals_and_variables_of_each_text(opened: tuple[Asked, Counted]) -> None:
    asked, _ = opened
    text = "query($w: PeopleStaffWhere, $n: String!) { mesh { ...F } people { staff(where: $w) { totalCount } } } fragment F on Mesh {"
    text += ' product(domain: "%s", name: $n) { id } }'
    for domain, found in (("people", {"id": "people/staff"}), ("nowhere", None)) * 3:
        answer = await asked.ask(CLERK, text % domain, None, {"n": "staff", "w": {"desk": {"eq": 1}}})
        assert answer.errors == []
        assert answer.data["mesh"] == {"product": found}


# -- predicates, the hidden and the denied -----------------------------------------------------------------------------------------

PREDICATES = [
    ('{people{staff(where: {email: {eq: "x"}}) { totalCount }}}', {}, "email"),
    ("{people{a: staff(where: {and: [{not: {or: [{email: {isNull: true}}]}}]}) { totalCount }}}", {}, "email"),
    ("{people{...F}} fragment F on PeopleDomain { staff(orderBy: [{name: ASC}, {email: DESC}]) { totalCount } }", {}, "email"),
    ("{people{staff{nodes{reports(where: {salary: {gt: 5}}) { totalCount }}}}}", {}, "salary"),
    ("query($w: PeopleStaffWhere){people{staff(where: $w) { totalCount }}}", {"w": {"email": {"eq": "x"}}}, "email"),
    ("query($w: PeopleStaffWhere){people{staff(where: $w) { totalCount }}}", {"w": {"or": [{"not": {"salary": {"lt": 5}}}]}}, "salary"),
    ("query($w: [PeopleStaffWhere!]){people{staff(where: {and: $w}) { totalCount }}}", {"w": [{"email": {"ne": "x"}}]}, "email"),
    ("query($o: [PeopleStaffOrderBy!]){people{staff(orderBy: $o) { totalCount }}}", {"o": [{"email": "ASC"}]}, "email"),
    ('query($w: PeopleStaffWhere = {email: {eq: "x"}}){people{staff(where: $w) { totalCount }}}', {}, "email"),
    ("query($s: String){people{staff(where: {email: {eq: $s}}) { totalCount }}}", {"s": "x"}, "email"),
]


@pytest.mark.parametrize(("text", "variables", "field"), PREDICATES)
async def test_what_is_masked_or_denied_is_refused_in_predicates_by_name_before_any_read(
    opened: tuple[Asked, Counted], text: str, variables: dict[str, Any], field: str
) -> None:
    asked, port = opened
    answer = await asked.ask(CLERK, text, None, variables)
    assert answer.refusal == "MASKED_FIELD_IN_PREDICATE"
    assert {error["extensions"].get("field") for error in answer.errors} == {field}
    assert port.reads == []


@pytest.mark.parametrize(("text", "variables"), [it[:2] for it in PREDICATES], ids=range(len(PREDICATES)))
async def test_what_is_hidden_answers_as_a_misspelling_does(opened: tuple[Asked, Counted], text: str, variables: dict[str, Any]) -> None:
    asked, port = opened

    async def named(name: str) -> Any:
        answer = await asked.ask(
            CLERK,
            text.replace("email", name).replace("salary", name),
            None,
            msgspec.json.decode(msgspec.json.encode(variables).replace(b"email", name.encode()).replace(b"salary", name.encode())),
        )
        assert answer.refusal in {"GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"}
        return msgspec.json.encode(answer.body).decode().replace(name, "?")

    assert await named("locker") == await named("lockar") == await named("xlocke")
    assert port.reads == []


async def test_a_misspelling_of_a_masked_field_in_a_variable_is_a_misspelling(opened: tuple[Asked, Counted]) -> None:
    asked, _ = opened
    answer = await asked.ask(CLERK, PREDICATES[4][0], None, {"w": {"emial": {"eq": "x"}}})
    assert answer.refusal == "BAD_USER_INPUT"
    assert "email" not in str(answer.body)


async def test_what_is_hidden_is_in_no_answer_of_the_catalogue_or_the_schema(opened: tuple[Asked, Counted]) -> None:
    asked, _ = opened
    text = '{mesh{products{fields{name column}}} __type(name: "PeopleStaff"){fields{name}} __schema{types{inputFields{name}}}}'
    answer = await asked.ask(CLERK, text)
    assert answer.errors == []
    assert "salary" in str(answer.data)
    assert "locker" not in str(answer.data)


@pytest.mark.parametrize("arguments", ["", "(first: 0)", '(where: {staffId: {eq: "nobody"}})'])
async def test_each_denied_selection_costs_one_error_also_on_an_empty_list(opened: tuple[Asked, Counted], arguments: str) -> None:
    asked, _ = opened
    answer = await asked.ask(CLERK, STAFF % (arguments, "nodes { salary pay: salary boss { salary } } edges { node { salary } }"))
    assert codes(answer) == ["FIELD_DENIED"] * 4
    assert {tuple(error["path"]) for error in answer.errors} == {("people", "staff")}
    assert [it["path"] for it in answer.body["extensions"]["mesh"]["denied"]] == [
        "people.staff.nodes.salary",
        "people.staff.nodes.pay",
        "people.staff.nodes.boss.salary",
        "people.staff.edges.node.salary",
    ]
