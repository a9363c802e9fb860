"""Names that several things would bear in one schema, found before anything is served under them.

GraphQL knows types by name alone: two of one name break every operation and every introspection that meets both, whosever they
are. Rejects with `CatalogError`, naming both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from contracts.fields import Enumeration, Field, FieldType, Kind, List, Record, Scalar
from gateway.catalog.names import column_name, is_name, type_name
from gateway.catalog.scalars import NAME_OF_KIND

if TYPE_CHECKING:
    from gateway.catalog.snapshot import Product

__all__ = ["OWN_TYPES", "Admission", "CatalogError", "can_be_key", "type_names"]

_OPERATIONS = ("Query", "Mutation", "Subscription")
_SHARED = (
    "ID",
    "PageInfo",
    "SortDirection",
    "DatePart",
    "ProductMetadata",
    "ProductSlo",
    "SloLag",
    "SloRatio",
    "SloBudget",
    "SymbolFilter",
    "SloStatus",
    "SloOnBreach",
)
_MESH = (
    "Mesh",
    "MeshBudget",
    "MeshField",
    "MeshLag",
    "MeshObjectives",
    "MeshProduct",
    "MeshRatio",
    "MeshRelationship",
    "MeshSlo",
    "MeshSupport",
)
OWN_TYPES = frozenset((*_OPERATIONS, *_SHARED, *_MESH, *NAME_OF_KIND.values(), *(f"{name}Filter" for name in NAME_OF_KIND.values())))
"""Types of the gateway's own, whatever products there are."""
OWN_NAMES: Mapping[str, str] = dict.fromkeys(OWN_TYPES, "a type of the gateway")
RESERVED_FIELDS = frozenset({"mesh", "_service", "_entities", "node"})

_OF_PRODUCT = ("", "Connection", "Edge", "Where", "OrderBy", "Key")


class CatalogError(ValueError):
    """Contracts that cannot be served together; the message names both sides. ``product``: the id of the one to leave out."""

    def __init__(self, message: str, product: str) -> None:
        super().__init__(message)
        self.product = product


class Admission:
    """The names of products that stand in one schema together; another is admitted if it takes none of them.

    ``names``: types that are taken, and by what. ``fields``: domain field -> the domain, and what each field under it is taken by.
    """

    def __init__(self, names: Mapping[str, str] = OWN_NAMES, fields: Mapping[str, tuple[str, Mapping[str, str]]] | None = None) -> None:
        self.names = dict(names)
        self._fields = {name: (domain, dict(taken)) for name, (domain, taken) in (fields or {}).items()}

    def admit(self, product: Product) -> None:
        """Take in a product. **Raises** `CatalogError`, having changed nothing, where a name is taken."""
        domain = product.contract.metadata.domain
        _check_columns(product)
        of_domain, fields = self._fields.get(product.domain_field, (domain, {}))
        if of_domain != domain or product.domain_field in RESERVED_FIELDS:
            taken = f"domain {of_domain}" if of_domain != domain else "a field of the gateway"
            raise CatalogError(
                f"domain {domain} and {taken} would both be called {product.domain_field} in GraphQL; rename the domain", product.id
            )
        _check_field(product, fields)
        own: dict[str, str] = {}
        for name, what in _types_of(product):
            _take(own, self.names, name, what, product.id)
        name, what = f"{type_name(domain)}Domain", f"domain {domain}"
        if self.names.get(name) != what:
            _take(own, self.names, name, what, product.id)
        self.names |= own
        fields[product.graphql_name] = product.id
        self._fields[product.domain_field] = (domain, fields)

    def withdraw(self, product: Product) -> None:
        """Free the names of a product that was admitted."""
        for name in type_names(product):
            del self.names[name]
        domain, fields = self._fields[product.domain_field]
        del fields[product.graphql_name]
        if not fields:
            del self._fields[product.domain_field], self.names[f"{type_name(domain)}Domain"]


def _take(own: dict[str, str], names: Mapping[str, str], name: str, what: str, product: str) -> None:
    if (taken := own.get(name) or names.get(name)) is not None:
        raise CatalogError(f"{what} and {taken} would both be called {name} in GraphQL; rename one of them", product)
    own[name] = what


def _check_columns(product: Product) -> None:
    found: dict[str, str] = {}
    for column in product.columns:
        if (other := found.setdefault(column.graphql_name, column.name)) != column.name:
            raise CatalogError(
                f"columns {other} and {column.name} of {product.id} would both be called {column.graphql_name} in GraphQL; "
                "rename one of them",
                product.id,
            )
    _check_spelling(product.contract.fields, product.id)


def _check_field(product: Product, fields: Mapping[str, str]) -> None:
    for name in (product.graphql_name, f"{product.graphql_name}ByKey"):
        if name in fields:
            raise CatalogError(f"{product.id} and {fields[name]} would both be called {name} in GraphQL; rename one of them", product.id)
    if product.graphql_name.endswith("ByKey") and product.graphql_name.removesuffix("ByKey") in fields:
        raise CatalogError(
            f"{product.id} would be taken for the look-up by key of another product of {product.domain_field}; rename it", product.id
        )


def type_names(product: Product) -> frozenset[str]:
    """Name the types that belong to a product, those of its totals aside: their names have an underscore after its own."""
    return frozenset(name for name, _ in _types_of(product))


def _types_of(product: Product) -> Iterator[tuple[str, str]]:
    for suffix in _OF_PRODUCT:
        yield product.type_name + suffix, product.id
    for column in product.columns:
        if not isinstance(column.type, Scalar):
            yield from _types_in(column.type, type_name(product.type_name, column.name), f"column {column.name} of {product.id}")


def _types_in(type_: FieldType, name: str, what: str) -> Iterator[tuple[str, str]]:
    match type_:
        case List(item=item):
            yield from _types_in(item, name, what)
        case Record(fields=fields):
            yield name, what
            for member in fields:
                yield from _types_in(member.type, type_name(name, member.name), f"{what} (its {member.name})")
        case Enumeration(symbols=symbols) if symbols and all(map(is_name, symbols)):
            yield name, what
            yield f"{name}Filter", what


def _check_spelling(fields: tuple[Field, ...], where: str) -> None:
    spelt: dict[str, str] = {}
    for field in fields:
        spelling = field.physical_name or field.name
        if (other := spelt.setdefault(spelling, field.name)) != field.name:
            raise CatalogError(f"{other} and {field.name} of {where} are both read from {spelling}; leave one of them out", _product(where))
        type_ = field.type
        while isinstance(type_, List):
            type_ = type_.item
        if isinstance(type_, Record):
            _check_spelling(type_.fields, f"{where}, {field.name}")
            _check_members(type_, f"{where}, {field.name}")


def _product(where: str) -> str:
    return where.split(",", 1)[0]


def _check_members(record: Record, where: str) -> None:
    shown: dict[str, str] = {}
    for member in record.fields:
        name = column_name(member.name)
        if (other := shown.setdefault(name, member.name)) != member.name:
            raise CatalogError(
                f"{other} and {member.name} of {where} would both be called {name} in GraphQL; rename one of them", _product(where)
            )


def can_be_key(type_: FieldType) -> bool:
    """Whether rows can be found by values of this type."""
    return isinstance(type_, Enumeration) or (isinstance(type_, Scalar) and type_.kind is not Kind.JSON)
