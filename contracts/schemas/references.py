"""Schema references into texts: from a contract's own folder or from what was uploaded with it, never from elsewhere.

Refuses absolute paths, ``..``, backslashes, URLs, links that leave the folder, and files that are too large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

__all__ = ["SCHEMA_BYTES_MAX", "ReferenceRefusedError", "References", "from_folder", "from_texts"]

SCHEMA_BYTES_MAX = 1024 * 1024

References = Callable[[str], str]
"""Gives the text of a reference, or raises `ReferenceRefusedError`."""


class ReferenceRefusedError(Exception):
    """The reference leads nowhere, or where it must not; the message is fit to be shown."""


def from_folder(folder: Path) -> References:
    """Read references relative to ``folder``."""

    def read(reference: str) -> str:
        _refuse_outside(reference)
        try:
            root = folder.resolve()
            path = (root / reference).resolve()
            if not path.is_relative_to(root):
                raise ReferenceRefusedError("leads out of the contract's folder")
            if not path.is_file():
                raise ReferenceRefusedError("no such file in the contract's folder")
            with path.open("rb") as file:
                content = file.read(SCHEMA_BYTES_MAX + 1)
        except (OSError, RuntimeError, ValueError):
            raise ReferenceRefusedError("cannot be read") from None
        return _text(content)

    return read


def from_texts(texts: Mapping[str, str | bytes]) -> References:
    """Look references up among ``texts``; nothing is read from disk."""

    def read(reference: str) -> str:
        _refuse_outside(reference)
        given = texts.get(reference)
        if given is None:
            raise ReferenceRefusedError("was not given with the contract")
        return _text(given.encode("utf-8", "surrogatepass") if isinstance(given, str) else given)

    return read


def _refuse_outside(reference: str) -> None:
    if not reference or len(reference) > 500 or not reference.isprintable():
        raise ReferenceRefusedError("is no file name")
    if "\\" in reference or ":" in reference:
        raise ReferenceRefusedError("must be a relative path with forward slashes, not a URL")
    path = PurePosixPath(reference)
    if path.is_absolute() or ".." in path.parts:
        raise ReferenceRefusedError("must stay inside the contract's folder")


def _text(content: bytes) -> str:
    if len(content) > SCHEMA_BYTES_MAX:
        raise ReferenceRefusedError(f"is larger than {SCHEMA_BYTES_MAX} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ReferenceRefusedError("is not UTF-8 text") from None
