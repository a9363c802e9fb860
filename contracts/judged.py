"""Which contracts were judged good before, so that files that did not change need not be judged again.

A contract is found again by its file, the exact text of that file and of the schema it refers to, the mesh policy, and the sources and
libraries that judged it; where one of these differs, it is judged anew. Contracts that were refused are not remembered. Pure but for
reading this package's own sources.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
from yaml import _yaml

from contracts.maintenance_document import is_zone
from contracts.model import Contract
from contracts.packed import Unpacking, packed
from contracts.policy import MeshPolicy
from contracts.schemas.references import ReferenceRefusedError, References

__all__ = ["Judged", "OutdatedError", "judge", "revision_of"]

_LIBRARIES = ("PyYAML", "google-re2", "msgspec", "pydantic", "pydantic_core")


class OutdatedError(ValueError):
    """What was remembered was judged by other code or under another policy, or cannot be read."""


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """One file's contract. ``reference``: the schema that it refers to; ``revision`` is over both texts."""

    file: str
    revision: str
    reference: str | None
    content: bytes


class Pages(msgspec.Struct, array_like=True, frozen=True):
    """All that is remembered, and who judged it by what."""

    judge: str
    policy: str
    entries: tuple[Entry, ...]


def revision_of(text: bytes, *references: tuple[str, str]) -> str:
    """Digest a document and every schema (reference, text) that it refers to; equal text, equal revision."""
    digest = hashlib.sha256(_stamped(text))
    for reference, schema in references:
        digest.update(_stamped(reference.encode()) + _stamped(schema.encode()))
    return digest.hexdigest()


def _stamped(content: bytes) -> bytes:
    return b"%d\0" % len(content) + content


@cache
def judge() -> str | None:
    """Name the code that judges: this package's sources, Python, the libraries that read; None where they cannot be told."""
    digest = hashlib.sha256(f"{sys.version}\0{_yaml.get_version_string()}".encode())
    folder = Path(__file__).parent
    try:
        for path in sorted(folder.rglob("*.py")):
            digest.update(_stamped(str(path.relative_to(folder)).encode()) + _stamped(path.read_bytes()))
        for library in _LIBRARIES:
            digest.update(_stamped(version(library).encode()))
    except (OSError, PackageNotFoundError):
        return None
    return digest.hexdigest()


class Judged:
    """Contracts by file: those remembered from before, and those that one reading of a catalog finds.

    ``is_changed``: whether this reading found other than what was remembered.
    """

    def __init__(self, policy: MeshPolicy, content: bytes | None = None) -> None:
        """Begin with what `written` gave before. **Raises** `OutdatedError` where that is of no use."""
        self._policy = policy.revision
        self._before = {} if content is None else self._opened(content)
        self._unpacking = Unpacking()
        self._found: dict[str, Entry | tuple[Contract, str | None]] = {}
        self.reused = 0

    def _opened(self, content: bytes) -> dict[str, Entry]:
        try:
            pages = msgspec.msgpack.decode(content, type=Pages)
        except msgspec.DecodeError as error:
            raise OutdatedError("cannot be read") from error
        if pages.judge != judge():
            raise OutdatedError("was judged by other code")
        if pages.policy != self._policy:
            raise OutdatedError("was judged under another policy")
        return {entry.file: entry for entry in pages.entries}

    @property
    def count(self) -> int:
        """How many files this reading found good."""
        return len(self._found)

    @property
    def is_changed(self) -> bool:
        """Whether `written` would differ from what was remembered."""
        return self.reused != len(self._before) or self.reused != len(self._found)

    def find(self, file: str, text: bytes, references: References) -> Contract | None:
        """Find the contract of a file whose text, and whose schema's text, are what they were."""
        entry = self._before.get(file)
        if entry is None:
            return None
        try:
            schemas = () if entry.reference is None else ((entry.reference, references(entry.reference)),)
        except ReferenceRefusedError:
            return None
        if revision_of(text, *schemas) != entry.revision:
            return None
        try:
            contract = self._unpacking.contract(entry.content)
        except ValueError:
            return None
        if contract.revision != entry.revision or not all(is_zone(window.time_zone) for window in contract.maintenance):
            return None
        self._found[file] = entry
        self.reused += 1
        return contract

    def note(self, file: str, contract: Contract, reference: str | None) -> None:
        """Remember a file that was judged, and found good, now."""
        self._found[file] = (contract, reference)

    def written(self, turn: Callable[[], None] = lambda: None) -> bytes | None:
        """Write down what this reading found; None where it cannot be told who judged it.

        ``turn`` is called after each contract that was judged anew, which takes 0.2 ms, for others to have theirs.
        """
        by = judge()
        if by is None:
            return None
        entries: list[Entry] = []
        for file, found in self._found.items():
            if isinstance(found, Entry):
                entries.append(found)
            elif (content := packed(found[0])) is not None:
                entries.append(Entry(file, found[0].revision, found[1], content))
                turn()
        return msgspec.msgpack.encode(Pages(by, self._policy, tuple(entries)))
