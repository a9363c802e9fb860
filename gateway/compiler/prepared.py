"""What is kept of an operation: its checked shape with the executables of that, and a text of that shape ready to run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLInputType

from gateway.catalog.mentions import Trace
from gateway.catalog.reach import Reach, RulingOf
from gateway.compiler.executable import Executable
from gateway.compiler.kept import Entry
from gateway.governance.recent import Recent

__all__ = ["Checked", "Prepared"]

_VECTORS_MAX = 32
_TRACE_NAME_BYTES = 250
# Measured with tracemalloc over generated operations (tests/property/test_kept_operations.py holds the sum to it).
_CHECKED_BASE_BYTES = 3_500
_PREPARED_BASE_BYTES = 1_500


@dataclass(slots=True, eq=False)
class Checked:
    """A valid shape under one set of rulings, with its executables by @skip/@include vector. ``entry``: None while not kept."""

    shape: str
    reach: Reach
    ruling_of: RulingOf
    literal_types: tuple[GraphQLInputType | None, ...]
    long_as_text: bool
    coerce: Callable[[Mapping[str, Any]], dict[str, Any]]
    executables: Recent[tuple[tuple[bool, ...], Trace], Executable] = field(default_factory=lambda: Recent(_VECTORS_MAX))
    entry: Entry | None = None

    def size_bytes(self) -> int:
        """Estimate what is kept."""
        return _CHECKED_BASE_BYTES + sys.getsizeof(self.shape) + sum(it.size_bytes for it in self.executables.values())


@dataclass(slots=True, eq=False)
class Prepared:
    """A text ready to run: its checked shape, and its own literals, coerced. ``conditions``: variables that @skip and @include read.

    ``trace``: the relationships that the variables it was prepared for name.
    """

    checked: Checked
    text: str
    name: str | None
    literals: tuple[Any, ...]
    conditions: tuple[str, ...]
    takes_variables: bool
    trace: Trace
    entry: Entry | None = None

    def size_bytes(self) -> int:
        """Estimate what is kept."""
        kept = sys.getsizeof(self.text) * (2 if self.literals else 1) + self.trace.size * _TRACE_NAME_BYTES
        return _PREPARED_BASE_BYTES + kept
