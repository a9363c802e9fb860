"""The SQL port beyond what every port is judged for: exact totals, cursors, time limits, vitals."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from decimal import Decimal
from typing import Any

import duckdb
import msgspec
import pytest
from msgspec import structs

from contracts.fields import Field, Kind, Scalar, Unit
from contracts.model import Contract
from contracts.objectives import Objectives
from contracts.predicates import TRUE, Compare, Not, Operator
from domain_adapters.bookmarks import Bookmarks
from domain_adapters.duck import Cursors
from domain_adapters.errors import PortBrokenPromiseError, PortCannotError, PortRefusedError, PortUnavailableError, ReadInvalidError
from domain_adapters.port import Aggregate, Call, GroupBy, Keys, Order, Read
from domain_adapters.sources import Live, Rows, attach
from domain_adapters.sql import SqlPort, capabilities_for, open_sql
from tests.unit.domain_adapters.products import NOW, THINGS, product, things

CALL = Call()


async def ask(port: SqlPort, read: Read) -> dict[str, Any]:
    page: dict[str, Any] = msgspec.json.decode(await port.read(read, CALL))
    return page


async def once(contract: Contract, rows: list[dict[str, Any]], read: Read) -> dict[str, Any]:
    port = await open_sql(contract, Rows(rows), clock=lambda: NOW)
    try:
        return await ask(port, read)
    finally:
        await port.aclose()


def totals(*functions: str, column: str = "x") -> tuple[Aggregate, ...]:
    return tuple(Aggregate(function, column, function) for function in functions)


async def values_of(type_: Scalar, cells: list[Any], *functions: str) -> dict[str, Any]:
    rows = [{"id": at, "x": cell} for at, cell in enumerate(cells)]
    page = await once(product(Field("x", type_)), rows, Read(aggregates=totals(*functions)))
    values: dict[str, Any] = page["groups"][0]["values"]
    return values


async def test_a_page_says_what_the_protocol_says() -> None:
    page = await once(THINGS, things(), Read(limit=3, where=TRUE, count=True))
    assert [row["id"] for row in page["data"]] == [0, 1, 2]
    assert page["data"][1] == {"id": 1, "name": "thing 1", "price": "0.25", "updated": "2026-11-23T11:51:00Z"}
    assert page["metadata"] == {"generatedAt": "2026-11-23T12:00:00Z", "version": "3.1.4", "totalRecords": 10, "sloStatus": "MET"}
    assert page["applied"] == ["where", "limit", "count"]
    assert page["count"] == 10


async def test_no_rows_may_be_asked_for() -> None:
    page = await once(THINGS, things(), Read(limit=0, count=True))
    assert (page["data"], page["nextCursor"], page["count"]) == ([], None, 10)


async def test_a_page_is_cut_to_the_ports_most() -> None:
    port = await open_sql(THINGS, Rows(things()), capabilities=capabilities_for(THINGS, page_max=4))
    page = await ask(port, Read(limit=1_000_000))
    assert len(page["data"]) == 4
    assert page["nextCursor"]
    await port.aclose()


async def test_sums_widen_and_stay_exact() -> None:
    assert await values_of(Scalar(Kind.INT), [2**31 - 1] * 3, "sum", "avg") == {"sum": 3 * (2**31 - 1), "avg": float(2**31 - 1)}
    assert (await values_of(Scalar(Kind.LONG), [2**63 - 1] * 3, "sum"))["sum"] == str(3 * (2**63 - 1))
    assert (await values_of(Scalar(Kind.FLOAT), [0.1] * 10, "sum"))["sum"] == 1.0
    assert await values_of(Scalar(Kind.DECIMAL, 4, 2), [Decimal("0.01"), Decimal("0.01"), Decimal("-0.03")], "sum", "avg") == {
        "sum": "-0.01",
        "avg": "-0.003333",
    }


async def test_averages_of_decimals_round_half_away_from_zero() -> None:
    cells = [Decimal("0.0000005"), Decimal("0.0000006")]
    assert (await values_of(Scalar(Kind.DECIMAL, 9, 7), cells, "avg"))["avg"] == "0.0000006"
    assert (await values_of(Scalar(Kind.DECIMAL, 9, 7), [-cell for cell in cells], "avg"))["avg"] == "-0.0000006"


@pytest.mark.parametrize(
    ("type_", "cells", "function"),
    [
        (Scalar(Kind.DECIMAL, 38, 0), [Decimal(6) * 10**37] * 2, "sum"),
        (Scalar(Kind.DECIMAL, 38, 10), [Decimal(9) * 10**27] * 20, "sum"),
        (Scalar(Kind.DECIMAL, 38, 0), [Decimal(9) * 10**37], "avg"),
        (Scalar(Kind.FLOAT), [1.7e308, 1.7e308], "sum"),
        (Scalar(Kind.FLOAT), [1.7e308, 1.7e308], "avg"),
    ],
)
async def test_a_total_that_does_not_fit_fails_without_its_value(type_: Scalar, cells: list[Any], function: str) -> None:
    with pytest.raises(PortRefusedError) as failure:
        await values_of(type_, cells, function)
    assert failure.value.reason == "unfit_total"
    assert not any(sign.isdigit() for sign in str(failure.value))


async def test_an_average_finer_than_a_decimal_can_be_is_refused() -> None:
    with pytest.raises(ReadInvalidError):
        await values_of(Scalar(Kind.DECIMAL, 38, 38), [Decimal("0.5")], "avg")


@pytest.mark.parametrize(
    "read",
    [
        Read(where=Compare("nope", Operator.EQ, 1)),
        Read(where=Compare("id", Operator.EQ, "1")),
        Read(where=Compare("id", Operator.EQ, None)),
        Read(where=Compare("id", Operator.CONTAINS, "1")),
        Read(select=("nope",)),
        Read(order_by=(Order("nope"),)),
        Read(keys=Keys(("nope",), ((1,),))),
        Read(limit=-1),
        Read(limit_per_key=1),
        Read(keys=Keys(("id",), ((1,),)), limit_per_key=0),
        Read(having=Compare("id", Operator.EQ, 1)),
        Read(aggregates=(Aggregate("sum", "name", "s"),)),
        Read(aggregates=(Aggregate("count", None, "n"), Aggregate("count", None, "n"))),
        Read(group_by=(GroupBy("id", "day"),)),
        Read(cursor="é"),
        Read(cursor="x" * 50),
    ],
)
async def test_a_read_that_does_not_fit_is_refused(read: Read) -> None:
    with pytest.raises(ReadInvalidError):
        await once(THINGS, things(), read)


async def test_a_tree_without_end_is_refused() -> None:
    tree: Any = TRUE
    for _ in range(150):
        tree = Not(tree)
    with pytest.raises(ReadInvalidError):
        await once(THINGS, things(), Read(where=tree))


async def test_a_column_of_nested_values_cannot_be_ordered_by() -> None:
    with pytest.raises(ReadInvalidError, match="nested"):
        await once(product(Field("x", Scalar(Kind.JSON))), [], Read(order_by=(Order("x"),)))


async def test_since_needs_a_column_that_says_when() -> None:
    with pytest.raises(PortCannotError):
        await once(product(), [], Read(since="2026-01-01T00:00:00Z"))


async def test_an_unknown_time_zone_is_refused() -> None:
    read = Read(group_by=(GroupBy("updated", "day", "Mars/'; DROP TABLE copied; --"),))
    with pytest.raises(ReadInvalidError):
        await once(THINGS, things(), read)


async def test_a_cursor_goes_on_with_other_columns_and_sizes_but_not_with_another_read() -> None:
    port = await open_sql(THINGS, Rows(things()))
    first = await ask(port, Read(limit=4, order_by=(Order("price", True),)))
    rest = Read(order_by=(Order("price", True),), cursor=first["nextCursor"], select=("id",))
    assert [row["id"] for row in (await ask(port, rest))["data"]] == [5, 4, 3, 2, 1, 0]
    for other in (
        structs.replace(rest, order_by=()),
        structs.replace(rest, where=Compare("id", Operator.GT, 1)),
        structs.replace(rest, since="2026-01-01T00:00:00Z"),
        structs.replace(rest, cursor=first["nextCursor"] + "A"),
        structs.replace(rest, cursor=first["nextCursor"][:-3] + "AAA"),
        structs.replace(rest, cursor=" " + first["nextCursor"]),
    ):
        with pytest.raises(ReadInvalidError) as refusal:
            await port.read(other, CALL)
        assert refusal.value.reason == "bad_cursor"
    await port.aclose()


def test_a_cursor_shows_nothing_and_outlives_the_process_only_with_a_shared_secret() -> None:
    read = Read()
    one, two, other = Bookmarks("r1", b"secret"), Bookmarks("r1", b"secret"), Bookmarks("r1")
    cursor = one.seal(read, ["ada@example.com"])
    assert "ada" not in cursor
    assert two.open(structs.replace(read, cursor=cursor)) == ["ada@example.com"]
    for stranger in (other, Bookmarks("r2", b"secret")):
        with pytest.raises(ReadInvalidError):
            stranger.open(structs.replace(read, cursor=cursor))


async def test_rows_that_arrive_between_pages_neither_repeat_nor_hide_others() -> None:
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t AS SELECT i AS id FROM range(0, 20, 2) r(i)")
        port = await open_sql(product(), Live(connection, "t"))
        first = await ask(port, Read(limit=3))
        connection.execute("INSERT INTO t VALUES (1), (7)")
        connection.execute("DELETE FROM t WHERE id = 6")
        rest = await ask(port, Read(cursor=first["nextCursor"]))
        assert [row["id"] for row in rest["data"]] == [7, 8, 10, 12, 14, 16, 18]
        await port.aclose()
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (11,)


SLOW = "SELECT count(*) FROM range(100000000) a, range(100000) b"


async def test_a_read_that_takes_too_long_is_interrupted_and_its_cursor_is_free_again() -> None:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        cursors = Cursors(connection, cursors=1)
        with pytest.raises(PortUnavailableError) as failure:
            await cursors.run(lambda cursor: cursor.execute(SLOW).fetchall(), 0.05)
        assert failure.value.reason == "timeout"
        assert await cursors.run(lambda cursor: cursor.execute("SELECT 1").fetchall(), 10) == [(1,)]
        await cursors.aclose()


async def test_a_cancelled_read_is_interrupted() -> None:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        cursors = Cursors(connection, cursors=1)
        running = asyncio.Event()
        loop = asyncio.get_running_loop()

        def work(cursor: duckdb.DuckDBPyConnection) -> Any:
            loop.call_soon_threadsafe(running.set)
            return cursor.execute(SLOW).fetchall()

        task = asyncio.create_task(cursors.run(work, 60))
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        started = time.monotonic()
        assert await cursors.run(lambda cursor: cursor.execute("SELECT 2").fetchall(), 10) == [(2,)]
        assert time.monotonic() - started < 5
        await cursors.aclose()


async def test_reads_beyond_the_queue_are_told_to_come_back_and_closing_ends_those_that_run() -> None:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        cursors = Cursors(connection, cursors=1, waiting_max=0)
        running = asyncio.Event()
        loop = asyncio.get_running_loop()

        def work(cursor: duckdb.DuckDBPyConnection) -> Any:
            loop.call_soon_threadsafe(running.set)
            return cursor.execute(SLOW).fetchall()

        task = asyncio.create_task(cursors.run(work, 60))
        await running.wait()
        with pytest.raises(PortUnavailableError) as failure:
            await cursors.run(lambda cursor: None, 10)
        assert failure.value.reason == "overloaded"
        await cursors.aclose()
        await cursors.aclose()
        with pytest.raises(PortUnavailableError) as failure:
            await task
        assert failure.value.reason == "interrupted"
        with pytest.raises(PortUnavailableError) as failure:
            await cursors.run(lambda cursor: None, 10)
        assert failure.value.reason == "closed"


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (duckdb.OutOfMemoryException("x"), PortUnavailableError, "memory"),
        (duckdb.IOException("x"), PortUnavailableError, "source"),
        (duckdb.ConversionException("4111"), PortBrokenPromiseError, "unfit_value"),
        (duckdb.BinderException("x"), PortBrokenPromiseError, "source"),
    ],
)
async def test_duckdbs_own_words_stay_inside(error: Exception, kind: type[Exception], reason: str) -> None:
    with duckdb.connect(":memory:") as connection:
        cursors = Cursors(connection)

        def work(_: duckdb.DuckDBPyConnection) -> None:
            raise error

        with pytest.raises(kind) as failure:
            await cursors.run(work, 10)
        assert getattr(failure.value, "reason", None) == reason
        assert "4111" not in str(failure.value)
        await cursors.aclose()


async def test_a_cell_of_a_live_source_that_does_not_fit_breaks_the_promise() -> None:
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS id, 'tomorrow' AS x")
        port = await open_sql(product(Field("x", Scalar(Kind.DATE))), Live(connection, "t"))
        with pytest.raises(PortBrokenPromiseError) as failure:
            await port.read(Read(), CALL)
        assert "tomorrow" not in str(failure.value)
        await port.aclose()


async def slo_of(contract: Contract, rows: list[dict[str, Any]]) -> dict[str, Any]:
    port = await open_sql(contract, Rows(rows), clock=lambda: NOW)
    document: dict[str, Any] = msgspec.json.decode(await port.slo(CALL))
    await port.aclose()
    return document


async def test_slo_measures_the_newest_update_and_the_required_cells() -> None:
    rows: list[dict[str, Any]] = [*things(9), {"id": 9, "name": None, "price": None, "updated": None}]
    assert await slo_of(THINGS, rows) == {
        "measuredAt": "2026-11-23T12:00:00Z",
        "freshness": {"lastUpdateAt": "2026-11-23T11:59:00Z"},
        "completeness": {"ratio": 0.95, "sampleRows": 10},
    }


async def test_slo_samples_as_many_rows_as_the_contract_says_newest_first() -> None:
    contract = THINGS.model_copy(update={"objectives": Objectives(sample_rows=3)})
    rows: list[dict[str, Any]] = [*things(9), {"id": 9, "name": None, "price": None, "updated": None}]
    assert (await slo_of(contract, rows))["completeness"] == {"ratio": 1.0, "sampleRows": 3}


async def test_slo_says_nothing_of_what_it_cannot_measure() -> None:
    assert await slo_of(product(), []) == {"measuredAt": "2026-11-23T12:00:00Z"}
    assert await slo_of(product(), [{"id": 1}]) == {"measuredAt": "2026-11-23T12:00:00Z", "completeness": {"ratio": 1.0, "sampleRows": 1}}


@pytest.mark.parametrize(
    ("type_", "value", "said"),
    [
        (Scalar(Kind.DATE), dt.date(2026, 11, 22), "2026-11-22T00:00:00Z"),
        (Scalar(Kind.LOCAL_DATETIME), dt.datetime(2026, 11, 22, 1), "2026-11-22T01:00:00Z"),
        (Scalar(Kind.INSTANT, unit=Unit.NANOS), "2026-11-22T01:00:00.123456789Z", "2026-11-22T01:00:00.123456Z"),
    ],
)
async def test_updates_may_be_kept_in_any_kind_of_clock(type_: Scalar, value: Any, said: str) -> None:
    contract = product(Field("x", type_), updated="x", limit_s=60.0)
    rows = [{"id": 1, "x": value}, {"id": 2, "x": None}]
    assert (await slo_of(contract, rows))["freshness"] == {"lastUpdateAt": said}
    since = await once(contract, rows, Read(since="2026-11-22T00:00:00Z"))
    assert [row["id"] for row in since["data"]] == [1]
    assert since["metadata"]["sloStatus"] == "BREACHED"
    assert (await once(contract, rows, Read(since="2026-11-23T00:00:00Z")))["data"] == []


async def test_a_column_that_is_no_clock_does_not_say_when() -> None:
    contract = product(Field("x", Scalar(Kind.LONG)), updated="x", limit_s=60.0)
    assert not capabilities_for(contract).since
    assert (await once(contract, [{"id": 1, "x": 5}], Read()))["metadata"]["sloStatus"] == "UNKNOWN"


async def test_vitals_are_measured_again_after_a_while() -> None:
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS id")
        port = SqlPort(product(), attach(product(), Live(connection, "t")), vitals_s=0.0)
        assert (await ask(port, Read()))["metadata"]["totalRecords"] == 1
        connection.execute("INSERT INTO t VALUES (2)")
        assert (await ask(port, Read()))["metadata"]["totalRecords"] == 2
        assert port.name == "sql-table"
        await port.aclose()
