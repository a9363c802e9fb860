"""Made-up rows: plausible, unique by key, the same for the same seed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from contracts.fields import Enumeration, Field, Kind, List, Map, Record, Scalar, Unit
from contracts.load import load_contract
from contracts.model import Contract
from domain_adapters.conformance import Outcome, judge, report, sample_contract
from domain_adapters.mock import mock_rows
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from domain_adapters.values import emit
from tests.unit.domain_adapters.products import NOW, product

CATALOG = Path(__file__).parents[3] / "contracts" / "catalog"
ORDERS = load_contract(CATALOG / "order" / "orders-daily.yaml")
CUSTOMERS = load_contract(CATALOG / "customer" / "customers.yaml")


def test_the_same_seed_gives_the_same_rows_and_another_gives_others() -> None:
    first, again, other = (list(mock_rows(ORDERS, rows=50, seed=seed, now=NOW)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_instants_end_now_and_optional_columns_are_null_now_and_then() -> None:
    rows = list(mock_rows(ORDERS, rows=400, now=NOW))
    assert max(row["updated_at"] for row in rows) == NOW
    assert min(row["updated_at"] for row in rows) < NOW - dt.timedelta(days=700)
    required = [field.name for field in ORDERS.fields if field.required]
    optional = [field.name for field in ORDERS.fields if not field.required]
    assert all(row[name] is not None for row in rows for name in required)
    assert any(row[name] is None for row in rows for name in optional)


def test_foreign_keys_are_keys_of_their_partner() -> None:
    customers = {row["customer_id"] for row in mock_rows(CUSTOMERS, rows=300)}
    assert {row["customer_id"] for row in mock_rows(ORDERS, rows=300)} <= customers | {None}


EVERY_KIND = product(
    *(Field(kind.value, Scalar(kind, 9, 2) if kind is Kind.DECIMAL else Scalar(kind)) for kind in Kind),
    Field("nanos", Scalar(Kind.INSTANT, unit=Unit.NANOS)),
    Field("kind_of", Enumeration("K", ("A", "B"))),
    Field("nested", Record("R", (Field("tags", List(Scalar(Kind.STRING))), Field("rates", Map(Scalar(Kind.FLOAT)))))),
)


@pytest.mark.parametrize("contract", [EVERY_KIND, sample_contract()])
def test_every_cell_is_of_its_columns_type(contract: Contract) -> None:
    for row in mock_rows(contract, rows=60, now=NOW):
        for field in contract.fields:
            assert (emit(field.type, row[field.name]) is None) is (row[field.name] is None)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in (Kind.BOOLEAN, Kind.JSON, Kind.BYTES, Kind.TIME)])
def test_keys_of_any_kind_are_unique(kind: Kind) -> None:
    contract = product(Field("key", Scalar(kind, 9, 2) if kind is Kind.DECIMAL else Scalar(kind)), key=("key",))
    keys = [row["key"] for row in mock_rows(contract, rows=200)]
    assert len(set(keys)) == 200


def test_composite_keys_are_unique_and_their_parts_are_shared() -> None:
    contract = product(Field("part", Scalar(Kind.STRING)), Field("side", Enumeration("S", ("L", "R"))), key=("part", "id", "side"))
    rows = list(mock_rows(contract, rows=90))
    assert len({(row["part"], row["id"], row["side"]) for row in rows}) == 90
    assert len({row["part"] for row in rows}) == 30


async def test_mock_rows_keep_every_promise() -> None:
    rows = list(mock_rows(ORDERS, rows=60))
    verdicts = await judge(ORDERS, lambda: open_sql(ORDERS, Rows(rows)), rows=rows, every=8)
    assert not [verdict for verdict in verdicts if verdict.outcome is Outcome.WRONG], report(verdicts)
