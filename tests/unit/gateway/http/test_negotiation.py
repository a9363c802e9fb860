"""Negotiation: which media type a request gets."""

from __future__ import annotations

import pytest

from gateway.http.negotiation import HTML, JSON, RESPONSE_JSON, Media, is_json, negotiate

CHROME = b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, JSON),
        (b"", JSON),
        (b" ", JSON),
        (b"*/*", JSON),
        (b"application/*", JSON),
        (b"application/json", JSON),
        (b"application/json; charset=utf-8", JSON),
        (b"APPLICATION/JSON", JSON),
        (b"application/graphql-response+json", RESPONSE_JSON),
        (b"application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", RESPONSE_JSON),
        (b"application/json, application/graphql-response+json", RESPONSE_JSON),
        (b"application/json, application/graphql-response+json;q=0.9", JSON),
        (b"application/graphql-response+json, application/json;q=0.9", RESPONSE_JSON),
        (b"application/graphql-response+json;q=0, */*", JSON),
        (b"application/json;q=0, */*", RESPONSE_JSON),
        (b"application/json;q=0.1, */*;q=0.9", RESPONSE_JSON),
        (b"application/*;q=0.5, */*;q=0.1", JSON),
        (b"image/png", None),
        (b"application/json;q=0", None),
        (b"application/json;charset=utf-16", None),
        (b"application/json;q=nonsense", None),
        (b"application/json;q=7", None),
        (b"application/json;q=nan", None),
        (b"application/json;q=1;q=1", None),
        (b"nonsense", None),
        (b"\xff\xfe", None),
        (CHROME, JSON),
    ],
)
def test_the_best_listed_type_is_chosen(accept: bytes | None, media: Media | None) -> None:
    assert negotiate(accept) is media


def test_a_browser_gets_html_only_where_html_is_served() -> None:
    assert negotiate(CHROME, html=True) is HTML
    assert negotiate(b"*/*", html=True) is JSON
    assert negotiate(b"text/*", html=True) is None
    assert negotiate(b"text/html;q=0.5, application/json", html=True) is JSON


def test_only_the_first_ranges_are_read() -> None:
    assert negotiate(b"a/b," * 100 + b"application/json") is None


@pytest.mark.parametrize(
    ("content_type", "fits"),
    [
        (b"application/json", True),
        (b"Application/JSON; Charset=UTF-8", True),
        (b'application/json; charset="utf-8"', True),
        (b"application/json;", True),
        (b"application/json; charset=utf-16", False),
        (b"application/json; charset=utf-8; charset=utf-8", False),
        (b"application/json; charset", False),
        (b"x-application/json-y", False),
        (b"application/json, text/plain", False),
        (b"application/graphql", False),
        (b"text/plain", False),
        (b"", False),
    ],
)
def test_a_body_must_be_json_in_utf_8(content_type: bytes, fits: bool) -> None:
    assert is_json(content_type) is fits
