"""Negotiation: the Accept and Content-Type headers in, the media type of the answer out. Source: RFC 9110 12.5.1, SPEC C6."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from gateway.exchange import Form

__all__ = ["FORMS", "HTML", "JSON", "RESPONSE_JSON", "Media", "charset_fits", "is_json", "negotiate"]

_RANGES_MAX = 50


@dataclass(frozen=True, slots=True)
class Media:
    """A media type that the gateway answers in. ``content_type``: as sent. ``form``: of one flat list, None for whole answers."""

    name: str
    content_type: bytes
    form: Form | None = None


RESPONSE_JSON = Media("application/graphql-response+json", b"application/graphql-response+json; charset=utf-8")
JSON = Media("application/json", b"application/json; charset=utf-8")
HTML = Media("text/html", b"text/html; charset=utf-8")
_ARROW = Media("application/vnd.apache.arrow.stream", b"application/vnd.apache.arrow.stream", Form.ARROW)
_CSV = b"text/csv; charset=utf-8; header=present"
FORMS = {
    Form.CSV: Media("text/csv", _CSV, Form.CSV),
    Form.CSV_EXACT: Media("text/csv", _CSV, Form.CSV_EXACT),
    Form.JSONL: Media("application/jsonl", b"application/jsonl; charset=utf-8", Form.JSONL),
    Form.ARROW: _ARROW,
}
"""The media type of each form."""
_NDJSON = Media("application/x-ndjson", b"application/x-ndjson; charset=utf-8", Form.JSONL)
_CHOICES = (JSON, RESPONSE_JSON, HTML, FORMS[Form.CSV], FORMS[Form.JSONL], _NDJSON, _ARROW)
"""What an Accept header can name. Of those named alike, the later of the whole answers is taken, before any form."""


@lru_cache(maxsize=256)
def negotiate(accept: bytes | None, *, html: bool = False) -> Media | None:
    """Choose the best of the two answer types, of the forms, and of HTML where a browser may be served; None if none is acceptable.

    Without an Accept header, and for wildcards, it is application/json; of two that are named alike the newer one. Forms and HTML
    must be named.
    """
    if accept is None or not accept.strip():
        return JSON
    ranges = list(_ranges(accept))
    best: Media | None = None
    best_rank = (0.0, 0, 0)
    for place, media in enumerate(_CHOICES):
        if media is HTML and not html:
            continue
        quality, specificity = _quality(media.name, ranges)
        if (media is HTML or media.form) and specificity < 3:
            # A wildcard is no browser, and no form.
            continue
        preference = 0 if media.form else place + 1
        rank = (quality, specificity, 0 if specificity < 3 and media is RESPONSE_JSON else preference)
        if quality > 0 and rank > best_rank:
            best, best_rank = media, rank
    return best


@lru_cache(maxsize=256)
def is_json(content_type: bytes) -> bool:
    """Tell whether a request's Content-Type is application/json in UTF-8."""
    name, parameters = _split(content_type.decode("latin-1"))
    return name == "application/json" and parameters is not None and charset_fits(parameters)


def charset_fits(parameters: dict[str, str]) -> bool:
    """Tell whether the charset parameter, if any, is UTF-8."""
    return parameters.get("charset", "utf-8").lower() in {"utf-8", "utf8"}


def _split(text: str) -> tuple[str, dict[str, str] | None]:
    """Split a media type from its parameters; None for parameters that are malformed or given twice."""
    name, *parts = text.split(";")
    parameters: dict[str, str] = {}
    for part in parts:
        if not part.strip():
            continue
        key, equals, value = part.partition("=")
        key = key.strip().lower()
        if not equals or not key or key in parameters:
            return name.strip().lower(), None
        parameters[key] = value.strip().strip('"')
    return name.strip().lower(), parameters


def _ranges(accept: bytes) -> Iterator[tuple[str, float]]:
    for part in accept.decode("latin-1").split(",")[:_RANGES_MAX]:
        name, parameters = _split(part)
        if parameters is None or "/" not in name or not charset_fits(parameters):
            continue
        try:
            quality = float(parameters.get("q", "1"))
        except ValueError:
            continue
        if 0 <= quality <= 1:
            yield name, quality


def _quality(name: str, ranges: list[tuple[str, float]]) -> tuple[float, int]:
    """Find the quality of a type: that of the most specific range that holds it (3 exact, 2 its main type, 1 all)."""
    main = name.partition("/")[0]
    found = (0.0, 0)
    for range_, quality in ranges:
        specificity = 3 if range_ == name else 2 if range_ == f"{main}/*" else 1 if range_ == "*/*" else 0
        if specificity > found[1] or (specificity and specificity == found[1] and quality > found[0]):
            found = (quality, specificity)
    return found
