"""Proof that a port's aggregates and groups can be believed under row rules (SPEC A6).

Reads a bounded range of keys without any rule, rules on the rows here and adds them up, and compares with what the port answers when
the rule is pushed down to it: totals of every kind, and groups by columns of the rule, must be the same.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from typing import Any

from contracts.fields import Kind, Scalar
from contracts.predicates import TRUE, Not, Predicate, columns_of, compile_test, conjunction
from domain_adapters.algebra import aggregate_type
from domain_adapters.port import Order, Port
from gateway.catalog.measures import FUNCTIONS, is_measured
from gateway.catalog.snapshot import Product
from gateway.engine.asking.asked import Asked
from gateway.engine.asking.grouping import Grouping, Measure, Term
from gateway.engine.budget import Bounds, Budget
from gateway.engine.decoding.decode import RowDecoders
from gateway.engine.reading.lists import read_list
from gateway.engine.reading.pages import Pages
from gateway.engine.reading.positions import after
from gateway.engine.reading.proof import with_claims
from gateway.engine.totals.groups import Parents, pushed_groups
from gateway.engine.totals.table import Table
from gateway.engine.totals.withholding import finished

__all__ = ["totals_hold"]

_SAMPLE_ROWS = 500
_COLUMNS_MAX = 8


async def totals_hold(product: Product, port: Port, rules: tuple[Predicate, ...], bounds: Bounds) -> bool:
    """Compare what the port totals under each rule with what its rows say.

    True as well where there is nothing to prove: no rules. **Raises** `GatewayError` where the port does not answer.
    """
    capabilities = port.capabilities
    if not rules:
        return True
    if not capabilities.aggregates or not product.primary_key:
        return False
    measured = [it for it in product.columns if is_measured("min", it)][:_COLUMNS_MAX]
    ruled = sorted(frozenset[str]().union(*map(columns_of, rules)))
    names = {*ruled, *product.primary_key, *(it.name for it in measured)}
    visible = frozenset(product.index_by_name[name] for name in names)
    budget = Budget(bounds, asyncio.get_running_loop().time() + bounds.upstream_timeout_s * (2 + 3 * len(rules)))
    pages = Pages(product, port, RowDecoders(product, port.spelling), budget, visible=visible)
    sample = await read_list(pages, Asked(first=min(_SAMPLE_ROWS, capabilities.page_max - 1)))
    if not sample.rows:
        return True
    cell = pages.cells.of
    last = [cell(name)(sample.rows[-1]) for name in product.primary_key]
    within = Not(after(tuple(map(Order, product.primary_key)), last)) if sample.has_next else TRUE
    for rule in rules:
        bound = with_claims(rule, {name: [cell(name)(row) for row in sample.rows] for name in columns_of(rule)})
        test = compile_test(bound, cell)
        rows = [row for row in sample.rows if test(row) is True]
        for grouping in _groupings(product, port, Asked(where=conjunction(within, bound)), ruled):
            table = Table(grouping, [cell(term.column.name) for term in grouping.by], pages.cells)
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
