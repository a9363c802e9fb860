"""A column -> the types that it has in one schema: as it is answered, filtered by and given as a key. Pure."""

from __future__ import annotations

from graphql import (
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLString,
)

from contracts.fields import Enumeration, FieldType, Kind, List, Map, Record, Scalar
from gateway.catalog.checked_types import ObjectType
from gateway.catalog.inputs import filter_type, is_graphql_enumeration, scalar_of_kind
from gateway.catalog.names import column_name, type_name
from gateway.catalog.snapshot import Column, Product

__all__ = ["ColumnTypes"]


class ColumnTypes:
    """The types of columns in one schema, where each enumeration and its filter are there once."""

    def __init__(self) -> None:
        self._enums: dict[str, GraphQLEnumType] = {}
        self._filters: dict[str, GraphQLInputObjectType] = {}

    def output(self, product: Product, column: Column) -> GraphQLOutputType:
        """Give the type that a column is answered as."""
        return self._output(column.type, type_name(product.type_name, column.name))

    def filter(self, product: Product, column: Column) -> GraphQLInputObjectType:
        """Give the type of the conditions on a column."""
        name = type_name(product.type_name, column.name)
        if not isinstance(column.type, Enumeration):
            return filter_type(column, lambda type_: self._enum(type_, name))
        if (found := self._filters.get(name)) is None:
            found = self._filters[name] = filter_type(column, lambda type_: self._enum(type_, name))
        return found

    def key(self, product: Product, column: Column) -> GraphQLScalarType | GraphQLEnumType:
        """Give the type that a column is given as where a row is looked up by it."""
        if isinstance(column.type, Scalar):
            return scalar_of_kind(column.type.kind)
        if isinstance(column.type, Enumeration) and is_graphql_enumeration(column.type):
            return self._enum(column.type, type_name(product.type_name, column.name))
        return GraphQLString

    def _output(self, type_: FieldType, name: str) -> GraphQLOutputType:
        match type_:
            case Scalar(kind=kind):
                return scalar_of_kind(kind)
            case Enumeration() if is_graphql_enumeration(type_):
                return self._enum(type_, name)
            case Enumeration():
                return GraphQLString
            case List(item=item):
                return GraphQLList(self._output(item, name))
            case Record(fields=members):
                return ObjectType(
                    name,
                    {
                        column_name(it.name): GraphQLField(self._output(it.type, type_name(name, it.name)), description=it.description)
                        for it in members
                    },
                )
            case Map():
                return scalar_of_kind(Kind.JSON)

    def _enum(self, type_: Enumeration, name: str) -> GraphQLEnumType:
        if (found := self._enums.get(name)) is None:
            found = self._enums[name] = GraphQLEnumType(name, {symbol: GraphQLEnumValue(symbol) for symbol in type_.symbols})
        return found
