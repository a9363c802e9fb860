"""Globs and a view -> the products whose schema is asked for: those within the globs that the view is served.

Rejects with LIMIT_EXCEEDED what is too large to be asked for at once. Touches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate

from gateway.catalog.mentions import followable
from gateway.catalog.reach import TOTALS, Reach, RulingOf
from gateway.catalog.snapshot import Product, Snapshot
from gateway.errors import GatewayError
from gateway.governance.ruling import Standing

__all__ = ["Scope", "scope_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """Products by id, in the catalog's order, and what the slice that holds all of them reaches."""

    products: Mapping[str, Product]
    reach: Reach

    def neighbours(self, product: Product) -> list[Product]:
        """List the products of this scope that a product is linked to."""
        found = {it.target: self.products[it.target] for it in product.relations if it.target in self.products}
        return list(found.values())


def scope_of(snapshot: Snapshot, ruling_of: RulingOf, globs: Iterable[str], *, products_max: int) -> Scope:
    """Find the products within ``globs`` over ``domain/name`` (none: all). **Raises** `GatewayError` LIMIT_EXCEEDED."""
    # Not fnmatch itself: it remembers 32,768 patterns, and these are the callers'.
    matches = [re.compile(translate(glob)).match for glob in globs]
    found: dict[str, Product] = {}
    reach = Reach()
    for product in snapshot.products.values():
        if matches and not any(match(product.id) for match in matches):
            continue
        if ruling_of(product).standing is not Standing.SERVED:
            continue
        if len(found) == products_max:
            raise GatewayError(
                "LIMIT_EXCEEDED",
                f"The schema of more than {products_max} products is too large to be asked for at once.",
                hint="Narrow it: add ?products=domain/*,domain/name to the URL, or send the header Mesh-Scope.",
            )
        found[product.id] = product
        reach.roots.setdefault(product.domain_field, set()).update((product.graphql_name, f"{product.graphql_name}ByKey"))
        reach.totals.update((product.id, name) for name in TOTALS)
    for id_, product in found.items():
        reach.links[id_] = {it.graphql_name for it in product.relations if it.target in found}
        reach.measured[id_] = reach.links[id_]
        reach.filters[id_] = {it.graphql_name for it in followable(product) if it.target in found}
    return Scope(found, reach)
