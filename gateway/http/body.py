"""Bodies: what a client streams in, whole and decompressed bytes out, bounded on the way.

May reject with LIMIT_EXCEEDED (413), UNSUPPORTED_MEDIA_TYPE (415), BAD_USER_INPUT (400), DEADLINE_EXCEEDED (408).
"""

from __future__ import annotations

import zlib

from starlette.types import Message, Receive

from gateway.http.patience import within
from gateway.http.refusals import RefusalError

__all__ = ["ClientGoneError", "read"]

# The rest of a refused body must not be read as the next request, nor be waited for.
_CLOSE = ((b"connection", b"close"),)


class ClientGoneError(Exception):
    """The client left before its request was complete."""


async def read(receive: Receive, headers: dict[bytes, bytes], max_bytes: int, timeout_s: float) -> bytes:
    """Read a body. Raises: RefusalError, ClientGoneError."""
    length = headers.get(b"content-length")
    if length is not None:
        if b"transfer-encoding" in headers:
            raise RefusalError("BAD_USER_INPUT", "The request has both a Content-Length and a Transfer-Encoding.", headers=_CLOSE)
        if not length.isdigit() or len(length) > 18:
            raise RefusalError("BAD_USER_INPUT", "The Content-Length is not a number.", headers=_CLOSE)
        if int(length) > max_bytes:
            raise _too_large(max_bytes)
    encoding = headers.get(b"content-encoding")
    if encoding is not None:
        encoding = encoding.strip().lower()
        if encoding not in {b"gzip", b"x-gzip", b"deflate", b"identity", b""}:
            raise RefusalError("UNSUPPORTED_MEDIA_TYPE", "The Content-Encoding must be gzip, deflate or identity.", headers=_CLOSE)
    try:
        raw = await within(_received(receive, max_bytes), timeout_s)
    except TimeoutError:
        raise RefusalError(
            "DEADLINE_EXCEEDED", "The request's body did not arrive in time.", status=408, hint="Send the body at once.", headers=_CLOSE
        ) from None
    if encoding is None or encoding in {b"identity", b""}:
        return raw
    return _decompressed(raw, encoding, max_bytes)


async def _received(receive: Receive, max_bytes: int) -> bytes:
    message = await receive()
    first = _chunk(message, max_bytes)
    if not message.get("more_body", False):
        return first
    chunks = [first]
    size = len(first)
    while message.get("more_body", False):
        message = await receive()
        chunk = _chunk(message, max_bytes - size)
        size += len(chunk)
        chunks.append(chunk)
    return b"".join(chunks)


def _chunk(message: Message, room: int) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    chunk: bytes = message.get("body", b"")
    if len(chunk) > room:
        raise _too_large(None)
    return chunk


def _decompressed(raw: bytes, encoding: bytes, max_bytes: int) -> bytes:
    if encoding == b"deflate":
        # RFC 9110 means zlib's format; some clients send the bare stream.
        is_zlib = len(raw) >= 2 and raw[0] & 0x0F == 8 and (raw[0] << 8 | raw[1]) % 31 == 0
        window = zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS
    else:
        window = zlib.MAX_WBITS | 16
    stream = zlib.decompressobj(window)
    try:
        # One byte more than allowed tells a body at the limit from one beyond it, and ends a bomb there.
        body = stream.decompress(raw, max_bytes + 1)
    except zlib.error:
        raise RefusalError("BAD_USER_INPUT", "The body is not compressed as its Content-Encoding says.") from None
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    if not stream.eof:
        raise RefusalError("BAD_USER_INPUT", "The compressed body is cut off.")
    if stream.unused_data:
        raise RefusalError("BAD_USER_INPUT", "The compressed body is followed by something else.")
    return body


def _too_large(max_bytes: int | None) -> RefusalError:
    bound = f" of {max_bytes} bytes" if max_bytes is not None else ""
    return RefusalError(
        "LIMIT_EXCEEDED",
        f"The body is larger than the limit http.body_max_bytes{bound}, which holds after decompression too.",
        status=413,
        limit="http.body_max_bytes",
        headers=_CLOSE,
    )
