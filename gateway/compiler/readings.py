"""Documents read lately: what a request needs of its text more than once, and the next request with the same text.

Bounded by bytes, since one near the limits weighs a thousand times what a small one does. Rejects what reading rejects.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping

from graphql import NonNullTypeNode, Token, VariableDefinitionNode

from gateway.compiler.documents import Document, read_document
from gateway.compiler.limits import Limits

__all__ = ["Readings", "size_bytes"]

# Measured with tracemalloc (tests/attacks/test_memory.py holds the sum to it): nodes and tokens, and a name or a value each.
_BASE_BYTES = 2_000
_TOKEN_BYTES = 700


class Readings:
    """Reads texts and remembers the last ones, at most ``max_bytes`` of them. Any thread may ask."""

    def __init__(self, limits: Limits, max_bytes: int) -> None:
        self._limits = limits
        self._max_bytes = max_bytes
        self._kept: OrderedDict[tuple[str, str | None], tuple[Document, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.size_bytes = 0

    def of(self, text: str, name: str | None) -> Document:
        """Read a text, or find it among the last ones read. **Raises** as `read_document`."""
        place = (text, name)
        with self._lock:
            if (found := self._kept.get(place)) is not None:
                self._kept.move_to_end(place)
                return found[0]
        document = read_document(text, name, self._limits)
        weight = size_bytes(document)
        with self._lock:
            if place not in self._kept:
                self._kept[place] = document, weight
                self.size_bytes += weight
            while self.size_bytes > self._max_bytes:
                self.size_bytes -= self._kept.popitem(last=False)[1][1]
        return document

    def variables(self, text: str, name: str | None) -> tuple[VariableDefinitionNode, ...]:
        """Give the variables that a text's operation defines. **Raises** as `read_document`."""
        return tuple(self.of(text, name).operation.variable_definitions or ())

    def missing(self, text: str, name: str | None, given: Mapping[str, object]) -> tuple[str, ...]:
        """Name the variables of a text that must be given and are not. **Raises** as `read_document`."""
        needed = [it for it in self.variables(text, name) if isinstance(it.type, NonNullTypeNode) and it.default_value is None]
        return tuple(it.variable.name.value for it in needed if it.variable.name.value not in given)


def size_bytes(document: Document) -> int:
    """Estimate what a document holds."""
    tokens = 0
    token: Token | None = document.ast.loc.start_token if document.ast.loc is not None else None
    while token is not None:
        tokens += 1
        token = token.next
    # Tokens hold what they say, comments too, so that a text is there twice.
    return _BASE_BYTES + tokens * _TOKEN_BYTES + 2 * sys.getsizeof(document.text) + sys.getsizeof(document.shape)
