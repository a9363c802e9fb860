"""The mesh of deep and wide shapes: ten small products in a chain and one of two hundred columns; rows, contracts and questions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.workload import Row, lay_out

__all__ = ["CHAIN", "COLUMNS", "SHAPES", "Shape", "names", "tables", "write"]

CHAIN = 10
COLUMNS = 200
_ROWS = 12_000
_WIDE_ROWS = 1_000
_ITEM = ("id", "next_id", "name", "amount", "count", "at")
_COLD = 2_000


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of operation. ``texts``: sent in turn; ``peer``: the same for plain Strawberry, where that can be asked."""

    title: str
    texts: tuple[str, ...]
    rows: int
    peer: str | None = None


def names() -> list[str]:
    """Name the tables."""
    return [*(f"item{number}" for number in range(CHAIN)), "wide"]


def tables() -> dict[str, list[Row]]:
    """Make the rows: every item of one table leads to one of the next."""
    found = {}
    for number in range(CHAIN):
        found[f"item{number}"] = [
            {
                "id": f"I{row:06d}",
                "next_id": f"I{row * 7 % _ROWS:06d}",
                "name": f"item {row} of {number}",
                "amount": row * 1.25,
                "count": row % 100,
                "at": f"2026-{1 + row % 12:02d}-{1 + row % 28:02d}T10:00:00Z",
            }
            for row in range(_ROWS)
        ]
    found["wide"] = [
        {"id": f"W{row:06d}"} | {f"c{column}": _cell(row, column) for column in range(1, COLUMNS)} for row in range(_WIDE_ROWS)
    ]
    return found


def write(folder: Path) -> None:
    """Write tables, contracts and policy."""
    for name, rows in tables().items():
        lay_out(folder, name, rows, "id", json.dumps({"measuredAt": "2026-11-23T10:00:00Z"}).encode())
    for name in names():
        file = folder / f"contracts/shape/{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        # JSON is YAML.
        file.write_text(json.dumps(_contract(name)))
    policy = {"apiVersion": "datamesh/v1", "kind": "MeshPolicy", "spec": {"roles": ["reader"]}}
    (folder / "policy.yaml").write_text(json.dumps(policy))


def _cell(row: int, column: int) -> Any:
    return (f"text {row}", row * column, row / 4, row % 2 == 0)[column % 4]


def _contract(name: str) -> dict[str, Any]:
    if name == "wide":
        types = ("string", "long", "double", "boolean")
        fields = [{"name": "id", "type": "string", "required": True}]
        fields += [{"name": f"c{column}", "type": types[column % 4]} for column in range(1, COLUMNS)]
    else:
        types_of = zip(_ITEM, ("string", "string", "string", "double", "int", "instant"), strict=True)
        fields = [{"name": column, "type": type_, "required": column == "id"} for column, type_ in types_of]
    spec: dict[str, Any] = {
        "schema": {"type": "inline", "fields": fields},
        "primaryKey": ["id"],
        "access": [{"role": "reader", "fields": ["*"]}],
        "ports": {"output": [{"type": "rest-api", "path": f"/{name}", "level": 0, "lookup": {"id": "id=in:({keys})"}}]},
    }
    number = int(name[4:]) if name != "wide" else CHAIN
    if number + 1 < CHAIN:
        spec["relationships"] = [{"name": "next", "to": f"shape/item{number + 1}", "on": {"next_id": "id"}, "cardinality": "one"}]
    metadata = {"name": name, "domain": "shape", "owner": "shape@example.com", "version": "1.0.0"}
    return {"apiVersion": "datamesh/v1", "kind": "DataContract", "metadata": metadata, "spec": spec}


def _list(product: str, first: int, selected: str, key: str = "") -> str:
    return f"{key}{product}(first: {first}) {{ nodes {{ {selected} }} }}"


_PLAIN = "id nextId name amount count at"
_COLUMNS = " ".join(["id", *(f"c{column}" for column in range(1, COLUMNS))])
_DEEP = "id name next { id name next { id name next { id name next { id name } } } }"
_ALIASES = " ".join(f"a{number}: {('name', 'amount', 'count')[number % 3]}" for number in range(90))

SHAPES = (
    Shape("200 columns", (f"{{ shape {{ {_list('wide', 100, _COLUMNS)} }} }}",), 100, f"{{ wide(first: 100) {{ {_COLUMNS} }} }}"),
    Shape("4 levels of joins", (f"{{ shape {{ {_list('item0', 100, _DEEP)} }} }}",), 100, f"{{ item0(first: 100) {{ {_DEEP} }} }}"),
    Shape("10 products", (f"{{ shape {{ {' '.join(_list(f'item{it}', 20, _PLAIN) for it in range(CHAIN))} }} }}",), 200),
    Shape("10,000 rows", (f"{{ shape {{ {_list('item0', 10_000, _PLAIN)} }} }}",), 10_000),
    Shape("90 aliases", (f"{{ shape {{ {_list('item0', 100, _ALIASES)} }} }}",), 100, f"{{ item0(first: 100) {{ {_ALIASES} }} }}"),
    Shape("cold, never seen before", tuple(f"{{ shape {{ {_list('item0', 1, f'x{it}: id {_DEEP}')} }} }}" for it in range(_COLD)), 1),
)
