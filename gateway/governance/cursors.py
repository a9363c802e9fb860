"""Cursors that only the list they came from can read (SPEC C5): what the engine must remember, sealed for one view of one connection.

AES-SIV: equal pages have equal cursors, and nothing else shows: payloads are padded to size classes, and what a cursor is bound to
(product version, order, filter, rulings, decision key) is authenticated with it. Any cursor that is not ours is refused with one message.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import GatewayError

__all__ = ["PAYLOAD_BYTES_MAX", "CursorCodec"]

_TAG_BYTES = 16
_LENGTH_BYTES = 2
# A class and its tag fill whole groups of three bytes, so the text needs no "=" and has one spelling only.
_CLASSES = tuple(48 * 2**doubling - _TAG_BYTES for doubling in range(7))
_TEXT_LENGTHS = frozenset((size + _TAG_BYTES) // 3 * 4 for size in _CLASSES)
PAYLOAD_BYTES_MAX = _CLASSES[-1] - _LENGTH_BYTES
_SECRET_BYTES_MIN = 16
_REMEMBERED_MAX = 1_024
_REMEMBERED_LENGTH_MAX = 512
_MESSAGE = "This cursor does not belong to this list, or is no longer valid."


class CursorCodec:
    """Seals and opens cursors under one secret; every process that shares the secret reads the others' cursors.

    Those opened lately are remembered, each for the list it belongs to: many ask for the same pages, and a cipher whose code and tables
    nobody else on the request's way uses costs far more there than it does by itself.
    """

    __slots__ = ("_decrypt", "_encrypt", "_remembered")

    def __init__(self, secret: bytes) -> None:
        if len(secret) < _SECRET_BYTES_MIN:
            raise ValueError(f"the cursor secret needs at least {_SECRET_BYTES_MIN} bytes")
        cipher = AESSIV(HKDF(SHA512(), 64, salt=None, info=b"meshgate cursor v1").derive(secret))
        self._encrypt = cipher.encrypt
        self._decrypt = cipher.decrypt
        self._remembered = lru_cache(maxsize=_REMEMBERED_MAX)(self._opened)

    def seal(self, payload: bytes, bound_to: bytes) -> str:
        """Seal what one row's place is; raises `ValueError` for more than `PAYLOAD_BYTES_MAX` bytes."""
        return self.seal_many((payload,), bound_to)[0]

    def seal_many(self, payloads: Iterable[bytes], bound_to: bytes) -> list[str]:
        """Seal one cursor per payload, in order, for one page."""
        encrypt, bound = self._encrypt, [_digest(bound_to)]
        return [urlsafe_b64encode(encrypt(_padded(payload), bound)).decode("ascii") for payload in payloads]

    def open(self, cursor: str, bound_to: bytes) -> bytes:
        """Read a cursor. Raises: `BAD_USER_INPUT` for another's, an edited, an outdated or an oversized one, all alike."""
        if len(cursor) not in _TEXT_LENGTHS:
            raise _refusal()
        open_ = self._remembered if len(cursor) <= _REMEMBERED_LENGTH_MAX else self._opened
        return open_(cursor, _digest(bound_to))

    def _opened(self, cursor: str, bound: bytes) -> bytes:
        try:
            sealed = urlsafe_b64decode(cursor.encode("ascii"))
            if urlsafe_b64encode(sealed).decode("ascii") != cursor:
                raise _refusal()
            padded = self._decrypt(sealed, [bound])
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise _refusal() from error
        length = int.from_bytes(padded[:_LENGTH_BYTES], "big")
        return padded[_LENGTH_BYTES : _LENGTH_BYTES + length]


def _refusal() -> GatewayError:
    return GatewayError("BAD_USER_INPUT", _MESSAGE, hint="Start again from the first page, and send cursors back as they came.")


def _digest(bound_to: bytes) -> bytes:
    return blake2b(bound_to, digest_size=32).digest()


def _padded(payload: bytes) -> bytes:
    length = len(payload)
    for size in _CLASSES:
        if length + _LENGTH_BYTES <= size:
            return length.to_bytes(_LENGTH_BYTES, "big") + payload.ljust(size - _LENGTH_BYTES, b"\0")
    raise ValueError(f"a cursor holds at most {PAYLOAD_BYTES_MAX} bytes")
