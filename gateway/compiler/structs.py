"""Struct classes for answers, interned: one class per tuple of response keys, whatever operation asks for them.

Names never become Python source: attributes are ``k0..kn`` and the response keys go through ``rename``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

__all__ = ["output_class"]


@lru_cache(maxsize=4_096)
def output_class(keys: tuple[str, ...]) -> type[msgspec.Struct]:
    """Return the class whose instances encode as an object with ``keys`` in order, built positionally."""
    fields = [(f"k{place}", Any) for place in range(len(keys))]
    return msgspec.defstruct("Out", fields, rename={f"k{place}": key for place, key in enumerate(keys)}, gc=False)
