"""Parameters: what a body or query string must be."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

import pytest

from gateway.http.parameters import from_body, from_query_string
from gateway.http.refusals import RefusalError


def refused(body: bytes) -> RefusalError:
    with pytest.raises(RefusalError) as caught:
        from_body(body)
    return caught.value


def test_all_parameters_of_a_body_are_read() -> None:
    sent = {"query": "{ a }", "operationName": "A", "variables": {"v": [1, None]}, "extensions": {"e": {}}, "more": 1}
    question = from_body(json.dumps(sent).encode())
    assert (question.query, question.operation_name) == ("{ a }", "A")
    assert question.variables == {"v": [1, None]}
    assert question.extensions == {"e": {}}


def test_null_and_empty_count_as_absent() -> None:
    question = from_body(b'{"query": "{ a }", "operationName": "", "variables": null, "extensions": null}')
    assert (question.operation_name, question.variables, question.extensions) == (None, None, None)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"query": "{ a }"} x', "not valid JSON"),
        (b'{"query": "{ a }", "variables": {"a": NaN}}', "not valid JSON"),
        (b'\xef\xbb\xbf{"query": "{ a }"}', "not valid JSON"),
        ('{"query": "{ a }"}'.encode("utf-16"), "not valid JSON"),
        (b'{"query": "\xff"}', "not valid UTF-8"),
        (b"5", "must be a JSON object"),
        (b'"x"', "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b' [{"query": "{ a }"}]', "batches are not supported"),
        (b"{}", "query is missing"),
        (b'{"query": null}', "query is missing"),
        (b'{"query": 5}', "query must be a string"),
        (b'{"query": ["{ a }"]}', "query must be a string"),
        (b'{"query": "{ a }", "operationName": {}}', "operationName must be a string"),
        (b'{"query": "{ a }", "variables": [1]}', "variables must be an object"),
        (b'{"query": "{ a }", "variables": "x"}', "variables must be an object"),
        (b'{"query": "{ a }", "extensions": 1}', "extensions must be an object"),
        (b'{"query": "{ a }", "variables": {"a": 1e999}}', "out of range"),
        (b'{"query": "{ a }", "variables": {"a": ' + b"1" * 5000 + b"}}", "out of range"),
        (b'{"query": "{ a }", "variables": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}", "too deeply"),
        (b'{"query": "{ a }", "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deeply"),
    ],
)
def test_a_body_that_is_no_request_is_refused_with_a_reason(body: bytes, told: str) -> None:
    found = refused(body)
    assert found.status == 400
    assert found.code.name == "BAD_USER_INPUT"
    assert told in found.message


def test_a_persisted_query_is_answered_by_its_convention() -> None:
    found = refused(b'{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "00"}}}')
    assert found.code.name == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert found.message == "PersistedQueryNotSupported"


def test_all_parameters_of_a_query_string_are_read() -> None:
    text = urlencode({"query": '{ a(s: "é+&") }', "operationName": "A", "variables": '{"v": 1}', "extensions": "{}", "other": "x"})
    question = from_query_string(text.encode())
    assert question.query == '{ a(s: "é+&") }'
    assert question.operation_name == "A"
    assert question.variables == {"v": 1}
    assert question.extensions == {}


def test_empty_parameters_of_a_query_string_count_as_absent() -> None:
    question = from_query_string(b"query={a}&operationName=&variables=&extensions=null")
    assert (question.operation_name, question.variables, question.extensions) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "query is missing"),
        (b"query=", "query is missing"),
        (b"query={a}&query={b}", "query is given twice"),
        (b"query={a}&variables=[]", "variables is not a JSON object"),
        (b"query={a}&variables=x", "variables is not a JSON object"),
        (b"query={a}&extensions=" + quote("[" * 5000).encode(), "extensions is not a JSON object"),
        (b"query=%ff", "cannot be decoded"),
        (b"query=\xff", "cannot be decoded"),
        (b"a=1&" * 30 + b"query={a}", "too many parameters"),
    ],
)
def test_a_query_string_that_is_no_request_is_refused_with_a_reason(text: bytes, told: str) -> None:
    with pytest.raises(RefusalError) as caught:
        from_query_string(text)
    assert caught.value.status == 400
    assert told in caught.value.message
