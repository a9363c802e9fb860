"""A bound operation -> the masked fields that its predicates and totals use because a grant lifts their masks for that (SPEC A8).

What is found is told to the audit before anything is read. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from contracts.predicates import Predicate, columns_of
from gateway.compiler.executable import ConnectionStep, Executable
from gateway.engine.asking.binding import Bound
from gateway.engine.asking.grouping import Grouping
from gateway.engine.asking.links import links_of

__all__ = ["disclosed"]


def disclosed(executable: Executable, bound: Mapping[tuple[str, ...], Any]) -> dict[str, tuple[str, ...]]:
    """Name the lifted fields in use, by product id."""
    found: dict[str, set[str]] = {}
    for product, column in _named(executable, bound):
        if column in executable.lifted.get(product, ()):
            found.setdefault(product, set()).add(column)
    return {product: tuple(sorted(columns)) for product, columns in found.items()}


def _named(executable: Executable, bound: Mapping[tuple[str, ...], Any]) -> Iterator[tuple[str, str]]:
    for step in executable.questions:
        product = step.product
        if not isinstance(step, ConnectionStep):
            yield from ((product.id, name) for name in product.primary_key)
            continue
        asked = bound[step.path]
        assert isinstance(asked, Bound)
        yield from ((product.id, term.column) for term in asked.asked.order)
        if asked.asked.since is not None and (updated := product.contract.times.updated) is not None:
            yield product.id, updated
        yield from _conditions(product.id, asked.asked.where)
        for totals in step.totals:
            grouping = bound[totals.path]
            assert isinstance(grouping, Grouping)
            yield from _conditions(product.id, grouping.asked.where)
            for it in grouping.ends:
                if it.column is not None:
                    yield it.path[-1][1].id if it.path else product.id, it.column.name


def _conditions(product: str, where: Predicate) -> Iterator[tuple[str, str]]:
    yield from ((product, name) for name in columns_of(where))
    for link in links_of(where):
        yield from _conditions(link.target, link.where)
