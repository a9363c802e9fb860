"""What a mirror takes over from its origin, and what of that it serves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.responses import Response

from contracts.fields import Field, Kind, Scalar, Unit
from domain_adapters.errors import PortUnavailableError, ReadInvalidError
from domain_adapters.mirror import Bounds
from domain_adapters.port import Aggregate, GroupBy, Read
from tests.unit.domain_adapters.mirrored import EVENTS, thing, with_time
from tests.unit.domain_adapters.origin import CALL, Clock, Origin, ago, held, mirror_of, page_of, slo_of
from tests.unit.domain_adapters.products import THINGS, product


async def test_before_the_first_walk_has_ended_nothing_is_answered(tmp_path: Path) -> None:
    async with mirror_of(Origin([thing(1)]), THINGS, tmp_path) as port:
        for asked in (port.read(Read(), CALL), port.slo(CALL)):
            with pytest.raises(PortUnavailableError) as caught:
                await asked
            assert caught.value.reason == "filling"
        await port.refresher.refresh()
        assert await held(port) == {1: {"id": 1, "name": "thing 1", "price": "1.25", "updated": ago(hours=1)}}
        assert port.capabilities.level == 1
        assert port.name == "mirror"
        assert port.spelling["name"] == "name"


async def test_a_look_brings_what_changed_and_goes_back_over_an_overlap(tmp_path: Path) -> None:
    origin, clock = Origin([thing(1), thing(2, ago(minutes=10))]), Clock()
    async with mirror_of(origin, THINGS, tmp_path, clock=clock, bounds=Bounds(overlap_s=300)) as port:
        await port.refresher.refresh()
        clock.pass_by(minutes=1)
        # One as old as the newest known, one older but inside the overlap, one changed.
        origin.rows += [thing(3, ago(minutes=10)), thing(4, ago(minutes=14))]
        origin.rows[0] = thing(1, ago(seconds=0), name="renamed")
        await port.refresher.refresh()
        assert origin.asked[-1]["since"] == ago(minutes=15)
        assert {number: row["name"] for number, row in (await held(port)).items()} == {
            1: "renamed",
            2: "thing 2",
            3: "thing 3",
            4: "thing 4",
        }


async def test_what_is_older_than_the_overlap_or_deleted_is_found_by_the_next_walk_over_everything(tmp_path: Path) -> None:
    origin, clock = Origin([thing(1), thing(2)]), Clock()
    async with mirror_of(origin, THINGS, tmp_path, clock=clock, bounds=Bounds(rewalk_s=3_600)) as port:
        await port.refresher.refresh()
        origin.rows = [thing(2), thing(3, ago(days=3))]
        clock.pass_by(minutes=59)
        await port.refresher.refresh()
        assert set(await held(port)) == {1, 2}
        clock.pass_by(minutes=1)
        await port.refresher.refresh()
        assert set(await held(port)) == {2, 3}
        assert port.standing.facts.walked_at == port.standing.facts.as_of == clock.now


async def test_a_tombstone_takes_its_row_out_unless_the_row_is_newer(tmp_path: Path) -> None:
    contract = with_time(THINGS, deleted="deleted")
    origin = Origin([thing(1), thing(2), thing(3, deleted=ago(hours=2)), thing(4, deleted="long ago")])
    async with mirror_of(origin, contract, tmp_path) as port:
        await port.refresher.refresh()
        assert set(await held(port)) == {1, 2}
        origin.rows = [
            {"id": 1, "updated": ago(minutes=1), "deleted": ago(minutes=1), "price": "gone"},
            thing(2, ago(hours=1, seconds=1), deleted=ago(hours=1)),
            thing(3, ago(minutes=2)),
        ]
        await port.refresher.refresh(everything=False)
        assert set(await held(port)) == {2, 3}


async def test_of_one_key_the_newest_update_wins_and_of_equals_the_one_that_came_last(tmp_path: Path) -> None:
    origin = Origin()

    async def answer(given: dict[str, str]) -> Response:
        if "cursor" not in given:
            return page_of([thing(1, ago(hours=2), name="new"), thing(2, name="first"), thing(3, name="kept")], "more")
        return page_of([thing(1, ago(hours=3), name="old"), thing(2, name="last")])

    origin.answer = answer
    async with mirror_of(origin, THINGS, tmp_path) as port:
        await port.refresher.refresh()
        assert [row["name"] for row in (await held(port)).values()] == ["new", "last", "kept"]
        # What a look brings that is older than what is held changes nothing.
        origin.answer, origin.rows = None, [thing(1, ago(hours=2, seconds=1), name="older")]
        await port.refresher.refresh(everything=False)
        assert (await held(port))[1]["name"] == "new"


async def test_malformed_rows_are_left_out_counted_and_told_in_slo(tmp_path: Path) -> None:
    bad = [thing(5, price="dear"), thing(6, "yesterday"), {"id": None}, {"name": "nobody"}, "a row", thing(7, price=float(1 << 80))]
    origin = Origin([thing(1), thing(2), thing(3), *bad], updated="none")  # type: ignore[list-item]  # rows that break the contract

    async def answer(given: dict[str, str]) -> Response:
        return page_of(origin.rows)

    origin.answer = answer
    async with mirror_of(origin, THINGS, tmp_path) as port:
        await port.refresher.refresh()
        assert set(await held(port)) == {1, 2, 3}
        document = await slo_of(port)
        assert document["mirror"]["leftOut"] == 6
        assert (document["completeness"]["ratio"], document["accuracy"]["ratio"]) == (3 / 9, 3 / 9)
        # Mended rows come in, and what turned bad goes: an old version of it may not be shown.
        origin.rows = [thing(1, ago(minutes=1), price=[]), thing(5), thing(6)]
        await port.refresher.refresh(everything=False)
        assert set(await held(port)) == {2, 3, 5, 6}
        assert (await slo_of(port))["mirror"]["leftOut"] == 5
        await port.refresher.refresh(everything=False)
        assert (await slo_of(port))["mirror"]["leftOut"] == 5


async def test_a_malformed_row_without_a_readable_update_hides_its_key(tmp_path: Path) -> None:
    origin = Origin([thing(1), thing(1, "yesterday"), thing(2)])
    async with mirror_of(origin, THINGS, tmp_path) as port:
        await port.refresher.refresh()
        assert set(await held(port)) == {2}


async def test_an_older_malformed_version_of_a_row_that_is_served_is_not_counted(tmp_path: Path) -> None:
    origin = Origin([thing(1, ago(minutes=30)), thing(2)])
    async with mirror_of(origin, THINGS, tmp_path) as port:
        await port.refresher.refresh()
        origin.rows = [thing(1, ago(minutes=33), price="dear")]
        await port.refresher.refresh(everything=False)
        assert set(await held(port)) == {1, 2}
        assert port.standing.facts.left_out == 0


async def test_what_the_database_cannot_hold_is_malformed(tmp_path: Path) -> None:
    contract = product(Field("precise", Scalar(Kind.INSTANT, unit=Unit.NANOS)))
    origin = Origin([{"id": 1, "precise": "2024-01-01T00:00:00.000000001Z"}, {"id": 2, "precise": "3024-01-01T00:00:00Z"}])
    async with mirror_of(origin, contract, tmp_path) as port:
        await port.refresher.refresh()
        assert set(await held(port)) == {1}
        assert port.standing.facts.left_out == 1


async def test_figures_are_those_of_the_copy_and_say_how_old_it_is(tmp_path: Path) -> None:
    origin, clock = Origin([thing(1, ago(minutes=7)), thing(2, name=None)]), Clock()
    async with mirror_of(origin, THINGS, tmp_path, clock=clock) as port:
        await port.refresher.refresh()
        clock.pass_by(minutes=30)
        document = await slo_of(port)
        assert document["measuredAt"] == "2026-11-23T12:30:00Z"
        assert document["asOf"] == "2026-11-23T12:00:00Z"
        assert document["freshness"] == {"lastUpdateAt": ago(minutes=7)}
        page = msgspec.json.decode(await port.read(Read(), CALL))
        assert page["metadata"] == {"generatedAt": "2026-11-23T12:00:00Z", "version": "3.1.4", "totalRecords": 2, "sloStatus": "MET"}


async def test_numbers_beyond_all_types_and_updates_before_all_times_cost_one_row_each(tmp_path: Path) -> None:
    rows = [
        b'{"id": %d, "price": 1}' % 10**40,
        b'{"id": 1e999999999}',
        b'{"id": 2, "price": 1e400}',
        b'{"id": 3, "updated": "0001-01-01T00:00:00Z"}',
    ]

    async def answer(given: dict[str, str]) -> Response:
        return Response(b'{"data": [%b]}' % b",".join(rows))

    async with mirror_of(Origin(answer=answer), THINGS, tmp_path) as port:
        await port.refresher.refresh()
        await port.refresher.refresh(everything=False)
        assert set(await held(port)) == {3}
        assert port.standing.facts.left_out == 3


async def test_an_empty_origin_makes_an_empty_copy(tmp_path: Path) -> None:
    async with mirror_of(Origin(), THINGS, tmp_path) as port:
        await port.refresher.refresh()
        assert await held(port) == {}
        document = await slo_of(port)
        assert "completeness" not in document
        await port.refresher.refresh()
        assert port.standing.failure is None


async def test_an_update_of_the_future_does_not_hide_those_that_follow(tmp_path: Path) -> None:
    origin = Origin([thing(1, "9999-12-31T00:00:00Z"), thing(2, ago(minutes=5))])
    async with mirror_of(origin, THINGS, tmp_path) as port:
        await port.refresher.refresh()
        origin.rows.append(thing(3, ago(minutes=4)))
        await port.refresher.refresh()
        assert origin.asked[-1]["since"] == ago(minutes=10)
        assert set(await held(port)) == {1, 2, 3}


@pytest.mark.parametrize("kind", [Kind.DATE, Kind.LOCAL_DATETIME])
async def test_updates_without_zone_or_time_count_in_utc(tmp_path: Path, kind: Kind) -> None:
    contract = product(Field("updated", Scalar(kind)), updated="updated")
    day = "2026-11-22" if kind is Kind.DATE else "2026-11-22T00:00:00"
    origin = Origin([{"id": 1, "updated": day}])
    async with mirror_of(origin, contract, tmp_path) as port:
        await port.refresher.refresh()
        await port.refresher.refresh()
        assert origin.asked[-1]["since"] == "2026-11-21T23:55:00Z"


# -- origins that fail ------------------------------------------------------------------------------------------------------


async def cursor_of(port: Any, read: Read) -> str:
    cursor = msgspec.json.decode(await port.read(read, CALL))["nextCursor"]
    assert isinstance(cursor, str)
    return cursor


async def test_a_cursor_that_counts_rows_does_not_outlive_them(tmp_path: Path) -> None:
    origin = Origin([{"id": number, "kind": "a"} for number in range(4)])
    async with mirror_of(origin, EVENTS, tmp_path) as port:
        await port.refresher.refresh()
        cursor = await cursor_of(port, Read(limit=2))
        assert len(msgspec.json.decode(await port.read(Read(limit=2, cursor=cursor), CALL))["data"]) == 2
        await port.refresher.refresh()
        with pytest.raises(ReadInvalidError) as caught:
            await port.read(Read(limit=2, cursor=cursor), CALL)
        assert caught.value.reason == "bad_cursor"


async def test_a_cursor_by_key_goes_on_in_changed_rows_and_one_by_groups_does_not(tmp_path: Path) -> None:
    grouped = Read(limit=1, aggregates=(Aggregate("count", None, "n"),), group_by=(GroupBy("name"),))
    origin = Origin([thing(1), thing(3), thing(5)])
    async with mirror_of(origin, THINGS, tmp_path) as port:
        await port.refresher.refresh()
        by_key, by_group = await cursor_of(port, Read(limit=2)), await cursor_of(port, grouped)
        # A look that finds nothing new leaves every cursor as it is.
        await port.refresher.refresh(everything=False)
        await port.read(Read(limit=1, cursor=by_group, aggregates=grouped.aggregates, group_by=grouped.group_by), CALL)
        origin.rows.append(thing(4))
        await port.refresher.refresh(everything=False)
        rows = msgspec.json.decode(await port.read(Read(limit=2, cursor=by_key), CALL))["data"]
        assert [row["id"] for row in rows] == [4, 5]
        with pytest.raises(ReadInvalidError):
            await port.read(Read(limit=1, cursor=by_group, aggregates=grouped.aggregates, group_by=grouped.group_by), CALL)


async def test_readers_see_a_whole_walk_or_none_of_it(tmp_path: Path) -> None:
    origin = Origin([thing(number, price=0) for number in range(300)])
    read = Read(aggregates=(Aggregate("min", "price", "least"), Aggregate("max", "price", "most"), Aggregate("count", None, "n")))
    seen: set[tuple[str, str, int]] = set()
    ages: list[str] = []
    over = asyncio.Event()

    async def watch(port: Any) -> None:
        while not over.is_set():
            page = msgspec.json.decode(await port.read(read, CALL))
            values = page["groups"][0]["values"]
            seen.add((values["least"], values["most"], values["n"]))
            ages.append(page["metadata"]["generatedAt"])

    clock = Clock()
    async with mirror_of(origin, THINGS, tmp_path, bounds=Bounds(page_rows=60), clock=clock) as port:
        await port.refresher.refresh()
        watching = [asyncio.create_task(watch(port)) for _ in range(3)]
        for walk in range(1, 9):
            clock.pass_by(seconds=1)
            origin.rows = [thing(number, ago(minutes=30 - walk), price=walk) for number in range(300)]
            await port.refresher.refresh(everything=bool(walk % 2))
        over.set()
        await asyncio.gather(*watching)
    assert {(least == most, count) for least, most, count in seen} == {(True, 300)}
    assert len(ages) > 8


# -- endpoints as teams write them ------------------------------------------------------------------------------------------
