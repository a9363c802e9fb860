"""``where``, ``since`` and the tests of ``having``: what they name, and whether a value satisfies them. Three-valued, as SQL."""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Callable
from typing import Any

from contracts.fields import FieldType, Kind, Scalar, Unit
from gateway.catalog.snapshot import Product, Relation, Snapshot

__all__ = ["all_of", "any_of", "compared", "conditions", "followed", "is_nanos", "is_since", "is_whole", "joined", "nanos", "not_"]

Truth = bool | None
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "in": lambda cell, values: cell in values,
    "notIn": lambda cell, values: cell not in values,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "contains": operator.contains,
    "startsWith": lambda cell, value: cell.startswith(value),
}


def all_of(results: list[Truth]) -> Truth:
    return False if False in results else None if None in results else True


def any_of(results: list[Truth]) -> Truth:
    return True if True in results else None if None in results else False


def not_(result: Truth) -> Truth:
    return None if result is None else not result


def compared(type_: FieldType, cell: Any, test: str, value: Any) -> Truth:
    """Make one test of a cell."""
    if test == "isNull":
        return (cell is None) is value
    if test in ("in", "notIn") and not value:
        return test == "notIn"
    if cell is None:
        return None
    if is_nanos(type_):
        value = [nanos(it) for it in value] if isinstance(value, list) else nanos(value)
    return bool(_OPERATORS[test](cell, value))


def is_whole(product: Product, where: Any, named: set[str], snapshot: Snapshot) -> bool:
    """Whether a condition holds no nulls; collects the fields of the product itself that it names."""
    if where is None:
        return True
    whole = True
    for name, inner in where.items():
        if inner is None:
            whole = False
            continue
        match name:
            case "and" | "or":
                whole &= all(is_whole(product, it, named, snapshot) for it in inner)
            case "not":
                whole &= is_whole(product, inner, named, snapshot)
            case _ if (relation := product.relation_by_name.get(name)) is not None:
                target = snapshot.products[relation.target]
                inside = list(inner.values()) if relation.many else [inner]
                whole &= all(it is not None and is_whole(target, it, set(), snapshot) for it in inside)
            case _:
                named.add(name)
                whole &= all(it is not None and (not isinstance(it, list) or None not in it) for it in inner.values())
    return whole


def conditions(where: Any) -> list[str]:
    """List what must hold all together; equal lists are the same condition, said in as many words."""
    found: list[str] = []
    for name, inner in (where or {}).items():
        if name == "and":
            found += [it for some in inner for it in conditions(some)]
        elif inner:
            found.append(repr((name, inner)))
    return found


def followed(product: Product, where: Any, snapshot: Snapshot) -> list[Product]:
    """List the products whose rows decide whether a condition holds, beside its own; none where it says itself what it comes to."""
    return _settled(product, where, snapshot)[1]


_Settled = tuple[bool | None, list[Product]]


def _settled(product: Product, where: Any, snapshot: Snapshot) -> _Settled:
    parts: list[_Settled] = []
    for name, inner in (where or {}).items():
        match name:
            case "and":
                parts.extend(_settled(product, it, snapshot) for it in inner)
            case "or":
                parts.append(_joint([_settled(product, it, snapshot) for it in inner], decisive=True))
            case "not":
                parts.append((None, _settled(product, inner, snapshot)[1]))
            case _ if (relation := product.relation_by_name.get(name)) is not None:
                target = snapshot.products[relation.target]
                for it in inner.values() if relation.many else (inner,):
                    parts.append((None, [target, *followed(target, it, snapshot)]))
            case _:
                parts.append((None if inner else True, []))
    return _joint(parts, decisive=False)


def _joint(parts: list[_Settled], *, decisive: bool) -> _Settled:
    """Put parts together: by or where one that holds decides, else by and."""
    if any(known is decisive for known, _ in parts):
        return decisive, []
    open_ = [products for known, products in parts if known is None]
    return (None, [it for some in open_ for it in some]) if open_ else (not decisive, [])


def is_nanos(type_: FieldType) -> bool:
    return isinstance(type_, Scalar) and type_.kind is Kind.INSTANT and type_.unit is Unit.NANOS


def nanos(value: dt.datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond:06}000Z"


def is_since(cell: Any, since: dt.datetime) -> bool:
    """Whether a row was updated at or after an instant."""
    match cell:
        case None:
            return False
        case str():
            return cell >= nanos(since)
        case dt.datetime():
            return (cell if cell.tzinfo else cell.replace(tzinfo=dt.UTC)) >= since
    return bool(cell >= since.date())


def joined(row: dict[str, Any], relation: Relation | None, parent: tuple[Any, ...]) -> bool:
    """Whether a row has a parent's key."""
    assert relation is not None
    return tuple(row[name] for name in relation.target_columns) == parent
