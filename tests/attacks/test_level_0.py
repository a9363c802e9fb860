"""Level-0 ports that lead in circles, forget their cursors, or spell columns otherwise than their contract says."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from contracts.fields import Kind, Scalar
from contracts.model import FieldClassification
from domain_adapters.errors import PortRefusedError, ReadInvalidError
from domain_adapters.port import Read

from .lying import LEVEL_0, STRING, Lying, Mesh, contract, page

THINGS = {"id": STRING, "unit_price": Scalar(Kind.INT), "owner_name": STRING}
ASK = "{ shop { things { nodes { id unitPrice } totalCount } } }"


def thing(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"t{number}", **more}


@pytest.mark.parametrize("pages", [1, 3])
async def test_a_port_that_gives_the_same_pages_under_new_cursors_breaks_its_promise(pages: int) -> None:
    cursors = count()

    def answer(_: Read) -> bytes:
        number = next(cursors)
        return page([thing(10 * (number % pages) + one) for one in range(3)], f"c{number}")

    mesh = Mesh((contract("things", THINGS), Lying(answer, LEVEL_0)))
    answer_ = await mesh.ask("{ shop { things { totalCount } } }")
    assert mesh.failures == []
    assert answer_.codes == ["UPSTREAM_INVALID"]
    assert "a page that repeats" in answer_.errors[0]["message"]
    assert next(cursors) <= pages + 1


async def test_pages_whose_rows_have_no_keys_are_no_repetition() -> None:
    pages = iter([page([{"unit_price": 1}], "a"), page([{"unit_price": 2}], "b"), page([{"unit_price": 3}])])
    mesh = Mesh((contract("things", THINGS), Lying(lambda _: next(pages), LEVEL_0)))
    assert (await mesh.ask("{ shop { things { totalCount } } }")).data == {"shop": {"things": {"totalCount": 3}}}


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (PortRefusedError("gone", reason="http_410", status=410), "CURSOR_EXPIRED"),
        (PortRefusedError("bad", reason="http_400", status=400), "CURSOR_EXPIRED"),
        (ReadInvalidError("old", reason="bad_cursor"), "CURSOR_EXPIRED"),
        (PortRefusedError("no", reason="http_403", status=403), "UPSTREAM_INVALID"),
    ],
)
async def test_a_cursor_that_the_port_forgot_has_expired(refusal: Exception, code: str) -> None:
    forgets = False

    def answer(read: Read) -> bytes:
        if read.cursor is None:
            return page([thing(number) for number in range(20)], "p2")
        if forgets:
            raise refusal
        return page([thing(number) for number in range(20, 30)])

    mesh = Mesh((contract("things", THINGS), Lying(answer, LEVEL_0)))
    text = "query($after: String) { shop { things(after: $after) { nodes { id } pageInfo { endCursor } } } }"
    first = (await mesh.ask(text)).data["shop"]["things"]
    after = {"after": first["pageInfo"]["endCursor"]}
    assert len((await mesh.ask(text, after)).data["shop"]["things"]["nodes"]) == 10
    forgets = True
    answer_ = await mesh.ask(text, after)
    assert answer_.codes == [code]
    # A walk that the request itself began is another matter: there the port forgets what it has just said, unless it says so itself.
    (walked,) = (await mesh.ask("{ shop { things { totalCount } } }")).codes
    assert walked == ("CURSOR_EXPIRED" if isinstance(refusal, ReadInvalidError) else "UPSTREAM_INVALID")


async def test_of_two_spellings_the_declared_one_is_read() -> None:
    rows = [thing(1, unitPrice=5, unit_price=6), thing(2, unitPrice=7)]
    port = Lying(lambda _: page(rows), LEVEL_0, {"unit_price": "unitPrice"})
    answer = await Mesh((contract("things", THINGS), port)).ask(ASK)
    assert answer.errors == []
    assert [node["unitPrice"] for node in answer.data["shop"]["things"]["nodes"]] == [5, 7]


@pytest.mark.parametrize(("declared", "sent"), [("unit_price", "unitPrice"), ("unitPrice", "unit_price"), ("preis", "unit_price")])
async def test_a_column_that_rows_spell_otherwise_is_null_and_told(declared: str, sent: str) -> None:
    port = Lying(lambda _: page([thing(1, **{sent: 5}), thing(2)]), LEVEL_0, {"unit_price": declared})
    mesh = Mesh((contract("things", THINGS), port))
    for _ in range(2):
        answer = await mesh.ask(ASK)
        assert [node["unitPrice"] for node in answer.data["shop"]["things"]["nodes"]] == [None, None]
        assert [(error["path"], error["extensions"]["code"]) for error in answer.errors] == [
            (["shop", "things", "nodes", 0, "unitPrice"], "UPSTREAM_INVALID")
        ]


async def test_what_another_column_is_called_is_no_misspelling() -> None:
    columns = {"id": STRING, "unit_price": Scalar(Kind.INT), "net_price": Scalar(Kind.INT)}
    spelling = {"unit_price": "gross", "net_price": "unit_price"}
    port = Lying(lambda _: page([thing(1, unit_price=5)]), LEVEL_0, spelling)
    answer = await Mesh((contract("things", columns), port)).ask("{ shop { things { nodes { unitPrice netPrice } } } }")
    assert answer.errors == []
    assert answer.data["shop"]["things"]["nodes"] == [{"unitPrice": None, "netPrice": 5}]


async def test_a_masked_column_that_rows_spell_otherwise_shows_nothing() -> None:
    classified = {"owner_name": FieldClassification(tags=("pii",))}
    port = Lying(lambda _: page([thing(1, ownerName="Ann Example")]), LEVEL_0)
    answer = await Mesh((contract("things", THINGS, classified=classified), port)).ask("{ shop { things { nodes { id ownerName } } } }")
    assert answer.data["shop"]["things"]["nodes"] == [{"id": "t1", "ownerName": None}]
    assert b"Ann" not in answer.body


@pytest.mark.parametrize(("where", "number"), [("{not: {}}", 0), ("{and: [{}, {not: {}}]}", 0), ("{not: {not: {}}}", 2), ("{or: [{}]}", 2)])
async def test_a_condition_that_compares_nothing_is_answered(where: str, number: int) -> None:
    mesh = Mesh((contract("things", THINGS), Lying(lambda _: page([thing(1), thing(2)]), LEVEL_0)))
    answer = await mesh.ask(f"{{ shop {{ things(where: {where}) {{ nodes {{ id }} totalCount }} }} }}")
    assert mesh.failures == []
    assert answer.errors == []
    assert (len(answer.data["shop"]["things"]["nodes"]), answer.data["shop"]["things"]["totalCount"]) == (number, number)
