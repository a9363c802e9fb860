"""A condition and a port's capabilities -> the part that the port applies and the part that is left for the gateway.

Pure. What is pushed is only ever a conjunct of the whole, so pushing it never loses a row.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from contracts.fields import Kind, Scalar, Unit
from contracts.predicates import TRUE, Among, And, Compare, Not, Operator, Or, Predicate, conjunction
from domain_adapters.port import Capabilities, Keys
from gateway.catalog.snapshot import Product
from gateway.engine.asking.asked import Asked
from gateway.engine.asking.conditions import nanos_text

__all__ = ["can_push", "divide", "looked_up", "rename", "wanted_of"]

_LISTS = (Operator.IN, Operator.NOT_IN)
_SEPARATOR = ","
# At level 0 a list is part of a URL, which servers cut off at some 8,000 characters.
_URL_VALUES_MAX = 200
_URL_CHARACTERS_MAX = 3_000


def wanted_of(product: Product, asked: Asked, rule: Predicate, capabilities: Capabilities) -> Predicate:
    """Join what was asked with the row rule, and with ``since`` where the port does not know it."""
    updated = product.contract.times.updated
    if asked.since is None or updated is None or capabilities.since:
        return rule if asked.where is TRUE else conjunction(asked.where, rule)
    return conjunction(asked.where, Compare(updated, Operator.GTE, _of_updated(product, asked.since, updated)), rule)


def _of_updated(product: Product, since: dt.datetime, updated: str) -> Any:
    match product.column_by_name[updated].type:
        case Scalar(kind=Kind.DATE):
            return since.astimezone(dt.UTC).date()
        case Scalar(kind=Kind.LOCAL_DATETIME):
            return since.astimezone(dt.UTC).replace(tzinfo=None)
        case Scalar(kind=Kind.INSTANT, unit=Unit.NANOS):
            return nanos_text(since)
    return since


def can_push(predicate: Predicate, capabilities: Capabilities) -> bool:
    """Whether the port applies the whole condition."""
    match predicate:
        case Compare(column=column, operator=operator, value=value):
            return capabilities.tests(column, operator) and (capabilities.level > 0 or operator not in _LISTS or _fits_url(value))
        case Among():
            return False
        case And(parts=parts) if _conjoins(capabilities) and all(isinstance(part, Compare) for part in parts):
            return all(can_push(part, capabilities) for part in parts)
        case And(parts=parts) | Or(parts=parts):
            return capabilities.boolean and all(can_push(part, capabilities) for part in parts)
        case Not(part=part):
            return capabilities.boolean and can_push(part, capabilities)


def _fits_url(values: tuple[Any, ...]) -> bool:
    """Whether a list can be a parameter: not empty, short, and no value that would be taken for two."""
    if not 0 < len(values) <= _URL_VALUES_MAX:
        return False
    texts = [str(value) for value in values]
    return sum(map(len, texts)) <= _URL_CHARACTERS_MAX and (len(texts) == 1 or not any(_SEPARATOR in text for text in texts))


def _conjoins(capabilities: Capabilities) -> bool:
    """Whether several tests at once need no tree: at level 0 they are parameters side by side."""
    return capabilities.level == 0


def divide(predicate: Predicate, capabilities: Capabilities) -> tuple[Predicate, Predicate]:
    """Split a condition into (pushed, left over); `TRUE` stands for nothing."""
    if predicate is TRUE:
        return TRUE, TRUE
    parts = predicate.parts if isinstance(predicate, And) else (predicate,)
    pushed = [part for part in parts if can_push(part, capabilities)]
    if not (_conjoins(capabilities) or capabilities.boolean):
        pushed = pushed[:1]
    left = [part for part in parts if part not in pushed]
    return conjunction(*pushed) if pushed else TRUE, conjunction(*left) if left else TRUE


def looked_up(left: Predicate, capabilities: Capabilities) -> Keys | None:
    """Give the keys that a port can look up in place of a list that it does not filter by; ``left``: what it does not apply."""
    if not capabilities.keys:
        return None
    for part in left.parts if isinstance(left, And) else (left,):
        if isinstance(part, Compare) and part.operator in (Operator.EQ, Operator.IN):
            columns = (part.column,)
            values = part.value if part.operator is Operator.IN else (part.value,)
            if values and (capabilities.key_columns is None or columns in capabilities.key_columns):
                return Keys(columns, tuple((value,) for value in values))
    return None


def rename(predicate: Predicate, names: Mapping[str, str]) -> Predicate:
    """Call the columns of a condition something else."""
    match predicate:
        case Compare(column=column, operator=operator, value=value):
            return Compare(names[column], operator, value)
        case Among(columns=columns, values=values):
            return Among(tuple(names[column] for column in columns), values)
        case Not(part=part):
            return Not(rename(part, names))
        case And(parts=parts):
            return And(tuple(rename(part, names) for part in parts))
        case Or(parts=parts):
            return Or(tuple(rename(part, names) for part in parts))
