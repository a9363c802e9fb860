"""One product published, changed or withdrawn: the next snapshot, which shares with the last all that the change does not touch.

Touched are the product's versions and what is linked to them. Rejects with `CatalogError` what cannot stand beside the others; then
nothing has changed. Touches nothing: a snapshot is never altered, requests that run on the last one finish on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from contracts.model import Contract
from domain_adapters.port import Port
from gateway.catalog.clashes import Admission
from gateway.catalog.snapshot import Domain, Product, Snapshot, domains_of, newest_first, place_of, product_of, with_links

__all__ = ["Change", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """``touched``: ids of products that came, went, or are not as they were; ``replaced``: those of them with another contract."""

    snapshot: Snapshot
    touched: frozenset[str]
    replaced: frozenset[str]


def changed(
    last: Snapshot,
    key: str,
    contracts: Iterable[Contract],
    ports: Mapping[str, tuple[Port, ...]],
    *,
    revision: str,
    keep_spelling: bool = False,
) -> Change:
    """Put ``contracts``, all served versions of the product ``key`` (``domain/name``), in place of those in ``last``; none withdraws it.

    **Shapes** ``ports``: product id -> open ports, of this product's ids only. **Raises** `CatalogError` where a name is taken.
    """
    fields = {name: (it.name, {field: product.id for field, product in it.products.items()}) for name, it in last.domains.items()}
    admission = Admission(last.names, fields)
    products = dict(last.products)
    old = [product for id_, product in last.products.items() if id_.partition("@")[0] == key]
    for product in old:
        admission.withdraw(product)
        del products[product.id]
    fresh = [product_of(id_, it, ports.get(id_, ()), keep_spelling=keep_spelling) for id_, it in newest_first(contracts)]
    for product in fresh:
        admission.admit(product)
        products[product.id] = product
    products = {id_: products[id_] for id_ in sorted(products, key=place_of)}  # where names clash, the first in this order bears them
    replaced = frozenset(product.id for product in (*old, *fresh))
    # What is linked to the product in both; only its own links may differ.
    declaring = {id_ for id_, product in products.items() for it in product.contract.relationships if it.to == key}
    touched = replaced | declaring | _targets(old, last.products) | _targets(fresh, products)
    findings: list[str] = []
    linked = with_links(products, touched & products.keys(), findings)
    found = products | linked
    kept = tuple(it for it in last.findings if it.partition(":")[0] not in touched)
    domains = _domains(last, found, touched)
    return Change(Snapshot(revision, found, domains, admission.names, (*kept, *findings)), frozenset(touched), replaced)


def _targets(own: Iterable[Product], products: Mapping[str, Product]) -> set[str]:
    """Name what a product's versions declare relationships with."""
    declared = [it for product in own for it in product.contract.relationships]
    return {id_ for it in declared for id_ in (it.to, f"{it.to}@{it.to_major}") if id_ in products}


def _domains(last: Snapshot, products: Mapping[str, Product], touched: Collection[str]) -> dict[str, Domain]:
    """Group products by domain, those anew whose products were touched."""
    anew = {it[id_].domain_field for id_ in touched for it in (last.products, products) if id_ in it}
    kept = {name: domain for name, domain in last.domains.items() if name not in anew}
    return dict(sorted((kept | domains_of(it for it in products.values() if it.domain_field in anew)).items()))
