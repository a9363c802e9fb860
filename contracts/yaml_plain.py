"""A YAML text that has nothing odd about it into plain values, without their lines, in half the time that it takes with them.

Whatever could be refused, or is rare (tags, anchors, aliases), is left to `contracts.yaml_source` to judge. Rejects and touches nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]

from contracts.yaml_scalars import Limits, RefusedError, scalar

__all__ = ["NOT_PLAIN", "plain"]

NOT_PLAIN = object()
"""Stands for a text that has to be read with more care."""

_KEY_WANTED = object()


def plain(text: str | bytes, limits: Limits) -> Any:
    """Read the one document of ``text``, or give `NOT_PLAIN`. INVARIANT: what this gives is what `contracts.yaml_source` composes."""
    if len(text) > limits.bytes_max:
        return NOT_PLAIN
    try:
        return _read(CParser(text if isinstance(text, str) else text.decode("utf-8-sig")).get_event, limits)
    except (yaml.YAMLError, UnicodeError, RefusedError):
        return NOT_PLAIN


def _read(next_event: Callable[[], Any], limits: Limits) -> Any:
    holds: Any = None  # the innermost open collection
    key: Any = None  # of a mapping: what waits for its value, or _KEY_WANTED
    around: list[tuple[Any, Any]] = []
    found: Any = NOT_PLAIN
    nodes = 0
    while (kind := type(event := next_event())) is not yaml.StreamEndEvent:
        if kind is yaml.ScalarEvent:
            nodes += 1
            if event.tag is not None or event.anchor is not None:
                return NOT_PLAIN
            if key is _KEY_WANTED:
                key = event.value
                if key in holds:
                    return NOT_PLAIN
                continue
            value = event.value if event.style else scalar(event, 0, limits)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            nodes += 1
            around.append((holds, key))
            if key is _KEY_WANTED or event.tag is not None or event.anchor is not None or len(around) >= limits.depth_max:
                return NOT_PLAIN
            holds, key = ({}, _KEY_WANTED) if kind is yaml.MappingStartEvent else ([], None)
            continue
        elif kind in _ENDS:
            value = holds
            holds, key = around.pop()
        elif kind is yaml.AliasEvent or (kind is yaml.DocumentStartEvent and found is not NOT_PLAIN):
            return NOT_PLAIN
        else:
            continue
        if key is not None:
            holds[key] = value
            key = _KEY_WANTED
        elif around:
            holds.append(value)
        else:
            found = value
    return found if nodes <= limits.nodes_max else NOT_PLAIN


_ENDS = frozenset({yaml.MappingEndEvent, yaml.SequenceEndEvent})
