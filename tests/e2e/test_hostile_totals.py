"""Analytical questions that ask for too much, of two endpoints with a hundred thousand rows each, in processes of their own.

Each is answered, or refused with its code and remedy, and the next question finds everybody well.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.e2e.mesh_under_test import Mesh, mesh
from tests.e2e.test_domains import free_port
from tests.e2e.test_failover import listening

pytestmark = pytest.mark.e2e
ROWS = 100_000
CONTRACT = """
apiVersion: datamesh/v1
kind: DataContract
metadata: {{name: {name}, domain: shop, owner: shop-team@example.com, version: "1.0.0"}}
spec:
  schema:
    type: inline
    fields:
      - {{name: id, type: string, required: true}}
{fields}
  primaryKey: [id]
  classification: {{pii: [{masked}]}}
  access:
    - {{role: analyst, fields: ["*"]}}
  {relationships}
  ports:
    output:
      - {{type: rest-api, path: /{name}}}
"""
ORDERS = CONTRACT.format(
    name="orders",
    fields="""      - {name: person_id, type: string}
      - {name: size, type: long}
      - {name: huge, type: decimal, precision: 38, scale: 0}
      - {name: note, type: string}
      - {name: at, type: instant}""",
    masked="note",
    relationships="relationships: [{name: person, to: shop/people, on: {person_id: id}, cardinality: one, inverse: orders}]",
)
PEOPLE = CONTRACT.format(
    name="people",
    fields="      - {name: land, type: string}\n      - {name: mail, type: string}",
    masked="mail",
    relationships="",
)
DATA = {
    "orders": f"""SELECT 'o' || range AS id, 'c' || (range * 7919) % {ROWS} AS person_id, range % 97 AS size,
      CAST(9 AS DECIMAL(38, 0)) * 10000000000000000000000000000000000000 AS huge, 'note' AS note,
      TIMESTAMPTZ '2026-01-01 00:00:00+00' + INTERVAL (range) SECOND AS at FROM range({ROWS})""",
    "people": f"SELECT 'c' || range AS id, CASE WHEN range % 2 = 0 THEN 'DE' ELSE 'FR' END AS land, 'x' AS mail FROM range({ROWS})",
}
GERMAN = '{person: {land: {eq: "DE"}}}'


@asynccontextmanager
async def opened(folder: Path, **settings: str) -> AsyncIterator[Mesh]:
    """Serve both products from files, and a gateway over them."""
    started: list[subprocess.Popen[bytes]] = []
    endpoints = {}
    try:
        for name, text in (("orders", ORDERS), ("people", PEOPLE)):
            (folder / f"{name}.yaml").write_text(text)
            data = folder / f"{name}.parquet"
            duckdb.connect().execute("SET TimeZone = 'UTC'").execute(f"COPY ({DATA[name]}) TO '{data}'").close()
            port = free_port()
            command = [sys.executable, "-m", "gateway.cli", "port", "serve", str(folder / f"{name}.yaml"), "--data", str(data)]
            started.append(subprocess.Popen([*command, "--port", str(port)]))
            endpoints[f"shop/{name}"] = f"http://127.0.0.1:{port}"
        for process, name in zip(started, ("orders", "people"), strict=True):
            await listening(process, f"{endpoints[f'shop/{name}']}/{name}/schema")
        async with mesh(folder, {"orders.yaml": ORDERS, "people.yaml": PEOPLE}, endpoints, **settings) as found:
            yield found
    finally:
        for process in started:
            process.terminate()
            process.wait()


def codes(answer: dict[str, Any]) -> list[str]:
    return [error["extensions"]["code"] for error in answer.get("errors", ())]


REFUSED = {
    "having without groups": ("orders { groups(having: {count: {gt: 1}}) { count } }", "GRAPHQL_VALIDATION_FAILED"),
    "having over an empty by": ("orders { groups(by: [], having: {count: {gt: 1}}) { count } }", "BAD_USER_INPUT"),
    "having on a masked column": (
        'orders { groups(by: [{field: SIZE}], having: {max: {note: {gt: "a"}}}) { count } }',
        "MASKED_FIELD_IN_PREDICATE",
    ),
    "a time zone that does not exist": (
        'orders { groups(by: [{field: AT, truncate: DAY}], timeZone: "Mars/Olympus") { count } }',
        "BAD_USER_INPUT",
    ),
    "a time zone that is a path": (
        'orders { groups(by: [{field: AT, truncate: DAY}], timeZone: "../../etc/passwd") { count } }',
        "BAD_USER_INPUT",
    ),
    "sums beyond 38 digits": ("orders { aggregate { sum { huge } } }", "LIMIT_EXCEEDED"),
    "averages beyond 38 digits": ("orders { groups(by: [{field: SIZE}]) { avg { huge } } }", "LIMIT_EXCEEDED"),
    "groups by more foreign keys than may be read": ("orders { groups(by: [{path: [PERSON], field: LAND}]) { count } }", "PORT_CANNOT"),
    "a semi-join over more keys than may be read": (f"orders(where: {GERMAN}) {{ aggregate {{ count }} }}", "PORT_CANNOT"),
}


async def test_what_is_too_much_is_refused_by_name_and_nobody_is_the_worse_for_it(tmp_path: Path) -> None:
    async with opened(tmp_path, LIMITS__SCAN_ROWS_MAX="20000") as found:
        for what, (body, code) in REFUSED.items():
            for _ in range(6 if "digits" in what else 1):  # five failures in a row would open an endpoint's circuit
                answer = await found.ask(f"{{ shop {{ {body} }} }}")
                assert codes(answer) == [code], (what, answer)
                assert answer["errors"][0]["extensions"]["hint"], what
            well = await found.ask('{ shop { ordersByKey(key: {id: "o7"}) { size } peopleByKey(key: {id: "c7"}) { land } } }')
            assert well["data"]["shop"] == {"ordersByKey": {"size": 7}, "peopleByKey": {"land": "FR"}}, what


async def test_as_many_groups_and_keys_as_rows_are_answered_within_the_budget(tmp_path: Path) -> None:
    async with opened(tmp_path) as found:
        answer = await found.ask(
            f"""{{ shop {{
              groups: orders {{ groups(by: [{{field: ID}}], first: 2, orderBy: [{{key: {{id: ASC}}}}]) {{ key {{ id }} count }} }}
              distinct: orders {{ aggregate {{ count countDistinct {{ personId }} }} }}
              some: orders(where: {GERMAN}, first: 1) {{ nodes {{ id }} totalCount aggregate {{ count }} }}
              none: people(where: {{orders: {{none: {{size: {{eq: 5}}}}}}}}, first: 1) {{ nodes {{ id }} totalCount }}
            }} }}"""
        )
    assert "errors" not in answer, answer["errors"]
    assert answer["data"]["shop"] == {
        "groups": {"groups": [{"key": {"id": "o0"}, "count": 1}, {"key": {"id": "o1"}, "count": 1}]},
        "distinct": {"aggregate": {"count": ROWS, "countDistinct": {"personId": ROWS}}},
        "some": {"nodes": [{"id": "o0"}], "totalCount": ROWS // 2, "aggregate": {"count": ROWS // 2}},
        "none": {"nodes": [{"id": "c0"}], "totalCount": ROWS - len(range(5, ROWS, 97))},
    }
