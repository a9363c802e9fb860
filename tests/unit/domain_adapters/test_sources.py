"""Where rows come from: what is opened, what is refused when it is opened."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from contracts.fields import Enumeration, Field, FieldType, Kind, List, Map, Record, Scalar, Unit
from contracts.model import Contract
from domain_adapters.errors import SourceError
from domain_adapters.port import Read
from domain_adapters.sources import Attached, Database, File, Live, Rows, attach, source_of
from domain_adapters.statements import rows_statement
from tests.unit.domain_adapters.products import THINGS, product, things


def read_all(attached: Attached) -> list[str]:
    statement = rows_statement(Read(), attached.relation, limit=100)
    return [row[0] for row in attached.connection.execute(statement.sql, statement.params).fetchall()]


def cells(contract: Contract, source: Any) -> list[str]:
    attached = attach(contract, source)
    try:
        return read_all(attached)
    finally:
        if attached.owned:
            attached.connection.close()


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("a.parquet", File(Path("a.parquet"), "parquet")),
        ("a.CSV", File(Path("a.CSV"), "csv")),
        ("b/a.ndjson", File(Path("b/a.ndjson"), "json")),
        ("mesh.duckdb::main.orders", Database(Path("mesh.duckdb"), "main.orders")),
    ],
)
def test_the_command_lines_data_names_a_source(text: str, source: Any) -> None:
    assert source_of(text) == source


@pytest.mark.parametrize("text", ["a.xlsx", "a", "::t", "a.duckdb::"])
def test_data_that_is_no_source_is_refused(text: str) -> None:
    with pytest.raises(SourceError):
        source_of(text)


@pytest.mark.parametrize(
    "source", [File(Path("gone.csv"), "csv"), File(Path("gone.parquet"), "parquet"), Database(Path("gone.duckdb"), "t")]
)
def test_a_source_that_is_not_there_is_named(source: Any) -> None:
    with pytest.raises(SourceError, match="gone"):
        attach(THINGS, source)


def test_a_missing_table_is_refused_and_what_is_no_database_too(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    duckdb.connect(str(path)).close()
    with pytest.raises(SourceError, match="no such table"):
        attach(THINGS, Database(path, "nope"))
    path.write_bytes(b"not a database at all" * 1000)
    with pytest.raises(SourceError, match="cannot be opened"):
        attach(THINGS, Database(path, "nope"))


FILES: dict[str, tuple[str, str]] = {
    "no.json": ("{", "neither a JSON array"),
    "list.json": ("[1]", "other than objects"),
    "missing.json": ('[{"id": 1}]', "no column 'updated'"),
    "misfit.json": ('[{"id": 1, "updated": "2026-01-01T00:00:00Z"}, {"id": "x", "updated": 1}]', "row 2, column 'id'"),
    "zoneless.json": ('[{"id": 1, "updated": "2026-01-01T00:00:00"}]', "row 1, column 'updated'"),
    "missing.csv": ("id,name\n1,a\n", "no column 'updated'"),
    "ragged.csv": ("id,updated\n1\n", "line 2"),
    "quote.csv": ('id,updated\n1,"a\n', "not UTF-8 CSV"),
    "misfit.csv": ("id,updated\nx,2026-01-01T00:00:00Z\n", "row 1, column 'id'"),
    "decimal.csv": ("id,updated,price\n1,2026-01-01T00:00:00Z,1.005\n", "row 1, column 'price'"),
    "nothing.csv": ("", "no column 'id'"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_does_not_fit_is_refused_by_place(tmp_path: Path, name: str) -> None:
    text, message = FILES[name]
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=message):
        attach(THINGS, source_of(str(path)))


def test_rows_that_do_not_fit_are_refused_by_place() -> None:
    with pytest.raises(SourceError, match="row 1, column 'price'"):
        attach(THINGS, Rows([{**things(1)[0], "price": Decimal("1.001")}]))


def test_rows_that_the_table_cannot_hold_are_refused() -> None:
    with pytest.raises(SourceError, match="do not fit the table"):
        attach(product(Field("n", Scalar(Kind.INSTANT, unit=Unit.NANOS))), Rows([{"id": 1, "n": "9999-01-01T00:00:00.000000000Z"}]))


def test_an_empty_json_file_is_a_product_without_rows(tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    path.write_text("[]")
    assert cells(THINGS, source_of(str(path))) == []


def test_columns_are_found_by_physical_name_and_optional_ones_may_be_missing(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    contract = product(Field("name", Scalar(Kind.STRING), physical_name="NM"), Field("gone", Scalar(Kind.DATE)))
    connection.execute("""CREATE TABLE "odd ""table" AS SELECT 1::BIGINT AS id, 'x' AS "NM", 'decoy' AS name""")
    expected = ['{"id":1,"name":"x","gone":null}']
    assert cells(contract, Live(connection, 'odd "table')) == expected
    (tmp_path / "a.json").write_text('[{"id": 1, "NM": "x", "name": "decoy"}]')
    assert cells(contract, File(tmp_path / "a.json", "json")) == expected
    (tmp_path / "a.csv").write_text("id,NM,name\n1,x,decoy\n")
    assert cells(contract, File(tmp_path / "a.csv", "csv")) == expected


def test_an_own_database_reaches_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    attached = attach(THINGS, Rows(things()))
    try:
        for sql in (
            f"SELECT * FROM read_csv('{tmp_path / 'secret.csv'}')",
            f"COPY copied TO '{tmp_path / 'out.csv'}'",
            f"ATTACH '{tmp_path / 'other.duckdb'}'",
            "INSTALL httpfs",
            "SET enable_external_access = true",
            "SET threads = 8",
        ):
            with pytest.raises(duckdb.Error):
                attached.connection.execute(sql)
    finally:
        attached.connection.close()


MONEY = Scalar(Kind.DECIMAL, 10, 2)
INSTANT, LOCAL = Scalar(Kind.INSTANT, unit=Unit.MILLIS), Scalar(Kind.LOCAL_DATETIME, unit=Unit.SECONDS)
NANOS = Scalar(Kind.INSTANT, unit=Unit.NANOS)
INNER = Record("R", (Field("a", MONEY), Field("b", Scalar(Kind.DATE), physical_name="B"), Field("c", Scalar(Kind.INT))))
READ: list[tuple[FieldType, str, str]] = [
    (Scalar(Kind.INT), "7::UTINYINT", "7"),
    (Scalar(Kind.INT), "'7'", "7"),
    (Scalar(Kind.LONG), "NULL::BIGINT", "null"),
    (Scalar(Kind.FLOAT), "1.5::FLOAT", "1.5"),
    (Scalar(Kind.FLOAT), "'nan'::DOUBLE", "null"),
    (Scalar(Kind.FLOAT), "'inf'", "null"),
    (Scalar(Kind.FLOAT), "1.5::DECIMAL(4,1)", "1.5"),
    (MONEY, "1::INTEGER", '"1.00"'),
    (MONEY, "1.5::DECIMAL(4,1)", '"1.50"'),
    (MONEY, "'1.5'", '"1.50"'),
    (Scalar(Kind.DECIMAL), "1.5", '"1.500000000"'),
    (Scalar(Kind.STRING), "'x'::ENUM('x','y')", '"x"'),
    (Enumeration("E", ("x",)), "'x'::ENUM('x','y')", '"x"'),
    (Scalar(Kind.UUID), "'0F8FAD5B-D9CB-469F-A165-70867728950E'", '"0f8fad5b-d9cb-469f-a165-70867728950e"'),
    (Scalar(Kind.UUID), "'0F8FAD5B-D9CB-469F-A165-70867728950E'::UUID", '"0f8fad5b-d9cb-469f-a165-70867728950e"'),
    (Scalar(Kind.BYTES), "'hi'::BLOB", '"aGk="'),
    (Scalar(Kind.BYTES), "'aGk='", '"aGk="'),
    (Scalar(Kind.BOOLEAN), "true", "true"),
    (Scalar(Kind.DATE), "DATE '2026-01-02'", '"2026-01-02"'),
    (Scalar(Kind.TIME), "TIME '01:02:03.5'", '"01:02:03.500000"'),
    (Scalar(Kind.TIME), "TIME '01:02:03'", '"01:02:03"'),
    (INSTANT, "TIMESTAMPTZ '2026-01-02 01:00:00.25+01'", '"2026-01-02T00:00:00.250000Z"'),
    (INSTANT, "TIMESTAMP '2026-01-02 01:00:00'", '"2026-01-02T01:00:00Z"'),
    (INSTANT, "1700000000001", '"2023-11-14T22:13:20.001000Z"'),
    (INSTANT, "'2026-01-02T01:00:00+01:00'", '"2026-01-02T00:00:00Z"'),
    (LOCAL, "TIMESTAMP_MS '2026-01-02 01:00:00'", '"2026-01-02T01:00:00"'),
    (INSTANT, "TIMESTAMP_NS '2026-01-02 01:00:00.999999999'", '"2026-01-02T01:00:00.999999Z"'),
    (Scalar(Kind.LOCAL_DATETIME, unit=Unit.NANOS), "-1", '"1969-12-31T23:59:59.999999"'),
    (LOCAL, "TIMESTAMP_NS '2026-01-02 01:00:00'", '"2026-01-02T01:00:00"'),
    (LOCAL, "1", '"1970-01-01T00:00:01"'),
    (NANOS, "TIMESTAMP_NS '2026-01-02 01:00:00.000000001'", '"2026-01-02T01:00:00.000000001Z"'),
    (NANOS, "TIMESTAMPTZ '2026-01-02 01:00:00+01'", '"2026-01-02T00:00:00.000000000Z"'),
    (NANOS, "1700000000000000001", '"2023-11-14T22:13:20.000000001Z"'),
    (Scalar(Kind.JSON), "{'a': [1]}", '{"a":[1]}'),
    (Scalar(Kind.JSON), """'{"a": 1}'""", '{"a":1}'),
    (Scalar(Kind.JSON), "NULL::JSON", "null"),
    (INNER, "{'a': 1.5, 'B': DATE '2026-01-02'}", '{"a":"1.50","b":"2026-01-02","c":null}'),
    (INNER, "NULL::STRUCT(a INTEGER, B DATE)", "null"),
    (INNER, """'{"a": "1.50"}'""", '{"a":"1.50"}'),
    (List(INNER), "[{'a': 1.5, 'B': NULL::DATE}]", '[{"a":"1.50","b":null,"c":null}]'),
    (List(List(MONEY)), "[[1, 2], []]", '[["1.00","2.00"],[]]'),
    (List(MONEY), "NULL::INTEGER[]", "null"),
    (Map(MONEY), "MAP {'a': 1}", '{"a":"1.00"}'),
    (Map(INNER), "MAP {'a': {'a': 1, 'B': NULL::DATE}}", '{"a":{"a":"1.00","b":null,"c":null}}'),
]


@pytest.mark.parametrize(("type_", "sql", "wire"), READ)
def test_a_sources_own_types_are_read_as_the_contracts(
    connection: duckdb.DuckDBPyConnection, type_: FieldType, sql: str, wire: str
) -> None:
    connection.execute(f"CREATE TABLE t AS SELECT 1::BIGINT AS id, {sql} AS x")
    assert cells(product(Field("x", type_)), Live(connection, "t")) == [f'{{"id":1,"x":{wire}}}']


BENT: list[tuple[FieldType, str]] = [
    (Scalar(Kind.LONG), "1.5::DOUBLE"),
    (Scalar(Kind.INT), "true"),
    (MONEY, "1.555::DECIMAL(5,3)"),
    (Scalar(Kind.STRING), "1"),
    (Scalar(Kind.DATE), "TIMESTAMP '2026-01-01 00:00:00'"),
    (Scalar(Kind.INSTANT), "1"),
    (Scalar(Kind.LOCAL_DATETIME), "TIMESTAMPTZ '2026-01-01 00:00:00Z'"),
    (Scalar(Kind.DECIMAL, 50, 2), "1"),
    (List(MONEY), "1"),
    (Map(MONEY), "[1]"),
    (INNER, "[1]"),
    (Record("R", (Field("must", MONEY, required=True),)), "{'a': 1}"),
]


@pytest.mark.parametrize(("type_", "sql"), BENT)
def test_a_type_that_would_have_to_be_bent_is_refused(connection: duckdb.DuckDBPyConnection, type_: FieldType, sql: str) -> None:
    connection.execute(f"CREATE TABLE t AS SELECT 1::BIGINT AS id, {sql} AS x")
    with pytest.raises(SourceError):
        attach(product(Field("x", type_)), Live(connection, "t"))


def test_csv_cells_are_read_by_the_contracts_types(tmp_path: Path) -> None:
    contract = product(
        Field("ok", Scalar(Kind.BOOLEAN)),
        Field("ratio", Scalar(Kind.FLOAT)),
        Field("when", INSTANT),
        Field("day", Scalar(Kind.DATE)),
        Field("kind", Enumeration("K", ("A",))),
        Field("tags", List(Scalar(Kind.STRING))),
    )
    path = tmp_path / "a.csv"
    path.write_text('id,ok,ratio,when,day,kind,tags\n1,TRUE,1.5,1700000000001,2026-01-02,A,"[""x""]"\n\n2,,,,,,\n')
    assert cells(contract, File(path, "csv")) == [
        '{"id":1,"ok":true,"ratio":1.5,"when":"2023-11-14T22:13:20.001000Z","day":"2026-01-02","kind":"A","tags":["x"]}',
        '{"id":2,"ok":null,"ratio":null,"when":null,"day":null,"kind":null,"tags":null}',
    ]


@pytest.mark.parametrize("row", ["1,maybe,,,,,", "1,,,,,,[", "1,,x,,,,", "1,,,,,B,", "9" * 40 + ",,,,,,"])
def test_csv_cells_of_another_type_are_refused(tmp_path: Path, row: str) -> None:
    contract = product(
        Field("ok", Scalar(Kind.BOOLEAN)),
        Field("ratio", Scalar(Kind.FLOAT)),
        Field("when", INSTANT),
        Field("day", Scalar(Kind.DATE)),
        Field("kind", Enumeration("K", ("A",))),
        Field("tags", List(Scalar(Kind.STRING))),
    )
    path = tmp_path / "a.csv"
    path.write_text(f"id,ok,ratio,when,day,kind,tags\n{row}\n")
    with pytest.raises(SourceError, match="row 1"):
        attach(contract, File(path, "csv"))


def test_days_before_the_epoch_are_instants_too(connection: duckdb.DuckDBPyConnection) -> None:
    assert dt.date(1969, 12, 31) < dt.date(1970, 1, 1)
    connection.execute("CREATE TABLE t AS SELECT 1::BIGINT AS id, -1 AS x, -1 AS y")
    contract = product(Field("x", INSTANT), Field("y", NANOS))
    assert cells(contract, Live(connection, "t")) == ['{"id":1,"x":"1969-12-31T23:59:59.999000Z","y":"1969-12-31T23:59:59.999999999Z"}']
