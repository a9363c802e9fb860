"""How a mirror walks its origin: what ends a walk, what it tolerates, and when it begins the next one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.responses import PlainTextResponse, Response

from contracts.fields import Field, Kind, Scalar, Unit
from contracts.model import Contract, OutputPort
from domain_adapters.errors import PortBrokenPromiseError, PortError, PortUnavailableError
from domain_adapters.mirror import Bounds, Progress
from tests.unit.domain_adapters.mirrored import EVENTS, thing
from tests.unit.domain_adapters.origin import Clock, Origin, held, mirror_of, page_of, slo_of
from tests.unit.domain_adapters.products import THINGS, product


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
