"""Groups kept for the next pages of a walk."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import structs

from contracts.fields import Field, Kind, Scalar
from contracts.model import Contract, Metadata
from contracts.objectives import Objectives
from domain_adapters.leftovers import AHEAD, Leftovers
from domain_adapters.port import Aggregate, Call, GroupBy, Read
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql

WALK = b"a walk"


def test_pages_come_from_what_is_left() -> None:
    left = Leftovers()
    left.keep(WALK, 10, range(10, 40))
    assert left.page(WALK, 10, 5) == range(10, 15)
    assert left.page(WALK, 38, 5) == range(38, 40)
    assert left.page(WALK, 40, 5) == range(0)
    assert left.page(b"another", 10, 5) is None


def test_what_may_go_on_behind_its_end_is_not_the_end() -> None:
    left = Leftovers()
    left.keep(WALK, 0, range(AHEAD + 1))
    assert left.page(WALK, AHEAD - 5, 6) == range(AHEAD - 5, AHEAD + 1)
    assert left.page(WALK, AHEAD, 6) is None
    assert left.page(WALK, 0, 1) is None  # let go of


def test_what_lies_before_is_not_there() -> None:
    left = Leftovers()
    left.keep(WALK, 10, range(10, 40))
    assert left.page(WALK, 9, 1) is None


def test_nothing_is_kept_for_long() -> None:
    now = [0.0]
    left = Leftovers(lambda: now[0])
    left.keep(WALK, 0, range(10))
    now[0] = 29.0
    assert left.page(WALK, 0, 1) == range(1)
    now[0] = 31.0
    assert left.page(WALK, 0, 1) is None


def test_a_few_walks_are_kept() -> None:
    left = Leftovers()
    for number in range(6):
        left.keep(b"%d" % number, 0, range(10))
    assert [left.page(b"%d" % number, 0, 1) is not None for number in range(6)] == [False] * 2 + [True] * 4


async def test_a_walk_over_many_pages_gives_every_group_once_and_forms_them_a_few_times() -> None:
    number = Scalar(Kind.INT)
    contract = Contract(
        metadata=Metadata(name="things", domain="shop", owner="shop@example.com", version="1.0.0"),
        fields=(Field("id", number), Field("size", number)),
        objectives=Objectives(),
        primary_key=("id",),
        revision="1",
    )
    count = AHEAD + 2_500
    port = await open_sql(contract, Rows([{"id": at, "size": at % 7} for at in range(count)]), cursors=1)
    formed = 0
    groups = port._groups

    def counted(cursor: Any, *given: Any) -> Any:
        nonlocal formed
        formed += port._leftovers.page(port._bookmarks.walk(given[0]), (given[1] or [0])[0], 1) is None
        return groups(cursor, *given)

    port._groups = counted  # type: ignore[method-assign]  # counts what is asked of the port
    read = Read(aggregates=(Aggregate("count", None, "n"),), group_by=(GroupBy("id"),), limit=500)
    keys: list[int] = []
    cursor: str | None = None
    while True:
        page = msgspec.json.decode(await port.read(structs.replace(read, cursor=cursor), Call(10.0)))
        keys += [group["key"][0] for group in page["groups"]]
        cursor = page.get("nextCursor")
        if cursor is None:
            break
    await port.aclose()
    assert keys == list(range(count))
    assert formed <= 4
