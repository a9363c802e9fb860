"""Data, errors and receipts -> the bytes of an answer: the stable part first, what belongs to this delivery last (SPEC C4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.errors import GatewayError, RefusedError
from gateway.exchange import Reply

__all__ = ["refusal", "reply_bytes"]

_encode = msgspec.json.Encoder(decimal_format="string").encode
_BYPASS = b',"cache":{"status":"BYPASS","ageSeconds":0.0}'


def reply_bytes(data: Any, errors: Sequence[dict[str, Any]], *, slo: bytes, masked: bytes, denied: bytes) -> bytes:
    """Encode an executed operation's answer. ``slo``, ``masked``, ``denied``: JSON, ready made."""
    parts = [b'{"data":', _encode(data)]
    if errors:
        parts += [b',"errors":', _encode(errors)]
    parts += [b',"extensions":{"mesh":{"slo":', slo, b',"masked":', masked]
    if denied != b"[]":
        parts += [b',"denied":', denied]
    parts += [_BYPASS, b"}}}"]
    return b"".join(parts)


def refusal(error: GatewayError, request_id: str) -> Reply:
    """Answer a request that is refused as a whole."""
    errors = error.errors if isinstance(error, RefusedError) else (error,)
    entries = [it.entry() for it in errors]
    for entry in entries:
        entry["extensions"]["requestId"] = request_id
    return Reply(_encode({"errors": entries}), has_data=False, refusal=error.code, has_errors=True)
