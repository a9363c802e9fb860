"""How names of contracts become names of GraphQL: one rule, for domains, products, columns and relationships.

A name's words are its runs of ASCII letters and digits; every other character separates words, but a letter or digit outside
ASCII becomes a word ``u`` + its code point in hex, so that names stay different. Words join in camelCase (fields) or
PascalCase (types); a leading digit gets ``_`` before it. With contract spelling kept, a column that GraphQL can carry as it
stands is left alone.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["column_name", "field_name", "is_name", "type_name"]

_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_WORD = re.compile(r"[A-Za-z0-9]+|[^\x00-\x7f]")


def is_name(text: str) -> bool:
    """Whether GraphQL can carry ``text`` and does not reserve it."""
    return bool(_NAME.match(text)) and not text.startswith("__")


@lru_cache(20_000)  # most columns of a mesh are called as others are
def field_name(name: str) -> str:
    """Spell a contract name as a GraphQL field: ``orders-daily`` -> ``ordersDaily``."""
    words = _words(name)
    first = words[0]
    head = first.lower() if first.isupper() else first[0].lower() + first[1:]
    return _safe(head + "".join(word[0].upper() + word[1:] for word in words[1:]))


def type_name(*names: str) -> str:
    """Spell contract names as one GraphQL type: ``order``, ``orders-daily`` -> ``OrderOrdersDaily``."""
    return _safe("".join(word[0].upper() + word[1:] for name in names for word in _words(name)))


def column_name(name: str, *, keep_spelling: bool = False) -> str:
    """Spell a column as a GraphQL field; ``keep_spelling`` leaves names alone that GraphQL can carry."""
    return name if keep_spelling and is_name(name) else field_name(name)


@lru_cache(20_000)  # a product's name is part of several types
def _words(name: str) -> tuple[str, ...]:
    words = [word if word.isascii() else f"u{ord(word):x}" for word in _WORD.findall(name) if word.isascii() or word.isalnum()]
    return tuple(words) or ("u" + "u".join(f"{ord(character):x}" for character in name),)


def _safe(name: str) -> str:
    return f"_{name}" if name[0].isdigit() else name
