"""What names may look like: products, columns, versions, roles. Anything refused comes back as a sentence that says why."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["CLAIM_PATH", "COLUMN_MAX", "PRODUCT_NAME", "PRODUCT_REF", "VERSION", "column_mistake"]

COLUMN_MAX = 128
PRODUCT_NAME = r"^[a-z][a-z0-9]*([-_][a-z0-9]+)*$"
"""Product and domain names, as a pattern that JSON Schema and Python read alike."""
PRODUCT_REF = r"^[a-z][a-z0-9]*([-_][a-z0-9]+)*/[a-z][a-z0-9]*([-_][a-z0-9]+)*$"
VERSION = r"^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})(-[0-9A-Za-z.-]{1,64})?(\+[0-9A-Za-z.-]{1,64})?$"
"""Semantic versioning 2.0.0, of bounded length."""
CLAIM_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_:/-]*(\.[A-Za-z0-9_][A-Za-z0-9_:/-]*)*")


@lru_cache(20_000)  # most columns of a mesh are called as others are
def column_mistake(name: str) -> str | None:
    """Say why ``name`` cannot name a column; None if it can.

    Quotes, backslashes and control characters never name anything honest, and later stages write names into SQL,
    templates and generated documents. **Source** SPEC C1.
    """
    if not name.strip():
        return "a name must not be empty"
    if len(name) > COLUMN_MAX:
        return f"a name has at most {COLUMN_MAX} characters"
    if name != name.strip():
        return "a name neither begins nor ends with a space"
    if name == "*":
        return "a name is not the asterisk that stands for all names"
    if any(character in "\"'`\\" for character in name):
        return "a name holds no quotes and no backslashes"
    if not name.isprintable():
        return "a name holds no control characters"
    return None
