"""A list of any length, batch by batch: what is read, what is refused, and that failures are never silent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from contracts.predicates import Operator
from gateway.engine.budget import Bounds
from gateway.errors import GatewayError
from gateway.exchange import Form, Frame, Question, Stream

from .depot import ANALYST, contract, depot, row, rows_of

ALL = "{ depot { items(first: 1000000) { nodes { id name } } } }"


async def test_all_rows_come_in_key_order_a_page_at_a_time() -> None:
    mesh = await depot(rows_of(95))
    *rows, end = await mesh.lines(ALL)
    assert [it["id"] for it in rows] == list(range(95))
    assert end == {"end": {"rows": 95, "hasNextPage": False}}
    assert [it.limit for it in mesh.port.reads] == [10] * 10
    assert all([term.column for term in it.order_by] == ["id"] for it in mesh.port.reads)


async def test_without_first_there_are_as_many_rows_as_in_a_list_and_the_header_says_so() -> None:
    mesh = await depot(rows_of(95))
    found = await mesh.ask("{ depot { items { nodes { id } } } }")
    assert isinstance(found, Stream)
    assert dict(found.headers)["Mesh-First"] == "20"
    await found.rest.aclose()
    *rows, end = await mesh.lines("{ depot { items { nodes { id } } } }")
    assert len(rows) == 20
    assert end == {"end": {"rows": 20, "hasNextPage": True}}


@pytest.mark.parametrize("first", [0, 1, 9, 10, 11, 94, 95, 96])
@pytest.mark.parametrize("level", [0, 1])
async def test_first_cuts_wherever_it_falls(first: int, level: int) -> None:
    mesh = await depot(rows_of(95), level=level)
    *rows, end = await mesh.lines(f"{{ depot {{ items(first: {first}) {{ nodes {{ id }} }} }} }}")
    assert [it["id"] for it in rows] == list(range(min(first, 95)))
    assert end["end"] == {"rows": min(first, 95), "hasNextPage": first < 95}


async def test_partners_are_looked_up_per_page_of_rows() -> None:
    mesh = await depot(rows_of(30))
    *rows, _ = await mesh.lines("{ depot { items(first: 5000) { nodes { id partner { name } } } } }")
    assert [it["partner"]["name"] for it in rows] == [f"n{number // 2}" for number in range(30)]
    assert sum(it.keys is not None for it in mesh.port.reads) == 3


async def test_a_stream_reads_one_page_ahead_and_no_more() -> None:
    mesh = await depot(rows_of(95))
    found = await mesh.ask(ALL)
    assert isinstance(found, Stream)
    for _ in range(200):
        await asyncio.sleep(0.001)
    assert len(mesh.port.reads) == 2
    await anext(found.rest)
    for _ in range(200):
        await asyncio.sleep(0.001)
    assert len(mesh.port.reads) == 3
    await found.rest.aclose()


async def test_closing_a_stream_cancels_the_read_under_way() -> None:
    mesh = await depot(rows_of(95), waits_at=3)
    found = await mesh.ask(ALL)
    assert isinstance(found, Stream)
    await anext(found.rest)
    await mesh.port.waiting.wait()
    await found.rest.aclose()
    assert mesh.port.cancelled


async def test_a_failure_before_the_first_page_is_a_refusal() -> None:
    mesh = await depot(rows_of(95), fails_at=1)
    code, message = await mesh.code(ALL)
    assert code == "UPSTREAM_UNAVAILABLE"
    assert "depot/items" in message


@pytest.mark.parametrize("form", list(Form))
async def test_a_failure_on_the_way_is_raised_after_what_was_read_and_told_where_it_can_be(form: Form) -> None:
    mesh = await depot(rows_of(95), fails_at=3)
    found = await mesh.ask(ALL, form)
    assert isinstance(found, Stream)
    await anext(found.rest)
    with pytest.raises(GatewayError) as failure:
        await anext(found.rest)
    words = found.last_words(failure.value)
    if form is Form.JSONL:
        assert words is not None
        assert json.loads(words)["error"]["extensions"]["code"] == "UPSTREAM_UNAVAILABLE"
    else:
        assert words is None


async def test_a_failing_partner_fails_the_form_and_never_is_null() -> None:
    mesh = await depot(rows_of(95), fails_at=2)
    found = await mesh.ask("{ depot { items(first: 5) { nodes { id partner { name } } } } }", Form.CSV)
    assert not isinstance(found, Stream)
    assert found.refusal is not None
    assert found.refusal.name == "UPSTREAM_UNAVAILABLE"
    assert json.loads(found.body)["errors"][0]["path"] == ["depot", "items", "nodes", "partner"]


async def test_bad_cells_are_null_and_told_at_the_end() -> None:
    mesh = await depot(rows_of(25), spoil=b"much")
    *rows, end = await mesh.lines("{ depot { items(first: 1000) { nodes { id price } } } }")
    assert [it["id"] for it in rows if it["price"] is None] == [1, 11, 21]
    assert end["end"]["rows"] == 25
    assert [it["path"] for it in end["end"]["errors"]] == [["depot", "items", "nodes", number, "price"] for number in (1, 11, 21)]
    assert "much" not in json.dumps(end)


async def test_a_bad_cell_fails_csv_which_has_no_place_to_tell_it() -> None:
    mesh = await depot(rows_of(25), spoil=b"much")
    code, message = await mesh.code("{ depot { items(first: 1000) { nodes { id price } } } }", Form.CSV)
    assert code == "UPSTREAM_INVALID"
    assert "price" in message


async def test_the_largest_first_is_a_setting() -> None:
    mesh = await depot(rows_of(5), bounds=Bounds(stream_rows_max=2_000))
    code, message = await mesh.code("{ depot { items(first: 2001) { nodes { id } } } }")
    assert (code, "2000" in message) == ("LIMIT_EXCEEDED", True)


async def test_rows_that_are_filtered_here_count_towards_the_largest_read() -> None:
    mesh = await depot(rows_of(95), level=0, bounds=Bounds(stream_rows_max=50, rows_max=20))
    code, message = await mesh.code('{ depot { items(first: 1, where: {name: {eq: "none"}}) { nodes { id } } } }')
    assert (code, "50" in message) == ("PORT_CANNOT", True)


async def test_a_port_that_only_pages_is_walked_and_filtered_here() -> None:
    mesh = await depot(rows_of(95), level=0)
    *rows, end = await mesh.lines('{ depot { items(first: 5000, where: {name: {in: ["n3", "n77"]}}) { nodes { id } } } }')
    assert [it["id"] for it in rows] == [3, 77]
    assert end["end"] == {"rows": 2, "hasNextPage": False}


@pytest.mark.parametrize(("first", "more"), [(2, True), (4, True), (5, False), (6, False)])
async def test_what_a_sorting_port_does_not_filter_is_filtered_here_in_its_order(first: int, more: bool) -> None:
    mesh = await depot(rows_of(95), operators=frozenset({Operator.EQ}))
    names = '["n90", "n3", "n33", "n9", "n5"]'
    arguments = f"first: {first}, orderBy: [{{name: DESC}}], where: {{name: {{in: {names}}}}}"
    *rows, end = await mesh.lines(f"{{ depot {{ items({arguments}) {{ nodes {{ name }} }} }} }}")
    assert [it["name"] for it in rows] == ["n90", "n9", "n5", "n33", "n3"][:first]
    assert end["end"]["hasNextPage"] is more


async def test_after_goes_on_where_a_list_ended_over_both_levels() -> None:
    for level in (0, 1):
        mesh = await depot(rows_of(95), level=level)
        frame = Frame(ANALYST, asyncio.get_running_loop().time() + 30, "r")
        listed = await mesh.engine.answer(Question("{ depot { items(first: 13) { pageInfo { endCursor } nodes { id } } } }"), frame)
        cursor = json.loads(listed.body)["data"]["depot"]["items"]["pageInfo"]["endCursor"]
        *rows, _ = await mesh.lines(f'{{ depot {{ items(first: 5000, after: "{cursor}") {{ nodes {{ id }} }} }} }}')
        assert [it["id"] for it in rows] == list(range(13, 95))


async def test_partners_of_many_rows_need_a_port_that_looks_up() -> None:
    mesh = await depot(rows_of(25), level=0)
    text = "{ depot { items(first: %d) { nodes { id partner { name } } } } }"
    code, message = await mesh.code(text % 1_001)
    assert (code, "look up the partners" in message) == ("PORT_CANNOT", True)
    assert mesh.port.reads == []
    assert len(await mesh.lines(text % 1_000)) == 26


@pytest.mark.parametrize(("level", "masked"), [(0, False), (1, True)])
async def test_an_order_that_needs_every_row_first_is_as_long_as_a_page_at_most(level: int, masked: bool) -> None:
    mesh = await depot(rows_of(25), level=level, made=contract(masked_key=masked))
    text = "{ depot { items(first: %d, orderBy: [{name: DESC}]) { nodes { name } } } }"
    assert (await mesh.code(text % 1_001))[0] == "PORT_CANNOT"
    assert mesh.port.reads == []
    *rows, _ = await mesh.lines(text % 1_000)
    assert rows == [{"name": name} for name in sorted((f"n{number}" for number in range(25)), reverse=True)]


async def test_an_order_needs_a_primary_key() -> None:
    mesh = await depot(rows_of(5), made=contract(key=()), level=0)
    assert (await mesh.code("{ depot { items(orderBy: [{name: ASC}]) { nodes { id } } } }"))[0] in {
        "PORT_CANNOT",
        "GRAPHQL_VALIDATION_FAILED",
    }


async def test_a_condition_that_nothing_satisfies_asks_no_port() -> None:
    mesh = await depot(rows_of(5))
    assert await mesh.lines("{ depot { items(where: {or: []}) { nodes { id } } } }") == [{"end": {"rows": 0, "hasNextPage": False}}]
    assert mesh.port.reads == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{ depot { items { nodes { id } totalCount } } }", "totalCount of depot.items is no row"),
        ("{ depot { items { edges { cursor node { id } } } } }", "the cursor of each row"),
        ("{ depot { items { nodes { id } again: nodes { name } } } }", "2 times"),
        ("{ depot { items { pageInfo { hasNextPage } } } }", "0 times"),
        ("{ depot { items { nodes { id } groups(by: [{field: NAME}]) { count } } } }", "its groups 1 times"),
        ("{ depot { items { a: groups(by: [{field: NAME}]) { count } b: groups(by: [{field: NAME}]) { count } } } }", "its groups 2 times"),
        ("{ depot { items { groups(by: [{field: NAME}]) { count cursor } } } }", "the cursor of each group"),
        ("{ depot { items { aggregate { count } } } }", "aggregate of depot.items is no row"),
        ("{ depot { items { nodes { id partners { nodes { id } } } } } }", "is a list inside a row"),
        ("{ depot { items { nodes { id } } other: items { nodes { id } } } }", "2 lists"),
        ("{ depot { itemsByKey(key: {id: 1}) { id } } }", "is one row"),
        ("{ depot { items { nodes { id } } } mesh { products { id } } }", "mesh is not a list"),
        ("{ __typename }", "0 lists"),
    ],
)
async def test_what_is_not_one_flat_list_is_refused_before_any_read(text: str, why: str) -> None:
    mesh = await depot(rows_of(5))
    for form in Form:
        code, message = await mesh.code(text, form)
        assert code == "NOT_ACCEPTABLE"
        assert why in message
    assert mesh.port.reads == []


async def test_an_invalid_operation_is_refused_as_ever() -> None:
    mesh = await depot(rows_of(5))
    assert (await mesh.code("{ depot { items { nodes { nothing } } } }"))[0] == "GRAPHQL_VALIDATION_FAILED"
    assert (await mesh.code('{ depot { items(where: {mail: {eq: "a"}}) { nodes { id } } } }'))[0] == "MASKED_FIELD_IN_PREDICATE"


async def test_what_goes_wrong_inside_is_an_id_before_and_after_the_first_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = await depot(rows_of(25))
    found = await mesh.ask(ALL)
    assert isinstance(found, Stream)

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a secret cell")

    monkeypatch.setattr(type(mesh.engine.snapshot.products["depot/items"].ports[0]), "read", broken)
    with pytest.raises(GatewayError, match="Something went wrong") as failure:
        async for _ in found.rest:
            pass
    assert failure.value.code.name == "INTERNAL"
    assert (await mesh.code(ALL))[0] == "INTERNAL"
    assert [type(it) for it in mesh.internal] == [ZeroDivisionError, ZeroDivisionError]


async def test_receipts_are_in_the_headers_and_masked_cells_are_masked() -> None:
    mesh = await depot([row(1, mail="ann@example.com", secret="s")])
    found = await mesh.ask("{ depot { items { nodes { mail secret } } } }", Form.CSV)
    assert isinstance(found, Stream)
    assert found.first == b'mail,secret\r\n"a***@example.com",\r\n'
    headers = dict(found.headers)
    assert headers["Mesh-Masked"] == "depot.items.nodes.mail:email"
    assert headers["Mesh-Denied"] == "depot.items.nodes.secret"
    assert headers["Mesh-Slo-Status"] == "UNKNOWN"
    await found.rest.aclose()


async def test_long_receipts_are_counted_not_cut_off_silently() -> None:
    mesh = await depot([row(1, mail="ann@example.com")])
    aliases = " ".join(f"{'a' * 80}{number}: mail" for number in range(60))
    found = await mesh.ask(f"{{ depot {{ items {{ nodes {{ {aliases} }} }} }} }}", Form.CSV)
    assert isinstance(found, Stream)
    shown = dict(found.headers)["Mesh-Masked"].split(", ")
    assert shown[-1] == f"+{60 - len(shown) + 1}"
    assert len(dict(found.headers)["Mesh-Masked"]) < 4_100
    await found.rest.aclose()
