"""Collects the mistakes of one file while it is read, so that all are told at once."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from typing import Protocol

from contracts.errors import Problem, ProblemCode, nearest_of
from contracts.yaml_source import Path

__all__ = ["Located", "Report", "dotted"]

_PROBLEMS_MAX = 500
_SUGGESTIONS_MAX = 50


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
        self._gone: dict[Path, list[int]] = {}
        self._suggestions = 0
        self._left_out: list[Path] = []

    def leave_out(self, path: Path) -> None:
        """Say no more about the value at ``path``, and count list items without it from now on.

        What is built from a document without its mistakes must not be blamed for what was left out.
        """
        whole = self.original(path)
        self._left_out.append(whole)
        if isinstance(whole[-1], int):
            insort(self._gone.setdefault(whole[:-1], []), whole[-1])

    def original(self, path: Path) -> Path:
        """Translate a path in what is left to the path in the document."""
        found: Path = ()
        for step in path:
            found = (*found, self._index(found, step) if isinstance(step, int) else step)
        return found

    def _index(self, parent: Path, index: int) -> int:
        for gone in self._gone.get(parent, ()):
            index += gone <= index
        return index

    def nearest(self, name: str, known: Iterable[str]) -> str | None:
        """Find the known name that ``name`` was most likely meant to be, while there are not too many such mistakes."""
        self._suggestions += 1
        return nearest_of(name, known) if self._suggestions <= _SUGGESTIONS_MAX else None

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
