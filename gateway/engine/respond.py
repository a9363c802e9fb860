"""Data, errors and receipts -> the bytes of an answer: the stable part first, what belongs to this delivery last (SPEC C4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gateway.compiler.executable import Executable
from gateway.errors import GatewayError, RefusedError
from gateway.exchange import Reply

__all__ = ["receipts_bytes", "refusal", "reply_bytes", "reply_pieces", "stream_headers"]


class _Answer(msgspec.Struct, omit_defaults=True):
    data: Any
    errors: Sequence[dict[str, Any]] = []
    extensions: Any = None


_encode = msgspec.json.Encoder(decimal_format="string").encode
_HEADER_CHARACTERS_MAX = 4_000
_RETRY = (("Retry-After", "1"),)
_BYPASS = b',"cache":{"status":"BYPASS","ageSeconds":0.0}'


def reply_bytes(data: Any, errors: Sequence[dict[str, Any]], receipts: bytes) -> bytes:
    """Encode an executed operation's answer, with its ``extensions`` ready made."""
    return _encode(_Answer(data, errors, msgspec.Raw(receipts)))


def reply_pieces(data: Sequence[bytes], errors: Sequence[dict[str, Any]], receipts: bytes) -> tuple[bytes, ...]:
    """Put a long answer around its data, which is encoded: the same bytes as `reply_bytes` gives, in no fewer pieces."""
    told = b',"errors":' + _encode(errors) if errors else b""
    end = b'%b,"extensions":%b}' % (told, receipts)
    first, *rest = data
    return (b'{"data":' + first, *rest, end) if rest else (b'{"data":%b%b' % (first, end),)


def receipts_bytes(*, slo: bytes, masked: bytes, denied: bytes, unmet: Sequence[dict[str, Any]] = ()) -> bytes:
    """Encode an answer's ``extensions``. ``slo``, ``masked``, ``denied``: JSON, ready made. ``unmet``: demands, by @requireSlo."""
    parts = [b'{"mesh":{"slo":', slo, b',"masked":', masked]
    if denied != b"[]":
        parts += [b',"denied":', denied]
    if unmet:
        parts += [b',"unmet":', _encode(unmet)]
    parts += [_BYPASS, b"}}"]
    return b"".join(parts)


def refusal(error: GatewayError, request_id: str) -> Reply:
    """Answer a request that is refused as a whole."""
    errors = error.errors if isinstance(error, RefusedError) else (error,)
    entries = [it.entry() for it in errors]
    for entry in entries:
        entry["extensions"]["requestId"] = request_id
    headers = _RETRY if error.code.name == "OVERLOADED" else ()
    return Reply(_encode({"errors": entries}), has_data=False, refusal=error.code, headers=headers, has_errors=True)


def stream_headers(executable: Executable, slo: str, first: int, unmet: Sequence[dict[str, Any]] = ()) -> tuple[tuple[str, str], ...]:
    """Write the receipts of an answer that has no place for them in its body: ``Mesh-Masked: path:mask, ...``.

    ``Mesh-First``: how many rows it has at most, whether that was asked for or is the default. ``unmet``: as in `receipts_bytes`.
    """
    headers = [("Mesh-Slo-Status", slo), ("Mesh-First", str(first))]
    if masked := executable.ruled.masked:
        headers.append(("Mesh-Masked", _joined(f"{it.path}:{it.mask}" for it in masked)))
    if denied := executable.ruled.denied:
        headers.append(("Mesh-Denied", _joined(it.path for it in denied)))
    if unmet:
        headers.append(("Mesh-Slo-Unmet", _joined(f"{it['path']}:{it['objective']}" for it in unmet)))
    return tuple(headers)


def _joined(items: Iterable[str]) -> str:
    # Servers and proxies refuse long heads, so what is too much is counted; the JSON answer has all of it.
    shown: list[str] = []
    size = more = 0
    for item in items:
        size += len(item) + 2
        if size <= _HEADER_CHARACTERS_MAX:
            shown.append(item)
        else:
            more += 1
    return ", ".join([*shown, f"+{more}"] if more else shown)
