"""One product measured through ports that are honest, lie, go back in time, lose their rows or drift in type."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import pytest

from contracts.fields import Field, Kind, Scalar
from contracts.model import Contract, QualityRule
from contracts.objectives import Objectives, RatioObjective, TimeObjective
from domain_adapters.allowance import Allowance
from domain_adapters.errors import NoRoomError, PortRefusedError, PortUnavailableError
from domain_adapters.port import Capabilities
from gateway.slo.board import Board
from gateway.slo.cadence import Cadence
from gateway.slo.calls import Calls
from gateway.slo.gauge import Gauge
from gateway.slo.measured import ObjectiveName
from gateway.slo.reading import Reading
from tests.unit.gateway.slo.timed import ITEMS, LEVEL_1, PROMISED, START, ScriptedPort, Time, contract, items, row

LEVEL_0 = Capabilities(since=True)
NO_DOCUMENT = PortRefusedError("no", reason="not_found", status=404)
MINUTE = dt.timedelta(minutes=1)
FRESHNESS, COMPLETENESS, ACCURACY, AVAILABILITY = ObjectiveName


def gauge(port: ScriptedPort, time: Time, of: Contract | None = None, **options: Any) -> Gauge:
    return Gauge(of or items(), [port], Cadence(), clock=time.clock, **options)


def one(readings: Sequence[Reading], name: ObjectiveName) -> Reading:
    (found,) = [reading for reading in readings if reading.objective is name]
    return found


def claims(at: dt.datetime) -> bytes:
    return json.dumps({"freshness": {"lastUpdateAt": at.isoformat()}}).encode()


async def test_every_figure_has_source_sample_and_time() -> None:
    time = Time()
    port = ScriptedPort(claims(START - MINUTE), rows=[row(n, START - MINUTE) for n in range(10)], capabilities=LEVEL_1)
    found = gauge(port, time)
    readings = [*await found.quick(), *await found.sample()]
    assert {(it.objective, it.figure, it.source, it.sample, it.measured_at) for it in readings} == {
        (AVAILABILITY, None, "probes and calls", None, START),
        (FRESHNESS, 60.0, "stats", None, START),
        (COMPLETENESS, 1.0, "rows", 10, START),
        (ACCURACY, 1.0, "rows", 10, START),
    }
    assert (readings[0].bad, readings[0].total) == (0, 1)


async def test_calls_count_towards_availability_only_where_the_domain_is_at_fault() -> None:
    time = Time()
    calls = Calls()
    for outcome in ("ok", "ok", "refused", "cancelled", "deadline", "unavailable", "invalid"):
        calls.note("d/a", outcome)
    found = gauge(ScriptedPort(), time, calls=calls)
    reading = one(await found.quick(), AVAILABILITY)
    assert (reading.bad, reading.total) == (2, 5)
    assert (one(await found.quick(), AVAILABILITY).bad, calls.take("d/a")) == (0, (0, 0))


async def test_missing_values_count_against_completeness_and_wrong_ones_against_accuracy() -> None:
    time = Time()
    rows = [row(1), row(2, amount=None), row(3, amount="seven"), row(4)]
    readings = await gauge(ScriptedPort(rows=rows, capabilities=LEVEL_1), time).sample()
    complete, accurate = readings
    assert complete.figure == pytest.approx(11 / 12)
    assert accurate.figure == pytest.approx(3 / 4)
    assert complete.finding == "required values are missing in amount; values do not keep the contract in amount"


async def test_quality_rules_and_enumerations_are_part_of_accuracy() -> None:
    time = Time()
    rules = (
        QualityRule(field="amount", metric="invalidValues", minimum=0, maximum=10),
        QualityRule(field="id", metric="invalidValues", pattern="i[0-9]+"),
        QualityRule(field="id", metric="duplicateValues", maximum=0),
        QualityRule(field="amount", metric="invalidValues", valid_values=("1", "2", "3", "11")),
    )
    rows = [row(1), row(2), row(3, amount=11), row(1), row(2, id="x"), row(3, amount=7), row(9, amount=True)]
    readings = await gauge(ScriptedPort(rows=rows, capabilities=LEVEL_1), time, items(quality=rules)).sample()
    assert one(readings, ACCURACY).figure == pytest.approx(2 / 7)


async def test_a_rule_on_missing_values_allows_its_share_and_no_more() -> None:
    time = Time()
    fields = (*ITEMS, Field("email", Scalar(Kind.STRING)))
    rows = [row(n, email=None if n < 4 else "e") for n in range(10)]
    for allowed, missing in ((0.4, 0), (0.2, 2), (0, 4), (3, 1)):
        rule = QualityRule(field="email", metric="nullValues", maximum=allowed)
        of = contract(fields=fields, updated="updated_at", quality=(rule,))
        readings = await gauge(ScriptedPort(rows=rows, capabilities=LEVEL_1), time, of).sample()
        assert one(readings, COMPLETENESS).figure == pytest.approx(1 - missing / 40)


async def test_a_port_cannot_talk_away_what_a_sample_met_but_may_admit_more() -> None:
    time = Time()
    rows = [row(1), row(2, amount=None)]
    boasts = ScriptedPort(b'{"completeness": 1.0, "accuracy": 0.5}', rows=rows, capabilities=LEVEL_1)
    found = gauge(boasts, time)
    await found.quick()
    complete, accurate = await found.sample()
    assert (complete.figure, complete.source) == (pytest.approx(5 / 6), "rows")
    assert (accurate.figure, accurate.source) == (0.5, "stats")


async def test_rows_that_are_expected_and_not_there_are_missing() -> None:
    time = Time()
    rows = [row(n, START - dt.timedelta(hours=n)) for n in range(30)]
    expected = RatioObjective("> 99%", 0.99, expected_rows_min=50, expected_rows_per_s=86_400.0)
    of = items(objectives=Objectives(completeness=expected))
    port = ScriptedPort(rows=rows, capabilities=LEVEL_1)
    reading = one(await gauge(port, time, of).sample(), COMPLETENESS)
    assert (reading.figure, reading.finding) == (0.5, "rows are missing")
    cannot = ScriptedPort(b"{}", rows=rows, capabilities=LEVEL_0)
    found = gauge(cannot, time, of)
    await found.quick()
    assert one(await found.sample(), COMPLETENESS).figure == 0.5, "a whole day in one page can be counted here"
    cannot.page_max = 10
    reading = one(await found.sample(), COMPLETENESS)
    assert (reading.figure, reading.finding) == (None, "the port cannot count the rows that are expected")
    undated = items(updated=None, objectives=Objectives(completeness=expected))
    assert one(await gauge(port, time, undated).sample(), COMPLETENESS).figure is None


async def test_no_rows_at_all_where_some_are_expected_is_nothing_of_them() -> None:
    time = Time()
    expected = RatioObjective("> 99%", 0.99, expected_rows_min=50, expected_rows_per_s=86_400.0)
    port = ScriptedPort(rows=[], capabilities=LEVEL_1)
    readings = await gauge(port, time, items(objectives=Objectives(completeness=expected))).sample()
    assert one(readings, COMPLETENESS).figure == 0.0
    assert one(readings, ACCURACY).figure is None


async def test_an_empty_table_is_not_fresh() -> None:
    time = Time()
    for capabilities in (LEVEL_1, LEVEL_0):
        port = ScriptedPort(NO_DOCUMENT, rows=[], capabilities=capabilities)
        reading = one(await gauge(port, time).quick(), FRESHNESS)
        assert (reading.figure, reading.finding) == (None, "the product has no rows")


async def test_a_table_that_empties_itself_under_a_glossy_document_is_found_out() -> None:
    time = Time()
    port = ScriptedPort(claims(START), rows=[row(1)], capabilities=LEVEL_1)
    of = items()
    board = Board([of], time.clock)
    found = gauge(port, time, of)
    board.take("d/a", [*await found.quick(), *await found.sample()])
    assert board.product("d/a").status == "MET"
    port.rows = []
    for _ in range(2):
        time.passed_s += 60
        port.answers = [claims(time.clock())]
        board.take("d/a", [*await found.quick(), *await found.sample()])
    freshness = board.product("d/a").freshness
    assert freshness is not None
    assert (freshness.status, freshness.figure) == ("UNKNOWN", None)
    assert freshness.finding == "the /slo document claims newer updates than the rows hold"


async def test_a_domain_that_lies_is_judged_by_its_rows_until_they_agree() -> None:
    time = Time()
    port = ScriptedPort(claims(START), rows=[row(1, START - dt.timedelta(hours=2))], capabilities=LEVEL_1)
    found = gauge(port, time)
    assert one(await found.quick(), FRESHNESS).figure == 0.0
    await found.sample()
    reading = one(await found.quick(), FRESHNESS)
    assert (reading.figure, reading.source) == (7_200.0, "rows")
    port.rows = [row(2, START)]
    assert one(await found.quick(), FRESHNESS).finding is None
    assert one(await found.quick(), FRESHNESS).source == "stats"


@pytest.mark.parametrize("capabilities", [LEVEL_1, LEVEL_0])
@pytest.mark.parametrize(
    ("updated", "finding"),
    [
        ("2026-11-23T04:30:00Z", "rows were updated in the future"),
        ("2026-11-23T02:30:00", "rows hold no instant with a zone of their update"),
        ("yesterday", "rows hold no instant with a zone of their update"),
        (None, "rows hold no instant with a zone of their update"),
    ],
)
async def test_an_update_in_the_future_or_without_zone_is_a_finding_and_no_zero_lag(
    updated: Any, finding: str, capabilities: Capabilities
) -> None:
    time = Time()
    port = ScriptedPort(NO_DOCUMENT, rows=[row(1) | {"updated_at": updated}], capabilities=capabilities)
    reading = one(await gauge(port, time).quick(), FRESHNESS)
    assert (reading.figure, reading.finding) == (None, finding)


async def test_the_offset_of_a_zone_is_no_lag_on_either_side_of_a_change_of_clocks() -> None:
    time = Time()
    before, after = dt.datetime(2026, 10, 25, 0, 59, tzinfo=dt.UTC), dt.datetime(2026, 10, 25, 1, 1, tzinfo=dt.UTC)
    for now, text in ((before, "2026-10-25T02:58:00+02:00"), (after, "2026-10-25T02:00:00+01:00")):
        time.passed_s = (now - START).total_seconds()
        port = ScriptedPort(NO_DOCUMENT, rows=[row(1, text)], capabilities=LEVEL_1)
        assert one(await gauge(port, time).quick(), FRESHNESS).figure == 60.0


async def test_without_slo_document_freshness_comes_from_the_rows_and_at_level_0_nothing_else() -> None:
    time = Time()
    rows = [row(n, START - n * MINUTE) for n in range(1, 6)]
    port = ScriptedPort(NO_DOCUMENT, rows=rows, capabilities=LEVEL_0)
    found = gauge(port, time)
    readings = await found.quick()
    assert (one(readings, FRESHNESS).figure, one(readings, FRESHNESS).source) == (60.0, "rows")
    reason = "an endpoint of level 0 without /slo says nothing about this"
    assert [one(readings, name).finding for name in (COMPLETENESS, ACCURACY)] == [reason] * 2
    assert await found.sample() == []


async def test_a_walk_for_the_newest_update_is_bounded_and_goes_on_where_it_was() -> None:
    time = Time()
    rows = [row(n, START - dt.timedelta(minutes=100 - n)) for n in range(100)]
    port = ScriptedPort(NO_DOCUMENT, rows=rows, capabilities=LEVEL_0)
    port.page_max = 10
    found = gauge(port, time)
    seen = []
    for _ in range(5):
        reads = len(port.reads)
        seen.append(one(await found.quick(), FRESHNESS).figure)
        assert len(port.reads) - reads <= 4
    assert seen[0] is None
    assert seen[-1] == 60.0


async def test_data_older_than_what_is_looked_at_is_in_breach_all_the_same() -> None:
    time = Time()
    port = ScriptedPort(NO_DOCUMENT, rows=[row(1, START - dt.timedelta(days=40))], capabilities=LEVEL_0)
    of = items()
    board = Board([of], time.clock)
    board.take("d/a", await gauge(port, time, of).quick())
    freshness = board.product("d/a").freshness
    assert freshness is not None
    assert freshness.status == "BREACHED"


async def test_rows_that_vanish_are_no_freshness() -> None:
    time = Time()
    port = ScriptedPort(NO_DOCUMENT, rows=[row(1)], capabilities=LEVEL_0)
    found = gauge(port, time)
    assert one(await found.quick(), FRESHNESS).figure == 0.0
    port.rows = []
    assert one(await found.quick(), FRESHNESS).finding == "rows that were there are gone"
    assert one(await found.quick(), FRESHNESS).finding == "the product has no rows"


@pytest.mark.parametrize("rows", [b"no JSON", b"[]", b'{"data": 7}', b'{"data": [], "nextCursor": true}', RuntimeError("secret")])
async def test_pages_that_are_none_are_failed_measurements_that_quote_nothing(rows: Any) -> None:
    time = Time()
    for port in (ScriptedPort(rows=rows, capabilities=LEVEL_1), ScriptedPort(NO_DOCUMENT, rows=rows, capabilities=LEVEL_0)):
        found = gauge(port, time)
        readings = [*await found.quick(), *await found.sample()]
        bad = [it for it in readings if it.failed]
        assert bad
        assert all("secret" not in (it.finding or "") for it in bad)
    assert not (await ScriptedPort().slo(None))[2:]  # type: ignore[arg-type]  # this port never looks at the call


async def test_rows_that_are_no_objects_are_bad_and_empty() -> None:
    time = Time()
    readings = await gauge(ScriptedPort(rows=b'{"data": [7, null]}', capabilities=LEVEL_1), time).sample()
    assert [it.figure for it in readings] == [0.0, 0.0]


async def test_a_null_page_is_an_empty_one() -> None:
    time = Time()
    readings = await gauge(ScriptedPort(rows=b'{"Data": null}', capabilities=LEVEL_1), time).sample()
    assert [it.finding for it in readings] == ["no row changed within the window that is looked at"] * 2


async def test_the_next_port_is_asked_where_one_is_down() -> None:
    time = Time()
    down, up = ScriptedPort(PortUnavailableError("no", reason="refused")), ScriptedPort(claims(START), capabilities=LEVEL_1)
    found = Gauge(items(), [down, up], Cadence(), clock=time.clock)
    readings = await found.quick()
    assert (one(readings, AVAILABILITY).bad, one(readings, FRESHNESS).figure) == (0, 0.0)


async def test_a_domain_that_goes_back_in_time_is_older_and_no_better() -> None:
    time = Time()
    of = items(objectives=Objectives(freshness=TimeObjective("< 1 hour", 3_600.0)))
    board = Board([of], time.clock)
    port = ScriptedPort(claims(START))
    found = gauge(port, time, of)
    board.take("d/a", await found.quick())
    assert board.product("d/a").status == "MET"
    time.passed_s = 60
    port.answers = [claims(START - dt.timedelta(hours=3))]
    board.take("d/a", await found.quick())
    assert board.product("d/a").status == "BREACHED"
    time.passed_s = 120
    earlier = {"measuredAt": START.isoformat(), "freshness": {"lastUpdateAt": START.isoformat()}}
    port.answers = [json.dumps(earlier).encode()]
    board.take("d/a", await found.quick())
    assert board.product("d/a").status == "BREACHED"


async def test_without_a_column_that_dates_rows_only_the_document_tells_freshness() -> None:
    time = Time()
    port = ScriptedPort(b"{}", rows=[row(1)], capabilities=LEVEL_1)
    reading = one(await gauge(port, time, items(updated=None, objectives=PROMISED)).quick(), FRESHNESS)
    assert (reading.figure, reading.finding) == (None, "the port has no /slo document")


async def test_want_of_room_here_is_no_failure_of_the_domain_and_leaves_what_was_measured() -> None:
    time = Time()
    port = ScriptedPort(NoRoomError(), claims(START - MINUTE), rows=[row(1)], capabilities=LEVEL_1)
    calls = Calls()
    calls.note("d/a", "overloaded")
    found = gauge(port, time, calls=calls)
    assert await found.quick() == []
    assert calls.take("d/a") == (0, 0)
    assert one(await found.quick(), AVAILABILITY).bad == 0
    full = gauge(port, time, allowance=Allowance(0))
    port.rows = [row(number, id="x" * 400) for number in range(1_000)]
    assert await full.sample() == []


async def test_where_there_is_no_room_for_rows_freshness_is_not_measured_and_availability_is() -> None:
    found = gauge(ScriptedPort(NO_DOCUMENT, rows=NoRoomError(), capabilities=LEVEL_1), Time())
    assert [(it.objective, it.bad) for it in await found.quick()] == [(AVAILABILITY, 0)]
    assert await found.sample() == []


async def test_what_a_sample_holds_is_counted_while_it_is_judged_and_given_back() -> None:
    allowance = Allowance(1_000_000)
    rows = [row(number, id="x" * 400) for number in range(1_000)]
    found = gauge(ScriptedPort(rows=rows, capabilities=LEVEL_1), Time(), allowance=allowance)
    task = asyncio.ensure_future(found.sample())
    while not allowance.held_bytes:
        await asyncio.sleep(0)
    assert len(await task) == 2
    assert allowance.held_bytes == 0
