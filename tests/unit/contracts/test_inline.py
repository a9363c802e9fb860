from __future__ import annotations

import pytest

from contracts import ProblemCode, parse_contract
from contracts.fields import Enumeration, Field, FieldType, Kind, List, Map, Record, Scalar, Unit

from .written import problems

HEAD = """\
apiVersion: datamesh/v1
kind: DataContract
metadata: {name: orders, domain: order, owner: team@company.com, version: "1.0.0"}
spec:
  schema:
    type: inline
    fields:
"""
STRING = Scalar(Kind.STRING)


@pytest.mark.parametrize(
    ("written", "type_"),
    [
        ("type: string", STRING),
        ("type: text", STRING),
        ("type: integer", Scalar(Kind.INT)),
        ("type: long", Scalar(Kind.LONG)),
        ("type: bool", Scalar(Kind.BOOLEAN)),
        ("type: double", Scalar(Kind.FLOAT)),
        ('type: "decimal(12, 2)"', Scalar(Kind.DECIMAL, 12, 2)),
        ("type: decimal, precision: 12, scale: 2", Scalar(Kind.DECIMAL, 12, 2)),
        ("type: decimal, precision: 12", Scalar(Kind.DECIMAL, 12, 0)),
        ("type: date", Scalar(Kind.DATE)),
        ("type: timestamp", Scalar(Kind.INSTANT, unit=Unit.MICROS)),
        ("type: instant, unit: ns", Scalar(Kind.INSTANT, unit=Unit.NANOS)),
        ("type: time, unit: ms", Scalar(Kind.TIME, unit=Unit.MILLIS)),
        ("type: local-datetime", Scalar(Kind.LOCAL_DATETIME, unit=Unit.MICROS)),
        ("type: json", Scalar(Kind.JSON)),
        ("type: enum, symbols: [A, B]", Enumeration("a", ("A", "B"))),
        ("type: list, items: string", List(STRING)),
        ("type: array, items: {type: string}", List(STRING, item_required=False)),
        ("type: array, items: {type: string, required: true}", List(STRING)),
        ("type: map, values: long", Map(Scalar(Kind.LONG))),
        ("type: map, values: {type: list, items: long}", Map(List(Scalar(Kind.LONG)))),
        ("type: record, fields: [{name: x, type: string}]", Record("a", (Field("x", STRING),))),
    ],
)
def test_types(written: str, type_: FieldType) -> None:
    (field,) = parse_contract(HEAD + f"      - {{name: a, {written}}}\n").fields
    assert field.type == type_


def test_fields_say_what_else_they_are() -> None:
    (field,) = parse_contract(HEAD + "      - {name: a, type: string, required: true, physicalName: A1, description: Said here.}\n").fields
    assert field == Field("a", STRING, required=True, physical_name="A1", description="Said here.")


@pytest.mark.parametrize(
    ("written", "code", "at", "nearest"),
    [
        ("type: strin", ProblemCode.BAD_SCHEMA, "spec.schema.fields[0].type", "string"),
        ("type: decimal", ProblemCode.BAD_SCHEMA, "spec.schema.fields[0]", None),
        ('type: "decimal(2,3)"', ProblemCode.BAD_SCHEMA, "spec.schema.fields[0]", None),
        ("type: enum", ProblemCode.BAD_SCHEMA, "spec.schema.fields[0]", None),
        ("type: enum, symbols: [A, A]", ProblemCode.BAD_SCHEMA, "spec.schema.fields[0]", None),
        ("type: record", ProblemCode.BAD_SCHEMA, "spec.schema.fields[0]", None),
        ("type: list", ProblemCode.BAD_SCHEMA, "spec.schema.fields[0]", None),
        ("type: map", ProblemCode.BAD_SCHEMA, "spec.schema.fields[0]", None),
        ("type: map, values: longg", ProblemCode.BAD_SCHEMA, "spec.schema.fields[0].values.type", "long"),
        ("type: string, requird: true", ProblemCode.UNKNOWN_KEY, "spec.schema.fields[0].requird", "required"),
        ("type: list, items: {typ: string}", ProblemCode.MISSING_KEY, "spec.schema.fields[0].items", None),
    ],
)
def test_mistakes(written: str, code: ProblemCode, at: str, nearest: str | None) -> None:
    found = problems(HEAD + f"      - {{name: a, {written}}}\n")
    assert (found[0].code, found[0].at, found[0].nearest) == (code, at, nearest)


def test_names_are_checked() -> None:
    found = problems(HEAD + "      - {name: a, type: string}\n      - {name: a, type: string}\n      - {name: 'a\"', type: string}\n")
    assert [(problem.code, problem.line) for problem in found] == [(ProblemCode.DUPLICATE, 9), (ProblemCode.BAD_NAME, 10)]


def test_inline_schemas_have_no_reference_and_others_no_fields() -> None:
    found = problems(HEAD + "      - {name: a, type: string}\n    ref: x.avsc\n")
    assert [problem.code for problem in found] == [ProblemCode.CONTRADICTION]
    found = problems(HEAD.replace("inline", "avro") + "      - {name: a, type: string}\n")
    assert [problem.code for problem in found] == [ProblemCode.CONTRADICTION]


def test_records_cannot_grow_without_bound() -> None:
    anchors = "      - {name: a0, type: record, fields: &x0 [{name: b, type: int}]}\n"
    for level in range(1, 4):
        inner = ", ".join(f"{{name: m{index}, type: record, fields: *x{level - 1}}}" for index in range(20))
        anchors += f"      - {{name: a{level}, type: record, fields: &x{level} [{inner}]}}\n"
    assert problems(HEAD + anchors)[0].code is ProblemCode.LIMIT
