"""Facts about every text that could be handed in as a contract."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import ContractInvalidError, MeshPolicy, PolicyInvalidError, Problem, load_policy, parse_contract, parse_policy
from contracts.durations import duration_text, parse_duration
from contracts.objectives import parse_ratio, parse_time_objective
from contracts.yaml_source import Limits, Source, read_documents, read_yaml
from tests.conftest import within
from tests.unit.contracts.test_load import EVERYTHING
from tests.unit.contracts.written import AVRO, POLICY, text

WHOLE = text(EVERYTHING.replace("role: analyst", "role: fraud-investigator").replace("purposes: [fraud]", "purposes: [fraud-prevention]"))
POLICY_TEXT = POLICY.read_text(encoding="utf-8")
MESH = load_policy(POLICY)
PIECES = [
    "a",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\n",
    "  ",
    "&x ",
    "*x",
    "!!str ",
    "!x ",
    "|\n",
    ">\n",
    "'",
    '"',
    "#",
    "---\n",
    "? ",
    "%",
    "\\",
    "7",
    "\t",
    "é",
    "\x00",
]


def loads_or_is_refused(document: str | bytes, avro: str | bytes = AVRO, policy: MeshPolicy | None = MESH) -> bool:
    problems: tuple[Problem, ...] | None = None
    began = time.process_time()
    try:
        parse_contract(document, {"rows.avsc": avro}, policy)
    except ContractInvalidError as error:
        problems = error.problems
    assert time.process_time() - began < within(1)
    assert problems is None or (problems and all(problem.line is not None and problem.line >= 1 for problem in problems))
    return problems is None


@given(st.binary(max_size=500) | st.text(max_size=500) | st.lists(st.sampled_from(PIECES), max_size=80).map("".join))
@settings(max_examples=400, deadline=None)
def test_any_text_loads_or_is_refused_soon(document: str | bytes) -> None:
    assert not loads_or_is_refused(document)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_contract_with_anything_pasted_in_loads_or_is_refused_soon(data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(WHOLE)))
    end = data.draw(st.integers(begin, min(len(WHOLE), begin + 40)))
    paste = data.draw(st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
    loads_or_is_refused(WHOLE[:begin] + paste + WHOLE[end:])


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_schema_with_anything_pasted_in_is_read_or_refused_soon(data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(AVRO)))
    end = data.draw(st.integers(begin, min(len(AVRO), begin + 20)))
    paste = data.draw(st.text(alphabet='{}[]":,abc10\\né\x00', max_size=6))
    loads_or_is_refused(text(), AVRO[:begin] + paste + AVRO[end:])


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "id", "*", "day", "$claims.x", "1 hour", "99%", "a" * 200, 'x"']),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "type", "name", "x", "in", "or", "fields"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        found += places(value, (*path, key))
    return found


PARSED = read_yaml(WHOLE, "f").data
PLACES = places(PARSED)
POLICY_PARSED = read_yaml(POLICY_TEXT, "f").data
POLICY_PLACES = places(POLICY_PARSED)
AVRO_PARSED = json.loads(AVRO)
AVRO_PLACES = places(AVRO_PARSED)


def changed(data: Any, path: tuple[Any, ...], value: Any, *, removed: bool = False) -> str:
    copy = json.loads(json.dumps(data))
    place = copy
    for step in path[:-1]:
        place = place[step]
    if removed:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    # JSON is YAML, but for the names of the numbers that are none.
    return json.dumps(copy).replace("-Infinity", "-.inf").replace("Infinity", ".inf").replace("NaN", ".nan")


SMALL = Limits(bytes_max=600, nodes_max=20, depth_max=4, aliases_max=2, number_digits_max=8)


def told(read: Callable[[], Source]) -> tuple[str, list[int]]:
    try:
        source = read()
    except ContractInvalidError as error:
        return str(error), []
    return repr(source.data), [source.line_of(path) for path in ((), *places(source.data))]


@given(
    st.lists(st.sampled_from([*PIECES, "k: ", "[1, ", "{a: ", "null", "1e3", "0x1f", "123456789", '""']), max_size=30).map("".join)
    | st.builds(lambda path, value: changed(PARSED, path, value), st.sampled_from(PLACES), VALUES)
    | st.binary(max_size=40),
    st.sampled_from([SMALL, Limits()]),
)
@settings(max_examples=600, deadline=None)
def test_one_document_is_read_or_refused_as_the_first_of_many_is_with_the_same_lines(document: str | bytes, limits: Limits) -> None:
    one = told(lambda: read_yaml(document, "f", limits=limits))
    assert one == told(lambda: read_documents(document, "f", documents_max=1, limits=limits)[0])


@given(st.sampled_from(PLACES), VALUES)
@settings(max_examples=400, deadline=None)
def test_any_value_anywhere_is_read_or_refused_by_name(path: tuple[Any, ...], value: Any) -> None:
    loads_or_is_refused(changed(PARSED, path, value), policy=None)


@given(st.sampled_from(AVRO_PLACES), VALUES)
@settings(max_examples=200, deadline=None)
def test_any_value_anywhere_in_a_schema_is_read_or_refused(path: tuple[Any, ...], value: Any) -> None:
    loads_or_is_refused(text(), changed(AVRO_PARSED, path, value))
    schema = {"type": "object", "properties": {"id": value, "x": {"type": value}, "y": {"items": value, "enum": value, "$ref": value}}}
    loads_or_is_refused(text().replace("type: avro", "type: json-schema"), json.dumps(schema))


@given(st.sampled_from(POLICY_PLACES), VALUES, st.booleans())
@settings(max_examples=200, deadline=None)
def test_any_value_anywhere_in_a_policy_is_read_or_refused(path: tuple[Any, ...], value: Any, removed: bool) -> None:
    problems: tuple[Problem, ...] | None = None
    try:
        parse_policy(changed(POLICY_PARSED, path, value, removed=removed))
    except PolicyInvalidError as error:
        problems = error.problems
    assert problems != ()


@pytest.mark.parametrize("path", [path for path in PLACES if isinstance(path[-1], str)], ids=str)
def test_a_contract_without_any_one_key_loads_or_is_refused(path: tuple[Any, ...]) -> None:
    required = path in {
        ("apiVersion",),
        ("kind",),
        ("metadata",),
        ("spec",),
        ("spec", "schema"),
        *(("metadata", key) for key in PARSED["metadata"]),
    }
    loaded = loads_or_is_refused(changed(PARSED, path, None, removed=True), policy=None)
    assert not (required and loaded)


@pytest.mark.parametrize("line", range(len(WHOLE.splitlines())))
def test_a_repeated_key_is_refused(line: int) -> None:
    lines = WHOLE.splitlines()
    repeated = "\n".join([*lines[: line + 1], *lines[line:]])
    if ":" in lines[line] and not lines[line].lstrip().startswith("- "):
        with pytest.raises(ContractInvalidError, match=r"second time|not well-formed"):
            parse_contract(repeated, {"rows.avsc": AVRO})


@given(st.integers(1, 10**15).map(lambda micros: micros / 1_000_000))
@settings(max_examples=300)
def test_durations_survive_being_written(seconds: float) -> None:
    assert parse_duration(duration_text(seconds)) == pytest.approx(seconds, abs=1e-6, rel=0)
    assert parse_time_objective(f"< {duration_text(seconds)}").limit_s == parse_duration(duration_text(seconds))


@given(st.text(max_size=30) | st.from_regex(r"P?T?[0-9.,]{0,4} ?[A-Za-z%]{0,4}", fullmatch=True))
@settings(max_examples=400)
def test_any_text_is_a_positive_duration_or_a_refusal(written: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 < parse_duration(written) < 4e10
    with contextlib.suppress(ValueError):
        assert 0 < parse_ratio(written) <= 1
