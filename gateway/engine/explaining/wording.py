"""Conditions and orders -> words for a person: columns by their names in the contract, long lists and texts cut. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from contracts.predicates import FALSE, TRUE, Among, And, Claim, Compare, Not, Or, Predicate
from domain_adapters.port import Nulls, Order
from gateway.engine.asking.links import Link

__all__ = ["conjuncts", "order_words", "words"]

_VALUES_MAX = 4
_CHARACTERS_MAX = 40


def conjuncts(predicate: Predicate) -> tuple[Predicate, ...]:
    """List what must hold at once."""
    if predicate == TRUE:
        return ()
    return predicate.parts if isinstance(predicate, And) else (predicate,)


def words(predicate: Predicate) -> str:
    """Write a condition."""
    if predicate == TRUE:
        return "any row"
    if predicate == FALSE:
        return "no row"
    match predicate:
        case Compare(value=Link() as link):
            return f"a partner in {link.target}{'' if link.where == TRUE else f' where {_inner(link.where)}'}"
        case Compare(column=column, operator=operator, value=value):
            return f"{column} {operator.value} {_value(value)}"
        case Among(columns=columns, values=values):
            return f"({', '.join(columns)}) among {len(values)} keys"
        case And(parts=parts):
            return " and ".join(_inner(part) for part in parts)
        case Or(parts=parts):
            return " or ".join(_inner(part) for part in parts)
        case Not(part=Compare(value=Link()) as inner):
            return f"no{words(inner).removeprefix('a')}"
        case Not(part=part):
            return f"not {_inner(part)}"


def _inner(part: Predicate) -> str:
    return f"({words(part)})" if isinstance(part, And | Or) else words(part)


def _value(value: Any) -> str:
    match value:
        case Claim(path=path):
            return f"$claims.{path}"
        case tuple():
            shown = [_value(it) for it in value[:_VALUES_MAX]]
            return f"[{', '.join(shown)}{f' and {len(value) - _VALUES_MAX} more' if len(value) > _VALUES_MAX else ''}]"
        case bool() | None:
            return str(value).lower() if value is not None else "null"
    text = str(value)
    text = text if len(text) <= _CHARACTERS_MAX else f"{text[:_CHARACTERS_MAX]}..."
    return ascii(text)[1:-1] if not text.isprintable() else text


def order_words(order: Iterable[Order]) -> str:
    """Write an order."""
    return ", ".join(
        f"{it.column}{' descending' if it.descending else ''}{' nulls first' if it.nulls is Nulls.FIRST else ''}" for it in order
    )
