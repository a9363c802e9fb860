"""Objects of a long answer -> JSON, some at a time and before it is put together: what remains at the end is to copy them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

__all__ = ["CELLS_ENCODED", "in_json"]

CELLS_ENCODED = 20_000
"""From how many cells on a list is long: fewer are encoded at the end, in a few milliseconds at most."""

_encode_lines = msgspec.json.Encoder(decimal_format="string").encode_lines


def in_json(objects: Sequence[Any]) -> list[msgspec.Raw]:
    """Encode each object; a line break within one is never written as such."""
    return list(map(msgspec.Raw, _encode_lines(objects).split(b"\n")[:-1]))
