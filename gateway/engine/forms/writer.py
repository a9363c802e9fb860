"""What writes a form: bytes for the beginning, for every batch of rows and for the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.errors import GatewayError

__all__ = ["End", "Writer"]


@dataclass(frozen=True, slots=True)
class End:
    """What is known of a list once all its rows are written. ``problems``: entries of errors of single cells, shown null."""

    rows: int
    has_next: bool
    problems: Sequence[dict[str, Any]] = ()

    def entry(self) -> dict[str, Any]:
        """Return it as forms print it."""
        found: dict[str, Any] = {"rows": self.rows, "hasNextPage": self.has_next}
        if self.problems:
            found["errors"] = list(self.problems)
        return found


class Writer(Protocol):
    """Writes one list, once. ``tells_problems``: whether its end has a place for the errors of single cells."""

    tells_problems: bool

    def head(self) -> bytes:
        """Write what comes before the first row."""

    def rows(self, rows: Sequence[Any]) -> bytes:
        """Write a batch of shaped rows."""

    def end(self, end: End) -> bytes:
        """Write what comes after the last row."""

    def failure(self, error: GatewayError) -> bytes | None:
        """Write that the list ends here because of an error; None where only breaking off can tell."""
