from __future__ import annotations

import time

import pytest

from contracts.errors import ContractInvalidError, ProblemCode
from contracts.yaml_source import Limits, read_documents, read_yaml
from tests.conftest import within


def refusal(text: str | bytes, **limits: int) -> tuple[ProblemCode, int | None]:
    with pytest.raises(ContractInvalidError) as caught:
        read_yaml(text, "f.yaml", limits=Limits(**limits))
    (problem,) = caught.value.problems
    return problem.code, problem.line


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("tRUE", "tRUE"),
        ("~", None),
        ("null", None),
        ("1:30", "1:30"),
        ("12:30:45", "12:30:45"),
        ("2027-12-31", "2027-12-31"),
        ("2027-12-31T00:00:00Z", "2027-12-31T00:00:00Z"),
        ("012", 12),
        ("0o17", 15),
        ("0xFF", 255),
        ("-7", -7),
        ("+7", 7),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.", 1.0),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
        ("-", [None]),
        ("--", "--"),
        ("'12'", "12"),
        ("! 12", "12"),
        ("!!str 12", "12"),
        ("=", "="),
        ("\ufeffa", "a"),
        ("%YAML 1.2\n---\na", "a"),
    ],
)
def test_scalars_are_those_of_the_core_schema(text: str, value: object) -> None:
    assert read_yaml(text, "f.yaml").data == value


def test_not_a_number_is_a_float() -> None:
    assert repr(read_yaml(".nan", "f.yaml").data) == "nan"


def test_keys_are_text_as_written() -> None:
    assert read_yaml("{1: a, true: b, 2027-01-01: c, null: d}", "f.yaml").data == {"1": "a", "true": "b", "2027-01-01": "c", "null": "d"}


def test_merge_keys_are_plain_keys() -> None:
    assert read_yaml("<<: {a: 1}", "f.yaml").data == {"<<": {"a": 1}}


def test_every_value_knows_its_line() -> None:
    source = read_yaml("a:\n  - x\n  - {b: 1,\n     c: 2}\nd: &s\n  e: 1\nf: *s\n", "f.yaml")
    assert source.line_of(()) == 1
    assert source.line_of(("a", 1, "c")) == 4
    assert source.line_of(("a", 0)) == 2
    assert source.line_of(("f", "e")) == 6
    assert source.line_of(("f",)) == 7


def test_a_document_read_without_its_lines_knows_them_when_asked() -> None:
    source = read_yaml("a:\n  - x\n  - {b: 1,\n     c: 2}\n", "f.yaml")
    assert [source.line_of(path) for path in ((), ("a", 1, "c"), ("a", 0), ("a",))] == [1, 4, 2, 1]


def test_a_missing_value_has_the_line_of_what_would_hold_it() -> None:
    source = read_yaml("a:\n  b:\n    - 1\n", "f.yaml")
    assert source.line_of(("a", "x", "y")) == 1
    assert source.line_of(("a", "b", 7)) == 2
    assert source.line_of(("a", "b", "no")) == 2


def test_aliases_repeat_the_value() -> None:
    assert read_yaml("a: &x [1, {b: 2}]\nc: *x\n", "f.yaml").data == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("a: 1\nb: 2\na: 3", ProblemCode.DUPLICATE, 3),
        ("a: 1\n'a': 3", ProblemCode.DUPLICATE, 2),
        ("a: !!python/object:os.system {}", ProblemCode.SYNTAX, 1),
        ("a: !mine x", ProblemCode.SYNTAX, 1),
        ("!!str [a]", ProblemCode.SYNTAX, 1),
        ("!mine a: 1", ProblemCode.SYNTAX, 1),
        ("? [a]\n: 1", ProblemCode.SYNTAX, 1),
        ("? *a\n: 1", ProblemCode.SYNTAX, 1),
        ("&a b: 1", ProblemCode.SYNTAX, 1),
        ("&a [*a]", ProblemCode.SYNTAX, 1),
        ("a: *b", ProblemCode.SYNTAX, 1),
        ("a\n---\nb", ProblemCode.LIMIT, 2),
        ("", ProblemCode.SYNTAX, 1),
        ("# nothing\n", ProblemCode.SYNTAX, 1),
        ("a: [1\nb: 2", ProblemCode.SYNTAX, 2),
        ("a: b: c", ProblemCode.SYNTAX, 1),
        ("\x00", ProblemCode.SYNTAX, 1),
        ("\ud800", ProblemCode.SYNTAX, 1),
        (b"\xff\xfe", ProblemCode.SYNTAX, 1),
        ('"\\ud800"', ProblemCode.SYNTAX, 1),
        ("a: " + "9" * 5_000, ProblemCode.LIMIT, 1),
        ("a: 0x" + "f" * 50, ProblemCode.LIMIT, 1),
        ("a: 0o" + "7" * 50, ProblemCode.LIMIT, 1),
        ("a: 0." + "7" * 50, ProblemCode.LIMIT, 1),
    ],
)
def test_what_is_not_one_harmless_document_is_refused(text: str | bytes, code: ProblemCode, line: int) -> None:
    assert refusal(text) == (code, line)


def test_limits_hold() -> None:
    assert refusal("a: 12345", bytes_max=5)[0] is ProblemCode.LIMIT
    assert refusal("[1, 2, 3]", nodes_max=3)[0] is ProblemCode.LIMIT
    assert refusal("[[[1]]]", depth_max=3)[0] is ProblemCode.LIMIT
    assert refusal("[&a 1, *a, *a]", aliases_max=1)[0] is ProblemCode.LIMIT
    assert refusal("a: &x [[1]]\nb: [[*x]]", depth_max=4)[0] is ProblemCode.LIMIT
    assert refusal("a: 123", number_digits_max=2)[0] is ProblemCode.LIMIT


def test_aliases_weigh_as_much_as_what_they_repeat() -> None:
    assert read_yaml("[&a [1, 2], *a]", "f.yaml", limits=Limits(nodes_max=7)).data == [[1, 2], [1, 2]]
    assert refusal("[&a [1, 2], *a]", nodes_max=6)[0] is ProblemCode.LIMIT


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9))


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "[" * 200_000,
        "- " * 200_000,
        "{a: " * 100_000,
        "[1," + "2," * 250_000,
        "- &x 1\n" * 70_000,
        "? " * 200_000,
        '"' + "a\n" * 250_000,
    ],
    ids=["laughs", "brackets", "dashes", "braces", "items", "anchors", "keys", "quote"],
)
def test_hostile_text_ends_soon(text: str) -> None:
    began = time.process_time()
    with pytest.raises(ContractInvalidError):
        read_yaml(text, "f.yaml")
    assert time.process_time() - began < within(1)


def test_several_documents_are_read_where_asked_for() -> None:
    first, second = read_documents("a: &x 1\n---\nb: 2\n", "f.yaml", documents_max=2)
    assert (first.data, second.data) == ({"a": 1}, {"b": 2})
    assert second.line_of(("b",)) == 3
    with pytest.raises(ContractInvalidError, match="at most 2 documents"):
        read_documents("a\n---\nb\n---\nc", "f.yaml", documents_max=2)


def test_anchors_end_with_their_document() -> None:
    with pytest.raises(ContractInvalidError):
        read_documents("a: &x 1\n---\nb: *x\n", "f.yaml", documents_max=2)
