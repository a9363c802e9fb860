"""``where``, ``orderBy`` and key arguments, coerced -> predicates, orders and keys in the contract's columns.

Rejects nulls where a value is needed (BAD_USER_INPUT) and columns whose ruling in this answer is not clear
(MASKED_FIELD_IN_PREDICATE), always before any read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from contracts.fields import Enumeration, Kind, Scalar, Unit
from contracts.predicates import TRUE, Compare, Not, Operator, Predicate, conjunction, disjunction
from domain_adapters.port import Nulls, Order
from gateway.catalog.inputs import DIRECTIONS
from gateway.catalog.snapshot import Column, Product
from gateway.compiler.executable import LinkStep
from gateway.engine.asking.finer import fitted
from gateway.engine.asking.links import link_of
from gateway.errors import GatewayError
from gateway.governance.totals import masked

__all__ = ["check_usable", "comparison", "key_values", "nanos_text", "order_terms", "where_columns", "where_predicate"]

_LISTS = (Operator.IN, Operator.NOT_IN)


def where_predicate(product: Product, value: Mapping[str, Any] | None, links: Sequence[LinkStep] = ()) -> Predicate:
    """Read a ``where`` argument; everything given must hold. ``links``: the relationships that it may follow."""
    parts: list[Predicate] = []
    for name, inner in (value or {}).items():
        if inner is None:
            raise _null(name)
        match name:
            case "and":
                parts.extend(where_predicate(product, it, links) for it in inner)
            case "or":
                parts.append(disjunction(*(where_predicate(product, it, links) for it in inner)))
            case "not":
                parts.append(Not(where_predicate(product, inner, links)))
            case _ if (column := product.column_by_graphql_name.get(name)) is not None:
                parts.extend(comparison(column, operator, it) for operator, it in inner.items())
            case _:
                parts.extend(_related(next(it for it in links if it.relation.graphql_name == name), inner))
    return conjunction(*parts) if parts else TRUE


def _related(step: LinkStep, value: Mapping[str, Any]) -> list[Predicate]:
    """Read a condition on the partner, or on the list of partners."""
    if not step.relation.many:
        return [_partner(step, value)]
    parts: list[Predicate] = []
    for word, inner in value.items():
        if inner is None:
            raise _null(f"{step.relation.graphql_name}.{word}")
        has_one = _partner(step, inner)
        parts.append(has_one if word == "some" else Not(has_one))
    return parts


def _partner(step: LinkStep, value: Mapping[str, Any]) -> Predicate:
    check_usable(step.product, where_columns(step.product, value), step.unusable)
    return link_of(step, where_predicate(step.product, value, step.links))


def where_columns(product: Product, value: Mapping[str, Any] | None) -> frozenset[str]:
    """Name the product's own columns that a ``where`` argument names, be it in a part that decides nothing."""
    found: set[str] = set()
    for name, inner in (value or {}).items():
        if name in ("and", "or"):
            found.update(*(where_columns(product, it) for it in inner or ()))
        elif name == "not":
            found |= where_columns(product, inner)
        elif (column := product.column_by_graphql_name.get(name)) is not None:
            found.add(column.name)
    return frozenset(found)


def comparison(column: Column, operator: str, value: Any) -> Predicate:
    """Read one test of a column."""
    if value is None or (isinstance(value, list) and None in value):
        raise _null(f"{column.graphql_name}.{operator}")
    known = Operator(operator)
    if known is Operator.IS_NULL:
        return Compare(column.name, known, value)
    of_column = _of_column(column, operator)
    return fitted(Compare(column.name, known, tuple(map(of_column, value)) if known in _LISTS else of_column(value)), column.type)


def _of_column(column: Column, place: str) -> Callable[[Any], Any]:
    """Give what takes a value of the column's GraphQL type to one of the column's own."""
    match column.type:
        case Scalar(kind=Kind.INSTANT, unit=Unit.NANOS):
            return nanos_text
        case Enumeration(symbols=symbols):

            def symbol(value: Any) -> Any:
                if value not in symbols:
                    raise GatewayError(
                        "BAD_USER_INPUT", f"{column.graphql_name}.{place} names no symbol.", hint=f"The symbols are {', '.join(symbols)}."
                    )
                return value

            return symbol
    return lambda value: value


def nanos_text(value: dt.datetime) -> str:
    """Write an instant as columns with nanoseconds hold it."""
    return f"{value.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}000Z"


def _null(name: str) -> GatewayError:
    return GatewayError(
        "BAD_USER_INPUT", f"null is no condition for {name}.", hint="Use isNull to ask for nulls, or leave the condition out."
    )


def order_terms(product: Product, value: list[Mapping[str, str]] | None) -> tuple[Order, ...]:
    """Read an ``orderBy`` argument; a column that is named again adds nothing."""
    terms: dict[str, Order] = {}
    for term in value or ():
        if len(term) != 1:  # a variable that may be left out, and is
            raise GatewayError("BAD_USER_INPUT", "A term of orderBy names no column.", hint="Give each term one column and its direction.")
        ((name, direction),) = term.items()
        if direction is None:
            raise _null(name)
        descending, nulls = DIRECTIONS[direction]
        column = product.column_by_graphql_name[name].name
        terms.setdefault(column, Order(column, descending, Nulls(nulls)))
    return tuple(terms.values())


def key_values(product: Product, value: Any) -> tuple[Any, ...]:
    """Read a ``key`` argument: one value per primary key column."""
    if not isinstance(value, Mapping):  # a variable that may be null, and is
        raise _null("key")
    columns = [product.column_by_name[name] for name in product.primary_key]
    found = [value.get(column.graphql_name) for column in columns]
    if None in found:
        raise _null("key")
    return tuple(_of_column(column, "key")(cell) for column, cell in zip(columns, found, strict=True))


def check_usable(product: Product, columns: frozenset[str], unusable: frozenset[str]) -> None:
    """Refuse columns that this answer does not show in clear."""
    for name in sorted(columns & unusable):
        raise masked(product, name, "filter, sort or page it")
