"""What the answers of all ports may hold in one process together: counted while they arrive and while they are worked on, refused beyond.

Counts, and holds nothing itself. For one thread, that of the event loop. Whoever takes a `Share` closes it, whatever happens; then
the count is as it was. Rejects with `NoRoomError`, which says nothing about the port.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from domain_adapters.errors import NoRoomError

__all__ = ["UNCOUNTED_BYTES", "Allowance", "Share"]

UNCOUNTED_BYTES = 64 * 1024
"""Answers up to this size are neither counted nor refused: what is small is answered however much others hold."""

_MOST_BYTES = 1024 * 1024 * 1024


class Allowance:
    """At most ``most_bytes`` at a time. ``held_bytes``: how much is held now."""

    __slots__ = ("held_bytes", "most_bytes")

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self.held_bytes = 0


class Share:
    """What one answer, or one request, holds of an allowance; nothing of it is counted up to ``uncounted_bytes``."""

    __slots__ = ("_allowance", "_held_bytes", "_uncounted_bytes")

    def __init__(self, allowance: Allowance, uncounted_bytes: int = UNCOUNTED_BYTES) -> None:
        self._allowance = allowance
        self._uncounted_bytes = uncounted_bytes
        self._held_bytes = 0

    def reach(self, total_bytes: int) -> None:
        """Hold so many bytes in all. Raises: `NoRoomError`, and what was held stays held."""
        more = total_bytes - self._held_bytes
        if more <= 0 or total_bytes <= self._uncounted_bytes:
            return
        allowance = self._allowance
        if allowance.held_bytes + more > allowance.most_bytes:
            raise NoRoomError
        allowance.held_bytes += more
        self._held_bytes = total_bytes

    def close(self) -> None:
        """Give everything back; the share may be used again."""
        self._allowance.held_bytes -= self._held_bytes
        self._held_bytes = 0

    def __enter__(self) -> Self:
        """Hold until the block ends."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give everything back."""
        self.close()
