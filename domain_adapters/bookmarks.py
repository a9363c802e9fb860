"""Turns the place where a page ended into an opaque cursor, and back if it is one of ours and of the same read.

Cursors are encrypted (AES-SIV): they hold key values, and travel in URLs at level 0. What does not open, or belongs to another
read, is refused with `ReadInvalidError` (``bad_cursor``). Pure but for making a key.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from msgspec import structs

from domain_adapters.errors import ReadInvalidError
from domain_adapters.port import Read
from domain_adapters.wire import encode_read

__all__ = ["Bookmarks"]

_KEY_BYTES = 64


class Bookmarks:
    """Cursors of one port.

    ``secret``: bytes that several processes serving one product share; without it cursors end with the process.
    """

    __slots__ = ("_cipher", "_revision")

    def __init__(self, revision: str, secret: bytes | None = None) -> None:
        key = AESSIV.generate_key(512) if secret is None else blake2b(secret, digest_size=_KEY_BYTES, person=b"meshgate-cursor").digest()
        self._cipher = AESSIV(key)
        self._revision = revision.encode()

    def seal(self, read: Read, place: Sequence[Any], edition: int = 0) -> str:
        """Write the cursor for what follows ``place`` in this read; it opens again for the same ``edition`` of the data only."""
        return urlsafe_b64encode(self._cipher.encrypt(msgspec.json.encode(place), self._bound_to(read, edition))).rstrip(b"=").decode()

    def open(self, read: Read, edition: int = 0) -> list[Any] | None:
        """Read the place of a read's cursor, None without one. Raises: `ReadInvalidError`."""
        if read.cursor is None:
            return None
        try:
            sealed = b64decode(read.cursor.encode("ascii") + b"=" * (-len(read.cursor) % 4), altchars=b"-_", validate=True)
            return msgspec.json.decode(self._cipher.decrypt(sealed, self._bound_to(read, edition)), type=list[Any])
        except (ValueError, InvalidTag):
            raise ReadInvalidError("the cursor does not belong to this read", reason="bad_cursor") from None

    def walk(self, read: Read, edition: int = 0) -> bytes:
        """Name the walk that a page belongs to: the same for all pages of one read."""
        return b" ".join(self._bound_to(read, edition))

    def _bound_to(self, read: Read, edition: int) -> list[bytes]:
        same = structs.replace(read, cursor=None, limit=None, select=None, count=False)
        return [self._revision, blake2b(encode_read(same), digest_size=32).digest(), *([b"%d" % edition] if edition else [])]
