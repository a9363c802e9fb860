"""The ``mesh`` root field: the catalogue of products, declared with Strawberry and answered from the snapshot as one view sees it.

Shows names, promises and rulings, never rows, counts or samples; hidden products and fields are not there.
"""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import strawberry
from graphql import GraphQLField
from strawberry.schema.config import StrawberryConfig

from contracts.fields import Enumeration, FieldType, List, Map, Record, Scalar
from gateway.catalog.listing import PAGE_DEFAULT, Filter, Listing
from gateway.catalog.mesh_slo import MeshSlo, mesh_slo
from gateway.catalog.names import column_name
from gateway.catalog.scalars import NAME_OF_KIND, SCALARS
from gateway.catalog.snapshot import Product
from gateway.governance.ruling import ProductRuling, Standing
from gateway.slo.board import Board

__all__ = ["MeshContext", "mesh_field", "mesh_schema"]


@dataclass(frozen=True, slots=True)
class MeshContext:
    """What the catalogue is answered from."""

    listing: Listing
    board: Board


@strawberry.type(name="MeshSupport", description="Where to ask about a product.")
class MeshSupport:
    channel: str
    url: str | None


@strawberry.type(name="MeshField", description="A field of a product, and your ruling on it.")
class MeshField:
    name: str
    column: str
    type: str
    description: str | None
    tags: list[str]
    classification: str | None
    access: str = strawberry.field(description="clear, masked or denied, for you.")
    mask: str | None
    because: str | None
    usable: bool = strawberry.field(description="Whether you may filter, sort and look up by it.")


@strawberry.type(name="MeshRelationship", description="A declared link to another product.")
class MeshRelationship:
    name: str
    to: str
    many: bool


@strawberry.type(name="MeshObjectives", description="What the contract promises, in its own words.")
class MeshObjectives:
    freshness: str | None
    completeness: str | None
    accuracy: str | None
    availability: str | None


@strawberry.type(name="MeshProduct", description="A data product that you may know of.")
class MeshProduct:
    id: str
    domain: str
    name: str
    version: str
    owner: str
    description: str | None
    status: str
    tags: list[str]
    docs: str | None
    support: list[MeshSupport]
    accessible: bool = strawberry.field(description="Whether you may read its rows.")
    request_access: str = strawberry.field(description="Whom to ask for access.")
    graphql_field: str | None = strawberry.field(description="Where it is in the schema, if you may read it.")
    retention: str | None
    # A list of thousands of products is mostly asked for names: what costs more is made when it is asked for.
    product: strawberry.Private[Product]
    ruling: strawberry.Private[ProductRuling]
    wanted: strawberry.Private[Filter]

    @strawberry.field(description="Its place in the list: `after` it, the list goes on. Opaque, and good for the same filter and caller.")
    def cursor(self, info: strawberry.Info) -> str:
        context: MeshContext = info.context
        return context.listing.cursor(self.product, self.wanted)

    @strawberry.field
    def primary_key(self) -> list[str]:
        named = self.product.column_by_name
        return [named[it].graphql_name for it in self.product.primary_key if not self.ruling.field(it).hidden]

    @strawberry.field
    def ports(self) -> list[str]:
        return [it.type for it in self.product.contract.output_ports]

    @strawberry.field
    def objectives(self) -> MeshObjectives:
        return _objectives(self.product)

    @strawberry.field
    def fields(self) -> list[MeshField]:
        return _fields(self.product, self.ruling)

    @strawberry.field
    def relationships(self, info: strawberry.Info) -> list[MeshRelationship]:
        return _relationships(self.product, info.context)

    @strawberry.field(description="Null without access.")
    def slo(self, info: strawberry.Info) -> MeshSlo | None:
        context: MeshContext = info.context
        return mesh_slo(context.board, self.product) if self.accessible else None


Domain = Annotated[str | None, strawberry.argument(description="Only of this domain, as contracts spell it.")]
Owner = Annotated[str | None, strawberry.argument(description="Only with this owner.")]
Tag = Annotated[str | None, strawberry.argument(description="Only with this tag.")]
Accessible = Annotated[bool | None, strawberry.argument(description="Only those whose rows you may read, or only those you may not.")]
Search = Annotated[
    str | None,
    strawberry.argument(description="Only where all these words occur in name, owner, description, tags or fields, in any case."),
]
First = Annotated[int | None, strawberry.argument(description=f"At most so many; {PAGE_DEFAULT} unless said.")]
After = Annotated[str | None, strawberry.argument(description="The `cursor` of the last one before.")]


@strawberry.type(name="Mesh", description="The catalogue of data products.")
class Mesh:
    @strawberry.field(description="Products that you may know of, by domain and name, a page at a time.")
    def products(
        self,
        info: strawberry.Info,
        domain: Domain = None,
        owner: Owner = None,
        tag: Tag = None,
        accessible: Accessible = None,
        search: Search = None,
        first: First = None,
        after: After = None,
    ) -> list[MeshProduct]:
        context: MeshContext = info.context
        wanted = Filter(domain, owner, tag, accessible, search)
        return [_product(product, ruling, wanted) for product, ruling in context.listing.page(wanted, first, after)]

    @strawberry.field(description="How many products there are in the list, pages aside.")
    def products_count(
        self,
        info: strawberry.Info,
        domain: Domain = None,
        owner: Owner = None,
        tag: Tag = None,
        accessible: Accessible = None,
        search: Search = None,
    ) -> int:
        context: MeshContext = info.context
        return context.listing.count(Filter(domain, owner, tag, accessible, search))

    @strawberry.field(description="One product by its domain and name, or null.")
    def product(self, info: strawberry.Info, domain: str, name: str) -> MeshProduct | None:
        context: MeshContext = info.context
        found = context.listing.find(f"{domain}/{name}")
        return None if found is None else _product(*found, Filter())


@strawberry.type
class Query:
    @strawberry.field(description="The catalogue of data products.")
    def mesh(self) -> Mesh:
        return Mesh()


@cache
def mesh_schema() -> strawberry.Schema:
    """Return the schema that owns ``mesh`` and all scalars; it executes those fields, whatever slice they were validated in."""
    return strawberry.Schema(Query, config=StrawberryConfig(scalar_map=SCALARS))


def mesh_field() -> GraphQLField:
    """Return the root field to graft into slices."""
    query: Any = mesh_schema()._schema.query_type
    field: GraphQLField = query.fields["mesh"]
    return field


def _product(product: Product, ruling: ProductRuling, wanted: Filter) -> MeshProduct:
    contract = product.contract
    meta = contract.metadata
    served = ruling.standing is Standing.SERVED
    return MeshProduct(
        id=product.id,
        domain=meta.domain,
        name=meta.name,
        version=meta.version,
        owner=meta.owner,
        description=meta.description,
        status=meta.status,
        tags=list(meta.tags),
        docs=meta.docs,
        support=[MeshSupport(channel=it.channel, url=it.url) for it in meta.support],
        accessible=served,
        request_access=meta.owner,
        graphql_field=product.path() if served else None,
        retention=contract.retention.text if contract.retention else None,
        product=product,
        ruling=ruling,
        wanted=wanted,
    )


def _objectives(product: Product) -> MeshObjectives:
    said = product.contract.objectives
    return MeshObjectives(
        freshness=said.freshness.text if said.freshness else None,
        completeness=said.completeness.text if said.completeness else None,
        accuracy=said.accuracy.text if said.accuracy else None,
        availability=said.availability.text if said.availability else None,
    )


def _relationships(product: Product, context: MeshContext) -> list[MeshRelationship]:
    return [
        MeshRelationship(name=it.graphql_name, to=it.target, many=it.many) for it in product.relations if context.listing.knows(it.target)
    ]


def _fields(product: Product, ruling: ProductRuling) -> list[MeshField]:
    classes = product.contract.classification_by_name
    return [
        MeshField(
            name=column.graphql_name,
            column=column.name,
            type=_type(column.type),
            description=column.field.description,
            tags=list(classes[column.name].tags),
            classification=None if (level := classes[column.name].level) is None else level.value,
            access=field.access.value,
            mask=None if field.mask is None else field.mask.kind.value,
            because=None if field.reason is None else field.reason.because,
            usable=field.usable and column.is_comparable,
        )
        for column, field in zip(product.columns, ruling.fields, strict=True)
        if not field.hidden
    ]


def _type(type_: FieldType) -> str:
    match type_:
        case Scalar(kind=kind):
            return NAME_OF_KIND[kind]
        case Enumeration(symbols=symbols):
            return f"enum({', '.join(symbols)})"
        case List(item=item):
            return f"[{_type(item)}]"
        case Map():
            return "JSON"
        case Record(fields=fields):
            return "{" + ", ".join(f"{column_name(it.name)}: {_type(it.type)}" for it in fields) + "}"
