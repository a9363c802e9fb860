"""The SQL port over each kind of source, judged in process."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from contracts.model import Contract
from contracts.predicates import Operator
from domain_adapters.conformance import Outcome, judge, report, sample_contract, sample_rows
from domain_adapters.port import Capabilities
from domain_adapters.rows import fill, wire_rows
from domain_adapters.sources import Database, File, Live, Rows, Source
from domain_adapters.sql import capabilities_for, open_sql
from domain_adapters.values import emit

CONTRACT = sample_contract()
ADDRESS = 'STRUCT(city VARCHAR, point STRUCT(lat DECIMAL(9,6), "at" DATE))'
NATIVE = {
    "status": "CAST({0} AS VARCHAR)",
    "ident": "CAST({0} AS UUID)",
    "blob": "from_base64({0})",
    "address": f"CAST({{0}} AS {ADDRESS})",
    "tags": "CAST({0} AS VARCHAR[])",
    "scores": "CAST({0} AS INTEGER[])",
    "rates": "CAST({0} AS MAP(VARCHAR, DECIMAL(8,3)))",
}


def native_table(connection: duckdb.DuckDBPyConnection, name: str = "sample") -> None:
    """Write the sample as a team would keep it: DuckDB's own types throughout."""
    fill(connection, "copied", CONTRACT.fields, wire_rows(sample_rows(), CONTRACT.fields))
    columns = [f'{NATIVE.get(field.name, "{0}").format(f"c{at}")} AS "{field.name}"' for at, field in enumerate(CONTRACT.fields)]
    connection.execute(f"CREATE TABLE {name} AS SELECT {', '.join(columns)} FROM copied")
    connection.execute("DROP TABLE copied")


def wire_documents() -> list[dict[str, Any]]:
    return [{field.name: emit(field.type, row[field.name]) for field in CONTRACT.fields} for row in sample_rows()]


def csv_cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "sample.duckdb"
    with duckdb.connect(str(path)) as connection:
        native_table(connection)
    return path


@pytest.fixture
def live() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        native_table(connection)
        yield connection


async def judged(source: Source, *, contract: Contract = CONTRACT, rows: list[dict[str, Any]] | None = None, every: int = 15) -> None:
    verdicts = await judge(contract, lambda: open_sql(contract, source), rows=rows or sample_rows(), every=every)
    assert len(verdicts) > 60
    assert not [verdict for verdict in verdicts if verdict.outcome is Outcome.WRONG], report(verdicts)


async def test_rows_keep_every_promise() -> None:
    await judged(Rows(sample_rows()), every=2)


async def test_a_product_without_key_pages_in_its_own_order_and_refuses_others() -> None:
    contract = sample_contract(keyed=False)
    verdicts = await judge(contract, lambda: open_sql(contract, Rows(sample_rows())), rows=sample_rows(), every=20)
    outcomes: dict[str, set[Outcome]] = {}
    for verdict in verdicts:
        outcomes.setdefault(verdict.capability, set()).add(verdict.outcome)
    assert outcomes["orderBy"] == {Outcome.REFUSED}
    assert outcomes["limitPerKey"] == {Outcome.REFUSED}
    assert outcomes["paging"] == {Outcome.RIGHT}
    assert not any(Outcome.WRONG in found for found in outcomes.values()), report(verdicts)


async def test_a_table_of_a_database_file_keeps_every_promise(database: Path) -> None:
    await judged(Database(database, "main.sample"), every=20)


async def test_a_live_table_keeps_every_promise_whatever_its_owners_time_zone(live: duckdb.DuckDBPyConnection) -> None:
    await judged(Live(live, "sample"))


async def test_a_view_keeps_every_promise(live: duckdb.DuckDBPyConnection) -> None:
    live.execute("CREATE VIEW seen_through AS SELECT * FROM sample")
    await judged(Live(live, "seen_through"), every=20)


async def test_a_parquet_file_keeps_every_promise(live: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = tmp_path / "it's a sample.parquet"
    live.execute(f"COPY sample TO '{str(path).replace(chr(39), chr(39) * 2)}' (FORMAT parquet)")
    await judged(File(path, "parquet"))


@pytest.mark.parametrize("lines", [True, False])
async def test_a_json_file_keeps_every_promise(tmp_path: Path, lines: bool) -> None:
    path = tmp_path / "sample.json"
    documents = wire_documents()
    path.write_bytes(msgspec.json.Encoder().encode_lines(documents) if lines else msgspec.json.encode(documents))
    await judged(File(path, "json"), every=20)


async def test_a_csv_file_keeps_every_promise_but_empty_text_is_null(tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in CONTRACT.fields])
        writer.writerows([csv_cell(value) for value in document.values()] for document in wire_documents())
    rows = [{**row, "label": row["label"] or None} for row in sample_rows()]
    await judged(File(path, "csv"), rows=rows)


def narrowed(**absent: Any) -> Capabilities:
    can = capabilities_for(CONTRACT)
    members = {name: getattr(can, name) for name in Capabilities.__slots__}
    return Capabilities(**{**members, **absent})


NARROW: Mapping[str, Capabilities] = {
    "paging alone": Capabilities(level=1),
    "no trees": narrowed(boolean=False),
    "no text tests": narrowed(operators=frozenset({Operator.EQ, Operator.IN})),
    "two filter columns": narrowed(filter_columns=frozenset({"region", "status"})),
    "one key": narrowed(key_columns=frozenset({("customer",)}), limit_per_key=False),
    "few keys": narrowed(keys_max=3),
    "counts only": narrowed(aggregates=frozenset({"count"}), having=False, truncations=frozenset({"day"})),
}


@pytest.mark.parametrize("name", NARROW)
async def test_what_is_absent_is_refused(name: str) -> None:
    verdicts = await judge(
        CONTRACT, lambda: open_sql(CONTRACT, Rows(sample_rows()), capabilities=NARROW[name]), rows=sample_rows(), every=25
    )
    assert not [verdict for verdict in verdicts if verdict.outcome is Outcome.WRONG], report(verdicts)
    assert {verdict.outcome for verdict in verdicts if verdict.capability != "cursor"} == {Outcome.RIGHT, Outcome.REFUSED}
