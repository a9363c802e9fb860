"""The demo's data: the same everywhere, as large and as crooked as promised, consistent across domains, ending now."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from contracts.load import load_contract
from domain_adapters.domains.generate import ANCHOR, Sizes, card_number, ensure
from domain_adapters.domains.people import COUNTRIES
from domain_adapters.domains.service import contract_file
from domain_adapters.domains.store import open_store

SMALL = Sizes(customers=60, orders=200)
NOW = dt.datetime(2026, 11, 23, 12, 34, 56, 789_012, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def db(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_store(folder, "customers", "orders", "payments", now=NOW) as db:
        yield db


def one(db: duckdb.DuckDBPyConnection, sql: str) -> Any:
    row = db.execute(sql).fetchone()
    assert row is not None
    return row[0]


def everything(folder: Path) -> list[list[Any]]:
    with duckdb.connect() as db:
        return [db.execute(f"SELECT * FROM '{folder / name}.parquet'").fetchall() for name in ("customers", "orders", "payments")]


def test_it_is_as_large_as_promised(db: duckdb.DuckDBPyConnection) -> None:
    assert one(db, "SELECT count(*) FROM customers") == 20_000
    assert one(db, "SELECT count(*) FROM orders") == 100_000
    assert one(db, "SELECT count(*) FROM payments") >= 120_000
    assert one(db, "SELECT count(DISTINCT country) FROM orders") == 15
    assert one(db, "SELECT datediff('month', min(order_date), max(order_date)) FROM orders") == 24


def test_countries_are_skewed_with_germany_and_france_ahead(db: duckdb.DuckDBPyConnection) -> None:
    ranked = [row[0] for row in db.execute("SELECT country FROM orders GROUP BY country ORDER BY count(*) DESC").fetchall()]
    assert ranked[:2] == ["DE", "FR"]
    assert set(ranked) == {country.code for country in COUNTRIES}
    assert sum(country.share for country in COUNTRIES) == pytest.approx(1.0)


def test_amounts_and_customers_are_skewed(db: duckdb.DuckDBPyConnection) -> None:
    assert one(db, "SELECT avg(total_amount) > 1.3 * median(total_amount) FROM orders WHERE currency = 'EUR'") is True
    assert one(db, "SELECT max(n) > 20 * avg(n) FROM (SELECT count(*) AS n FROM orders GROUP BY customer_id) AS t") is True


@pytest.mark.parametrize(
    "crooked",
    [
        "SELECT count(*) FROM customers WHERE customer_email IS NULL",
        "SELECT count(*) FROM customers WHERE birth_date IS NULL",
        "SELECT count(*) FROM customers WHERE name <> strip_accents(name)",
        "SELECT count(*) FROM customers WHERE regexp_matches(name, '[가-힣]')",
        "SELECT count(*) FROM orders WHERE shipping_address IS NULL",
        "SELECT count(*) FROM orders WHERE updated_at > ordered_at + INTERVAL 21 DAY",
        "SELECT count(*) FROM orders ANTI JOIN customers USING (customer_id)",
        "SELECT count(*) FROM payments ANTI JOIN orders USING (order_id)",
        "SELECT count(*) FROM orders ANTI JOIN payments USING (order_id)",
        "SELECT count(*) FROM (SELECT order_id FROM payments GROUP BY order_id HAVING count(*) > 2) AS t",
        "SELECT count(*) FROM customers WHERE NOT marketing_consent",
        "SELECT count(*) FROM customers WHERE marketing_consent",
    ],
)
def test_it_holds_what_real_data_holds(db: duckdb.DuckDBPyConnection, crooked: str) -> None:
    assert one(db, crooked) > 20


@pytest.mark.parametrize(
    "contradiction",
    [
        "SELECT count(*) FROM orders JOIN customers AS c USING (customer_id) WHERE orders.customer_email IS DISTINCT FROM c.customer_email",
        "SELECT count(*) FROM orders JOIN customers AS c USING (customer_id) WHERE orders.phone IS DISTINCT FROM c.phone",
        "SELECT count(*) FROM orders JOIN customers AS c USING (customer_id) WHERE c.signup_at > orders.ordered_at",
        "SELECT count(*) FROM payments JOIN orders USING (order_id) WHERE paid_at < ordered_at - INTERVAL 1 SECOND",
        "SELECT count(*) FROM payments JOIN orders USING (order_id) WHERE payments.currency <> orders.currency",
        "SELECT count(*) FROM orders WHERE updated_at < ordered_at",
        "SELECT count(*) FROM orders WHERE order_date <> CAST(ordered_at AS DATE)",
        "SELECT count(*) FROM payments WHERE (method = 'CARD') <> (card_number IS NOT NULL)",
        (
            "SELECT count(*) FROM (SELECT order_id FROM payments JOIN orders USING (order_id) WHERE payments.status = 'CAPTURED' "
            "GROUP BY order_id, total_amount HAVING sum(amount) <> total_amount) AS t"
        ),
        "SELECT count(*) FROM orders WHERE total_amount < 0",
    ],
)
def test_domains_do_not_contradict_each_other(db: duckdb.DuckDBPyConnection, contradiction: str) -> None:
    assert one(db, contradiction) == 0


@pytest.mark.parametrize(("table", "key"), [("customers", "customer_id"), ("orders", "order_id"), ("payments", "payment_id")])
def test_keys_are_unique(db: duckdb.DuckDBPyConnection, table: str, key: str) -> None:
    assert one(db, f"SELECT count(*) - count(DISTINCT {key}) FROM {table}") == 0


def test_instants_end_when_the_domain_starts(db: duckdb.DuckDBPyConnection) -> None:
    for table in ("customers", "orders", "payments"):
        newest = one(db, f"SELECT max(updated_at) FROM {table}").replace(tzinfo=dt.UTC)
        assert dt.timedelta(0) <= NOW - newest < dt.timedelta(milliseconds=1)
    assert one(db, "SELECT max(order_date) FROM orders") == NOW.date()


@pytest.mark.parametrize(
    ("domain", "product", "table"),
    [("order", "orders-daily", "orders"), ("customer", "customers", "customers"), ("payment", "payments", "payments")],
)
def test_every_column_of_the_contract_is_there_and_no_required_one_is_null(
    db: duckdb.DuckDBPyConnection, domain: str, product: str, table: str
) -> None:
    contract = load_contract(contract_file(domain, product))
    for field in contract.fields:
        nulls = one(db, f"SELECT count(*) FROM {table} WHERE {field.name} IS NULL")
        assert nulls == 0 or not field.required


def test_the_same_seed_gives_the_same_rows_and_another_does_not(tmp_path: Path) -> None:
    first, second, other = (ensure(tmp_path / name, sizes) for name, sizes in (("a", SMALL), ("b", SMALL), ("c", Sizes(60, 200, seed=2))))
    assert everything(first) == everything(second)
    assert everything(first) != everything(other)
    assert ANCHOR.replace(tzinfo=None) == max(row[-2] for row in everything(first)[0])


def test_data_is_generated_once_and_again_only_for_other_sizes(tmp_path: Path) -> None:
    said: list[str] = []
    ensure(tmp_path / "deep" / "demo", SMALL, said.append)
    assert said[0] == "generating customers ..."
    assert said[1] == "generated 60 customers"
    assert len(said) == 6
    ensure(tmp_path / "deep" / "demo", SMALL, said.append)
    assert len(said) == 6
    ensure(tmp_path / "deep" / "demo", Sizes(50, 100), said.append)
    assert len(said) == 12


def test_a_domain_serves_the_data_of_its_demo_whatever_their_size(tmp_path: Path) -> None:
    ensure(tmp_path, SMALL)
    held = everything(tmp_path)
    said: list[str] = []
    ensure(tmp_path, say=said.append)
    assert not said
    assert everything(tmp_path) == held


@pytest.mark.parametrize("held", ["[]", "{}", "5", "no JSON", '{"format": 0}'])
def test_data_of_another_format_are_generated_anew(tmp_path: Path, held: str) -> None:
    (tmp_path / "data.json").write_text(held)
    with pytest.raises(_BegunError):
        ensure(tmp_path, say=_stop_at_once)


class _BegunError(Exception):
    pass


def _stop_at_once(line: str) -> None:
    raise _BegunError


def test_an_interrupted_generation_leaves_no_half_data_set(tmp_path: Path) -> None:
    def stop(line: str) -> None:
        if line.startswith("generating payments"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure(tmp_path, SMALL, stop)
    assert list(tmp_path.iterdir()) == []


def test_card_numbers_have_the_right_form_and_belong_to_nobody() -> None:
    random = Random(1)
    for _ in range(100):
        digits = card_number(random)
        assert len(digits) == 16
        assert digits.startswith("999999")
        doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(digits)]
        assert sum(number // 10 + number % 10 for number in doubled) % 10 == 0
