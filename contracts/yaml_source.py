"""Untrusted YAML text into plain values that remember their lines.

YAML 1.2 core schema: only ``true`` and ``false`` are booleans, there are no base-60 numbers, dates stay text, keys are
text as written. Refuses duplicate keys, tags, several documents, and whatever exceeds `Limits`, in time linear in the
text, without recursion. Touches nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # not in the stubs; there where libyaml is

from contracts.errors import ContractInvalidError, Problem, ProblemCode, quoted
from contracts.yaml_plain import NOT_PLAIN, plain
from contracts.yaml_scalars import DEFAULT_LIMITS, Limits, RefusedError, scalar

__all__ = ["DEFAULT_LIMITS", "Limits", "Path", "Source", "read_documents", "read_yaml"]

Path = tuple[str | int, ...]


@dataclass(slots=True)
class _Node:
    """A value under construction: its line, the lines inside it, and what it weighs when an alias repeats it."""

    value: Any
    line: int
    inside: dict[str, tuple[int, _Node]] | list[_Node] | None
    weight: int = 1
    height: int = 1
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A document: ``data`` as plain dicts, lists and scalars, and where each value stands in ``file``."""

    file: str
    data: Any
    _root: Callable[[], _Node]

    def line_of(self, path: Path) -> int:
        """Find the line (from 1) of the value at ``path``; of the innermost value around it where it is missing."""
        node = self._root()
        line = node.line
        for step in path:
            inside = node.inside
            if isinstance(inside, dict) and step in inside:
                line, node = inside[str(step)]
            elif isinstance(inside, list) and isinstance(step, int) and step < len(inside):
                node = inside[step]
                line = node.line
            else:
                break
        return line + 1


def read_yaml(text: str | bytes, file: str, *, limits: Limits = DEFAULT_LIMITS) -> Source:
    """Read the one document of ``text``.

    **Raises** `ContractInvalidError` for anything that is not one well-formed, harmless document.
    """
    data = plain(text, limits)
    if data is NOT_PLAIN:
        (source,) = read_documents(text, file, documents_max=1, limits=limits)
        return source

    @cache
    def root() -> _Node:
        (found,) = _compose(_decoded(text, limits), 1, limits)
        return found

    return Source(file, data, root)


def read_documents(text: str | bytes, file: str, *, documents_max: int, limits: Limits = DEFAULT_LIMITS) -> tuple[Source, ...]:
    """Read the documents of ``text``, at least one and at most ``documents_max``; limits hold for all together."""
    try:
        roots = _compose(_decoded(text, limits), documents_max, limits)
    except RefusedError as refusal:
        raise ContractInvalidError([Problem(refusal.code, refusal.message, file, refusal.line + 1)]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        message = f"not well-formed YAML: {error.problem or error.context or 'unreadable'}"
        raise ContractInvalidError([Problem(ProblemCode.SYNTAX, message, file, line)]) from None
    except yaml.YAMLError:
        raise ContractInvalidError([Problem(ProblemCode.SYNTAX, "holds characters that YAML does not allow", file, 1)]) from None
    return tuple(Source(file, root.value, partial(lambda it: it, root)) for root in roots)


def _decoded(text: str | bytes, limits: Limits) -> str:
    size = len(text)
    if size > limits.bytes_max:
        raise RefusedError(ProblemCode.LIMIT, f"larger than {limits.bytes_max} bytes", 0)
    try:
        if isinstance(text, str):
            text.encode()
            return text
        return text.decode("utf-8-sig")
    except UnicodeError:
        raise RefusedError(ProblemCode.SYNTAX, "not UTF-8 text", 0) from None


class _Composer:
    """Builds the nodes of a stream from its events, with a stack of its own instead of recursion."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.roots: list[_Node] = []
        self.stack: list[_Node] = []
        self.keys: list[tuple[str, int] | None] = []
        self.anchors: dict[str, _Node] = {}
        self.nodes = 0
        self.aliases = 0

    def weigh(self, weight: int, height: int, line: int) -> None:
        self.nodes += weight
        if self.nodes > self.limits.nodes_max:
            raise RefusedError(ProblemCode.LIMIT, f"holds more than {self.limits.nodes_max} values, aliases counted in full", line)
        if len(self.stack) + height > self.limits.depth_max:
            raise RefusedError(ProblemCode.LIMIT, f"nested deeper than {self.limits.depth_max}", line)

    def add(self, node: _Node) -> None:
        """Hang a node that begins here into the innermost open collection."""
        if not self.stack:
            self.roots.append(node)
            return
        parent = self.stack[-1]
        if isinstance(parent.inside, list):
            parent.inside.append(node)
            parent.value.append(node.value)
            return
        assert parent.inside is not None
        key = self.keys[-1]
        assert key is not None
        name, line = key
        parent.inside[name] = (line, node)
        parent.value[name] = node.value
        self.keys[-1] = None

    def take_scalar(self, event: Any, line: int) -> None:
        # Nearly all that is in a document comes by here, so nothing is called that can be said in a line.
        stack = self.stack
        depth = len(stack)
        parent = stack[-1] if depth else None
        if parent is not None and self.keys[-1] is None and type(parent.inside) is dict:
            self.take_key(event, line, parent.inside)
            return
        if event.tag is not None:
            _refuse_tag(event, line)
        self.nodes += 1
        if self.nodes > self.limits.nodes_max or depth >= self.limits.depth_max:
            self.weigh(0, 1, line)
        node = _Node(scalar(event, line, self.limits), line, None)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        self.add(node)
        if parent is not None:
            parent.weight += 1
            if parent.height == 1:
                parent.height = 2

    def take_key(self, event: Any, line: int, inside: dict[str, tuple[int, _Node]]) -> None:
        if event.tag is not None:
            _refuse_tag(event, line)
        if event.anchor is not None:
            raise RefusedError(ProblemCode.SYNTAX, "keys cannot carry an anchor", line)
        self.nodes += 1
        if self.nodes > self.limits.nodes_max or len(self.stack) >= self.limits.depth_max:
            self.weigh(0, 1, line)
        key = event.value
        if key in inside:
            first = inside[key][0] + 1
            raise RefusedError(ProblemCode.DUPLICATE, f"key {quoted(key)} stands here a second time; the first is in line {first}", line)
        self.keys[-1] = (key, line)

    def refuse_as_key(self, line: int) -> None:
        """Refuse what is no text where a key is expected."""
        if self.stack and self.keys[-1] is None and type(self.stack[-1].inside) is dict:
            raise RefusedError(ProblemCode.SYNTAX, "keys must be plain text", line)

    def take_alias(self, event: Any, line: int) -> None:
        self.refuse_as_key(line)
        self.aliases += 1
        if self.aliases > self.limits.aliases_max:
            raise RefusedError(ProblemCode.LIMIT, f"uses more than {self.limits.aliases_max} aliases", line)
        target = self.anchors.get(event.anchor)
        if target is None or target.is_open:
            raise RefusedError(ProblemCode.SYNTAX, f"alias {quoted(event.anchor)} refers to nothing that is complete here", line)
        self.weigh(target.weight, target.height, line)
        self.add(target)
        self.carry(target)

    def take_collection(self, event: Any, line: int) -> None:
        self.refuse_as_key(line)
        _refuse_tag(event, line)
        self.weigh(1, 1, line)
        is_mapping = type(event) is yaml.MappingStartEvent
        node = _Node({}, line, {}, is_open=True) if is_mapping else _Node([], line, [], is_open=True)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        self.add(node)
        self.stack.append(node)
        self.keys.append(None)

    def close(self) -> None:
        node = self.stack.pop()
        self.keys.pop()
        node.is_open = False
        self.carry(node)

    def carry(self, node: _Node) -> None:
        """Add a finished node's weight and height to what holds it."""
        if self.stack:
            parent = self.stack[-1]
            parent.weight += node.weight
            parent.height = max(parent.height, node.height + 1)


def _compose(text: str, documents_max: int, limits: Limits) -> list[_Node]:
    composer = _Composer(limits)
    # libyaml, as in every wheel of PyYAML: some twenty times as fast as the parser in Python.
    next_event: Callable[[], Any] = CParser(text).get_event
    while (kind := type(event := next_event())) is not yaml.StreamEndEvent:
        if kind is yaml.ScalarEvent:
            composer.take_scalar(event, event.start_mark.line)
        elif kind in _ENDS:
            composer.close()
        elif kind in _STARTS:
            composer.take_collection(event, event.start_mark.line)
        elif kind is yaml.AliasEvent:
            composer.take_alias(event, event.start_mark.line)
        elif kind is yaml.DocumentStartEvent:
            composer.anchors.clear()
            if len(composer.roots) == documents_max:
                expected = "one document" if documents_max == 1 else f"at most {documents_max} documents"
                raise RefusedError(ProblemCode.LIMIT, f"expected {expected}", event.start_mark.line)
    if not composer.roots:
        raise RefusedError(ProblemCode.SYNTAX, "is empty", 0)
    return composer.roots


_STARTS = frozenset({yaml.MappingStartEvent, yaml.SequenceStartEvent})
_ENDS = frozenset({yaml.MappingEndEvent, yaml.SequenceEndEvent})
_TEXT_TAGS = ("!", "tag:yaml.org,2002:str")


def _refuse_tag(event: Any, line: int) -> None:
    tag = event.tag
    if tag is None or (tag in _TEXT_TAGS and isinstance(event, yaml.ScalarEvent)):
        return
    raise RefusedError(ProblemCode.SYNTAX, f"tag {quoted(tag)} is not allowed", line)
