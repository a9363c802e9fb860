"""TPC-H as a data mesh: three domains, each a process of its own that serves its tables with our SQL port.

What is adapted, as the language has no expressions: ports serve views in which a domain has computed what is its own: prices after
discount and tax, whether a line was late, whether a part is promoted. ``sales`` publishes its lines with what it knows of their orders.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import duckdb

__all__ = ["VIEWS", "Serving", "generated", "serving"]

_LINES = """
SELECT l.l_orderkey AS order_key, l_linenumber AS line_number, l_partkey AS part_key, l_suppkey AS supp_key, o_custkey AS cust_key,
  l_quantity AS quantity, l_extendedprice AS extended_price, l_discount AS discount,
  CAST(l_extendedprice * (1 - l_discount) AS DECIMAL(18, 4)) AS disc_price,
  CAST(CAST(l_extendedprice * (1 - l_discount) AS DECIMAL(18, 4)) * (1 + l_tax) AS DECIMAL(18, 6)) AS charge,
  CAST(l_extendedprice * l_discount AS DECIMAL(18, 4)) AS saved,
  l_returnflag AS return_flag, l_linestatus AS line_status, l_shipmode AS ship_mode,
  l_shipdate AS ship_date, l_receiptdate AS receipt_date,
  l_commitdate < l_receiptdate AND l_shipdate < l_commitdate AS is_late,
  o_orderdate AS order_date, o_orderpriority AS order_priority, o_shippriority AS ship_priority, o_totalprice AS total_price
FROM lineitem AS l JOIN orders ON o_orderkey = l.l_orderkey
"""
VIEWS = {
    "sales": {"lines": _LINES},
    "parts": {
        "parts": "SELECT p_partkey AS part_key, p_name AS name, p_type AS type, p_type LIKE 'PROMO%' AS is_promoted FROM part",
        "stocks": """SELECT ps_partkey AS part_key, ps_suppkey AS supp_key, ps_availqty AS available, ps_supplycost AS cost,
          CAST(ps_supplycost * ps_availqty AS DECIMAL(18, 2)) AS worth FROM partsupp""",
        "suppliers": """SELECT s_suppkey AS supp_key, s_name AS name, s_address AS address, s_phone AS phone, s_nationkey AS nation_key
          FROM supplier""",
    },
    "customers": {
        "customers": """SELECT c_custkey AS cust_key, c_name AS name, c_acctbal AS balance, c_address AS address, c_phone AS phone,
          c_comment AS comment, c_mktsegment AS segment, c_nationkey AS nation_key FROM customer""",
        "nations": "SELECT n_nationkey AS nation_key, n_name AS name FROM nation",
    },
}
"""Domain -> product -> what its port serves."""

_TABLES = {"sales": ("lineitem", "orders"), "parts": ("part", "partsupp", "supplier"), "customers": ("customer", "nation")}
_KEYS = {
    "lines": ("order_key", "line_number"),
    "parts": ("part_key",),
    "stocks": ("part_key", "supp_key"),
    "suppliers": ("supp_key",),
    "customers": ("cust_key",),
    "nations": ("nation_key",),
}
_LINKS = {
    "lines": {
        "customer": ("customers/customers", "cust_key"),
        "part": ("parts/parts", "part_key"),
        "supplier": ("parts/suppliers", "supp_key"),
    },
    "stocks": {"part": ("parts/parts", "part_key"), "supplier": ("parts/suppliers", "supp_key")},
    "suppliers": {"nation": ("customers/nations", "nation_key")},
    "customers": {"nation": ("customers/nations", "nation_key")},
}
_TYPES = {"BIGINT": "long", "INTEGER": "int", "VARCHAR": "string", "DATE": "date", "BOOLEAN": "boolean"}


def generated(folder: Path, scale: float) -> Path:
    """Write the tables as Parquet."""
    program = next(Path(str(it.locate())) for it in distribution("tpchgen-cli").files or () if it.stem == "tpchgen-cli")
    command = [str(program.resolve()), "parquet", "-s", f"{scale:g}", "--output-dir", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def contract_of(domain: str, product: str, columns: list[tuple[str, str]]) -> str:
    """Write the contract of a product."""
    fields = "".join(f"      - {{name: {name}, {_type(type_)}}}\n" for name, type_ in columns)
    links = "".join(
        f"    - {{name: {name}, to: {to}, on: {{{key}: {key}}}, cardinality: one, inverse: {product}Of{name.title()}}}\n"
        for name, (to, key) in _LINKS.get(product, {}).items()
    )
    return f"""
apiVersion: datamesh/v1
kind: DataContract
metadata: {{name: {product}, domain: {domain}, owner: {domain}@example.com, version: "1.0.0"}}
spec:
  schema:
    type: inline
    fields:
{fields}  primaryKey: [{", ".join(_KEYS[product])}]
  access: [{{role: analyst, fields: ["*"]}}]
{"  relationships:" if links else ""}
{links}  ports: {{output: [{{type: rest-api, path: /data-products/{product}}}]}}
"""


def _type(text: str) -> str:
    if text.startswith("DECIMAL"):
        precision, scale = text.removeprefix("DECIMAL(").removesuffix(")").split(",")
        return f"type: decimal, precision: {precision}, scale: {scale}"
    return f"type: {_TYPES[text]}"


def opened(folder: Path, domain: str) -> duckdb.DuckDBPyConnection:
    """Open a domain's tables, with its views over them."""
    connection = duckdb.connect(config={"threads": 2})
    for table in _TABLES[domain]:
        connection.execute(f"CREATE VIEW {table} AS SELECT * FROM '{folder / table}.parquet'")
    for product, text in VIEWS[domain].items():
        connection.execute(f"CREATE VIEW served_{product} AS {text}")
    return connection


def contracts(folder: Path) -> dict[str, str]:
    """Write all contracts, from what the views hold: file name -> text."""
    found = {}
    for domain, views in VIEWS.items():
        with opened(folder, domain) as connection:
            for product in views:
                described = connection.execute(f"DESCRIBE served_{product}").fetchall()
                found[f"{domain}-{product}.yaml"] = contract_of(domain, product, [(name, type_) for name, type_, *_ in described])
    return found


@dataclass(frozen=True, slots=True)
class Serving:
    """The three domains at work. ``endpoints``: by product id."""

    contracts: dict[str, str]
    endpoints: dict[str, str]


@contextmanager
def serving(folder: Path) -> Iterator[Serving]:
    """Run the domains over generated tables."""
    made = contracts(folder)
    for name, text in made.items():
        (folder / name).write_text(text)
    endpoints = {}
    with ExitStack() as running:
        for domain, views in VIEWS.items():
            command = [sys.executable, "-m", "tests.e2e.tpch_mesh", str(folder), domain]
            process = running.enter_context(subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.PIPE, text=True))
            running.callback(process.terminate)
            assert process.stdout is not None
            url = f"http://127.0.0.1:{int(process.stdout.readline())}"
            endpoints.update({f"{domain}/{product}": url for product in views})
        yield Serving(made, endpoints)


async def _serve(folder: Path, domain: str) -> None:
    import uvicorn

    from contracts.load import load_contract
    from domain_adapters.serve import Served, site
    from domain_adapters.sources import Live
    from domain_adapters.sql import open_sql

    served: list[Served] = []
    with opened(folder, domain) as connection:
        for product in VIEWS[domain]:
            contract = load_contract(folder / f"{domain}-{product}.yaml")
            served.append(Served(contract, await open_sql(contract, Live(connection, f"served_{product}"))))
        listener = _listener()
        print(listener.getsockname()[1], flush=True)  # noqa: T201 - told to whoever started this
        try:
            await uvicorn.Server(uvicorn.Config(site(tuple(served)), log_level="error", access_log=False, ws="none")).serve([listener])
        finally:
            for one in served:
                await one.port.aclose()


def _listener() -> Any:
    import socket

    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    return listener


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), sys.argv[2]))
