"""Decoded rows -> the answer's objects without making any: where an answer shows exactly what was decoded, in the contract's order.

A row's class says how it is spelt on the wire; a class derived from it, with the same fields, says how it is spelt in the answer. To
change a row's class takes less than half of making an object beside it, and needs no memory.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from gateway.compiler.executable import row_attribute

__all__ = ["recast"]


def recast(rows: list[Any], cells: tuple[tuple[str, int], ...]) -> bool:
    """Make rows encode as objects with ``cells``: (response key, column index) of each member in order; False where they cannot.

    What reads their columns still can. INVARIANT: a row that was decoded with any other column than these is left alone, because
    all that it has would be encoded.
    """
    classes = set(map(type, rows))
    if len(classes) != 1:  # later pages were decoded otherwise
        return not rows
    made = _spelt(classes.pop(), cells)
    if made is None:
        return False
    for row in rows:
        row.__class__ = made
    return True


@lru_cache(maxsize=256)
def _spelt(row_class: type[msgspec.Struct], cells: tuple[tuple[str, int], ...]) -> type[msgspec.Struct] | None:
    spelling = {row_attribute(index): key for key, index in cells}
    if len(spelling) < len(cells) or tuple(spelling) != row_class.__struct_fields__:
        return None
    # Fields of its own would be another layout; those of the base, said again, are not.
    return msgspec.defstruct("Out", [(name, Any, None) for name in spelling], bases=(row_class,), rename=spelling, gc=False)
