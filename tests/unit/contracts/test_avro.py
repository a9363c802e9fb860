from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.errors import ProblemCode
from contracts.fields import Enumeration, Field, FieldType, Kind, List, Map, Record, Scalar, Unit
from contracts.report import Report
from contracts.schemas.avro import avro_fields
from contracts.schemas.json_text import read_json


def read(*fields: Any, **more: Any) -> tuple[tuple[Field, ...], list[tuple[ProblemCode, str]]]:
    source = read_json(json.dumps({"type": "record", "name": "R", "fields": list(fields), **more}), "r.avsc")
    report = Report(source)
    found = avro_fields(source.data, report)
    return found, [(problem.code, problem.at) for problem in report.problems]


def type_of(schema: Any) -> FieldType:
    (field,), wrong = read({"name": "a", "type": schema})
    assert wrong == []
    return field.type


def refusal(schema: Any) -> tuple[ProblemCode, str]:
    found, wrong = read({"name": "a", "type": schema})
    assert found == ()
    (one,) = wrong
    return one


STRING = Scalar(Kind.STRING)


@pytest.mark.parametrize(
    ("schema", "type_"),
    [
        ("boolean", Scalar(Kind.BOOLEAN)),
        ("int", Scalar(Kind.INT)),
        ("long", Scalar(Kind.LONG)),
        ("float", Scalar(Kind.FLOAT)),
        ("double", Scalar(Kind.FLOAT)),
        ("bytes", Scalar(Kind.BYTES)),
        ("string", STRING),
        ({"type": "string"}, STRING),
        ({"type": {"type": "string"}}, STRING),
        ({"type": "string", "logicalType": "uuid"}, Scalar(Kind.UUID)),
        ({"type": "int", "logicalType": "date"}, Scalar(Kind.DATE)),
        ({"type": "int", "logicalType": "time-millis"}, Scalar(Kind.TIME, unit=Unit.MILLIS)),
        ({"type": "long", "logicalType": "time-micros"}, Scalar(Kind.TIME, unit=Unit.MICROS)),
        ({"type": "long", "logicalType": "timestamp-millis"}, Scalar(Kind.INSTANT, unit=Unit.MILLIS)),
        ({"type": "long", "logicalType": "timestamp-micros"}, Scalar(Kind.INSTANT, unit=Unit.MICROS)),
        ({"type": "long", "logicalType": "timestamp-nanos"}, Scalar(Kind.INSTANT, unit=Unit.NANOS)),
        ({"type": "long", "logicalType": "local-timestamp-millis"}, Scalar(Kind.LOCAL_DATETIME, unit=Unit.MILLIS)),
        ({"type": "long", "logicalType": "local-timestamp-micros"}, Scalar(Kind.LOCAL_DATETIME, unit=Unit.MICROS)),
        ({"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}, Scalar(Kind.DECIMAL, 12, 2)),
        ({"type": "bytes", "logicalType": "decimal", "precision": 5}, Scalar(Kind.DECIMAL, 5, 0)),
        ({"type": "fixed", "name": "F", "size": 4, "logicalType": "decimal", "precision": 9, "scale": 2}, Scalar(Kind.DECIMAL, 9, 2)),
        ({"type": "fixed", "name": "F", "size": 16, "logicalType": "uuid"}, Scalar(Kind.UUID)),
        ({"type": "fixed", "name": "F", "size": 16}, Scalar(Kind.BYTES)),
        ({"type": "string", "logicalType": "date"}, STRING),
        ({"type": "int", "logicalType": "of-our-own"}, Scalar(Kind.INT)),
        ({"type": "enum", "name": "E", "symbols": ["B", "A"]}, Enumeration("E", ("B", "A"))),
        ({"type": "array", "items": "string"}, List(STRING)),
        ({"type": "array", "items": ["null", "string"]}, List(STRING, item_required=False)),
        ({"type": "map", "values": "long"}, Map(Scalar(Kind.LONG))),
        ({"type": "map", "values": ["null", "long"]}, Map(Scalar(Kind.LONG))),
        (
            {"type": "record", "name": "P", "fields": [{"name": "x", "type": ["int", "null"]}]},
            Record("P", (Field("x", Scalar(Kind.INT)),)),
        ),
    ],
)
def test_types(schema: Any, type_: FieldType) -> None:
    assert type_of(schema) == type_


def test_a_union_with_null_need_not_hold_a_value() -> None:
    fields, wrong = read(
        {"name": "a", "type": ["null", "string"]},
        {"name": "b", "type": ["string", "null"]},
        {"name": "c", "type": ["string"]},
        {"name": "d", "type": "string", "doc": "Said here."},
    )
    assert wrong == []
    assert [(field.required, field.description) for field in fields] == [(False, None), (False, None), (True, None), (True, "Said here.")]


def test_named_types_are_found_by_short_and_full_name() -> None:
    enum = {"type": "enum", "name": "E", "symbols": ["A"]}
    fields, wrong = read(
        {"name": "a", "type": enum},
        {"name": "b", "type": "E"},
        {"name": "c", "type": ["null", "com.x.E"]},
        {"name": "d", "type": {"type": "fixed", "name": "org.y.F", "size": 2}},
        {"name": "e", "type": "org.y.F"},
        namespace="com.x",
    )
    assert wrong == []
    assert fields[0].type == fields[1].type == fields[2].type == Enumeration("E", ("A",))
    assert fields[4].type == Scalar(Kind.BYTES)


@pytest.mark.parametrize(
    ("schema", "code", "at"),
    [
        (["string", "long"], ProblemCode.BAD_SCHEMA, "fields[0].type"),
        (["null", "string", "long"], ProblemCode.BAD_SCHEMA, "fields[0].type"),
        (["null"], ProblemCode.BAD_SCHEMA, "fields[0].type"),
        ([], ProblemCode.BAD_SCHEMA, "fields[0].type"),
        ([["null", "string"]], ProblemCode.BAD_SCHEMA, "fields[0].type[0]"),
        ("strng", ProblemCode.BAD_SCHEMA, "fields[0].type"),
        ("R", ProblemCode.BAD_SCHEMA, "fields[0].type"),
        (7, ProblemCode.BAD_SCHEMA, "fields[0].type"),
        ({}, ProblemCode.BAD_SCHEMA, "fields[0].type"),
        ({"type": "array"}, ProblemCode.BAD_SCHEMA, "fields[0].type.items"),
        ({"type": "map", "values": 1}, ProblemCode.BAD_SCHEMA, "fields[0].type.values"),
        ({"type": "bytes", "logicalType": "decimal"}, ProblemCode.BAD_SCHEMA, "fields[0].type"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 3}, ProblemCode.BAD_SCHEMA, "fields[0].type"),
        ({"type": "bytes", "logicalType": "decimal", "precision": True}, ProblemCode.BAD_SCHEMA, "fields[0].type"),
        ({"type": "fixed", "name": "F", "size": 4, "logicalType": "decimal", "precision": 10}, ProblemCode.BAD_SCHEMA, "fields[0].type"),
        ({"type": "fixed", "name": "F"}, ProblemCode.BAD_SCHEMA, "fields[0].type"),
        ({"type": "fixed", "size": 1}, ProblemCode.BAD_SCHEMA, "fields[0].type"),
        ({"type": "enum", "name": "E", "symbols": []}, ProblemCode.BAD_SCHEMA, "fields[0].type"),
        ({"type": "enum", "name": "E", "symbols": ["a b"]}, ProblemCode.BAD_SCHEMA, "fields[0].type.symbols"),
        ({"type": "enum", "name": "E", "symbols": ["A", "A"]}, ProblemCode.DUPLICATE, "fields[0].type.symbols"),
        ({"type": "enum", "name": "E E", "symbols": ["A"]}, ProblemCode.BAD_NAME, "fields[0].type.name"),
        ({"type": "enum", "name": "R", "symbols": ["A"]}, ProblemCode.DUPLICATE, "fields[0].type.name"),
        ({"type": "record", "name": "P", "fields": []}, ProblemCode.BAD_SCHEMA, "fields[0].type"),
        ({"type": "record", "name": "P", "fields": [{"name": "x", "type": "int"}] * 2_001}, ProblemCode.LIMIT, "fields[0].type.fields"),
    ],
)
def test_what_no_column_can_hold_is_refused_with_its_place(schema: Any, code: ProblemCode, at: str) -> None:
    assert refusal(schema) == (code, at)


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ({"name": 'a"b', "type": "int"}, ProblemCode.BAD_NAME),
        ({"name": "", "type": "int"}, ProblemCode.BAD_NAME),
        ({"name": "a"}, ProblemCode.BAD_SCHEMA),
        ({"type": "int"}, ProblemCode.BAD_SCHEMA),
        ("a", ProblemCode.BAD_SCHEMA),
    ],
)
def test_fields_need_a_name_and_a_type(field: Any, code: ProblemCode) -> None:
    assert [found for found, _ in read(field)[1]] == [code]


def test_two_fields_of_one_name_are_refused() -> None:
    fields, wrong = read({"name": "a", "type": "int"}, {"name": "a", "type": "long"})
    assert (len(fields), wrong) == (1, [(ProblemCode.DUPLICATE, "fields[1].name")])


@pytest.mark.parametrize("data", [[], "string", {"type": "enum"}, {"type": "record", "fields": []}, {"type": "record", "name": "R"}])
def test_only_records_have_columns(data: Any) -> None:
    source = read_json(json.dumps(data), "r.avsc")
    report = Report(source)
    assert avro_fields(source.data, report) == ()
    assert len(report.problems) == 1


def test_deep_nesting_is_refused() -> None:
    schema: Any = "int"
    for _ in range(40):
        schema = {"type": "array", "items": schema}
    assert refusal(schema)[0] is ProblemCode.LIMIT


def test_named_types_cannot_grow_without_bound() -> None:
    fields: list[Any] = [{"name": "f0", "type": {"type": "record", "name": "R0", "fields": [{"name": "a", "type": "int"}]}}]
    for level in range(1, 10):
        inner = [{"name": f"m{index}", "type": f"R{level - 1}"} for index in range(10)]
        fields.append({"name": f"f{level}", "type": {"type": "record", "name": f"R{level}", "fields": inner}})
    _, wrong = read(*fields)
    assert wrong[0][0] is ProblemCode.LIMIT


def test_problems_carry_the_line_in_the_schema_file() -> None:
    source = read_json('{"type": "record", "name": "R",\n "fields": [\n  {"name": "a", "type": "strng"}]}', "r.avsc")
    report = Report(source)
    avro_fields(source.data, report)
    (problem,) = report.problems
    assert (problem.file, problem.line, problem.nearest) == ("r.avsc", 3, "string")
