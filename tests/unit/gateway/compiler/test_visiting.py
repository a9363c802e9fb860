"""Validation says what graphql-core says, and nothing of it waits for the garbage collector."""

from __future__ import annotations

import gc

import pytest
from graphql import GraphQLError, build_schema, parse
from graphql import validate as graphql_validate

from gateway.compiler.demands import RULES
from gateway.compiler.documents import read_document
from gateway.compiler.limits import Limits, parse_document
from gateway.compiler.visiting import untied, validate

SCHEMA = build_schema("type Query { a(x: Int, y: [In]): Query b: String c: [Query!] } input In { p: Int! q: In }")
NESTED = "".join(f"fragment f{number} on Query {{ a {{ a {{ ...f{number + 1} }} }} }} " for number in range(120))
DOCUMENTS = (
    "{ a(x: 1) { b c { b } } }",
    "query Q($x: Int, $y: [In]) { a(x: $x, y: $y) { b } c { ...f } } fragment f on Query { b }",
    "{ bb }",
    "{ a(x: 1) { b } a(x: 2) { b } }",
    "query Q($x: String) { a(x: $x) { b { no } } c }",
    "{ ...f } fragment f on Query { ...g } fragment g on Query { ...f }",
    "{ " + " ".join(f"nothing{number}" for number in range(40)) + " }",
    "{ a(y: [{ p: null }]) { b @skip(if: 3) @unknown } }",
    "{ ...f0 } " + NESTED + "fragment f120 on Query { b }",
    "subscription { b }",
)


def _told(errors: list[GraphQLError]) -> list[object]:
    return [(error.message, error.locations, error.path, type(error)) for error in errors]


@pytest.mark.parametrize("hide_suggestions", [False, True])
@pytest.mark.parametrize("text", DOCUMENTS)
def test_what_is_wrong_is_told_as_graphql_core_tells_it(text: str, hide_suggestions: bool) -> None:
    document = parse(text)
    found = validate(SCHEMA, document, RULES, max_errors=20, hide_suggestions=hide_suggestions)
    assert _told(found) == _told(graphql_validate(SCHEMA, document, RULES, max_errors=20, hide_suggestions=hide_suggestions))


@pytest.mark.parametrize("text", DOCUMENTS[:2])
def test_reading_and_validating_what_is_right_leave_little_to_the_collector(text: str) -> None:
    document = read_document(text, None, Limits())
    validate(SCHEMA, document.ast, RULES, max_errors=20)
    del document
    gc.collect()
    gc.disable()
    try:
        document = read_document(text, None, Limits())
        validate(SCHEMA, document.ast, RULES, max_errors=20)
        del document
        # A thousand objects else; what is left is tied together within graphql-core in search of variables.
        assert gc.collect() < 150
    finally:
        gc.enable()


def test_tokens_know_who_follows_only() -> None:
    document = parse_document("{ a { b } } # end", Limits())
    assert document.loc is not None
    token = document.loc.start_token
    words: list[str] = []
    while token is not None:
        assert token.prev is None
        words += [token.value] if token.value else []
        token = token.next  # type: ignore[assignment]  # None at the end
    assert words == ["a", "b", " end"]


def test_a_document_without_locations_is_left_as_it_is() -> None:
    document = parse("{ a { b } }", no_location=True)
    assert untied(document) is document
