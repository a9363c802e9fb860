"""A product and its ruling -> the schema of its totals: ``aggregate``, ``groups``, and the inputs that filter and sort groups.

Only what the caller may use is there; ``wide`` slices hold all that the caller knows of. Names of types have an underscore, which
no name made of contracts' words has, so that they clash with nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLString,
)

from contracts.fields import Kind, Scalar
from domain_adapters.algebra import TRUNCATIONS, aggregate_type
from gateway.catalog.checked_types import InputType, ObjectType
from gateway.catalog.column_types import ColumnTypes
from gateway.catalog.inputs import SORT_DIRECTION, scalar_filter, scalar_of_kind
from gateway.catalog.measures import FUNCTIONS, HOPS_MAX, column_symbols, is_measured, is_open, may_measure, relation_symbols
from gateway.catalog.snapshot import Column, Product, Relation
from gateway.governance.ruling import FieldRuling

__all__ = ["DATE_PART", "AggregateTypes", "Scope"]

DATE_PART = GraphQLEnumType(
    "DatePart",
    {part.upper(): GraphQLEnumValue(part) for part in TRUNCATIONS},
    description="What dates and instants are cut to; weeks begin on Monday.",
)

_SAID = {
    "countDistinct": "How many different values there are, nulls aside.",
    "sum": "Exact for integers and decimals: Int sums to Long, Long and Decimal to Decimal; Float to Float. Null without values.",
    "avg": "Decimals to at least six places, rounded half up; all else Float. Null without values.",
    "min": "The least value, null without values.",
    "max": "The greatest value, null without values.",
}


class Scope(Protocol):
    """What a slice says of its products, as its view sees them."""

    columns: ColumnTypes

    def known_columns(self, product: Product) -> list[tuple[Column, FieldRuling]]:
        """List the columns that are not hidden, with their rulings."""

    def group_partners(self, product: Product) -> list[tuple[Relation, Product]]:
        """List the to-one relationships that groups may follow."""

    def measured_partners(self, product: Product) -> list[tuple[Relation, Product]]:
        """List the to-one relationships that totals may be taken along."""

    def where_of(self, product: Product) -> GraphQLInputObjectType:
        """Give a product's ``where``."""


class AggregateTypes:
    """The types of totals of one slice, one set per product. ``wide``: as of `Slices.of`."""

    def __init__(self, scope: Scope, *, wide: bool) -> None:
        self._scope = scope
        self._wide = wide
        self._outputs: dict[str, GraphQLObjectType] = {}
        self._inputs: dict[str, GraphQLInputObjectType] = {}
        self._enums: dict[str, GraphQLEnumType | None] = {}
        self._measured: dict[tuple[str, str], list[Column]] = {}
        self._symbols: dict[str, dict[str, GraphQLEnumValue]] = {}

    def fields(self, product: Product, asked: Collection[str]) -> dict[str, GraphQLField]:
        """Build those members that a connection has beside its rows which are asked for."""
        found: dict[str, GraphQLField] = {}
        if "aggregate" in asked:
            total = self._output(f"{product.type_name}_Aggregate", lambda: self._totals(product))
            text = "Totals over all rows that you may see and that match, pages aside."
            found["aggregate"] = GraphQLField(total, description=text)
        if "groups" in asked and (symbols := self._field_symbols(product)) is not None:
            found["groups"] = self._groups(product, symbols)
        return found

    def entrances(self, product: Product) -> list[GraphQLNamedType]:
        """List the types in which the totals and groups of other products speak of this one."""
        found: list[GraphQLNamedType] = [self._key(product), self._key_having(product), self._key_order(product)]
        for function in FUNCTIONS:
            if self._columns(product, function):
                found += [
                    self._function(product, function),
                    self._function_having(product, function),
                    self._function_order(product, function),
                ]
        return found

    # -- totals ------------------------------------------------------------------------------------------------------------

    def _columns(self, product: Product, function: str) -> list[Column]:
        if (found := self._measured.get((product.id, function))) is not None:
            return found
        may = is_measured if self._wide else None
        self._measured[product.id, function] = found = [
            column
            for column, ruling in self._scope.known_columns(product)
            if (may(function, column) if may is not None else may_measure(function, column, ruling))
        ]
        return found

    def _totals(self, product: Product) -> dict[str, GraphQLField]:
        found = {"count": GraphQLField(GraphQLNonNull(scalar_of_kind(Kind.LONG)), description="How many rows there are.")}
        for function in self._functions(product):
            found[function] = GraphQLField(GraphQLNonNull(self._function(product, function)), description=_SAID[function])
        return found

    def _functions(self, product: Product) -> list[str]:
        return [it for it in FUNCTIONS if self._columns(product, it) or self._along(product, it)]

    def _along(self, product: Product, function: str) -> list[tuple[Relation, Product]]:
        return [(relation, target) for relation, target in self._scope.measured_partners(product) if self._columns(target, function)]

    def _function(self, product: Product, function: str) -> GraphQLObjectType:
        def fields() -> dict[str, GraphQLField]:
            columns = self._columns(product, function)
            found = {it.graphql_name: GraphQLField(self._result(product, function, it), description=it.field.description) for it in columns}
            for relation, target in self._along(product, function):
                text = "Of the rows' partners, each as often as there are rows; of a row without a visible partner: null."
                found[relation.graphql_name] = GraphQLField(GraphQLNonNull(self._function(target, function)), description=text)
            return found

        return self._output(f"{product.type_name}_{_capital(function)}", fields)

    def _result(self, product: Product, function: str, column: Column) -> GraphQLOutputType:
        if function in ("min", "max"):
            return self._scope.columns.output(product, column)
        type_ = aggregate_type(function, column.type)
        assert isinstance(type_, Scalar)
        return scalar_of_kind(type_.kind)

    # -- groups ------------------------------------------------------------------------------------------------------------

    def _groups(self, product: Product, symbols: GraphQLEnumType) -> GraphQLField:
        name = product.type_name

        def fields() -> dict[str, GraphQLField]:
            found = {"key": GraphQLField(GraphQLNonNull(self._key(product)), description="What the rows of the group have in common.")}
            cursor = GraphQLField(GraphQLNonNull(GraphQLString), description="Where the group stands; give it as after.")
            return found | self._totals(product) | {"cursor": cursor}

        by = self._input(f"{name}_GroupBy", lambda: self._by(product, symbols), "A column to group by.")
        arguments = {
            "by": GraphQLArgument(GraphQLNonNull(GraphQLList(GraphQLNonNull(by))), description="What to group by, at least one column."),
            "having": GraphQLArgument(self._having(product), description="Which groups to keep, by their totals and keys."),
            "orderBy": GraphQLArgument(GraphQLList(GraphQLNonNull(self._order(product))), description="Ties go by all keys."),
            "first": GraphQLArgument(GraphQLInt, description="Groups on this page; 20 unless said."),
            "after": GraphQLArgument(GraphQLString, description="A cursor of an earlier group."),
            "timeZone": GraphQLArgument(GraphQLString, description="IANA name of the zone in which instants are cut; UTC unless said."),
        }
        arguments["where"] = GraphQLArgument(self._scope.where_of(product), description="Narrows the rows further.")
        group = GraphQLNonNull(self._output(f"{name}_Group", fields))
        text = "Totals per group. A row without a visible partner counts under null keys."
        return GraphQLField(GraphQLList(group), arguments, description=text)

    def _keys(self, product: Product) -> list[Column]:
        return [column for column, ruling in self._scope.known_columns(product) if column.is_comparable and (self._wide or is_open(ruling))]

    def _key(self, product: Product) -> GraphQLObjectType:
        def fields() -> dict[str, GraphQLField]:
            found = {it.graphql_name: GraphQLField(self._scope.columns.output(product, it)) for it in self._keys(product)}
            found |= {
                it.graphql_name: GraphQLField(GraphQLNonNull(self._key(target))) for it, target in self._scope.group_partners(product)
            }
            return found or {"_": GraphQLField(scalar_of_kind(Kind.BOOLEAN))}

        return self._output(f"{product.type_name}_GroupKey", fields)

    def _field_symbols(self, product: Product) -> GraphQLEnumType | None:
        """List every column that ``by`` may name: of the product, and of all that it can be followed to."""
        name = f"{product.type_name}_GroupField"
        if name not in self._enums:
            symbols: dict[str, GraphQLEnumValue] = {}
            for one in self._within_reach(product):
                symbols |= self._own_symbols(one)
            self._enums[name] = GraphQLEnumType(name, symbols) if symbols else None
        return self._enums[name]

    def _own_symbols(self, product: Product) -> dict[str, GraphQLEnumValue]:
        if (found := self._symbols.get(product.id)) is None:
            usable = {column.name for column in self._keys(product)}
            named = column_symbols(product).items()
            found = self._symbols[product.id] = {symbol: GraphQLEnumValue(symbol) for symbol, it in named if it.name in usable}
        return found

    def _by(self, product: Product, symbols: GraphQLEnumType) -> dict[str, GraphQLInputField]:
        names = {
            symbol: GraphQLEnumValue(symbol)
            for one in self._within_reach(product)
            for symbol, relation in relation_symbols(one).items()
            if any(relation is it for it, _ in self._scope.group_partners(one))
        }
        found = {
            "field": GraphQLInputField(GraphQLNonNull(symbols)),
            "truncate": GraphQLInputField(DATE_PART, description="Dates and instants only; the key is the first instant."),
        }
        if names:
            path = GraphQLEnumType(f"{product.type_name}_GroupPath", names)
            found["path"] = GraphQLInputField(
                GraphQLList(GraphQLNonNull(path)), description="The to-one relationships that lead to the column."
            )
        return found

    def _within_reach(self, product: Product) -> list[Product]:
        found = {product.id: product}
        last = [product]
        for _ in range(HOPS_MAX):
            targets = {target.id: target for one in last for _, target in self._scope.group_partners(one)}
            last = [target for id_, target in targets.items() if id_ not in found]
            found |= {target.id: target for target in last}
        return list(found.values())

    # -- having and order --------------------------------------------------------------------------------------------------

    def _having(self, product: Product) -> GraphQLInputObjectType:
        name = f"{product.type_name}_Having"

        def fields() -> dict[str, GraphQLInputField]:
            found = {"count": GraphQLInputField(scalar_filter(Kind.LONG))}
            for function in self._functions(product):
                found[function] = GraphQLInputField(self._function_having(product, function))
            found["key"] = GraphQLInputField(self._key_having(product))
            having = self._input(name, fields)
            for word in ("and", "or"):
                found[word] = GraphQLInputField(GraphQLList(GraphQLNonNull(having)))
            found["not"] = GraphQLInputField(having)
            return found

        return self._input(name, fields, "All that is given must hold.")

    def _result_filter(self, product: Product, function: str) -> Callable[[Column], GraphQLInputObjectType]:
        def filter_of(column: Column) -> GraphQLInputObjectType:
            if function in ("min", "max"):
                return self._scope.columns.filter(product, column)
            type_ = aggregate_type(function, column.type)
            assert isinstance(type_, Scalar)
            return scalar_filter(type_.kind)

        return filter_of

    def _order(self, product: Product) -> GraphQLInputObjectType:
        def fields() -> dict[str, GraphQLInputField]:
            found = {"count": GraphQLInputField(SORT_DIRECTION)}
            for function in self._functions(product):
                found[function] = GraphQLInputField(self._function_order(product, function))
            found["key"] = GraphQLInputField(self._key_order(product))
            return found

        return self._input(f"{product.type_name}_GroupsOrderBy", fields, "One total or key and its direction.", one_of=True)

    def _function_having(self, product: Product, function: str) -> GraphQLInputObjectType:
        def fields() -> dict[str, GraphQLInputField]:
            filter_of = self._result_filter(product, function)
            found = {it.graphql_name: GraphQLInputField(filter_of(it)) for it in self._columns(product, function)}
            for relation, target in self._along(product, function):
                found[relation.graphql_name] = GraphQLInputField(self._function_having(target, function))
            return found

        return self._input(f"{product.type_name}_{_capital(function)}Having", fields)

    def _function_order(self, product: Product, function: str) -> GraphQLInputObjectType:
        def fields() -> dict[str, GraphQLInputField]:
            found = {it.graphql_name: GraphQLInputField(SORT_DIRECTION) for it in self._columns(product, function)}
            for relation, target in self._along(product, function):
                found[relation.graphql_name] = GraphQLInputField(self._function_order(target, function))
            return found

        return self._input(f"{product.type_name}_{_capital(function)}Order", fields, one_of=True)

    def _key_having(self, product: Product) -> GraphQLInputObjectType:
        return self._key_input(product, "KeyHaving", self._scope.columns.filter, one_of=False)

    def _key_order(self, product: Product) -> GraphQLInputObjectType:
        return self._key_input(product, "KeyOrder", lambda _product, _column: SORT_DIRECTION, one_of=True)

    def _key_input(
        self, product: Product, what: str, type_of: Callable[[Product, Column], GraphQLInputObjectType | GraphQLEnumType], *, one_of: bool
    ) -> GraphQLInputObjectType:
        def fields() -> dict[str, GraphQLInputField]:
            found = {it.graphql_name: GraphQLInputField(type_of(product, it)) for it in self._keys(product)}
            for relation, target in self._scope.group_partners(product):
                found[relation.graphql_name] = GraphQLInputField(self._key_input(target, what, type_of, one_of=one_of))
            return found or {"_": GraphQLInputField(SORT_DIRECTION)}

        return self._input(f"{product.type_name}_{what}", fields, one_of=one_of)

    # -- interning ---------------------------------------------------------------------------------------------------------

    def _output(self, name: str, fields: Callable[[], Mapping[str, GraphQLField]]) -> GraphQLObjectType:
        if (found := self._outputs.get(name)) is None:
            found = self._outputs[name] = ObjectType(name, lambda: dict(fields()))
        return found

    def _input(
        self, name: str, fields: Callable[[], dict[str, GraphQLInputField]], text: str | None = None, *, one_of: bool = False
    ) -> GraphQLInputObjectType:
        if (found := self._inputs.get(name)) is None:
            found = self._inputs[name] = InputType(name, fields, description=text, is_one_of=one_of)
        return found


def _capital(function: str) -> str:
    return function[0].upper() + function[1:]
