"""Parameters: a body or a query string in, a well-formed `Question` out. May reject with BAD_USER_INPUT."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from gateway.exchange import Question
from gateway.http.refusals import RefusalError

__all__ = ["from_body", "from_query_string"]

_NAMES: Final = ("query", "operationName", "variables", "extensions")
_PARAMETERS_MAX = 20


class _Sent(msgspec.Struct):
    query: str | None = None
    operationName: str | None = None  # noqa: N815 - the wire's name
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None


_decode_body = msgspec.json.Decoder(_Sent).decode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


def from_body(body: bytes) -> Question:
    """Read the JSON body of a POST."""
    try:
        sent = _decode_body(body)
    except msgspec.ValidationError as error:
        raise _unfit(str(error), body) from None
    except UnicodeDecodeError:
        raise RefusalError("BAD_USER_INPUT", "The body is not valid UTF-8.") from None
    except RecursionError:
        raise RefusalError("BAD_USER_INPUT", "The body is nested too deeply.") from None
    except (msgspec.DecodeError, ValueError):
        raise RefusalError("BAD_USER_INPUT", "The body is not valid JSON.") from None
    return _question(sent)


def from_query_string(text: bytes) -> Question:
    """Read the parameters of a GET; empty ones count as absent."""
    try:
        pairs = parse_qsl(
            text.decode("ascii"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=_PARAMETERS_MAX, separator="&"
        )
    except (ValueError, UnicodeError):
        raise RefusalError("BAD_USER_INPUT", "The query string cannot be decoded, or has too many parameters.") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in _NAMES and name in found:
            raise RefusalError("BAD_USER_INPUT", f"The parameter {name} is given twice.")
        found[name] = value
    return _question(
        _Sent(
            found.get("query") or None,
            found.get("operationName") or None,
            _object("variables", found.get("variables")),
            _object("extensions", found.get("extensions")),
        )
    )


def _object(name: str, text: str | None) -> dict[str, Any] | None:
    if not text or text == "null":
        return None
    try:
        return _decode_object(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise RefusalError("BAD_USER_INPUT", f"The parameter {name} is not a JSON object.") from None


def _question(sent: _Sent) -> Question:
    if sent.query is None:
        if sent.extensions is not None and "persistedQuery" in sent.extensions:
            raise RefusalError("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
        raise RefusalError("BAD_USER_INPUT", "The parameter query is missing.", hint="Send the text of the operation as query.")
    return Question(sent.query, sent.operationName or None, sent.variables, sent.extensions)


def _unfit(found: str, body: bytes) -> RefusalError:
    for name in _NAMES:
        if f"`$.{name}`" in found:
            kind = "a string" if name in {"query", "operationName"} else "an object"
            return RefusalError("BAD_USER_INPUT", f"The parameter {name} must be {kind}.")
    if "`$." in found:
        return RefusalError("BAD_USER_INPUT", "The body holds a number that is out of range.")
    if body.lstrip()[:1] == b"[":
        return RefusalError(
            "BAD_USER_INPUT", "The body must be a JSON object; batches are not supported.", hint="Send one operation per request."
        )
    return RefusalError("BAD_USER_INPUT", "The body must be a JSON object.")
