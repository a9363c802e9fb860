"""Untrusted JSON text into plain values; lines are looked up only when there is a mistake to report."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from contracts.errors import ContractInvalidError, Problem, ProblemCode, quoted
from contracts.yaml_source import Limits, Path, Source, read_yaml

__all__ = ["JsonText", "read_json"]

_AS_YAML = Limits(bytes_max=4 * 1024 * 1024, nodes_max=60_000)


class JsonText:
    """A JSON document: its ``data``, and where values stand in ``file``."""

    def __init__(self, file: str, text: str, data: Any) -> None:
        self.file = file
        self.data = data
        self._text = text

    @cached_property
    def _source(self) -> Source | None:
        # JSON is YAML but for a few escapes; where it is not, the problem is told without its line.
        try:
            return read_yaml(self._text, self.file, limits=_AS_YAML)
        except ContractInvalidError:
            return None

    def line_of(self, path: Path) -> int:
        """Find the line (from 1) of the value at ``path``."""
        return self._source.line_of(path) if self._source is not None else 1


def read_json(text: str, file: str) -> JsonText:
    """Read one JSON document (RFC 8259) without duplicate keys.

    **Raises** `ContractInvalidError` with one problem.
    """
    try:
        return JsonText(file, text, json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant))
    except json.JSONDecodeError as error:
        problem = Problem(ProblemCode.SYNTAX, f"not well-formed JSON: {error.msg}", file, error.lineno)
    except _DuplicateKeyError as error:
        problem = Problem(ProblemCode.DUPLICATE, f"key {quoted(str(error))} stands twice in one object", file, 1)
    except RecursionError:
        problem = Problem(ProblemCode.LIMIT, "nested too deeply", file, 1)
    except ValueError:  # the only one left: a number of thousands of digits, or NaN and Infinity
        problem = Problem(ProblemCode.SYNTAX, "holds a number that JSON does not allow", file, 1)
    raise ContractInvalidError([problem])


class _DuplicateKeyError(ValueError):
    pass


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKeyError(key)
            seen.add(key)
    return found


def _refuse_constant(constant: str) -> Any:
    raise ValueError(constant)
