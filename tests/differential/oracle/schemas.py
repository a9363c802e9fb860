"""The whole schema of one view: all that a caller may ask for, or all that they know of."""

from __future__ import annotations

from collections.abc import Mapping

from graphql import GraphQLSchema

from gateway.catalog.mesh import mesh_field
from gateway.catalog.reach import TOTALS, Reach
from gateway.catalog.slices import Slices
from gateway.catalog.snapshot import Snapshot
from gateway.governance.ruling import ProductRuling, Standing

__all__ = ["schema_of"]


def schema_of(snapshot: Snapshot, rulings: Mapping[str, ProductRuling], *, wide: bool = False) -> GraphQLSchema:
    """Build all that a caller may ask for; ``wide``: all that they know of."""
    reach = Reach()
    for id_, product in snapshot.products.items():
        standing = rulings[id_].standing
        if standing is Standing.SERVED:
            reach.roots.setdefault(product.domain_field, set()).update((product.graphql_name, f"{product.graphql_name}ByKey"))
            reach.totals.update((id_, name) for name in TOTALS)
        if standing is not Standing.HIDDEN:
            reach.links[id_] = {it.graphql_name for it in product.relations if rulings[it.target].standing is not Standing.HIDDEN}
            reach.filters[id_] = reach.links[id_]
            reach.measured[id_] = {it.graphql_name for it in product.relations if not it.many and it.graphql_name in reach.links[id_]}
    return Slices(snapshot, mesh_field()).of(reach, lambda it: rulings[it.id], wide=wide).schema
