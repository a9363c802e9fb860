"""Struct classes for answers, interned: one class per tuple of response keys, whatever operation asks for them.

Names never become Python source: attributes are ``k0..kn`` and the response keys go through ``rename``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

__all__ = ["output_class"]


_NARROW = 16


def output_class(keys: tuple[str, ...]) -> type[msgspec.Struct]:
    """Return the class whose instances encode as an object with ``keys`` in order, built positionally."""
    return _narrow(keys) if len(keys) <= _NARROW else _wide(keys)


def _made(keys: tuple[str, ...]) -> type[msgspec.Struct]:
    fields = [(f"k{place}", Any) for place in range(len(keys))]
    return msgspec.defstruct("Out", fields, rename={f"k{place}": key for place, key in enumerate(keys)}, gc=False)


# A class weighs 440 bytes per key: callers who pick hundreds of columns in ever other orders must not fill the memory with them.
_narrow = lru_cache(maxsize=2_048)(_made)
_wide = lru_cache(maxsize=64)(_made)
