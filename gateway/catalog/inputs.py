"""Filter, order and key inputs: one filter type per scalar, shared by all products; per product only what its ruling lets a caller use."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLFloat,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLString,
)

from contracts.fields import Enumeration, Kind, Scalar
from contracts.predicates import Operator
from gateway.catalog.checked_types import InputType
from gateway.catalog.mesh import mesh_schema
from gateway.catalog.names import is_name
from gateway.catalog.scalars import NAME_OF_KIND, SCALARS
from gateway.catalog.snapshot import Column, Product

__all__ = [
    "DIRECTIONS",
    "SORT_DIRECTION",
    "filter_type",
    "is_graphql_enumeration",
    "key_type",
    "list_condition_type",
    "order_type",
    "output_scalar",
    "scalar_filter",
    "scalar_of_kind",
    "where_type",
]

DIRECTIONS = {
    "ASC": (False, "last"),
    "DESC": (True, "last"),
    "ASC_NULLS_FIRST": (False, "first"),
    "DESC_NULLS_FIRST": (True, "first"),
}
"""Direction -> (descending, where nulls go). Nulls go last unless said."""

SORT_DIRECTION = GraphQLEnumType(
    "SortDirection",
    {name: GraphQLEnumValue(name) for name in DIRECTIONS},
    description="How to sort; nulls come last unless the name says otherwise.",
)

_EQUALITY = (Operator.EQ, Operator.NE, Operator.IN, Operator.NOT_IN)
_ORDER = (Operator.LT, Operator.LTE, Operator.GT, Operator.GTE)
_TEXT = (Operator.CONTAINS, Operator.STARTS_WITH)


@cache
def scalar_of_kind(kind: Kind) -> GraphQLScalarType:
    """Return the scalar of a kind; always the same object."""
    plain = {Kind.BOOLEAN: GraphQLBoolean, Kind.INT: GraphQLInt, Kind.FLOAT: GraphQLFloat, Kind.STRING: GraphQLString}
    if kind in plain:
        return plain[kind]
    marker = next(marker for marker, definition in SCALARS.items() if definition.name == NAME_OF_KIND[kind])
    return mesh_schema().schema_converter.from_scalar(marker)  # type: ignore[arg-type]  # Strawberry's marker of a scalar is typed as what it stands for


def output_scalar(column_type: Scalar) -> GraphQLScalarType:
    """Return the scalar that a scalar column is answered as."""
    return scalar_of_kind(column_type.kind)


def is_graphql_enumeration(type_: Enumeration) -> bool:
    """Whether GraphQL can carry the symbols as enum values; else the column is text."""
    return bool(type_.symbols) and all(is_name(symbol) and symbol not in ("true", "false", "null") for symbol in type_.symbols)


@cache
def scalar_filter(kind: Kind) -> GraphQLInputObjectType:
    """Return the filter that all columns and totals of a kind share."""
    scalar = scalar_of_kind(kind)
    operators: tuple[Operator, ...] = (Operator.EQ, Operator.NE) if kind is Kind.BOOLEAN else _EQUALITY + _ORDER
    if kind is Kind.STRING:
        operators += _TEXT
    return _filter(f"{NAME_OF_KIND[kind]}Filter", scalar, operators)


@cache
def symbol_filter() -> GraphQLInputObjectType:
    return _filter("SymbolFilter", GraphQLString, _EQUALITY)


def _filter(name: str, scalar: GraphQLScalarType | GraphQLEnumType, operators: tuple[Operator, ...]) -> GraphQLInputObjectType:
    fields = {
        operator.value: GraphQLInputField(GraphQLList(GraphQLNonNull(scalar)) if operator in (Operator.IN, Operator.NOT_IN) else scalar)
        for operator in operators
    }
    fields[Operator.IS_NULL.value] = GraphQLInputField(GraphQLBoolean)
    return InputType(name, fields, description="All that is given must hold.")


def filter_type(column: Column, enumeration: Callable[[Enumeration], GraphQLEnumType]) -> GraphQLInputObjectType:
    """Return the filter of a comparable column; enumerations have one of their own, all else share one per scalar."""
    match column.type:
        case Scalar(kind=kind):
            return scalar_filter(kind)
        case Enumeration() as type_ if is_graphql_enumeration(type_):
            enum = enumeration(type_)
            return _filter(f"{enum.name}Filter", enum, _EQUALITY)
        case _:
            return symbol_filter()


def where_type(
    product: Product,
    usable: tuple[Column, ...],
    filters: Callable[[Column], GraphQLInputObjectType],
    partners: Callable[[], dict[str, GraphQLInputObjectType]] = dict,
) -> GraphQLInputObjectType:
    """Build a product's ``where`` input over the columns that may be used; ``partners``: the conditions on related products, by name."""

    def fields() -> dict[str, GraphQLInputField]:
        found = {column.graphql_name: GraphQLInputField(filters(column)) for column in usable}
        found |= {name: GraphQLInputField(type_) for name, type_ in partners().items()}
        for name in ("and", "or"):
            found[name] = GraphQLInputField(GraphQLList(GraphQLNonNull(where)))
        found["not"] = GraphQLInputField(where)
        return found

    where = InputType(f"{product.type_name}Where", fields, description="All that is given must hold.")
    return where


def list_condition_type(target: Product, where: GraphQLInputObjectType) -> GraphQLInputObjectType:
    """Build the condition on a list of partners in ``target``."""
    return InputType(
        f"{target.type_name}_ListWhere",
        {
            "some": GraphQLInputField(where, description="There is a partner, visible to you, for which this holds."),
            "none": GraphQLInputField(where, description="There is no such partner."),
        },
        description="All that is given must hold.",
    )


def order_type(product: Product, usable: tuple[Column, ...]) -> GraphQLInputObjectType:
    """Build a product's ``orderBy`` term: exactly one column with its direction."""
    return InputType(
        f"{product.type_name}OrderBy",
        lambda: {column.graphql_name: GraphQLInputField(SORT_DIRECTION) for column in usable},
        description="One column and its direction.",
        is_one_of=True,
    )


def key_type(product: Product, scalar: Callable[[Column], GraphQLScalarType | GraphQLEnumType]) -> GraphQLInputObjectType:
    """Build the input that names one row by its primary key."""
    columns = [product.column_by_name[name] for name in product.primary_key]
    return InputType(
        f"{product.type_name}Key", {column.graphql_name: GraphQLInputField(GraphQLNonNull(scalar(column))) for column in columns}
    )
