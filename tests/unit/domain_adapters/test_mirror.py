"""What a mirror takes over from its origin, and what of that it serves."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.responses import PlainTextResponse, Response

from contracts.fields import Field, Kind, Scalar, Unit
from contracts.model import Contract, OutputPort, Subject, Times
from contracts.objectives import Retention
from domain_adapters.errors import PortBrokenPromiseError, PortError, PortUnavailableError, ReadInvalidError
from domain_adapters.mirror import Bounds, Progress
from domain_adapters.port import Aggregate, GroupBy, Read
from tests.unit.domain_adapters.origin import CALL, Clock, Origin, ago, held, mirror_of, page_of, slo_of
from tests.unit.domain_adapters.products import THINGS, product

EVENTS = product(Field("kind", Scalar(Kind.STRING)), key=())


def thing(number: int, updated: str = "", **more: Any) -> dict[str, Any]:
    return {"id": number, "name": f"thing {number}", "price": 1.25, "updated": updated or ago(hours=1), **more}


def with_time(contract: Contract, **times: str) -> Contract:
    fields = (*contract.fields, *(Field(name, Scalar(Kind.INSTANT, unit=Unit.MICROS)) for name in times.values() if name != "updated"))
    return contract.model_copy(update={"fields": fields, "times": Times(updated="updated", **times)})


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


async def refused(origin: Origin, folder: Path, contract: Contract = THINGS, **bounds: Any) -> str:
    """Fill a mirror, let a walk fail, and tell the reason; the copy stays as it was, and so does its age."""
    origin.rows = [thing(1), thing(2)]
    answer, origin.answer = origin.answer, None
    clock = Clock()
    async with mirror_of(origin, contract, folder, bounds=Bounds(**bounds), clock=clock) as port:
        await port.refresher.refresh()
        origin.answer = answer
        clock.pass_by(days=1)
        with pytest.raises(PortError) as caught:
            await port.refresher.refresh()
        assert set(await held(port)) == {1, 2}
        document = await slo_of(port)
        assert document["asOf"] == "2026-11-23T12:00:00Z"
        assert document["mirror"]["attemptedAt"] == "2026-11-24T12:00:00Z"
        assert document["mirror"]["failure"] == caught.value.reason == port.standing.failure
        origin.answer = None
        await port.refresher.refresh()
        assert (await slo_of(port))["mirror"]["failure"] is None
        return caught.value.reason


def walking(*pages: list[Any]) -> Any:
    async def answer(given: dict[str, str]) -> Response:
        at = int(given.get("cursor", 0))
        return page_of(pages[at % len(pages)], str(at + 1))

    return answer


async def test_a_walk_that_breaks_off_changes_nothing(tmp_path: Path) -> None:
    async def answer(given: dict[str, str]) -> Response:
        return page_of([thing(9)], "1") if "cursor" not in given else PlainTextResponse("no such card 4111111111111111", 400)

    assert await refused(Origin(answer=answer), tmp_path) == "http_400"


async def test_pages_in_a_circle_end_the_walk(tmp_path: Path) -> None:
    assert await refused(Origin(answer=walking([thing(9)], [thing(8)])), tmp_path) == "repeated_page"


async def test_a_cursor_that_repeats_ends_the_walk(tmp_path: Path) -> None:
    numbers = iter(range(100))

    async def answer(given: dict[str, str]) -> Response:
        return page_of([thing(next(numbers))], "same")

    assert await refused(Origin(answer=answer), tmp_path) == "repeated_cursor"


async def test_endless_pages_without_rows_end_the_walk(tmp_path: Path) -> None:
    assert await refused(Origin(answer=walking([])), tmp_path) == "empty_pages"


async def test_more_rows_than_allowed_end_the_walk(tmp_path: Path) -> None:
    numbers = iter(range(100))

    async def answer(given: dict[str, str]) -> Response:
        number = next(numbers)
        return page_of([thing(number)], str(number))

    assert await refused(Origin(answer=answer), tmp_path, rows_max=10) == "rows_max"


async def test_more_disk_than_allowed_ends_the_walk(tmp_path: Path) -> None:
    async with mirror_of(Origin([thing(1)]), THINGS, tmp_path, bounds=Bounds(disk_max_bytes=10_000)) as port:
        with pytest.raises(PortUnavailableError) as caught:
            await port.refresher.refresh()
        assert caught.value.reason == "disk_max"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "not_json"),
        (b'{"data": [', "not_json"),
        (b'{"error": "asleep"}', "no_page"),
        (b'{"data": {"id": 1}}', "no_page"),
        (b'{"data": [], "nextCursor": {"at": 1}}', "bad_cursor"),
        (b'{"data": [], "nextCursor": true}', "bad_cursor"),
    ],
)
async def test_what_is_no_page_ends_the_walk(tmp_path: Path, body: bytes, reason: str) -> None:
    async def answer(given: dict[str, str]) -> Response:
        return Response(body, media_type="application/json")

    assert await refused(Origin(answer=answer), tmp_path) == reason


async def test_a_page_that_does_not_come_is_asked_for_again(tmp_path: Path) -> None:
    failures = iter([503, 429, 502])
    pauses: list[float] = []

    async def answer(given: dict[str, str]) -> Response | None:
        status = next(failures, None)
        return None if status is None else Response(b"", status, {"retry-after": "7"})

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    origin = Origin([thing(1)], answer=answer)
    async with mirror_of(origin, THINGS, tmp_path, sleep=pause) as port:
        await port.refresher.refresh()
        assert set(await held(port)) == {1}
    assert pauses == [7.0, 7.0, 7.0]


async def test_a_walk_that_lost_most_rows_is_believed_when_the_next_one_says_so_too(tmp_path: Path) -> None:
    origin = Origin([thing(number) for number in range(200)])
    async with mirror_of(origin, THINGS, tmp_path, bounds=Bounds(page_rows=50)) as port:
        await port.refresher.refresh()
        origin.rows = origin.rows[:90]
        with pytest.raises(PortBrokenPromiseError) as caught:
            await port.refresher.refresh(everything=True)
        assert caught.value.reason == "shrunk"
        assert len(await held(port)) == 200
        await port.refresher.refresh(everything=True)
        assert len(await held(port)) == 90


# -- what may not be kept ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.INSTANT, Kind.DATE, Kind.LOCAL_DATETIME])
async def test_rows_past_their_retention_or_without_a_date_are_not_kept(tmp_path: Path, kind: Kind) -> None:
    contract = product(Field("on", Scalar(kind)), Field("updated", Scalar(Kind.INSTANT)), updated="updated").model_copy(
        update={"retention": Retention("30 days", 30 * 86_400.0, "on")}
    )
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)

    def on(**by: float) -> str:
        clock = (now - dt.timedelta(**by)).replace(tzinfo=None)
        return clock.date().isoformat() if kind is Kind.DATE else clock.isoformat() + ("Z" if kind is Kind.INSTANT else "")

    clock = Clock(now)
    origin = Origin([{"id": 1, "on": on(days=1)}, {"id": 2, "on": on(days=28)}, {"id": 3, "on": on(days=32)}, {"id": 4}])
    async with mirror_of(origin, contract, tmp_path, clock=clock) as port:
        await port.refresher.refresh()
        assert set(await held(port)) == {1, 2}
        clock.pass_by(days=4)
        await port.refresher.forget()
        assert set(await held(port)) == {1}


async def test_a_row_passes_its_retention_between_looks(tmp_path: Path) -> None:
    contract = product(Field("on", Scalar(Kind.INSTANT)), Field("updated", Scalar(Kind.INSTANT)), updated="updated").model_copy(
        update={"retention": Retention("2 s", 2.0, "on")}
    )
    now = dt.datetime.now(dt.UTC)
    origin = Origin(
        [{"id": 1, "on": (now + dt.timedelta(days=1)).isoformat()}, {"id": 2, "on": (now - dt.timedelta(seconds=9)).isoformat()}]
    )
    # By the mirror's own clock the second row is young; what is served is decided by the time of the read.
    async with mirror_of(origin, contract, tmp_path, clock=Clock(now - dt.timedelta(minutes=1))) as port:
        await port.refresher.refresh()
        assert set(await held(port)) == {1}


async def test_a_copy_found_on_disk_serves_nothing_past_its_retention(tmp_path: Path) -> None:
    contract = product(Field("on", Scalar(Kind.INSTANT)), Field("updated", Scalar(Kind.INSTANT)), updated="updated").model_copy(
        update={"retention": Retention("30 days", 30 * 86_400.0, "on")}
    )
    now = dt.datetime.now(dt.UTC)
    origin, clock = Origin([{"id": number, "on": now.isoformat(), "updated": now.isoformat()} for number in (1, 2)]), Clock(now)
    async with mirror_of(origin, contract, tmp_path, clock=clock) as port:
        await port.refresher.refresh()
        assert port.standing.facts.rows == 2
        # Same origin, same folder, another process later: nothing is asked of the origin for it.
        await port.refresher.aclose()
        clock.pass_by(days=31)
    asked = len(origin.asked)
    async with mirror_of(origin, contract, tmp_path, clock=clock) as port:
        assert port.standing.facts.rows == 0
        assert len(origin.asked) == asked


async def test_erased_subjects_are_taken_out_at_once_and_kept_out(tmp_path: Path) -> None:
    contract = product(Field("person", Scalar(Kind.LONG)), Field("updated", Scalar(Kind.INSTANT)), updated="updated").model_copy(
        update={"subject": Subject(column="person", of="test/people")}
    )
    erased: list[int] = []
    origin = Origin([{"id": number, "person": number % 3, "updated": ago(hours=1)} for number in range(6)] + [{"id": 9}])
    async with mirror_of(origin, contract, tmp_path, erased=lambda: erased) as port:
        await port.refresher.refresh()
        assert set(await held(port)) == {0, 1, 2, 3, 4, 5, 9}
        erased.append(1)
        await port.refresher.forget()
        # A row that is about nobody known may be about somebody erased.
        assert set(await held(port)) == {0, 2, 3, 5}
        origin.rows.append({"id": 7, "person": 1, "updated": ago(minutes=1)})
        await port.refresher.refresh(everything=False)
        await port.refresher.refresh(everything=True)
        assert set(await held(port)) == {0, 2, 3, 5}


# -- cursors and readers ----------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"data": [thing(1)], "next_cursor": "p", "metadata": {"total_records": 2}}, {"data": [thing(2)], "next_cursor": ""}),
        ({"Data": [thing(1)], "NextCursor": 7, "Metadata": {"TotalRecords": True}}, {"Data": [thing(2)], "NextCursor": None}),
        ({"data": None, "nextCursor": "p"}, {"data": [thing(1), thing(2)], "extra": {}}),
        ({"data": [thing(number) for number in (1, 2)], "nextCursor": "p", "metadata": None}, {"Data": None}),
    ],
)
async def test_envelopes_are_taken_as_teams_spell_them(tmp_path: Path, first: Any, second: Any) -> None:
    async def answer(given: dict[str, str]) -> Response:
        return Response(b"\xef\xbb\xbf" + msgspec.json.encode(second if "cursor" in given else first))

    async with mirror_of(Origin(answer=answer), THINGS, tmp_path) as port:
        await port.refresher.refresh()
        assert set(await held(port)) == {1, 2}


async def test_columns_and_parameters_are_taken_as_the_contract_spells_them(tmp_path: Path) -> None:
    fields = (
        Field("unit_price", Scalar(Kind.DECIMAL, 10, 2), physical_name="preis"),
        Field("updated_at", Scalar(Kind.INSTANT, unit=Unit.MILLIS)),
    )
    output = OutputPort(type="rest-api", path="/things", naming="camelCase", params=(("since", "ab"), ("limit", "max"), ("cursor", "from")))
    contract = product(*fields, updated="updated_at").model_copy(update={"output_ports": (output,)})
    origin = Origin()
    asked: list[dict[str, str]] = []

    async def answer(given: dict[str, str]) -> Response:
        asked.append(given)
        rows = [{"id": 1, "preis": "3.50", "unit_price": 9, "updatedAt": 1_700_000_000_000}] if "from" in given else []
        return page_of(rows, None if "from" in given else "x")

    origin.answer = answer
    async with mirror_of(origin, contract, tmp_path, bounds=Bounds(page_rows=10)) as port:
        await port.refresher.refresh()
        assert await held(port) == {1: {"id": 1, "unit_price": "3.50", "updated_at": "2023-11-14T22:13:20Z"}}
    assert asked == [{"ab": "1970-01-01T00:00:00Z", "max": "10"}, {"ab": "1970-01-01T00:00:00Z", "max": "10", "from": "x"}]


async def test_pages_longer_than_asked_lose_no_row(tmp_path: Path) -> None:
    async def answer(given: dict[str, str]) -> Response:
        at = int(given.get("cursor", 0))
        return page_of([thing(number) for number in range(at, at + 25)], None if at else "25")

    async with mirror_of(Origin(answer=answer), THINGS, tmp_path, bounds=Bounds(page_rows=10)) as port:
        await port.refresher.refresh()
        assert len(await held(port)) == 50


# -- in the background ------------------------------------------------------------------------------------------------------


async def test_it_looks_on_schedule_tries_again_after_failures_and_says_how_far_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []
    told: list[Progress] = []
    over = asyncio.Event()
    origin = Origin([thing(1, name="4111111111111111")])

    async def answer(given: dict[str, str]) -> Response | None:
        return PlainTextResponse("card 4111111111111111 is bad", 404) if len(pauses) in (1, 2) else None

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise RuntimeError("beyond what is foreseen")
        if len(pauses) == 5:
            over.set()
            await asyncio.Event().wait()

    origin.answer = answer
    bounds = Bounds(refresh_s=60, retry_s=2)
    async with mirror_of(origin, THINGS, tmp_path, bounds=bounds, sleep=pause, on_progress=told.append) as port:
        port.start()
        with pytest.raises(RuntimeError):
            await port._task  # type: ignore[misc]  # it runs
        port.start()
        await over.wait()
        assert port.standing.failure is None
    assert pauses == [60, 2, 4, 60, 60]
    assert (told[0].product, told[0].everything, told[0].rows, told[0].expected, told[0].is_over) == ("test/things", True, 1, 1, True)
    assert not told[-1].everything
    assert "http_404" in caplog.text
    assert "4111" not in caplog.text


async def test_a_mistake_of_ours_does_not_end_the_mirroring(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused = asyncio.Event()

    async def pause(seconds: float) -> None:
        paused.set()
        await asyncio.Event().wait()

    def told(_: Progress) -> None:
        raise LookupError("nobody listens")

    async with mirror_of(Origin([thing(1)]), THINGS, tmp_path, sleep=pause, on_progress=told) as port:
        port.start()
        await paused.wait()
    assert "could not be refreshed" in caplog.text


async def test_a_product_without_keys_or_updates_is_walked_whole_and_seldom(tmp_path: Path) -> None:
    pauses: list[float] = []
    paused = asyncio.Event()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        paused.set()
        await asyncio.Event().wait()

    origin = Origin([{"id": 1, "kind": "a"}, {"id": 1, "kind": "a"}])
    async with mirror_of(origin, EVENTS, tmp_path, sleep=pause) as port:
        port.start()
        await paused.wait()
        assert port.standing.facts.rows == 2
    assert pauses == [Bounds().rewalk_s]
    assert [asked["since"] for asked in origin.asked] == ["1970-01-01T00:00:00Z"]
