"""Contracts and opened ports -> one immutable snapshot of the mesh, under GraphQL's names.

Rejects what cannot stand in one schema together: names that clash, relationships whose columns do not fit (left out, with a
finding). Touches nothing; a new snapshot replaces the old one whole, running requests finish on theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from contracts.fields import Field, FieldType, List, Map, Record, Scalar
from contracts.model import Cardinality, Contract
from domain_adapters.port import Port
from gateway.catalog.clashes import CatalogError, can_be_key, check_names
from gateway.catalog.names import column_name, field_name, type_name

__all__ = ["CatalogError", "Column", "Domain", "Product", "Relation", "Snapshot", "snapshot_of", "tolerant_snapshot_of"]

RESERVED_FIELDS = frozenset({"mesh", "_service", "_entities", "node"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column under its GraphQL name."""

    name: str
    graphql_name: str
    field: Field

    @property
    def type(self) -> FieldType:
        """The column's type."""
        return self.field.type

    @property
    def is_comparable(self) -> bool:
        """Whether it can stand in filters and orders."""
        return not isinstance(self.type, (List, Map, Record)) and not (
            isinstance(self.type, Scalar) and self.type.kind in ("json", "bytes")
        )


@dataclass(frozen=True, slots=True)
class Relation:
    """A link as seen from one of its ends. ``pairs``: (own column, target's column). ``many``: a connection of partners."""

    graphql_name: str
    target: str
    pairs: tuple[tuple[str, str], ...]
    many: bool

    @property
    def own_columns(self) -> tuple[str, ...]:
        """Key columns of this end."""
        return tuple(own for own, _ in self.pairs)

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The other end's key columns, in the same order."""
        return tuple(other for _, other in self.pairs)


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """One served major version of a data product. ``id``: ``domain/name``, with ``@major`` for all but the newest."""

    id: str
    contract: Contract
    domain_field: str
    graphql_name: str
    type_name: str
    columns: tuple[Column, ...]
    ports: tuple[Port, ...]
    deprecated: bool = False
    relations: tuple[Relation, ...] = ()
    column_by_name: Mapping[str, Column] = field(default_factory=dict)
    column_by_graphql_name: Mapping[str, Column] = field(default_factory=dict)
    index_by_name: Mapping[str, int] = field(default_factory=dict)
    """Column -> its place in the contract, which its attribute in row structs is named by."""
    relation_by_name: Mapping[str, Relation] = field(default_factory=dict)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The contract's primary key columns."""
        return self.contract.primary_key

    def path(self) -> str:
        """Return ``domain.product`` in GraphQL's names."""
        return f"{self.domain_field}.{self.graphql_name}"


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain under its GraphQL name, with its products by field name."""

    name: str
    graphql_name: str
    type_name: str
    products: Mapping[str, Product]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The mesh at one moment. ``findings``: what was left out and why, for its owners."""

    revision: str
    products: Mapping[str, Product]
    domains: Mapping[str, Domain]
    findings: tuple[str, ...] = ()


def snapshot_of(
    contracts: Iterable[Contract], ports: Mapping[str, tuple[Port, ...]], *, revision: str = "0", keep_spelling: bool = False
) -> Snapshot:
    """Put contracts and their ports under one roof.

    **Shapes** ``ports``: product id -> open ports in contract order; a product without any is listed, and unavailable.
    **Raises** `CatalogError` where two names become one.
    """
    findings: list[str] = []
    products = _products(_newest_first(contracts), ports, keep_spelling=keep_spelling)
    check_names(products.values())
    linked = _linked(products, findings)
    return Snapshot(revision, linked, _domains(linked.values()), tuple(findings))


def tolerant_snapshot_of(
    contracts: Iterable[Contract], ports: Mapping[str, tuple[Port, ...]], *, revision: str = "0", keep_spelling: bool = False
) -> Snapshot:
    """Put under one roof what can stand together: of two that clash, the second is left out, with a finding."""
    kept = list(contracts)
    findings: list[str] = []
    while True:
        try:
            snapshot = snapshot_of(kept, ports, revision=revision, keep_spelling=keep_spelling)
        except CatalogError as clash:
            findings.append(f"{clash.product} is left out: {clash}")
            key, _, major = clash.product.partition("@")
            kept = [it for it in kept if it.key != key or (major and str(it.major) != major)]
        else:
            return replace(snapshot, findings=(*findings, *snapshot.findings))


def _newest_first(contracts: Iterable[Contract]) -> list[tuple[str, Contract]]:
    by_key: dict[str, list[Contract]] = {}
    for contract in contracts:
        by_key.setdefault(contract.key, []).append(contract)
    named: list[tuple[str, Contract]] = []
    for key, versions in sorted(by_key.items()):
        majors: dict[int, Contract] = {}
        for contract in sorted(versions, key=lambda it: _version(it.metadata.version)):
            majors[contract.major] = contract
        newest = max(majors)
        named.extend((key if major == newest else f"{key}@{major}", majors[major]) for major in sorted(majors, reverse=True))
    return named


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("-", 1)[0].split("+", 1)[0].split("."))


def _products(named: list[tuple[str, Contract]], ports: Mapping[str, tuple[Port, ...]], *, keep_spelling: bool) -> dict[str, Product]:
    products: dict[str, Product] = {}
    for id_, contract in named:
        meta = contract.metadata
        suffix = f"V{contract.major}" if "@" in id_ else ""
        columns = tuple(Column(it.name, column_name(it.name, keep_spelling=keep_spelling), it) for it in contract.fields)
        products[id_] = Product(
            id=id_,
            contract=contract,
            domain_field=field_name(meta.domain),
            graphql_name=field_name(meta.name) + suffix,
            type_name=type_name(meta.domain, meta.name) + suffix,
            columns=columns,
            ports=ports.get(id_, ()),
            deprecated=bool(suffix) or meta.status == "deprecated",
            column_by_name={column.name: column for column in columns},
            column_by_graphql_name=_unique(columns, id_),
            index_by_name={column.name: place for place, column in enumerate(columns)},
        )
    return products


def _unique(columns: tuple[Column, ...], product: str) -> dict[str, Column]:
    found: dict[str, Column] = {}
    for column in columns:
        if (other := found.setdefault(column.graphql_name, column)) is not column:
            raise CatalogError(
                f"columns {other.name} and {column.name} of {product} would both be called {column.graphql_name} in GraphQL; "
                "rename one of them",
                product,
            )
    return found


def _linked(products: dict[str, Product], findings: list[str]) -> dict[str, Product]:
    links: dict[str, dict[str, Relation]] = {id_: {} for id_ in products}
    for id_, product in products.items():
        for declared in product.contract.relationships:
            target_id = _target(products, declared.to, declared.to_major)
            if target_id is None:
                findings.append(f"{id_}: relationship {declared.name} leads to {declared.to}, which is not here")
                continue
            target = products[target_id]
            if not all(own in product.column_by_name and other in target.column_by_name for own, other in declared.on):
                findings.append(f"{id_}: relationship {declared.name} joins on columns that are not there")
                continue
            if not all(
                can_be_key(product.column_by_name[own].type) and can_be_key(target.column_by_name[other].type) for own, other in declared.on
            ):
                findings.append(
                    f"{id_}: relationship {declared.name} joins on columns of lists, records or free JSON, which no row is found by"
                )
                continue
            many = declared.cardinality is Cardinality.MANY
            _link(links, products, id_, Relation(field_name(declared.name), target_id, declared.on, many), findings)
            if declared.inverse is not None and "@" not in id_:
                back = tuple((other, own) for own, other in declared.on)
                _link(links, products, target_id, Relation(field_name(declared.inverse), id_, back, not many), findings)
    return {id_: _with_relations(product, links[id_]) for id_, product in products.items()}


def _target(products: Mapping[str, Product], key: str, major: int | None) -> str | None:
    newest = products.get(key)
    if newest is None or major is None or newest.contract.major == major:
        return None if newest is None else key
    return older if (older := f"{key}@{major}") in products else None


def _link(links: dict[str, dict[str, Relation]], products: dict[str, Product], id_: str, relation: Relation, findings: list[str]) -> None:
    if relation.graphql_name in products[id_].column_by_graphql_name or relation.graphql_name in links[id_]:
        findings.append(f"{id_}: the name {relation.graphql_name} of a relationship with {relation.target} is taken; it is left out")
        return
    links[id_][relation.graphql_name] = relation


def _with_relations(product: Product, relations: dict[str, Relation]) -> Product:
    values: dict[str, Any] = {name: getattr(product, name) for name in Product.__slots__}
    return Product(**{**values, "relations": tuple(relations.values()), "relation_by_name": relations})


def _domains(products: Iterable[Product]) -> dict[str, Domain]:
    grouped: dict[str, dict[str, Product]] = {}
    names: dict[str, str] = {}
    for product in products:
        domain = product.contract.metadata.domain
        if (other := names.setdefault(product.domain_field, domain)) != domain or product.domain_field in RESERVED_FIELDS:
            taken = f"domain {other}" if other != domain else "a field of the gateway"
            raise CatalogError(
                f"domain {domain} and {taken} would both be called {product.domain_field} in GraphQL; rename the domain", product.id
            )
        fields = grouped.setdefault(product.domain_field, {})
        for name in (product.graphql_name, f"{product.graphql_name}ByKey"):
            if name in fields:
                raise CatalogError(
                    f"{product.id} and {fields[name].id} would both be called {name} in GraphQL; rename one of them", product.id
                )
        fields[product.graphql_name] = product
    for field_, fields in grouped.items():
        for name in fields:
            if name.endswith("ByKey") and name.removesuffix("ByKey") in fields:
                raise CatalogError(
                    f"{fields[name].id} would be taken for the look-up by key of another product of {field_}; rename it", fields[name].id
                )
    return {name: Domain(names[name], name, f"{type_name(names[name])}Domain", fields) for name, fields in sorted(grouped.items())}
