"""A golden case: one operation by one caller over the mesh in ``mesh/``, with the plan, the answer and the upstream calls it must have.

A case's folder holds ``operation.graphql`` and ``caller.json`` (roles, purpose, claims), where needed ``variables.json`` (a value
``{"from": CASE, "path": [...]}`` is taken from another case's answer) and ``ports.json`` (product -> level of the protocol, 1 unless
said, or a list of ports: name, level, serves, away); and what is expected: ``plan.txt``, ``answer.json``, ``calls.txt``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path
from typing import Any

from contracts import Contract, MeshPolicy, load_catalog, load_policy
from contracts.model import Use
from domain_adapters.breaker import Circuit
from domain_adapters.port import Capabilities, Port
from domain_adapters.sources import File
from domain_adapters.sql import open_sql
from domain_adapters.values import parser_of
from domain_adapters.wire import raw_json
from gateway.caller import Caller
from gateway.catalog.snapshot import snapshot_of
from gateway.engine.explaining.explain import explain
from gateway.errors import GatewayError
from gateway.exchange import Frame, Question

from ..differential.plain_port import PlainPort
from ..differential.running import engine_of
from ..differential.worlds import NOW, World
from ..property.office import Counted
from ..property.several_ports import Named

__all__ = ["CASES", "HERE", "Outcome", "case_names", "expected", "outcome", "write"]

HERE = Path(__file__).parent
CASES = HERE / "cases"
MESH = HERE / "mesh"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case must come to."""

    plan: str
    answer: str
    calls: str


def case_names() -> list[str]:
    """List the cases."""
    return sorted(folder.name for folder in CASES.iterdir() if (folder / "operation.graphql").exists())


def expected(name: str) -> Outcome:
    """Read what a case is expected to come to; empty where it was never refreshed."""
    files = [CASES / name / file for file in ("plan.txt", "answer.json", "calls.txt")]
    return Outcome(*(file.read_text(encoding="utf-8") if file.exists() else "" for file in files))


def write(name: str, found: Outcome) -> None:
    """Take an outcome as what is expected from now on."""
    for file, text in (("plan.txt", found.plan), ("answer.json", found.answer), ("calls.txt", found.calls)):
        (CASES / name / file).write_text(text, encoding="utf-8")


@cache
def _mesh() -> tuple[tuple[Contract, ...], MeshPolicy]:
    policy = load_policy(MESH / "policy.yaml")
    return load_catalog(MESH / "contracts", policy), policy


async def outcome(name: str) -> Outcome:
    """Run a case."""
    folder = CASES / name
    contracts, policy = _mesh()
    levels = _json(folder / "ports.json")
    ports = {it.key: await _ports(it, levels.get(it.key, 1)) for it in contracts if _rows(it).exists()}
    world = World("golden", list(contracts), policy, {})
    asked = engine_of(snapshot_of(contracts, ports), world)
    for product in asked.mesh.snapshot.products.values():
        for port in product.ports:
            asked.engine.note_proof(product, port, proved=True)
    caller = _caller(_json(folder / "caller.json"))
    text = (folder / "operation.graphql").read_text(encoding="utf-8")
    variables = {key: _value(value) for key, value in _json(folder / "variables.json").items()}
    try:
        frame = Frame(caller, asyncio.get_running_loop().time() + 30, "golden")
        try:
            plan = explain(asked.engine.explained(Question(text, None, variables), frame), asked.mesh.snapshot)
        except GatewayError as error:
            plan = f"no plan: {error.code.name}\n"
        answer = await asked.ask(caller, text, None, variables)
    finally:
        for served in ports.values():
            for one in served:
                await one.aclose()
    calls = "".join(map(_called, ports, ports.values())) or "none\n"
    return Outcome(plan, _readable(answer.body), calls)


def _called(product: str, ports: tuple[Counted | Named, ...]) -> str:
    by_port = {port.name: len(port.reads) for port in ports if port.reads}
    told = f" ({', '.join(f'{name}: {count}' for name, count in by_port.items())})" if len(ports) > 1 else ""
    return f"{product}: {sum(by_port.values())}{told}\n" if by_port else ""


def _readable(body: dict[str, Any]) -> str:
    """Leave out what says how good the data is and where it was delivered: other tests are about that."""
    mesh = body.pop("extensions", {}).get("mesh", {})
    return (
        json.dumps(body | {name: mesh[name] for name in ("masked", "denied", "unmet") if mesh.get(name)}, indent=2, ensure_ascii=False)
        + "\n"
    )


def _caller(facts: Mapping[str, Any]) -> Caller:
    return Caller("golden", frozenset(facts["roles"]), purpose=facts.get("purpose"), claims=facts.get("claims", {}))


def _json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _value(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"from", "path"}:
        answer = json.loads(expected(value["from"]).answer)
        return reduce(lambda found, step: found[step], value["path"], answer)
    return value


def _rows(contract: Contract) -> Path:
    return MESH / "rows" / f"{contract.key.replace('/', '.')}.jsonl"


async def _ports(contract: Contract, given: int | list[dict[str, Any]]) -> tuple[Counted | Named, ...]:
    if isinstance(given, int):
        return (await _port(contract, given),)
    found = []
    for it in given:
        port = Named(await _port(contract, it["level"]), it["name"], serves=frozenset(map(Use, it.get("serves", ()))))
        port.circuit = Circuit.OPEN if it.get("away") else Circuit.CLOSED
        found.append(port)
    return tuple(found)


async def _port(contract: Contract, level: int) -> Counted:
    if level == 1:
        port: Port = await open_sql(contract, File(_rows(contract), "json"), clock=lambda: NOW, cursors=1)
        return Counted(port)
    parsers = [(field.name, parser_of(field.type)) for field in contract.fields]
    rows = [{name: parse(row.get(name)) for name, parse in parsers} for row in map(raw_json, _rows(contract).read_bytes().splitlines())]
    lookups = frozenset(column for column, _ in contract.output_ports[0].lookup)
    able = Capabilities(
        keys=bool(lookups),
        key_columns=frozenset((name,) for name in lookups),
        filter_columns=frozenset(),
        filters=frozenset(),
        since=contract.times.updated is not None,
        page_max=4,
    )
    return Counted(PlainPort(contract, rows, lookups, "golden", capabilities=able))
