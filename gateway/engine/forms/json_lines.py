"""JSON lines: one row per line, exactly as ``nodes`` has it in the JSON answer; the last line is ``{"end": ...}`` or ``{"error": ...}``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.compiler.flat import FlatList
from gateway.engine.forms.writer import End
from gateway.errors import GatewayError

__all__ = ["JsonLines"]

_LAST = ({"end"}, {"error"})


class JsonLines:
    """Writes JSON lines. **Raises** `GatewayError` NOT_ACCEPTABLE for rows that would read as the last line."""

    tells_problems = True

    def __init__(self, flat: FlatList) -> None:
        # Response keys of partners hold dots only in the columns' names: the first part is the row's own key.
        if {column.name.partition(".")[0] for column in flat.columns} in _LAST:
            raise GatewayError(
                "NOT_ACCEPTABLE",
                "Rows with a single field called end or error would read as the last line of JSON lines.",
                hint="Give the field another alias.",
            )
        self._encoder = msgspec.json.Encoder(decimal_format="string")

    def head(self) -> bytes:
        """Write nothing."""
        return b""

    def rows(self, rows: Sequence[Any]) -> bytes:
        """Write a line per row."""
        return self._encoder.encode_lines(rows)

    def end(self, end: End) -> bytes:
        """Write the last line: how many rows there were, whether more follow, which cells did not keep their type."""
        return self._encoder.encode_lines([{"end": end.entry()}])

    def failure(self, error: GatewayError) -> bytes:
        """Write the last line of a list that broke off."""
        return self._encoder.encode_lines([{"error": error.entry()}])
