"""Proof that a port's counts can be believed under row rules (SPEC A6).

Asks the port for rows of a bounded range of keys without any rule, rules on them here, and compares with what the port answers
when the rule is pushed down to it: the rows and their number must be the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from msgspec import structs

from contracts.model import Contract
from contracts.policy import MeshPolicy
from contracts.predicates import TRUE, Among, And, Claim, Compare, Not, Operator, Or, Predicate, columns_of, compile_test, conjunction
from domain_adapters.port import Order, Port
from gateway.catalog.snapshot import Product
from gateway.compiler.executable import row_attribute
from gateway.engine.asking.asked import Asked
from gateway.engine.budget import Bounds, Budget
from gateway.engine.decoding.decode import RowDecoders
from gateway.engine.reading.lists import read_list
from gateway.engine.reading.pages import Pages
from gateway.engine.reading.positions import after
from gateway.errors import GatewayError

__all__ = ["Sample", "counts_hold", "row_rules_of", "sampled", "with_claims"]

_SAMPLE_ROWS = 500


@dataclass(frozen=True, slots=True)
class Sample:
    """The first rows of a product by key, read without any rule. ``within``: what of its rows lies in their range of keys."""

    pages: Pages
    rows: list[Any]
    within: Predicate

    def under(self, rule: Predicate) -> tuple[Asked, list[Any]]:
        """Put values of the sample in the place of a rule's claims: the question for the port, and the rows that answer it."""
        cell = self.pages.cells.of
        bound = with_claims(rule, {name: [cell(name)(row) for row in self.rows] for name in columns_of(rule)})
        test = compile_test(bound, cell)
        return Asked(where=conjunction(self.within, bound)), [row for row in self.rows if test(row) is True]


@asynccontextmanager
async def sampled(product: Product, port: Port, columns: frozenset[str], bounds: Bounds, *, calls: int) -> AsyncIterator[Sample]:
    """Read a product's first rows with ``columns`` and its key. ``calls``: what the proof may take in all, in upstream timeouts.

    **Raises** `GatewayError` where the port does not answer.
    """
    visible = frozenset(product.index_by_name[name] for name in columns.union(product.primary_key))
    budget = Budget(bounds, asyncio.get_running_loop().time() + bounds.upstream_timeout_s * calls)
    with closing(budget):
        pages = Pages(product, port, RowDecoders(product, port.spelling), budget, visible=visible)
        found = await read_list(pages, Asked(first=min(_SAMPLE_ROWS, port.capabilities.page_max - 1)))
        within: Predicate = TRUE
        if found.has_next:
            last = [pages.cells.of(name)(found.rows[-1]) for name in product.primary_key]
            within = Not(after(tuple(map(Order, product.primary_key)), last))
        yield Sample(pages, found.rows, within)


def row_rules_of(contract: Contract, policy: MeshPolicy) -> tuple[Predicate, ...]:
    """List the row rules that any grant may put on a product."""
    grants = (*contract.access.grants, *policy.grants)
    return tuple(dict.fromkeys(grant.row_filter for grant in grants if grant.row_filter is not None))


async def counts_hold(product: Product, port: Port, rules: tuple[Predicate, ...], bounds: Bounds) -> bool:
    """Compare what the port counts and answers under each rule with what its rows say.

    True as well where there is nothing to prove: no rules. **Raises** `GatewayError` where the port does not answer.
    """
    if not rules:
        return True
    if not port.capabilities.count or not product.primary_key:
        return False
    async with sampled(product, port, frozenset().union(*map(columns_of, rules)), bounds, calls=2 + 2 * len(rules)) as sample:
        return await _counted_rightly(product, sample, rules)


async def _counted_rightly(product: Product, sample: Sample, rules: tuple[Predicate, ...]) -> bool:
    if not sample.rows:
        return True
    key = attrgetter(*(row_attribute(product.index_by_name[name]) for name in product.primary_key))
    for rule in rules:
        asked, rows = sample.under(rule)
        expected = list(map(key, rows))
        try:
            found = await read_list(sample.pages, structs.replace(asked, first=_SAMPLE_ROWS, counts=True))
        except GatewayError as error:
            if error.code.name == "PORT_CANNOT":
                return False
            raise
        if found.count != len(expected) or [key(row) for row in found.rows] != expected:
            return False
    return True


def with_claims(rule: Predicate, values: dict[str, list[Any]]) -> Predicate:
    """Put values that occur in the place of claims: half of them, so that some rows pass and some do not."""
    match rule:
        case Compare(column=column, operator=operator, value=value):
            return Compare(column, operator, _value(operator, value, values[column]))
        case Among():
            return rule
        case And(parts=parts):
            return And(tuple(with_claims(part, values) for part in parts))
        case Or(parts=parts):
            return Or(tuple(with_claims(part, values) for part in parts))
        case Not(part=part):
            return Not(with_claims(part, values))


def _value(operator: Operator, value: Any, cells: list[Any]) -> Any:
    some = [it for it in dict.fromkeys(cells) if it is not None]
    half = tuple(some[::2]) or tuple(some)
    if isinstance(value, Claim):
        if operator in (Operator.IN, Operator.NOT_IN):
            return half
        return True if operator is Operator.IS_NULL else (half[0] if half else None)
    if isinstance(value, tuple):
        return tuple(half[0] if isinstance(it, Claim) and half else it for it in value if not isinstance(it, Claim) or half)
    return value
