from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.errors import ContractInvalidError, ProblemCode
from contracts.fields import Enumeration, Field, FieldType, Kind, List, Map, Record, Scalar, Unit
from contracts.report import Report
from contracts.schemas.json_schema import json_schema_fields
from contracts.schemas.json_text import read_json


def read(schema: Any) -> tuple[tuple[Field, ...], list[tuple[ProblemCode, str, str | None]]]:
    source = read_json(json.dumps(schema), "s.json")
    report = Report(source)
    found = json_schema_fields(source.data, report)
    return found, [(problem.code, problem.at, problem.nearest) for problem in report.problems]


def field_of(schema: Any, **more: Any) -> Field:
    (field,), wrong = read({"type": "object", "properties": {"a": schema}, **more})
    assert wrong == []
    return field


def refusal(schema: Any, **more: Any) -> tuple[ProblemCode, str]:
    found, wrong = read({"type": "object", "properties": {"a": schema}, **more})
    assert found == ()
    ((code, at, _),) = wrong
    return code, at


STRING = Scalar(Kind.STRING)


@pytest.mark.parametrize(
    ("schema", "type_"),
    [
        ({"type": "string"}, STRING),
        ({"type": ["string", "null"]}, STRING),
        ({"type": "string", "format": "date"}, Scalar(Kind.DATE)),
        ({"type": "string", "format": "date-time"}, Scalar(Kind.INSTANT, unit=Unit.MICROS)),
        ({"type": "string", "format": "time"}, Scalar(Kind.TIME, unit=Unit.MICROS)),
        ({"type": "string", "format": "uuid"}, Scalar(Kind.UUID)),
        ({"type": "string", "format": "email"}, STRING),
        ({"type": "string", "format": 1}, STRING),
        ({"type": "string", "contentEncoding": "base64"}, Scalar(Kind.BYTES)),
        ({"type": "string", "format": "decimal", "x-precision": 12, "x-scale": 2}, Scalar(Kind.DECIMAL, 12, 2)),
        ({"type": "number", "format": "decimal"}, Scalar(Kind.DECIMAL, 38, 9)),
        ({"type": "number"}, Scalar(Kind.FLOAT)),
        ({"type": "integer"}, Scalar(Kind.LONG)),
        ({"type": "integer", "format": "int64", "minimum": 0, "maximum": 5}, Scalar(Kind.LONG)),
        ({"type": "integer", "format": "int32"}, Scalar(Kind.INT)),
        ({"type": "integer", "minimum": 0, "maximum": 100}, Scalar(Kind.INT)),
        ({"type": "integer", "minimum": 0}, Scalar(Kind.LONG)),
        ({"type": "integer", "minimum": 0, "maximum": 2**31}, Scalar(Kind.LONG)),
        ({"type": "boolean"}, Scalar(Kind.BOOLEAN)),
        ({"type": "array", "items": {"type": "string"}}, List(STRING)),
        ({"type": "array", "items": {"type": ["string", "null"]}}, List(STRING, item_required=False)),
        ({"type": "array"}, List(Scalar(Kind.JSON), item_required=False)),
        ({"type": "object", "additionalProperties": {"type": "string"}}, Map(STRING)),
        ({"type": "object"}, Scalar(Kind.JSON)),
        ({}, Scalar(Kind.JSON)),
        (True, Scalar(Kind.JSON)),
        ({"enum": ["b", "a"]}, Enumeration("a", ("b", "a"))),
        ({"type": "string", "enum": ["b"], "title": "Colour"}, Enumeration("Colour", ("b",))),
        ({"const": "b"}, Enumeration("a", ("b",))),
        ({"type": "integer", "enum": [1, 2]}, Scalar(Kind.LONG)),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, STRING),
        ({"oneOf": [{"type": "string"}]}, STRING),
        ({"properties": {"x": {"type": "string"}}}, Record("a", (Field("x", STRING),))),
        ({"type": "object", "title": "Place", "properties": {"x": {"type": "string"}}}, Record("Place", (Field("x", STRING),))),
    ],
)
def test_types(schema: Any, type_: FieldType) -> None:
    assert field_of(schema).type == type_


@pytest.mark.parametrize(
    ("schema", "required"),
    [
        ({"type": "string"}, True),
        ({"type": ["null", "string"]}, False),
        ({"enum": ["a", None]}, False),
        ({"type": "string", "enum": ["a", None]}, True),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, False),
        ({"oneOf": [{"type": "string"}]}, True),
        ({}, False),
    ],
)
def test_a_required_property_that_may_be_null_is_not_required(schema: Any, required: bool) -> None:
    assert field_of(schema, required=["a"]).required is required
    assert field_of(schema).required is False


def test_descriptions_are_kept() -> None:
    assert field_of({"type": "string", "description": "Said here."}).description == "Said here."


def test_references_inside_the_document_are_followed() -> None:
    more = {
        "$defs": {"Place/x": {"type": "object", "properties": {"b": {"type": "integer"}}}},
        "definitions": {"P": {"$ref": "#/$defs/Place~1x"}},
    }
    (a, b), wrong = read(
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/Place~1x"}, "b": {"anyOf": [{"type": "null"}, {"$ref": "#/definitions/P"}]}},
            **more,
        }
    )
    assert wrong == []
    assert a.type == b.type == Record("Place/x", (Field("b", Scalar(Kind.LONG)),))


def test_the_root_may_be_a_reference() -> None:
    fields, wrong = read({"$ref": "#/$defs/Row", "$defs": {"Row": {"type": "object", "properties": {"a": {"type": "string"}}}}})
    assert (fields, wrong) == ((Field("a", STRING),), [])


@pytest.mark.parametrize(
    ("schema", "code", "at"),
    [
        ({"type": ["string", "integer"]}, ProblemCode.BAD_SCHEMA, "properties.a.type"),
        ({"type": "null"}, ProblemCode.BAD_SCHEMA, "properties.a.type"),
        ({"type": "text"}, ProblemCode.BAD_SCHEMA, "properties.a.type"),
        ({"type": 7}, ProblemCode.BAD_SCHEMA, "properties.a.type"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, ProblemCode.BAD_SCHEMA, "properties.a.anyOf"),
        ({"anyOf": "x"}, ProblemCode.BAD_SCHEMA, "properties.a.anyOf"),
        ({"allOf": [{}]}, ProblemCode.UNSUPPORTED, "properties.a.allOf"),
        ({"type": "array", "prefixItems": []}, ProblemCode.UNSUPPORTED, "properties.a.prefixItems"),
        ({"$ref": "https://example.com/s.json"}, ProblemCode.BAD_REFERENCE, "properties.a.$ref"),
        ({"$ref": "other.json#/x"}, ProblemCode.BAD_REFERENCE, "properties.a.$ref"),
        ({"$ref": "#/$defs/Nothing"}, ProblemCode.BAD_REFERENCE, "properties.a.$ref"),
        ({"$ref": "#/properties/a"}, ProblemCode.BAD_SCHEMA, "properties.a.$ref"),
        ({"enum": [1, "a"]}, ProblemCode.BAD_SCHEMA, "properties.a.enum"),
        ({"enum": "x"}, ProblemCode.BAD_SCHEMA, "properties.a.enum"),
        ({"enum": ["a", "a"]}, ProblemCode.DUPLICATE, "properties.a.enum"),
        ({"type": "number", "format": "decimal", "x-scale": 50}, ProblemCode.BAD_SCHEMA, "properties.a"),
        ({"type": "object", "properties": {}}, ProblemCode.BAD_SCHEMA, "properties.a.properties"),
        ({"type": "object", "properties": {"b": {}}, "required": "b"}, ProblemCode.BAD_SCHEMA, "properties.a.required"),
        ({"type": "object", "additionalProperties": {"type": "x"}}, ProblemCode.BAD_SCHEMA, "properties.a.additionalProperties.type"),
        ({"type": "array", "items": 1}, ProblemCode.BAD_SCHEMA, "properties.a.items"),
        (False, ProblemCode.BAD_SCHEMA, "properties.a"),
    ],
)
def test_what_no_column_can_hold_is_refused_with_its_place(schema: Any, code: ProblemCode, at: str) -> None:
    assert refusal(schema) == (code, at)


def test_recursion_through_references_is_refused() -> None:
    schema = {"$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}, "x": {"type": "string"}}}}}
    _, wrong = read({"type": "object", "properties": {"a": {"$ref": "#/$defs/N"}}, **schema})
    assert [code for code, _, _ in wrong] == [ProblemCode.BAD_SCHEMA]


def test_names_and_required_names_are_checked() -> None:
    _, wrong = read({"type": "object", "properties": {'a"': {}, "size": {}}, "required": ["sise"]})
    assert wrong == [
        (ProblemCode.BAD_SCHEMA, "required", "size"),
        (ProblemCode.BAD_NAME, 'properties.a"', None),
    ]


@pytest.mark.parametrize("schema", [{"type": "string"}, [], {"type": "object", "additionalProperties": {"type": "string"}}])
def test_only_objects_with_properties_have_columns(schema: Any) -> None:
    fields, wrong = read(schema)
    assert fields == ()
    assert len(wrong) == 1


def test_deep_nesting_and_growth_are_refused() -> None:
    schema: Any = {"type": "string"}
    for _ in range(40):
        schema = {"type": "array", "items": schema}
    assert refusal(schema)[0] is ProblemCode.LIMIT
    defs: dict[str, Any] = {"D0": {"type": "string"}}
    for level in range(1, 10):
        defs[f"D{level}"] = {"type": "object", "properties": {f"p{index}": {"$ref": f"#/$defs/D{level - 1}"} for index in range(10)}}
    _, wrong = read({"type": "object", "properties": {"a": {"$ref": "#/$defs/D9"}}, "$defs": defs})
    assert wrong[0][0] is ProblemCode.LIMIT


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ('{"a": 1,\n}', ProblemCode.SYNTAX, 2),
        ('{"a": 1, "a": 2}', ProblemCode.DUPLICATE, 1),
        ('{"a": NaN}', ProblemCode.SYNTAX, 1),
        ('{"a": ' + "9" * 5_000 + "}", ProblemCode.SYNTAX, 1),
        ("[" * 100_000, ProblemCode.LIMIT, 1),
    ],
)
def test_what_is_no_json_is_refused(text: str, code: ProblemCode, line: int) -> None:
    with pytest.raises(ContractInvalidError) as caught:
        read_json(text, "s.json")
    (problem,) = caught.value.problems
    assert (problem.code, problem.line) == (code, line)


def test_json_that_yaml_cannot_read_has_its_problems_on_line_one() -> None:
    assert read_json('{\n"a": "\\ud83d\\ude00"}', "s.json").line_of(("a",)) == 1
    assert read_json('{\n"a": 1}', "s.json").line_of(("a",)) == 2
