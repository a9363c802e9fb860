"""One scalar of YAML into a value, by the 1.2 core schema: text, whole number, float, boolean or null; bounded. Touches nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from contracts.errors import ProblemCode

__all__ = ["DEFAULT_LIMITS", "Limits", "RefusedError", "scalar"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a document may hold; aliases count as often as they are used."""

    bytes_max: int = 512 * 1024
    nodes_max: int = 50_000
    depth_max: int = 48
    aliases_max: int = 200
    number_digits_max: int = 40


DEFAULT_LIMITS = Limits()


class RefusedError(Exception):
    """A document is refused at ``line`` (from 0)."""

    def __init__(self, code: ProblemCode, message: str, line: int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.line = line


_CONSTANTS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)")
_NUMBER_STARTS = frozenset("0123456789.+-")


def scalar(event: Any, line: int, limits: Limits) -> Any:
    """Read a scalar event. **Raises** `RefusedError`."""
    text: str = event.value
    if event.style or event.tag is not None:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    return _number(text, line, limits)


def _number(text: str, line: int, limits: Limits) -> Any:
    if _INTEGER.fullmatch(text):
        return int(_bounded(text, line, limits))
    if _FLOAT.fullmatch(text):
        return float(_bounded(text, line, limits))
    if _HEXADECIMAL.fullmatch(text):
        return int(_bounded(text, line, limits), 16)
    if _OCTAL.fullmatch(text):
        return int(_bounded(text, line, limits), 0)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", ""))
    if text in (".nan", ".NaN", ".NAN"):
        return float("nan")
    return text


def _bounded(text: str, line: int, limits: Limits) -> str:
    if len(text) > limits.number_digits_max:
        raise RefusedError(ProblemCode.LIMIT, f"a number has more than {limits.number_digits_max} digits", line)
    return text
