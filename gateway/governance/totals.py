"""Rules on totals: what may be aggregated, grouped by and shown of groups (SPEC A7, A8). Pure.

A total may be taken of columns that are clear in this answer, or, where contract or policy allow it, of masked ones over enough
subjects. What groups are formed by is known per request; `unclear_along` rules on it then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from gateway.catalog.measures import is_clear, is_open
from gateway.catalog.snapshot import Column, Product, Relation
from gateway.compiler.totals import KeyCellPick, KeyPick, TotalsPick, measures_of
from gateway.errors import GatewayError
from gateway.governance.ruling import FieldRuling, ProductRuling

__all__ = ["Protected", "masked", "rule_totals", "unclear_along", "veiled_in"]

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
    for measure, path in measures_of(pick):
        if measure.column is None or measure.path:
            continue  # along paths `unclear_along` rules, with what else follows them
        field = fields[measure.column.name]
        if is_open(field):
            continue
        if field.aggregates is None or measure.function not in field.aggregates.functions:
            raise masked(product, field.column)
        found.append((field.column, field, path))
    unclear = frozenset(name for name, field in fields.items() if not is_open(field))
    veiled = {name: field for name, field in fields.items() if name not in unclear and not is_clear(field)}
    # Groups may be filtered and sorted by totals that are not selected.
    allowed = {name: field.aggregates for name, field in fields.items() if field.aggregates is not None and name in unclear}
    return replace(pick, unclear=unclear, veiled=veiled, protected=allowed), found


def veiled_in(
    pick: TotalsPick, product: Product, ruling: ProductRuling, ruling_of: Callable[[Product], ProductRuling]
) -> Iterator[tuple[tuple[str, ...], Column, Product, ProductRuling, FieldRuling]]:
    """List what an answer shows under a mask: keys and least and greatest values, each with its path and whose it is."""
    for measure, path in measures_of(pick):
        if measure.column is None or measure.function not in ("min", "max"):
            continue
        if not measure.path:
            if (field := pick.veiled.get(measure.column.name)) is not None:
                yield path, measure.column, product, ruling, field
            continue
        target = measure.path[-1][1]
        field = ruling_of(target).field(measure.column.name)
        if is_open(field) and not is_clear(field):
            yield path, measure.column, target, ruling_of(target), field
    for key in pick.picks:
        if isinstance(key, KeyPick):
            yield from _veiled_keys(key, (*pick.path, key.key), pick, ruling, ruling_of)


def _veiled_keys(
    key: KeyPick, path: tuple[str, ...], pick: TotalsPick, ruling: ProductRuling, ruling_of: Callable[[Product], ProductRuling]
) -> Iterator[tuple[tuple[str, ...], Column, Product, ProductRuling, FieldRuling]]:
    for it in key.picks:
        if isinstance(it, KeyPick):
            yield from _veiled_keys(it, (*path, it.key), pick, ruling_of(it.product), ruling_of)
        elif isinstance(it, KeyCellPick):
            field = pick.veiled.get(it.column.name) if not key.path else ruling.field(it.column.name)
            if field is not None and is_open(field) and not is_clear(field):
                yield (*path, it.key), it.column, key.product, ruling, field


def masked(product: Product, column: str, cannot: str = "be aggregated or grouped by") -> GatewayError:
    """Make the refusal of a column that is not shown in clear. ``cannot``: what was asked of it."""
    shown = product.column_by_name[column].graphql_name
    return GatewayError(
        "MASKED_FIELD_IN_PREDICATE",
        f"{shown} of {product.id} is masked or denied for you in this answer, so it cannot {cannot}.",
        field=shown,
        product=product.id,
        owner=product.contract.metadata.owner,
    )


def unclear_along(
    product: Product,
    pick: TotalsPick,
    paths: Sequence[Sequence[tuple[Relation, Product]]],
    rulings: Mapping[str, ProductRuling],
) -> dict[tuple[str, ...], frozenset[str]]:
    """Say which columns do not show where groups follow ``paths`` from ``product``: by names of relationships, ``()`` the product.

    Both ends of a relationship are one value: where one end does not show, neither does the other; and what is only lifted at one end
    is not shown in clear at the other.
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
    found: dict[tuple[str, ...], set[str]] = {(): set(pick.unclear)}
    veiled: dict[tuple[str, ...], set[str]] = {(): set(pick.veiled)}
    for at, one in places.items():
        if at:
            fields = rulings[one.id].fields
            found[at] = {field.column for field in fields if not is_open(field)}
            veiled[at] = {field.column for field in fields if is_open(field) and not is_clear(field)}
    for link in links:
        ends = [column in veiled[at] for at, column in link]
        if any(ends) and not all(ends):
            for at, column in link:
                found[at].add(column)
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
