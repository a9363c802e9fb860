"""Contracts and opened ports -> one immutable snapshot of the mesh, under GraphQL's names.

Rejects what cannot stand in one schema together: names that clash, relationships whose columns do not fit (left out, with a
finding). Touches nothing; a new snapshot replaces the old one whole, running requests finish on theirs.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from contracts.fields import Field, FieldType, List, Map, Record, Scalar
from contracts.model import Cardinality, Contract, Relationship
from domain_adapters.port import Port
from gateway.catalog.clashes import Admission, CatalogError, can_be_key
from gateway.catalog.names import column_name, field_name, type_name

__all__ = [
    "CatalogError",
    "Column",
    "Domain",
    "Product",
    "Relation",
    "Snapshot",
    "domains_of",
    "newest_first",
    "place_of",
    "product_of",
    "snapshot_of",
    "tolerant_snapshot_of",
    "with_links",
]


@dataclass(frozen=True, slots=True)
class Column:
    """A column under its GraphQL name."""

    name: str
    graphql_name: str
    field: Field
    type: FieldType = dataclasses.field(init=False)
    is_comparable: bool = dataclasses.field(init=False)
    """Whether it can stand in filters and orders."""

    def __post_init__(self) -> None:
        # Asked for many times by whatever describes a product.
        of = self.field.type
        is_comparable = not isinstance(of, (List, Map, Record)) and not (isinstance(of, Scalar) and of.kind in ("json", "bytes"))
        object.__setattr__(self, "type", of)
        object.__setattr__(self, "is_comparable", is_comparable)


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

    primary_key: tuple[str, ...] = field(init=False)
    """The contract's primary key columns."""

    def __post_init__(self) -> None:
        # Asked for with every read, unlike the contract's other members.
        object.__setattr__(self, "primary_key", self.contract.primary_key)

    def is_unique_by(self, columns: Collection[str]) -> bool:
        """Whether rows that are alike in these columns are one row, or none that could be put in an order."""
        return set(self.primary_key) <= set(columns)

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
    """The mesh at one moment. ``names``: its types, and whose they are. ``findings``: what was left out and why, for its owners."""

    revision: str
    products: Mapping[str, Product]
    domains: Mapping[str, Domain]
    names: Mapping[str, str]
    findings: tuple[str, ...] = ()


def snapshot_of(
    contracts: Iterable[Contract], ports: Mapping[str, tuple[Port, ...]], *, revision: str = "0", keep_spelling: bool = False
) -> Snapshot:
    """Put contracts and their ports under one roof.

    **Shapes** ``ports``: product id -> open ports in contract order; a product without any is listed, and unavailable.
    **Raises** `CatalogError` where two names become one.
    """
    return _snapshot(contracts, ports, revision, keep_spelling=keep_spelling, tolerant=False)


def tolerant_snapshot_of(
    contracts: Iterable[Contract], ports: Mapping[str, tuple[Port, ...]], *, revision: str = "0", keep_spelling: bool = False
) -> Snapshot:
    """Put under one roof what can stand together: of two that clash, the second is left out, with a finding."""
    return _snapshot(contracts, ports, revision, keep_spelling=keep_spelling, tolerant=True)


def _snapshot(
    contracts: Iterable[Contract], ports: Mapping[str, tuple[Port, ...]], revision: str, *, keep_spelling: bool, tolerant: bool
) -> Snapshot:
    findings: list[str] = []
    products: dict[str, Product] = {}
    admission = Admission()
    refused: set[str] = set()
    for id_, contract in newest_first(contracts):
        if contract.key in refused:
            continue
        product = product_of(id_, contract, ports.get(id_, ()), keep_spelling=keep_spelling)
        try:
            admission.admit(product)
        except CatalogError as clash:
            if not tolerant:
                raise
            findings.append(f"{clash.product} is left out: {clash}")
            if "@" not in id_:  # older versions are not served in place of the newest
                refused.add(contract.key)
        else:
            products[id_] = product
    linked = with_links(products, products, findings)
    return Snapshot(revision, linked, domains_of(linked.values()), admission.names, tuple(findings))


def newest_first(contracts: Iterable[Contract]) -> list[tuple[str, Contract]]:
    """Name what is served: by product, the newest version of each major, the newest major first and under the plain name."""
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


def place_of(id_: str) -> tuple[str, int]:
    """Tell a product's place among others by its id; all products of a snapshot are in this order."""
    key, _, major = id_.partition("@")
    return key, -int(major) if major else -sys.maxsize  # the newest first, which bears no number


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("-", 1)[0].split("+", 1)[0].split("."))


def product_of(id_: str, contract: Contract, ports: tuple[Port, ...], *, keep_spelling: bool) -> Product:
    """Make the product of a contract, without relationships yet."""
    meta = contract.metadata
    suffix = f"V{contract.major}" if "@" in id_ else ""
    columns = tuple([Column(it.name, column_name(it.name, keep_spelling=keep_spelling), it) for it in contract.fields])
    return Product(
        id=id_,
        contract=contract,
        domain_field=field_name(meta.domain),
        graphql_name=field_name(meta.name) + suffix,
        type_name=type_name(meta.domain, meta.name) + suffix,
        columns=columns,
        ports=ports,
        deprecated=bool(suffix) or meta.status == "deprecated",
        column_by_name={column.name: column for column in columns},
        column_by_graphql_name={column.graphql_name: column for column in columns},
        index_by_name={column.name: place for place, column in enumerate(columns)},
    )


def with_links(products: Mapping[str, Product], wanted: Collection[str], findings: list[str]) -> dict[str, Product]:
    """Give the ``wanted`` products their relationships: those they declare, and the inverses that others declare."""
    links: dict[str, dict[str, Relation]] = {id_: {} for id_ in wanted}
    keys = {products[id_].contract.key for id_ in wanted}
    for id_, product in products.items():
        for declared in product.contract.relationships:
            if id_ not in links and declared.to not in keys:
                continue
            target_id = _target(products, declared.to, declared.to_major)
            if id_ not in links and target_id not in links:
                continue
            if target_id is None:
                findings.append(f"{id_}: relationship {declared.name} leads to {declared.to}, which is not here")
                continue
            if (mistake := _misfit(product, products[target_id], declared)) is not None:
                findings.append(f"{id_}: {mistake}")
                continue
            many = declared.cardinality is Cardinality.MANY
            _link(links, product, Relation(field_name(declared.name), target_id, declared.on, many), findings)
            if declared.inverse is not None and "@" not in id_:
                back = tuple((other, own) for own, other in declared.on)
                _link(links, products[target_id], Relation(field_name(declared.inverse), id_, back, not many), findings)
    return {id_: replace(products[id_], relations=tuple(found.values()), relation_by_name=found) for id_, found in links.items()}


def _misfit(product: Product, target: Product, declared: Relationship) -> str | None:
    if not all(own in product.column_by_name and other in target.column_by_name for own, other in declared.on):
        return f"relationship {declared.name} joins on columns that are not there"
    if not all(
        can_be_key(product.column_by_name[own].type) and can_be_key(target.column_by_name[other].type) for own, other in declared.on
    ):
        return f"relationship {declared.name} joins on columns of lists, records or free JSON, which no row is found by"
    return None


def _target(products: Mapping[str, Product], key: str, major: int | None) -> str | None:
    newest = products.get(key)
    if newest is None or major is None or newest.contract.major == major:
        return None if newest is None else key
    return older if (older := f"{key}@{major}") in products else None


def _link(links: dict[str, dict[str, Relation]], product: Product, relation: Relation, findings: list[str]) -> None:
    found = links.get(product.id)
    if found is None:
        return
    if relation.graphql_name in product.column_by_graphql_name or relation.graphql_name in found:
        findings.append(f"{product.id}: the name {relation.graphql_name} of a relationship with {relation.target} is taken; it is left out")
        return
    found[relation.graphql_name] = relation


def domains_of(products: Iterable[Product]) -> dict[str, Domain]:
    """Group products, whose names do not clash, by domain."""
    grouped: dict[str, dict[str, Product]] = {}
    names: dict[str, str] = {}
    for product in products:
        names[product.domain_field] = product.contract.metadata.domain
        grouped.setdefault(product.domain_field, {})[product.graphql_name] = product
    return {name: Domain(names[name], name, f"{type_name(names[name])}Domain", fields) for name, fields in sorted(grouped.items())}
