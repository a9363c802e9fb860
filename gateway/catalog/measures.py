"""What a column may be asked in aggregates and groups, and the names under which `by` knows columns and relationships.

Pure. Totals of integers and decimals are exact; their types are `domain_adapters.algebra.aggregate_type`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeVar

from domain_adapters.algebra import aggregate_type
from gateway.catalog.snapshot import Column, Product, Relation
from gateway.governance.ruling import Access, FieldRuling

__all__ = ["FUNCTIONS", "HOPS_MAX", "column_symbols", "is_clear", "is_measured", "is_open", "may_measure", "relation_symbols"]

HOPS_MAX = 4
"""How many relationships a path of ``by`` follows."""

FUNCTIONS = ("countDistinct", "sum", "avg", "min", "max")
"""The functions over a column, in the order of the schema; ``count`` is of rows."""

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_Named = TypeVar("_Named", Column, Relation)


def is_clear(field: FieldRuling) -> bool:
    """Whether every row shows the column as it is, so that groups and totals show no more."""
    return field.usable and field.access is Access.CLEAR and not field.varies


def is_open(field: FieldRuling) -> bool:
    """Whether groups may be formed by the column, and totals taken of it: it is clear, or the grant lifts its mask for that (SPEC A8).

    What is for aggregates only is never lifted further than that.
    """
    return is_clear(field) or (field.usable and field.aggregates is None)


def is_measured(function: str, column: Column) -> bool:
    """Whether there is such a total of columns of this type."""
    return column.is_comparable and aggregate_type(function, column.type) is not None


def may_measure(function: str, column: Column, field: FieldRuling) -> bool:
    """Whether a caller ruled so may take this total: of what is open, or of what is for aggregates only (SPEC A8)."""
    if not is_measured(function, column):
        return False
    return is_open(field) or (field.aggregates is not None and function in field.aggregates.functions)


def column_symbols(product: Product) -> dict[str, Column]:
    """Name a product's columns as enumerations do: ``orderDate`` is ``ORDER_DATE``, unless another column took that."""
    return _symbols((column for column in product.columns if column.is_comparable), lambda column: column.graphql_name)


def relation_symbols(product: Product) -> dict[str, Relation]:
    """Name the relationships that lead from a product to one partner."""
    return _symbols((it for it in product.relations if not it.many), lambda relation: relation.graphql_name)


def _symbols(items: Iterable[_Named], name_of: Callable[[_Named], str]) -> dict[str, _Named]:
    found: dict[str, _Named] = {}
    for item in items:
        symbol = _symbol(name_of(item))
        while symbol in found:
            symbol += "_"
        found[symbol] = item
    return found


@lru_cache(maxsize=65_536)
def _symbol(name: str) -> str:
    return _WORDS.sub("_", name).upper()
