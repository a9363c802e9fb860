"""A reach and a view -> the slice of GraphQL schema that one operation is validated against.

A slice holds the products that an operation names, as its caller may see them: hidden columns and relationships are not there,
denied ones are (and answer null), inputs list only what the caller may use. Building a slice costs a fraction of a
millisecond; nothing on a request path builds the whole mesh.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    get_named_type,
)

from contracts.fields import Kind
from gateway.catalog.aggregates import AggregateTypes
from gateway.catalog.checked_types import ObjectType
from gateway.catalog.column_types import ColumnTypes
from gateway.catalog.inputs import key_type, list_condition_type, order_type, scalar_of_kind, where_type
from gateway.catalog.reach import TOTALS, Reach, RulingOf
from gateway.catalog.require_slo import DIRECTIVES
from gateway.catalog.snapshot import Column, Product, Relation, Snapshot
from gateway.catalog.standing import PRODUCT_SLO
from gateway.governance.recent import Recent
from gateway.governance.ruling import Access, FieldRuling, ProductRuling, Standing

__all__ = ["METADATA", "PAGE_INFO", "ROW_TYPES", "Slice", "SliceTypes", "Slices", "usable_columns"]

ROW_TYPES = "row types"
PAGE_INFO = GraphQLObjectType(
    "PageInfo",
    {
        "hasNextPage": GraphQLField(GraphQLNonNull(scalar_of_kind(Kind.BOOLEAN))),
        "hasPreviousPage": GraphQLField(GraphQLNonNull(scalar_of_kind(Kind.BOOLEAN))),
        "startCursor": GraphQLField(GraphQLString),
        "endCursor": GraphQLField(GraphQLString),
    },
    description="Where this page stands; cursors are opaque and belong to the operation and the caller that they were given to.",
)

METADATA = GraphQLObjectType(
    "ProductMetadata",
    {
        "generatedAt": GraphQLField(scalar_of_kind(Kind.INSTANT), description="When the port made this page."),
        "version": GraphQLField(GraphQLString, description="The contract's version."),
        "totalRecords": GraphQLField(
            scalar_of_kind(Kind.LONG), description="Rows that you may see and that match, or null where that is not known."
        ),
        "sloStatus": GraphQLField(GraphQLString, description="MET, AT_RISK, BREACHED or UNKNOWN."),
        "slo": GraphQLField(PRODUCT_SLO, description="How the product keeps its promises; not about this page's rows only."),
        "port": GraphQLField(GraphQLString, description="The output port that served it."),
    },
    description="How and from where a connection was served.",
)


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """A schema for one reach and one set of rulings; its extension `ROW_TYPES` names the types of products' rows."""

    schema: GraphQLSchema


def usable_columns(product: Product, ruling: ProductRuling, *, wide: bool = False) -> tuple[Column, ...]:
    """List the columns that may stand in inputs; ``wide``: all that the caller knows of."""
    found = []
    for column, field_ruling in zip(product.columns, ruling.fields, strict=True):
        if column.is_comparable and not field_ruling.hidden and (wide or field_ruling.usable):
            found.append(column)
    return tuple(found)


class Slices:
    """Builds slices and keeps the last few, by reach and rulings."""

    def __init__(self, snapshot: Snapshot, mesh_field: GraphQLField, *, kept_max: int = 64) -> None:
        self._snapshot = snapshot
        self._mesh_field = mesh_field
        self._kept: Recent[tuple[object, ...], tuple[Slice, tuple[ProductRuling, ...]]] = Recent(kept_max)

    def of(self, reach: Reach, ruling_of: RulingOf, *, wide: bool = False) -> Slice:
        """Return the slice for ``reach``. ``wide``: inputs list masked and denied columns too (only to tell a mistake from a refusal)."""
        rulings = tuple(ruling_of(self._snapshot.products[id_]) for id_ in sorted(reach.links))
        key = (reach.key(), tuple(map(id, rulings)), wide)  # rulings are interned, and kept below while their ids are
        if (found := self._kept.get(key)) is not None:
            return found[0]
        built = SliceTypes(self._snapshot, ruling_of, reach, self._mesh_field, wide=wide).build()
        self._kept.put(key, (built, rulings))
        return built


class SliceTypes:
    """The types of one slice, each built when it is first looked at."""

    def __init__(self, snapshot: Snapshot, ruling_of: RulingOf, reach: Reach, mesh_field: GraphQLField, *, wide: bool) -> None:
        self.snapshot = snapshot
        self.ruling_of = ruling_of
        self.reach = reach
        self.mesh_field = mesh_field
        self.wide = wide
        self.columns = ColumnTypes()
        self._rows: dict[str, GraphQLObjectType] = {}
        self._connections: dict[str, GraphQLObjectType] = {}
        self._inputs: dict[tuple[str, str], GraphQLInputObjectType] = {}
        self._aggregates = AggregateTypes(self, wide=wide)

    def build(self) -> Slice:
        """Build all of them, as a schema."""
        schema = GraphQLSchema(self.query(), directives=DIRECTIVES)
        schema.extensions = {ROW_TYPES: frozenset(self.snapshot.products[id_].type_name for id_ in self._rows)}
        schema._validation_errors = []  # made from checked names; validating it again costs more than building it
        return Slice(schema)

    def query(self) -> GraphQLObjectType:
        """Build the root type."""
        fields = {"mesh": self.mesh_field}
        for name, asked in sorted(self.reach.roots.items()):
            domain = self.snapshot.domains[name]
            domain_fields = {}
            for product_field in sorted(asked):
                domain_fields.update(self._root_fields(domain.products, product_field))
            if not domain_fields:
                continue
            type_ = ObjectType(domain.type_name, domain_fields, description=f"Data products of the domain {domain.name}.")
            fields[name] = GraphQLField(GraphQLNonNull(type_))
        return ObjectType("Query", fields)

    def entrances(self, product: Product) -> list[GraphQLNamedType]:
        """List the types through which a product's others are reached: from the root, and from its neighbours."""
        found: list[GraphQLNamedType] = [self._connection(product), self._list_condition(product), *self._aggregates.entrances(product)]
        domain = self.snapshot.domains[product.domain_field]
        fields = self._root_fields(domain.products, product.graphql_name) | self._root_fields(
            domain.products, f"{product.graphql_name}ByKey"
        )
        return found + [get_named_type(it.type) for field in fields.values() for it in field.args.values()]

    def _root_fields(self, products: object, name: str) -> dict[str, GraphQLField]:
        assert isinstance(products, dict)
        if (product := products.get(name)) is not None:
            return {name: self._connection_field(product, description=product.contract.metadata.description)}
        product = products[name.removesuffix("ByKey")]
        ruling = self.ruling_of(product)
        columns = usable_columns(product, ruling, wide=self.wide)
        if not product.primary_key or any(product.column_by_name[key] not in columns for key in product.primary_key):
            return {}
        key = GraphQLArgument(
            GraphQLNonNull(self._input("key", product, lambda: key_type(product, lambda column: self.columns.key(product, column))))
        )
        return {name: GraphQLField(self._row(product), {"key": key}, description="One row by its primary key, or null.")}

    def _connection_field(self, product: Product, *, description: str | None) -> GraphQLField:
        ruling = self.ruling_of(product)
        usable = usable_columns(product, ruling, wide=self.wide)
        arguments = {
            "first": GraphQLArgument(GraphQLInt, description="Rows on this page; 20 unless said."),
            "after": GraphQLArgument(GraphQLString, description="A cursor of an earlier page."),
        }
        updated = product.contract.times.updated
        if updated is not None and product.column_by_name[updated] in usable:
            arguments["since"] = GraphQLArgument(
                scalar_of_kind(Kind.INSTANT), description=f"Only rows with {updated} at or after this instant."
            )
        # Also where no column can stand in it: conditions may follow relationships, which only their names in a text bring here.
        arguments["where"] = GraphQLArgument(self.where_of(product))
        if usable:
            order = self._input("order", product, lambda: order_type(product, usable))
            arguments["orderBy"] = GraphQLArgument(GraphQLList(GraphQLNonNull(order)))
        reason = f"Use {product.graphql_name.rsplit('V', 1)[0]}." if product.deprecated else None
        return GraphQLField(self._connection(product), arguments, description=description, deprecation_reason=reason)

    def _connection(self, product: Product) -> GraphQLObjectType:
        if (found := self._connections.get(product.id)) is not None:
            return found
        row = GraphQLNonNull(self._row(product))

        def fields() -> dict[str, GraphQLField]:
            edge = ObjectType(
                f"{product.type_name}Edge", {"cursor": GraphQLField(GraphQLNonNull(GraphQLString)), "node": GraphQLField(row)}
            )
            found = {
                "nodes": GraphQLField(GraphQLNonNull(GraphQLList(row))),
                "edges": GraphQLField(GraphQLNonNull(GraphQLList(GraphQLNonNull(edge)))),
                "pageInfo": GraphQLField(GraphQLNonNull(PAGE_INFO)),
                "totalCount": GraphQLField(
                    scalar_of_kind(Kind.LONG),
                    description="Rows that you may see and that match, pages aside; exact, or null with an error.",
                ),
                "metadata": GraphQLField(GraphQLNonNull(METADATA)),
            }
            if asked := tuple(name for name in TOTALS if (product.id, name) in self.reach.totals):
                found |= self._aggregates.fields(product, asked)
            return found

        connection = self._connections[product.id] = ObjectType(f"{product.type_name}Connection", fields)
        return connection

    # -- what totals are made of -------------------------------------------------------------------------------------------

    def known_columns(self, product: Product) -> list[tuple[Column, FieldRuling]]:
        """List the columns that are not hidden, with their rulings."""
        rulings = self.ruling_of(product).fields
        return [(column, field) for column, field in zip(product.columns, rulings, strict=True) if not field.hidden]

    def group_partners(self, product: Product) -> list[tuple[Relation, Product]]:
        """List the to-one relationships that groups may follow."""
        return self._one_each(product, self.reach.links)

    def measured_partners(self, product: Product) -> list[tuple[Relation, Product]]:
        """List the to-one relationships that totals may be taken along."""
        return self._one_each(product, self.reach.measured)

    def _one_each(self, product: Product, named: Mapping[str, set[str]]) -> list[tuple[Relation, Product]]:
        found = []
        for name in sorted(named.get(product.id, ())):
            relation = product.relation_by_name[name]
            target = self.snapshot.products[relation.target]
            if not relation.many and (self.wide or self.ruling_of(target).standing is Standing.SERVED):
                found.append((relation, target))
        return found

    def where_of(self, product: Product) -> GraphQLInputObjectType:
        """Give a product's ``where``."""
        usable = usable_columns(product, self.ruling_of(product), wide=self.wide)

        def partners() -> dict[str, GraphQLInputObjectType]:
            return {it.graphql_name: self._partner_condition(it, target) for it, target in self._filter_partners(product)}

        return self._input(
            "where", product, lambda: where_type(product, usable, lambda column: self.columns.filter(product, column), partners)
        )

    def _partner_condition(self, relation: Relation, target: Product) -> GraphQLInputObjectType:
        return self._list_condition(target) if relation.many else self.where_of(target)

    def _list_condition(self, target: Product) -> GraphQLInputObjectType:
        return self._input("list", target, lambda: list_condition_type(target, self.where_of(target)))

    def _filter_partners(self, product: Product) -> list[tuple[Relation, Product]]:
        """List the relationships that conditions may follow."""
        named = [product.relation_by_name[name] for name in sorted(self.reach.filters.get(product.id, ()))]
        found = [(relation, self.snapshot.products[relation.target]) for relation in named]
        return [(relation, target) for relation, target in found if self.wide or self.ruling_of(target).standing is Standing.SERVED]

    # -- rows --------------------------------------------------------------------------------------------------------------

    def _row(self, product: Product) -> GraphQLObjectType:
        if (found := self._rows.get(product.id)) is not None:
            return found
        ruling = self.ruling_of(product)

        def fields() -> dict[str, GraphQLField]:
            found = {}
            for column, field_ruling in zip(product.columns, ruling.fields, strict=True):
                if not field_ruling.hidden:
                    described = _described(column.field.description, field_ruling)
                    found[column.graphql_name] = GraphQLField(self.columns.output(product, column), description=described)
            for name in sorted(self.reach.links.get(product.id, ())):
                found[name] = self._relation(product.relation_by_name[name])
            return found or {"_": GraphQLField(scalar_of_kind(Kind.BOOLEAN))}

        row = self._rows[product.id] = ObjectType(product.type_name, fields, description=product.contract.metadata.description)
        return row

    def _relation(self, relation: Relation) -> GraphQLField:
        target = self.snapshot.products[relation.target]
        standing = self.ruling_of(target).standing
        text = f"Partners in {target.id}." if relation.many else f"The partner in {target.id}, or null."
        if standing is not Standing.SERVED:
            text += f" You have no access; ask {target.contract.metadata.owner}."
        if relation.many:
            return self._connection_field(target, description=text)
        return GraphQLField(self._row(target), description=text)

    def _input(self, what: str, product: Product, build: Callable[[], GraphQLInputObjectType]) -> GraphQLInputObjectType:
        if (found := self._inputs.get((what, product.id))) is None:
            found = self._inputs[what, product.id] = build()
        return found


def _described(text: str | None, ruling: FieldRuling) -> str | None:
    why = f", because of {ruling.reason.because}" if ruling.reason is not None else ""
    match ruling.access:
        case Access.MASKED:
            mask = ruling.mask.kind.value if ruling.mask is not None else "redact"
            note = f"Masked for you ({mask}{why})."
        case Access.DENIED:
            note = f"Denied for you{why}; answers null."
        case _:
            return text
    return f"{text} {note}" if text else note
