"""Plain values into documents: every mistake of shape with its line, what was expected, and the nearest known key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from contracts.errors import ProblemCode, quoted
from contracts.report import Report
from contracts.yaml_source import Path

__all__ = ["validated"]

DocumentT = TypeVar("DocumentT", bound=BaseModel)

_EXPECTED = {
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "finite_number": "a finite number",
}


def validated(model: type[DocumentT], data: Any, report: Report, *, stand_ins: Mapping[Path, Any] | None = None) -> DocumentT | None:
    """Validate ``data``; the mistakes go to ``report``.

    What is wrong is left out and the rest read again, so that mistakes of meaning are told together with mistakes of shape.
    ``stand_ins``: what to read on with where something required is missing, instead of leaving out all around it.
    None where nothing readable is left.
    """
    known = stand_ins or {}
    for _ in range(_ROUNDS_MAX):
        try:
            return model.model_validate(data)
        except ValidationError as error:
            entries = _independent(error.errors(include_url=False))
        for entry in entries[:_ENTRIES_MAX]:
            _explain(model, entry, report)
        if len(entries) > _ENTRIES_MAX:
            return None
        data = _copied(data)
        for path in [_path(entry) for entry in entries if entry["type"] == "missing" and _path(entry) in known]:
            _put(data, path, _copied(known[path]))
        culprits = {_culprit(entry) for entry in entries if entry["type"] != "missing" or _path(entry) not in known}
        for path in sorted(culprits, key=_from_the_end, reverse=True):
            if not path:
                return None
            if _leave_out(data, path):
                report.leave_out(path)
    return None


_ROUNDS_MAX = 8
_ENTRIES_MAX = 500
_BRANCHES = ("<text>", "<mapping>", "[key]")  # the marks of union branches are ours, not the document's


def _path(entry: Any) -> Path:
    return tuple(step for step in entry["loc"] if step not in _BRANCHES)


def _independent(entries: list[Any]) -> list[Any]:
    """Drop what follows from the others: a list is not too short when its items are wrong."""
    above = {path[:length] for entry in entries if entry["type"] != "too_short" for path in (_path(entry),) for length in range(len(path))}
    return [entry for entry in entries if entry["type"] != "too_short" or _path(entry) not in above]


def _culprit(entry: Any) -> Path:
    path = _path(entry)
    return path[:-1] if entry["type"] == "missing" else path


def _from_the_end(path: Path) -> tuple[tuple[int, str], ...]:
    # Later list items go first, so that the indices of earlier ones stay true.
    return tuple((step, "") if isinstance(step, int) else (-1, step) for step in path)


def _copied(data: Any) -> Any:
    """Copy a document, without the sharing that aliases bring."""
    if isinstance(data, dict):
        return {key: _copied(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_copied(value) for value in data]
    return data


def _put(data: Any, path: Path, value: Any) -> None:
    for step in path[:-1]:
        data = data[step]
    data[path[-1]] = value


def _leave_out(data: Any, path: Path) -> bool:
    for step in path[:-1]:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return False
    try:
        del data[path[-1]]
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _explain(model: type[BaseModel], entry: Any, report: Report) -> None:
    path = _path(entry)
    kind, context, given = entry["type"], entry.get("ctx", {}), entry["input"]
    if kind == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        report.add(ProblemCode.UNKNOWN_KEY, path, "unknown key", nearest=report.nearest(str(path[-1]), known))
    elif kind == "missing":
        report.add(ProblemCode.MISSING_KEY, path[:-1], f"needs {quoted(str(path[-1]))}")
    elif kind in ("literal_error", "enum"):
        choices = [choice.strip("' ") for part in str(context["expected"]).split(" or ") for choice in part.split(",")]
        nearest = report.nearest(given, choices) if isinstance(given, str) else None
        report.add(ProblemCode.WRONG_VALUE, path, f"expected {str(context['expected']).replace(chr(39), chr(34))}", nearest=nearest)
    elif kind == "string_type" and isinstance(given, (int, float)):
        report.add(ProblemCode.WRONG_VALUE, path, "expected text: put the value in quotes")
    elif kind in _EXPECTED:
        report.add(ProblemCode.WRONG_VALUE, path, f"expected {_EXPECTED[kind]}")
    elif kind == "string_pattern_mismatch":
        report.add(ProblemCode.BAD_NAME, path, f"does not look as expected: {context['pattern']}")
    else:
        message = str(entry["msg"]).removeprefix("Value error, ").removeprefix("Input ")
        report.add(ProblemCode.WRONG_VALUE, path, message)


def _keys_at(model: type[BaseModel], path: Path) -> list[str]:
    """List the keys that the document's JSON Schema knows at ``path``."""
    schema = _schema_of(model)
    here = list(_branches(schema, schema))
    for step in path:
        here = [branch for inner in here for child in _children(inner, step) for branch in _branches(schema, child)]
    return [key for branch in here for key in branch.get("properties", {})]


@cache
def _schema_of(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)


def _branches(root: dict[str, Any], schema: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        yield from _branches(root, root["$defs"][schema["$ref"].rpartition("/")[2]])
    for word in ("anyOf", "oneOf", "allOf"):
        for branch in schema.get(word, ()):
            yield from _branches(root, branch)
    yield schema


def _children(schema: dict[str, Any], step: str | int) -> Iterator[Any]:
    if isinstance(step, int):
        yield schema.get("items")
    elif step in schema.get("properties", {}):
        yield schema["properties"][step]
    else:
        yield schema.get("additionalProperties")
