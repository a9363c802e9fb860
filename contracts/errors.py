"""What can be wrong with a promise, told all at once and with the line to change.

    ContractError
    └── InvalidDocumentError        something in a document must be changed; holds every `Problem` found
        ├── ContractInvalidError    a contract, its schemas, or contracts that do not go together
        └── PolicyInvalidError      the mesh-wide policy

Messages quote names from the document in question only, never what else its folder holds.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "ContractError",
    "ContractInvalidError",
    "InvalidDocumentError",
    "PolicyInvalidError",
    "Problem",
    "ProblemCode",
    "nearest_of",
    "quoted",
]

_QUOTED_MAX = 60
_SHOWN_MAX = 100
_SUGGESTED_MAX = 1_000


class ProblemCode(StrEnum):
    """The kinds of mistakes; stable, for tools that read reports."""

    SYNTAX = "SYNTAX"
    LIMIT = "LIMIT"
    DUPLICATE = "DUPLICATE"
    UNKNOWN_KEY = "UNKNOWN_KEY"
    MISSING_KEY = "MISSING_KEY"
    WRONG_VALUE = "WRONG_VALUE"
    BAD_NAME = "BAD_NAME"
    BAD_REFERENCE = "BAD_REFERENCE"
    BAD_SCHEMA = "BAD_SCHEMA"
    UNKNOWN_COLUMN = "UNKNOWN_COLUMN"
    UNFIT_COLUMN = "UNFIT_COLUMN"
    UNFIT_MASK = "UNFIT_MASK"
    UNKNOWN_ROLE = "UNKNOWN_ROLE"
    UNKNOWN_PURPOSE = "UNKNOWN_PURPOSE"
    UNKNOWN_TAG = "UNKNOWN_TAG"
    OUT_OF_BOUNDS = "OUT_OF_BOUNDS"
    CONTRADICTION = "CONTRADICTION"
    NOT_ENFORCEABLE = "NOT_ENFORCEABLE"
    UNKNOWN_PRODUCT = "UNKNOWN_PRODUCT"
    UNSUPPORTED = "UNSUPPORTED"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it is, what was expected, and the nearest name that would have been right.

    ``line`` counts from 1; None where the mistake lies between files. ``at``: dotted path inside the document.
    """

    code: ProblemCode
    message: str
    file: str
    line: int | None = None
    at: str = ""
    nearest: str | None = None

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        hint = f"; did you mean {quoted(self.nearest)}?" if self.nearest is not None else ""
        return f"{place}: {f'{self.at}: ' if self.at else ''}{self.message}{hint} [{self.code}]"


class ContractError(Exception):
    """Anything this package refuses. ``code`` is public and stable; the fault is always the caller's."""

    code = "CONTRACT_INVALID"
    fault = "caller"
    status = 422
    hint = "Correct the contract at the lines given."


class InvalidDocumentError(ContractError):
    """A document holds mistakes; ``problems`` are all that were found, in document order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        shown = [str(problem) for problem in self.problems[:_SHOWN_MAX]]
        if len(self.problems) > _SHOWN_MAX:
            shown.append(f"... and {len(self.problems) - _SHOWN_MAX} more")
        super().__init__("\n".join(shown))


class ContractInvalidError(InvalidDocumentError):
    """A contract does not say what a contract must, or contradicts its schema, the policy or other contracts."""


class PolicyInvalidError(InvalidDocumentError):
    """The mesh-wide policy does not say what a policy must."""

    code = "POLICY_INVALID"
    status = 500
    hint = "Correct the mesh policy at the lines given."


def nearest_of(name: str, known: Iterable[str]) -> str | None:
    """Find the known name that ``name`` was most likely meant to be."""
    if len(name) > _QUOTED_MAX:
        return None
    candidates = [candidate for candidate, _ in zip(known, range(_SUGGESTED_MAX), strict=False)]
    folded = {_folded(candidate): candidate for candidate in candidates}
    if (exact := folded.get(_folded(name))) is not None:
        return exact
    found = difflib.get_close_matches(_folded(name), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def quoted(text: str) -> str:
    """Quote a name for a message: printable, and cut where it is long."""
    cut = text if len(text) <= _QUOTED_MAX else text[:_QUOTED_MAX] + "..."
    return '"' + "".join(character if character.isprintable() else "?" for character in cut) + '"'


def _folded(name: str) -> str:
    return name.replace("-", "").replace("_", "").casefold()
