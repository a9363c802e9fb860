"""One product published, changed or withdrawn: the next snapshot, which shares with the last all that the change does not touch.

Touched are the product's versions and what is linked to them. Rejects with `CatalogError` what cannot stand beside the others; then
nothing has changed. Touches nothing: a snapshot is never altered, requests that run on the last one finish on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from contracts.model import Contract
from domain_adapters.port import Port
from gateway.catalog.clashes import Admission
from gateway.catalog.snapshot import Product, Snapshot, domains_of, newest_first, place_of, product_of, with_links

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
    touched = replaced | _linked(last.products, key) | _linked(products, key)
    findings: list[str] = []
    linked = with_links(products, touched & products.keys(), findings)
    found = products | linked
    kept = tuple(it for it in last.findings if it.partition(":")[0] not in touched)
    return Change(Snapshot(revision, found, domains_of(found.values()), admission.names, (*kept, *findings)), frozenset(touched), replaced)


def _linked(products: Mapping[str, Product], key: str) -> set[str]:
    """Name what declares a relationship with a product, or is declared to by it."""
    found = {id_ for id_, product in products.items() for it in product.contract.relationships if it.to == key}
    own = (product for id_, product in products.items() if id_.partition("@")[0] == key)
    for product in own:
        for declared in product.contract.relationships:
            found.update(it for it in (declared.to, f"{declared.to}@{declared.to_major}") if it in products)
    return found
