"""CSV, JSON lines and Arrow against the JSON answer of the same operation: same rows, masks, order, refusals, on generated worlds."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import os
import re
from collections.abc import Iterator
from contextlib import aclosing
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from graphql import GraphQLList, GraphQLObjectType, GraphQLSchema, get_named_type

from gateway.caller import Caller
from gateway.catalog.snapshot import Snapshot
from gateway.errors import GatewayError
from gateway.exchange import Form, Frame, Question, Reply, Stream

from . import figures
from .groupings import groups_text
from .operations import Operation, _Drawing
from .ruling_cases import SEED
from .running import Asked, over_http, running
from .worlds import World, callers_of, world_of

CASES = int(os.environ.get("MESHGATE_CASES") or 2_000) // 10
PER_WORLD = 20


@pytest.mark.parametrize("number", range(max(1, CASES // PER_WORLD)))
async def test_every_form_holds_what_the_json_answer_holds(number: int) -> None:
    world = world_of(f"{SEED}-form-{number}")
    ready = await running(world)
    try:
        for asked in (ready.level1, ready.level0):
            await check_cases(world, asked)
    finally:
        await ready.aclose()


@pytest.mark.parametrize("level", [0, 1])
async def test_forms_are_the_same_over_the_wire(level: int) -> None:
    world = world_of(f"{SEED}-form-http")
    async with over_http(world, level) as asked:
        await check_cases(world, asked)


async def check_cases(world: World, asked: Asked) -> None:
    callers = callers_of(world, 4)
    for case in range(PER_WORLD):
        random = Random(f"{world.seed} {case}")
        caller = random.choice(callers)
        if case % 4 == 3:
            drawn = flat_groups(asked.oracle(caller).schema, world, asked.mesh.snapshot, random)
        else:
            drawn = flat_operation(asked.oracle(caller).schema, world, asked.mesh.snapshot, random)
        if drawn is None:
            continue
        operation, path = drawn
        try:
            await check(asked, caller, operation, path)
        except Exception as error:
            error.add_note(f"MESHGATE_TEST_SEED={SEED} world {world.seed!r} case {case}, {caller}\n{operation.text} {operation.variables}")
            raise


async def check(asked: Asked, caller: Caller, operation: Operation, path: tuple[str, str, str]) -> None:
    answer = await asked.ask(caller, operation.text, operation.name, operation.variables)
    failed = [it for it in answer.errors if it["extensions"]["code"] != "FIELD_DENIED"]
    for form in Form:
        found = await ask_form(asked, caller, operation, form)
        figures.note("forms", f"{form}", operation.text, errors=len(answer.errors), refused=isinstance(found, str))
        if failed:
            # Parts cannot be missing from a form, so it is refused as a whole.
            assert isinstance(found, str), (form, answer.errors)
            assert found in {it["extensions"]["code"] for it in failed}
            continue
        assert not isinstance(found, str), (form, found)
        stream, body = found
        connection = answer.data[path[0]][path[1]]
        check_headers(dict(stream.headers), answer.body["extensions"]["mesh"])
        if path[2] != "nodes":
            # Of groups JSON does not say whether there are more.
            nodes, has_next = connection[path[2]], None
        else:
            nodes = connection["nodes"] if "nodes" in connection else [edge["node"] for edge in connection["edges"]]
            has_next = connection["pageInfo"]["hasNextPage"]
        match form:
            case Form.JSONL:
                *rows, end = [json.loads(line) for line in body.splitlines()]
                assert [list(row.items()) for row in rows] == [list(row.items()) for row in nodes]
                check_end(end["end"], nodes, has_next)
            case Form.ARROW:
                check_arrow(body, nodes, has_next=has_next)
            case _:
                check_csv(body.decode(), nodes, exact=form is Form.CSV_EXACT)


async def ask_form(asked: Asked, caller: Caller, operation: Operation, form: Form) -> tuple[Stream, bytes] | str:
    """Answer a whole form, or the code that it is refused with."""
    frame = Frame(caller, asyncio.get_running_loop().time() + 60, "r")
    found = await asked.engine.stream(Question(operation.text, operation.name, operation.variables), frame, form)
    if isinstance(found, Reply):
        assert not asked.failures, asked.failures
        assert found.refusal is not None
        return found.refusal.name
    try:
        async with aclosing(found.rest) as rest:
            body = found.first + b"".join([piece async for piece in rest])
    except GatewayError as error:
        return error.code.name  # a later batch failed: the transfer is cut off
    if form is Form.JSONL and (failed := json.loads(body.splitlines()[-1]).get("error")):
        code: str = failed["extensions"]["code"]
        return code
    return found, body


def check_end(end: dict[str, Any], nodes: list[Any], has_next: bool | None) -> None:
    assert end["rows"] == len(nodes)
    assert end["hasNextPage"] == has_next or has_next is None


def check_headers(headers: dict[str, str], mesh: dict[str, Any]) -> None:
    assert headers["Mesh-Slo-Status"] == mesh["slo"]["status"]
    assert headers.get("Mesh-Masked", "") == ", ".join(f"{it['path']}:{it['mask']}" for it in mesh["masked"])
    assert headers.get("Mesh-Denied", "") == ", ".join(it["path"] for it in mesh.get("denied", ()))


# -- CSV ---------------------------------------------------------------------------------------------------------------


def check_csv(text: str, nodes: list[dict[str, Any]], *, exact: bool) -> None:
    head, *lines = csv_cells(text)
    names = [name for name, _ in head]
    assert len(lines) == len(nodes)
    for line, node in zip(lines, nodes, strict=True):
        for name, (cell, is_quoted) in zip(names, line, strict=True):
            value = at(node, name)
            if value is None:
                assert (cell, is_quoted) == ("", len(names) == 1)
            elif isinstance(value, (dict, list)):
                assert json.loads(cell) == value
            elif isinstance(value, bool):
                assert cell == str(value).lower()  # quoted where the column is JSON
            elif isinstance(value, (int, float)):
                assert not is_quoted or json.loads(cell) == value
                assert float(cell) == value if isinstance(value, float) else int(cell) == value
            elif is_quoted:
                defused = "'" + value if not exact and value[:1] in tuple("=+-@\t\r\n") else value
                assert cell in (defused, json.dumps(value, ensure_ascii=False))
            else:
                assert cell == value


def csv_cells(text: str) -> list[list[tuple[str, bool]]]:
    """Read CSV and keep whether cells were quoted, which Python's own reader forgets."""
    lines: list[list[tuple[str, bool]]] = []
    line: list[tuple[str, bool]] = []
    for match in re.finditer(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)', text):
        quoted, plain, end = match.groups()
        line.append((plain, False) if quoted is None else (quoted.replace('""', '"'), True))
        if end == "\r\n":
            lines.append(line)
            line = []
    assert not line
    return lines


# -- Arrow -------------------------------------------------------------------------------------------------------------


def check_arrow(body: bytes, nodes: list[dict[str, Any]], *, has_next: bool | None) -> None:
    rows: list[dict[str, Any]] = []
    last: Any = None
    with pa.ipc.open_stream(body) as reader:
        schema = reader.schema
        for batch, about in reader.iter_batches_with_custom_metadata():
            rows += batch.to_pylist()
            last = about
    check_end(json.loads(last[b"mesh.end"]), nodes, has_next)
    assert set(schema.metadata) == {b"mesh.slo", b"mesh.masked", b"mesh.denied"}
    assert len(rows) == len(nodes)
    for row, node in zip(rows, nodes, strict=True):
        for name, value in row.items():
            same(value, at(node, name), name)


def same(value: Any, expected: Any, name: str) -> None:
    match value:
        case bool() | None:
            assert value is expected, name
        case Decimal():
            assert format(value, "f") == expected, name
        case dt.datetime() if value.tzinfo is not None:
            assert value == dt.datetime.fromisoformat(expected), name
        case dt.datetime() | dt.date() | dt.time():
            assert value.isoformat() == expected, name
        case bytes():
            assert base64.b64encode(value).decode() == expected, name
        case list():
            assert len(value) == len(expected), name
            for one, other in zip(value, expected, strict=True):
                same(one, other, name)
        case dict():
            assert list(value) == list(expected), name
            for key in value:
                same(value[key], expected[key], f"{name}.{key}")
        case str():
            # Maps and JSON are text.
            assert value == expected or json.loads(value) == expected, name
        case _:
            assert value == expected, name


def at(node: Any, name: str) -> Any:
    """Read a dotted column out of a JSON node."""
    for key in name.split("."):
        node = None if node is None else node[key]
    return node


# -- operations --------------------------------------------------------------------------------------------------------


def flat_operation(
    schema: GraphQLSchema, world: World, snapshot: Snapshot, random: Random
) -> tuple[Operation, tuple[str, str, str]] | None:
    """Draw an operation over one flat list, and say where the list is; None where the caller sees no product."""
    drawing = _Drawing(schema, world, snapshot, random)
    query = schema.query_type
    assert query is not None
    domains = [name for name in query.fields if name != "mesh"]
    if not domains:
        return None
    domain = random.choice(domains)
    type_ = get_named_type(query.fields[domain].type)
    assert isinstance(type_, GraphQLObjectType)
    product = random.choice([name for name in type_.fields if not name.endswith("ByKey")])
    field = type_.fields[product]
    connection = get_named_type(field.type)
    assert isinstance(connection, GraphQLObjectType)
    row = get_named_type(connection.fields["nodes"].type)
    assert isinstance(row, GraphQLObjectType)
    arguments = drawing._arguments(type_, product, field, needed=False)
    columns = " ".join(_columns(row, drawing, 0))
    rows = f"nodes {{ {columns} }}" if random.random() < 0.7 else f"edges {{ node {{ {columns} }} __typename }}"
    beside = random.choice(("", " metadata { version }", " __typename"))
    variables = ", ".join(f"${name}: {declared}" for name, declared in drawing.variables)
    head = f"query ({variables}) " if variables else ""
    text = f"{head}{{ {domain} {{ {product}{arguments} {{ {rows} pageInfo {{ hasNextPage }}{beside} }} }} }}"
    drawing.values = {name: min(value, 1_000) if isinstance(value, int) else value for name, value in drawing.values.items()}
    return Operation(text.replace(": 1001", ": 1000").replace("= 1001", "= 1000"), None, drawing.values, ()), (domain, product, "nodes")


def flat_groups(schema: GraphQLSchema, world: World, snapshot: Snapshot, random: Random) -> tuple[Operation, tuple[str, str, str]] | None:
    """Draw an operation over one list of groups, and say where it is; None where there is nothing to group by."""
    drawing = _Drawing(schema, world, snapshot, random)
    assert schema.query_type is not None
    roots = [(name, get_named_type(it.type)) for name, it in schema.query_type.fields.items() if name != "mesh"]
    products = [(domain, type_, name) for domain, type_ in roots for name in type_.fields if not name.endswith("ByKey")]  # type: ignore[union-attr]  # domains and their types are objects
    if not products:
        return None
    domain, type_, product = random.choice(products)
    field = type_.fields[product]  # type: ignore[union-attr]  # as above
    connection = get_named_type(field.type)
    assert isinstance(connection, GraphQLObjectType)
    if "groups" not in connection.fields:
        return None
    arguments = drawing._arguments(type_, product, field, needed=False)  # type: ignore[arg-type]  # as above
    of = next(it for it in snapshot.products.values() if f"{it.type_name}Connection" == connection.name)
    groups = groups_text(drawing, of, connection.fields["groups"], paged=False)
    variables = ", ".join(f"${name}: {declared}" for name, declared in drawing.variables)
    head = f"query ({variables}) " if variables else ""
    text = f"{head}{{ {domain} {{ {product}{arguments} {{ {groups} }} }} }}"
    drawing.values = {name: min(value, 1_000) if isinstance(value, int) else value for name, value in drawing.values.items()}
    text = text.replace(": 1001", ": 1000").replace("= 1001", "= 1000")
    return Operation(text, None, drawing.values, ()), (domain, product, groups.partition(":")[0])


def _columns(row: GraphQLObjectType, drawing: _Drawing, depth: int) -> Iterator[str]:
    random = drawing.random
    names = list(row.fields)
    chosen = [name for name in names if random.random() < (0.6 if depth else 0.75)] or [names[0]]
    found = 0
    for name in chosen:
        type_ = row.fields[name].type
        inner = get_named_type(type_)
        if not isinstance(inner, GraphQLObjectType):
            found += 1
            yield f"c{depth}_{found}: {name}" if random.random() < 0.2 else name
        elif "pageInfo" not in inner.fields and depth < 3 and not row.fields[name].args:
            found += 1
            yield f"{name} {{ {' '.join(_columns(inner, drawing, depth + 1))} }}"
        assert isinstance(type_, GraphQLList) or inner is not None
    if not found:
        yield "__typename"
