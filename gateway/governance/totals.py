"""Rules on totals: what may be aggregated, grouped by and shown of groups (SPEC A7, A8). Pure.

A total may be taken of columns that are clear in this answer, or, where contract or policy allow it, of masked ones over enough
subjects. What groups are formed by is known per request; `unclear_along` rules on it then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from gateway.catalog.measures import is_clear
from gateway.catalog.snapshot import Product, Relation
from gateway.compiler.totals import GroupsPick, TotalsPick, measures_of
from gateway.errors import GatewayError
from gateway.governance.ruling import FieldRuling, ProductRuling

__all__ = ["Protected", "masked", "rule_totals", "unclear_along"]

Protected = tuple[str, FieldRuling, tuple[str, ...]]
"""(column, its ruling, response path) of a total over a column that is for aggregates only."""


def rule_totals(
    pick: TotalsPick, product: Product, ruling: ProductRuling, joined: Callable[[FieldRuling], FieldRuling]
) -> tuple[TotalsPick, list[Protected]]:
    """Rule on totals of a connection. ``joined``: a field's ruling -> that in this answer.

    **Raises** MASKED_FIELD_IN_PREDICATE.
    """
    fields = {field.column: joined(field) for field in ruling.fields}
    found: list[Protected] = []
    least: dict[str, int] = {}
    for measure, path in measures_of(pick):
        if measure.column is None:
            continue
        field = fields[measure.column.name]
        if is_clear(field):
            continue
        if field.aggregates is None or measure.function not in field.aggregates.functions:
            raise masked(product, field.column)
        least[field.column] = field.aggregates.min_group
        found.append((field.column, field, path))
    unclear = frozenset(name for name, field in fields.items() if not is_clear(field))
    allowed = {name: field.aggregates.min_group for name, field in fields.items() if field.aggregates is not None and name in unclear}
    # Groups may be filtered and sorted by totals that are not selected.
    return replace(pick, unclear=unclear, protected=allowed if isinstance(pick, GroupsPick) else least), found


def masked(product: Product, column: str) -> GatewayError:
    """Make the refusal of a column that is not shown in clear."""
    shown = product.column_by_name[column].graphql_name
    return GatewayError(
        "MASKED_FIELD_IN_PREDICATE",
        f"{shown} of {product.id} is masked or denied for you in this answer, so it cannot be aggregated or grouped by.",
        field=shown,
        product=product.id,
        owner=product.contract.metadata.owner,
    )


def unclear_along(
    product: Product,
    unclear: frozenset[str],
    paths: Sequence[Sequence[tuple[Relation, Product]]],
    rulings: Mapping[str, ProductRuling],
) -> dict[tuple[str, ...], frozenset[str]]:
    """Say which columns do not show where groups follow ``paths`` from ``product``: by names of relationships, ``()`` the product.

    Both ends of a relationship are one value: where one end is not clear, neither is the other.
    """
    places: dict[tuple[str, ...], Product] = {(): product}
    links: set[frozenset[tuple[tuple[str, ...], str]]] = set()
    for path in paths:
        at: tuple[str, ...] = ()
        for relation, target in path:
            below = (*at, relation.graphql_name)
            places[below] = target
            links.update(frozenset({(at, own), (below, other)}) for own, other in relation.pairs)
            at = below
    found = {
        at: set(unclear) if not at else {field.column for field in rulings[one.id].fields if not is_clear(field)}
        for at, one in places.items()
    }
    grown = True
    while grown:
        grown = False
        for link in links:
            ends = [column in found[at] for at, column in link]
            if any(ends) and not all(ends):
                grown = True
                for at, column in link:
                    found[at].add(column)
    return {at: frozenset(columns) for at, columns in found.items()}
