"""Collects the mistakes of one file while it is read, so that all are told at once."""

from __future__ import annotations

from typing import Protocol

from contracts.errors import Problem, ProblemCode
from contracts.yaml_source import Path

__all__ = ["Located", "Report", "dotted"]

_PROBLEMS_MAX = 500
_ITEMS_MAX = 50_000


class Located(Protocol):
    """A document that knows where its values stand."""

    @property
    def file(self) -> str:
        """The document's name."""

    def line_of(self, path: Path) -> int:
        """Find the line of the value at ``path``."""


def dotted(path: Path) -> str:
    """Write a path as ``spec.access[1].role``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = "".join(character if character.isprintable() else "?" for character in step[:60])
            text += f".{name}" if text else name
    return text


class Report:
    """What is wrong (``problems``) and what is odd (``warnings``) in one document."""

    def __init__(self, document: Located) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._kept: dict[Path, list[int]] = {}
        self._left_out: list[Path] = []

    def leave_out(self, path: Path) -> None:
        """Say no more about the value at ``path``, and count list items without it from now on.

        What is built from a document without its mistakes must not be blamed for what was left out.
        """
        self._left_out.append(self.original(path))
        if isinstance(path[-1], int):
            parent = self.original(path[:-1])
            kept = self._kept.setdefault(parent, list(range(_ITEMS_MAX)))
            del kept[path[-1]]

    def original(self, path: Path) -> Path:
        """Translate a path in what is left to the path in the document."""
        found: Path = ()
        for step in path:
            found = (*found, self._kept[found][step] if isinstance(step, int) and found in self._kept else step)
        return found

    def add(self, code: ProblemCode, path: Path, message: str, *, nearest: str | None = None) -> None:
        """Note a mistake that keeps the document from loading."""
        path = self.original(path)
        if len(self.problems) < _PROBLEMS_MAX and not any(out[: len(path)] == path for out in self._left_out):
            self.problems.append(self._problem(code, path, message, nearest))

    def warn(self, code: ProblemCode, path: Path, message: str, *, nearest: str | None = None) -> None:
        """Note something that loads but deserves attention."""
        if len(self.warnings) < _PROBLEMS_MAX:
            self.warnings.append(self._problem(code, self.original(path), message, nearest))

    def _problem(self, code: ProblemCode, path: Path, message: str, nearest: str | None) -> Problem:
        return Problem(code, message, self.document.file, self.document.line_of(path), dotted(path), nearest)
