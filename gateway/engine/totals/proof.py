"""Proof that a port's aggregates and groups can be believed under row rules (SPEC A6).

Reads a bounded range of keys without any rule, rules on the rows here and adds them up, and compares with what the port answers when
the rule is pushed down to it: totals of every kind, and groups by columns of the rule, must be the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from contracts.fields import Kind, Scalar
from contracts.predicates import Predicate, columns_of
from domain_adapters.algebra import aggregate_type
from domain_adapters.port import Port
from gateway.catalog.measures import FUNCTIONS, is_measured
from gateway.catalog.snapshot import Product
from gateway.engine.asking.asked import Asked
from gateway.engine.asking.grouping import Grouping, Measure, Term
from gateway.engine.budget import Bounds
from gateway.engine.reading.proof import Sample, sampled
from gateway.engine.totals.groups import Parents, pushed_groups
from gateway.engine.totals.table import Table
from gateway.engine.totals.withholding import finished

__all__ = ["totals_hold"]

_COLUMNS_MAX = 8


async def totals_hold(product: Product, port: Port, rules: tuple[Predicate, ...], bounds: Bounds) -> bool:
    """Compare what the port totals under each rule with what its rows say.

    True as well where there is nothing to prove: no rules. **Raises** `GatewayError` where the port does not answer.
    """
    if not rules:
        return True
    if not port.capabilities.aggregates or not product.primary_key:
        return False
    measured = [it.name for it in product.columns if is_measured("min", it)][:_COLUMNS_MAX]
    ruled = sorted(frozenset[str]().union(*map(columns_of, rules)))
    async with sampled(product, port, frozenset((*ruled, *measured)), bounds, calls=2 + 3 * len(rules)) as sample:
        return await _totalled_rightly(product, port, sample, rules, ruled)


async def _totalled_rightly(product: Product, port: Port, sample: Sample, rules: tuple[Predicate, ...], ruled: list[str]) -> bool:
    if not sample.rows:
        return True
    pages = sample.pages
    for rule in rules:
        asked, rows = sample.under(rule)
        for grouping in _groupings(product, port, asked, ruled):
            table = Table(grouping, [pages.cells.of(term.column.name) for term in grouping.by], pages.cells)
            table.add(rows)
            found = await pushed_groups(pages, grouping, Parents())
            if found is None:
                return False
            if (rows or grouping.by) and not _alike(found.get((), []), finished(table.groups.items(), grouping)[0], grouping):
                return False
    return True


def _groupings(product: Product, port: Port, asked: Asked, ruled: list[str]) -> Iterator[Grouping]:
    able = port.capabilities.aggregates
    measures = [Measure("count", None, Scalar(Kind.LONG))] if "count" in able else []
    for column in [it for it in product.columns if is_measured("min", it)][:_COLUMNS_MAX]:
        for function in FUNCTIONS:
            type_ = aggregate_type(function, column.type)
            if function in able and is_measured(function, column) and type_ is not None:
                measures.append(Measure(function, column, type_))
    yield Grouping(asked, _unwritten, measures=tuple(measures))
    if port.capabilities.group_by:
        for name in ruled:
            if product.column_by_name[name].is_comparable:
                yield Grouping(asked, _unwritten, by=(Term((), product.column_by_name[name]),), measures=tuple(measures))


def _unwritten(_group: Any, _cursor: str | None) -> None:
    return None


def _alike(found: list[list[Any]], expected: list[list[Any]], grouping: Grouping) -> bool:
    size = len(grouping.by)
    by_key = {tuple(group[:size]): group for group in found}
    if len(found) != len(expected):
        return False
    for group in expected:
        other = by_key.get(tuple(group[:size]))
        if other is None or not all(map(_is_same, group, other)):
            return False
    return True


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)
