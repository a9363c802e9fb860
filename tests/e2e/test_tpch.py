"""TPC-H at scale factor 1 over three domains: the mesh forms of its queries give DuckDB's results, to the last digit.

Of its 22 queries those that the language can say. What is adapted is said in `tpch_mesh` and at each query; where a query needs an
arithmetic of its totals, or asks twice, the client does that, as written here. `-s` prints the time that each took.
"""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from .mesh_under_test import Mesh, mesh
from .tpch_mesh import Serving, generated, serving

pytestmark = pytest.mark.e2e
SCALE = float(os.environ.get("MESHGATE_TPCH_SCALE") or 1)
Table = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generated(tmp_path_factory.mktemp("tpch"), SCALE)


@pytest.fixture(scope="module")
def domains(tables: Path) -> Iterator[Serving]:
    with serving(tables) as found:
        yield found


@pytest.fixture(scope="module")
def judge(tables: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 2}) as connection:
        for table in ("lineitem", "orders", "part", "partsupp", "supplier", "customer", "nation"):
            connection.execute(f"CREATE VIEW {table} AS SELECT * FROM '{tables / table}.parquet'")
        yield connection


@pytest.fixture
async def gateway(tmp_path: Path, domains: Serving) -> AsyncIterator[Mesh]:
    # Semi-joins and groups along relationships over tens of thousands of keys are what this is about.
    settings = {"LIMITS__KEYS_MAX": "100000", "LIMITS__ROWS_MAX": "2000", "TIMEOUTS__REQUEST_S": "120", "TIMEOUTS__UPSTREAM_S": "60"}
    async with mesh(tmp_path, domains.contracts, domains.endpoints, **settings) as found:
        found.client.timeout = 120
        yield found


Ask = Callable[[str], Any]


async def compared(gateway: Mesh, judge: duckdb.DuckDBPyConnection, name: str, query: str, sql: str, read: Callable[[Any], Table]) -> None:
    """Ask both; ``read``: the mesh's answer as the rows of the query."""
    began_s = time.perf_counter()
    answer = await gateway.ask(query)
    took_s = time.perf_counter() - began_s
    assert "errors" not in answer, answer["errors"]
    began_s = time.perf_counter()
    expected = judge.execute(sql).fetchall()
    print(f"{name}: mesh {took_s:.2f} s, DuckDB {time.perf_counter() - began_s:.2f} s, {len(expected)} rows")  # noqa: T201  # shown by pytest -s
    assert expected
    assert read(answer["data"]) == expected


def lines(data: Any) -> list[Any]:
    found: list[Any] = data["sales"]["lines"]["groups"]
    return found


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


async def test_q1_pricing_summary(gateway: Mesh, judge: duckdb.DuckDBPyConnection) -> None:
    query = """{ sales { lines(where: {shipDate: {lte: "1998-09-02"}}) {
      groups(by: [{field: RETURN_FLAG}, {field: LINE_STATUS}], orderBy: [{key: {returnFlag: ASC}}, {key: {lineStatus: ASC}}]) {
        key { returnFlag lineStatus } count
        sum { quantity extendedPrice discPrice charge } avg { quantity extendedPrice discount } } } } }"""
    sql = """SELECT l_returnflag, l_linestatus, sum(l_quantity), sum(l_extendedprice), sum(l_extendedprice * (1 - l_discount)),
      sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)), round(avg(l_quantity), 6), round(avg(l_extendedprice), 6),
      round(avg(l_discount), 6), count(*)
      FROM lineitem WHERE l_shipdate <= DATE '1998-09-02' GROUP BY ALL ORDER BY 1, 2"""

    def read(data: Any) -> Table:
        sums, means = ("quantity", "extendedPrice", "discPrice", "charge"), ("quantity", "extendedPrice", "discount")
        return [
            (
                *group["key"].values(),
                *(Decimal(group["sum"][it]) for it in sums),
                # DuckDB's averages are floating point numbers, ours are decimals.
                *(float(group["avg"][it]) for it in means),
                group["count"],
            )
            for group in lines(data)
        ]

    await compared(gateway, judge, "Q1", query, sql, read)


async def test_q3_shipping_priority(gateway: Mesh, judge: duckdb.DuckDBPyConnection) -> None:
    query = """{ sales { lines(where: {customer: {segment: {eq: "BUILDING"}},
        orderDate: {lt: "1995-03-15"}, shipDate: {gt: "1995-03-15"}}) {
      groups(by: [{field: ORDER_KEY}, {field: ORDER_DATE}, {field: SHIP_PRIORITY}], first: 10,
             orderBy: [{sum: {discPrice: DESC}}, {key: {orderDate: ASC}}]) {
        key { orderKey orderDate shipPriority } sum { discPrice } } } } }"""
    sql = """SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate, o_shippriority
      FROM customer, orders, lineitem WHERE c_mktsegment = 'BUILDING' AND c_custkey = o_custkey AND l_orderkey = o_orderkey
      AND o_orderdate < DATE '1995-03-15' AND l_shipdate > DATE '1995-03-15'
      GROUP BY l_orderkey, o_orderdate, o_shippriority ORDER BY revenue DESC, o_orderdate LIMIT 10"""

    def read(data: Any) -> Table:
        found = []
        for group in lines(data):
            key, date, priority = group["key"].values()
            found.append((key, Decimal(group["sum"]["discPrice"]), day(date), priority))
        return found

    await compared(gateway, judge, "Q3", query, sql, read)


async def test_q6_forecasting_revenue_change(gateway: Mesh, judge: duckdb.DuckDBPyConnection) -> None:
    query = """{ sales { lines(where: {shipDate: {gte: "1994-01-01", lt: "1995-01-01"}, discount: {gte: "0.05", lte: "0.07"},
      quantity: {lt: "24"}}) { aggregate { sum { saved } } } } }"""
    sql = """SELECT sum(l_extendedprice * l_discount) FROM lineitem WHERE l_shipdate >= DATE '1994-01-01'
      AND l_shipdate < DATE '1995-01-01' AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24"""
    await compared(gateway, judge, "Q6", query, sql, lambda data: [(Decimal(data["sales"]["lines"]["aggregate"]["sum"]["saved"]),)])


async def test_q7_volume_shipping(gateway: Mesh, judge: duckdb.DuckDBPyConnection) -> None:
    # Within one nation is asked as well, and left out by the client: a condition cannot compare two products.
    query = """{ sales { lines(where: {shipDate: {gte: "1995-01-01", lte: "1996-12-31"},
        supplier: {nation: {name: {in: ["FRANCE", "GERMANY"]}}}, customer: {nation: {name: {in: ["FRANCE", "GERMANY"]}}}}) {
      groups(by: [{path: [SUPPLIER, NATION], field: NAME}, {path: [CUSTOMER, NATION], field: NAME},
                  {field: SHIP_DATE, truncate: YEAR}]) {
        key { supplier { nation { name } } customer { nation { name } } shipDate } sum { discPrice } } } } }"""
    sql = """SELECT n1.n_name, n2.n_name, year(l_shipdate), sum(l_extendedprice * (1 - l_discount))
      FROM supplier, lineitem, orders, customer, nation n1, nation n2
      WHERE s_suppkey = l_suppkey AND o_orderkey = l_orderkey AND c_custkey = o_custkey AND s_nationkey = n1.n_nationkey
      AND c_nationkey = n2.n_nationkey
      AND ((n1.n_name = 'FRANCE' AND n2.n_name = 'GERMANY') OR (n1.n_name = 'GERMANY' AND n2.n_name = 'FRANCE'))
      AND l_shipdate BETWEEN DATE '1995-01-01' AND DATE '1996-12-31' GROUP BY ALL ORDER BY 1, 2, 3"""

    def read(data: Any) -> Table:
        found = []
        for group in lines(data):
            key = group["key"]
            one, other = key["supplier"]["nation"]["name"], key["customer"]["nation"]["name"]
            if one != other:
                found.append((one, other, day(key["shipDate"]).year, Decimal(group["sum"]["discPrice"])))
        return sorted(found)

    await compared(gateway, judge, "Q7", query, sql, read)


async def test_q10_returned_items(gateway: Mesh, judge: duckdb.DuckDBPyConnection) -> None:
    query = """{ sales { lines(where: {returnFlag: {eq: "R"}, orderDate: {gte: "1993-10-01", lt: "1994-01-01"}}) {
      groups(by: [{field: CUST_KEY}, {path: [CUSTOMER], field: NAME}, {path: [CUSTOMER], field: BALANCE},
                  {path: [CUSTOMER, NATION], field: NAME}, {path: [CUSTOMER], field: ADDRESS}, {path: [CUSTOMER], field: PHONE},
                  {path: [CUSTOMER], field: COMMENT}], first: 20, orderBy: [{sum: {discPrice: DESC}}]) {
        key { custKey customer { name balance nation { name } address phone comment } } sum { discPrice } } } } }"""
    sql = """SELECT c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) AS revenue, c_acctbal, n_name, c_address, c_phone, c_comment
      FROM customer, orders, lineitem, nation WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey
      AND o_orderdate >= DATE '1993-10-01' AND o_orderdate < DATE '1994-01-01' AND l_returnflag = 'R' AND c_nationkey = n_nationkey
      GROUP BY c_custkey, c_name, c_acctbal, c_phone, n_name, c_address, c_comment ORDER BY revenue DESC LIMIT 20"""

    def read(data: Any) -> Table:
        found = []
        for group in lines(data):
            of = group["key"]["customer"]
            revenue, balance = Decimal(group["sum"]["discPrice"]), Decimal(of["balance"])
            found.append(
                (group["key"]["custKey"], of["name"], revenue, balance, of["nation"]["name"], of["address"], of["phone"], of["comment"])
            )
        return found

    await compared(gateway, judge, "Q10", query, sql, read)


async def test_q11_important_stock(gateway: Mesh, judge: duckdb.DuckDBPyConnection) -> None:
    # The share of the whole is asked first, by the client.
    where = '(where: {supplier: {nation: {name: {eq: "GERMANY"}}}})'
    whole = await gateway.ask(f"{{ parts {{ stocks{where} {{ aggregate {{ sum {{ worth }} }} }} }} }}")
    least = Decimal(whole["data"]["parts"]["stocks"]["aggregate"]["sum"]["worth"]) * Decimal("0.0001") / Decimal(str(SCALE))
    query = f"""{{ parts {{ stocks{where} {{ groups(by: [{{field: PART_KEY}}], first: 2000, having: {{sum: {{worth: {{gt: "{least:f}"}}}}}},
      orderBy: [{{sum: {{worth: DESC}}}}]) {{ key {{ partKey }} sum {{ worth }} }} }} }} }}"""
    of = "FROM partsupp, supplier, nation WHERE ps_suppkey = s_suppkey AND s_nationkey = n_nationkey AND n_name = 'GERMANY'"
    share = f"0.0001 / {SCALE:g}"
    sql = f"""SELECT ps_partkey, sum(ps_supplycost * ps_availqty) AS worth {of} GROUP BY ps_partkey
      HAVING worth > (SELECT sum(ps_supplycost * ps_availqty) * CAST({share} AS DECIMAL(10, 8)) {of}) ORDER BY worth DESC, ps_partkey"""

    def read(data: Any) -> Table:
        return [(group["key"]["partKey"], Decimal(group["sum"]["worth"])) for group in data["parts"]["stocks"]["groups"]]

    await compared(gateway, judge, "Q11", query, sql, read)


async def test_q12_shipping_modes_and_priority(gateway: Mesh, judge: duckdb.DuckDBPyConnection) -> None:
    # High and low priorities are added up by the client.
    query = """{ sales { lines(where: {shipMode: {in: ["MAIL", "SHIP"]}, isLate: {eq: true},
        receiptDate: {gte: "1994-01-01", lt: "1995-01-01"}}) {
      groups(by: [{field: SHIP_MODE}, {field: ORDER_PRIORITY}]) { key { shipMode orderPriority } count } } } }"""
    sql = """SELECT l_shipmode, sum(CASE WHEN o_orderpriority IN ('1-URGENT', '2-HIGH') THEN 1 ELSE 0 END),
      sum(CASE WHEN o_orderpriority NOT IN ('1-URGENT', '2-HIGH') THEN 1 ELSE 0 END)
      FROM orders, lineitem WHERE o_orderkey = l_orderkey AND l_shipmode IN ('MAIL', 'SHIP') AND l_commitdate < l_receiptdate
      AND l_shipdate < l_commitdate AND l_receiptdate >= DATE '1994-01-01' AND l_receiptdate < DATE '1995-01-01'
      GROUP BY l_shipmode ORDER BY l_shipmode"""

    def read(data: Any) -> Table:
        counts: dict[str, list[int]] = {}
        for group in lines(data):
            is_high = group["key"]["orderPriority"] in ("1-URGENT", "2-HIGH")
            counts.setdefault(group["key"]["shipMode"], [0, 0])[0 if is_high else 1] += group["count"]
        return [(mode, *both) for mode, both in sorted(counts.items())]

    await compared(gateway, judge, "Q12", query, sql, read)


async def test_q14_promotion_effect(gateway: Mesh, judge: duckdb.DuckDBPyConnection) -> None:
    # The ratio is the client's.
    query = """{ sales { lines(where: {shipDate: {gte: "1995-09-01", lt: "1995-10-01"}}) {
      groups(by: [{path: [PART], field: IS_PROMOTED}]) { key { part { isPromoted } } sum { discPrice } } } } }"""
    sql = """SELECT p_type LIKE 'PROMO%', sum(l_extendedprice * (1 - l_discount)) FROM lineitem, part WHERE l_partkey = p_partkey
      AND l_shipdate >= DATE '1995-09-01' AND l_shipdate < DATE '1995-10-01' GROUP BY 1 ORDER BY 1"""

    def read(data: Any) -> Table:
        return [(group["key"]["part"]["isPromoted"], Decimal(group["sum"]["discPrice"])) for group in lines(data)]

    await compared(gateway, judge, "Q14", query, sql, read)


async def test_q15_top_supplier(gateway: Mesh, judge: duckdb.DuckDBPyConnection) -> None:
    query = """{ sales { lines(where: {shipDate: {gte: "1996-01-01", lt: "1996-04-01"}}) {
      groups(by: [{field: SUPP_KEY}, {path: [SUPPLIER], field: NAME}, {path: [SUPPLIER], field: ADDRESS}, {path: [SUPPLIER], field: PHONE}],
             first: 1, orderBy: [{sum: {discPrice: DESC}}]) {
        key { suppKey supplier { name address phone } } sum { discPrice } } } } }"""
    sql = """SELECT s_suppkey, s_name, s_address, s_phone, total FROM supplier,
      (SELECT l_suppkey, sum(l_extendedprice * (1 - l_discount)) AS total FROM lineitem WHERE l_shipdate >= DATE '1996-01-01'
       AND l_shipdate < DATE '1996-04-01' GROUP BY l_suppkey) WHERE s_suppkey = l_suppkey ORDER BY total DESC LIMIT 1"""

    def read(data: Any) -> Table:
        return [(group["key"]["suppKey"], *group["key"]["supplier"].values(), Decimal(group["sum"]["discPrice"])) for group in lines(data)]

    await compared(gateway, judge, "Q15", query, sql, read)


async def test_q18_large_volume_customers(gateway: Mesh, judge: duckdb.DuckDBPyConnection) -> None:
    # Names of customers are theirs to look up: by their keys, these are few.
    query = """{ sales { lines { groups(by: [{field: CUST_KEY}, {field: ORDER_KEY}, {field: ORDER_DATE}, {field: TOTAL_PRICE}], first: 100,
        having: {sum: {quantity: {gt: "300"}}}, orderBy: [{key: {totalPrice: DESC}}, {key: {orderDate: ASC}}]) {
      key { custKey orderKey orderDate totalPrice } sum { quantity } } } } }"""
    sql = """SELECT o_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) FROM orders, lineitem WHERE o_orderkey = l_orderkey
      GROUP BY ALL HAVING sum(l_quantity) > 300 ORDER BY o_totalprice DESC, o_orderdate LIMIT 100"""

    def read(data: Any) -> Table:
        found = []
        for group in lines(data):
            customer, order, date, price = group["key"].values()
            found.append((customer, order, day(date), Decimal(price), Decimal(group["sum"]["quantity"])))
        return found

    await compared(gateway, judge, "Q18", query, sql, read)
