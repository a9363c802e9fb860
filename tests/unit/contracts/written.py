"""Contracts for tests: the guide's own, and pieces to vary it with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts import Contract, ContractInvalidError, MeshPolicy, Problem, ProblemCode, parse_contract, parse_policy

CATALOG = Path(__file__).parents[3] / "contracts" / "catalog"
POLICY = Path(__file__).parents[3] / "contracts" / "policies" / "mesh.yaml"

GUIDE = """\
apiVersion: datamesh/v1
kind: DataContract
metadata: {name: orders-daily, domain: order, owner: order-team@company.com, version: "2.1.0"}
spec:
  schema: {type: avro, ref: "schemas/orders-daily-v2.avsc"}
  slo: {freshness: "< 1 hour", completeness: "> 99.5%", accuracy: "> 99.9%", availability: "99.95%"}
  classification: {pii: [customer_email, phone], retention: "7 years"}
  ports:
    input: [{type: kafka-topic, name: orders.events}]
    output: [{type: rest-api, path: /data-products/orders}, {type: iceberg-table, catalog: orders.daily_summary}]
"""

COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "string"},
    {"name": "customer_id", "type": ["null", "string"]},
    {"name": "customer_email", "type": ["null", "string"]},
    {"name": "phone", "type": ["null", "string"]},
    {"name": "country", "type": "string"},
    {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
    {"name": "count", "type": "int"},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "colour", "type": {"type": "enum", "name": "Colour", "symbols": ["RED", "GREEN"]}},
    {"name": "labels", "type": {"type": "array", "items": "string"}},
    {"name": "place", "type": {"type": "record", "name": "Place", "fields": [{"name": "city", "type": "string"}]}},
    {"name": "flag", "type": "boolean"},
]
AVRO = json.dumps({"type": "record", "name": "Row", "fields": COLUMNS}, indent=1)


def text(spec: str = "", *, domain: str = "order", name: str = "orders", version: str = "1.0.0") -> str:
    """A contract over `COLUMNS` with further blocks, given as YAML indented as it stands below ``spec:``."""
    return (
        "apiVersion: datamesh/v1\nkind: DataContract\n"
        f'metadata: {{name: {name}, domain: {domain}, owner: team@company.com, version: "{version}"}}\n'
        f"spec:\n  schema: {{type: avro, ref: rows.avsc}}\n{spec}"
    )


def contract(spec: str = "", *, policy: MeshPolicy | None = None, avro: str = AVRO, **named: str) -> Contract:
    return parse_contract(text(spec, **named), {"rows.avsc": avro}, policy)


def problems(document: str | bytes, policy: MeshPolicy | None = None, **schemas: str) -> list[Problem]:
    """What is wrong with a contract that must be refused."""
    with pytest.raises(ContractInvalidError) as caught:
        parse_contract(document, {"rows.avsc": AVRO, **schemas}, policy)
    assert caught.value.problems
    return list(caught.value.problems)


def wrong(spec: str, policy: MeshPolicy | None = None) -> list[tuple[ProblemCode, str, str | None]]:
    """Code, place and nearest name of everything wrong with a spec."""
    return [(problem.code, problem.at, problem.nearest) for problem in problems(text(spec), policy)]


def policy(spec: str) -> MeshPolicy:
    return parse_policy(f"apiVersion: datamesh/v1\nkind: MeshPolicy\nspec:\n{spec}")
