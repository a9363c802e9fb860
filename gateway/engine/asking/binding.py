"""A compiled operation and one request's values -> bound questions, all of them before any read.

Coerces variables and literals as GraphQL prescribes; refuses what validation could not see (BAD_USER_INPUT,
MASKED_FIELD_IN_PREDICATE, LIMIT_EXCEEDED).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import msgspec

from contracts.predicates import TRUE, Predicate
from gateway.compiler.executable import ConnectionStep, Executable, TotalsStep, steps_below
from gateway.compiler.plan import MISSING, Source
from gateway.compiler.totals import GroupsPick
from gateway.engine.asking.asked import Asked
from gateway.engine.asking.conditions import check_usable, key_values, order_terms, where_columns, where_predicate
from gateway.engine.asking.grouping import Grouping
from gateway.engine.asking.grouping_binding import bind_totals
from gateway.engine.asking.links import shape_of_links
from gateway.engine.budget import Bounds
from gateway.errors import GatewayError
from gateway.governance.cursors import CursorCodec

__all__ = ["Bound", "Values", "bind", "open_place"]

_PLAIN = repr(((), TRUE, None, ())).encode()
"""What cursors of a whole list in its own order are bound to."""


class Values(msgspec.Struct, frozen=True):
    """What one request supplies: coerced variables and literals."""

    variables: Mapping[str, Any]
    literals: Sequence[Any]


class Bound(msgspec.Struct, frozen=True):
    """One list's question. ``bound_to``: what its cursors belong to; ``after``: the cursor given, opened when the list is known."""

    asked: Asked
    bound_to: bytes
    after: str | None


def bind(
    executable: Executable,
    values: Values,
    bounds: Bounds,
    *,
    decision: bytes,
    rules: Mapping[str, tuple[Predicate, ...]],
    long_as_text: bool = False,
) -> dict[tuple[str, ...], Bound | Grouping | tuple[Any, ...]]:
    """Bind every list and key look-up of an operation, by response path.

    ``decision``: digest of the caller's decision key; ``rules``: product id -> row rules with this caller's claims.
    """
    binding = _Binding(executable, values, bounds, decision, rules, long_as_text)
    for step in executable.questions:
        if isinstance(step, ConnectionStep):
            binding.connection(step)
        else:
            check_usable(step.product, frozenset(step.product.primary_key), step.unusable)
            binding.found[step.path] = key_values(step.product, step.key(values.variables, values.literals))
    return binding.found


class _Binding(msgspec.Struct):
    executable: Executable
    values: Values
    bounds: Bounds
    decision: bytes
    rules: Mapping[str, tuple[Predicate, ...]]
    long_as_text: bool
    found: dict[tuple[str, ...], Bound | Grouping | tuple[Any, ...]] = {}
    links: int = 0
    """How many conditions on related products there are."""
    guarded: dict[str, tuple[Any, ...]] = {}
    """Product id -> the rows whose totals of protected columns are shown."""

    def connection(self, one: ConnectionStep) -> None:
        bound = self.found[one.path] = _connection(one, self.values, self.bounds, self.decision, self._rules(one))
        if one.links:
            self._check_links(bound.asked.where)
        for totals in one.totals:
            grouping = self.found[totals.path] = self._grouping(one, totals, bound.asked)
            if one.links and grouping.asked.where != bound.asked.where:
                self._check_links(grouping.asked.where)

    def _rules(self, step: ConnectionStep) -> Any:
        """Give the bound row rules that decide which rows a list has."""
        own = self.rules[step.product.id]
        return (own, *(self.rules[it.product.id] for it in steps_below(step.links))) if step.links else own

    def _check_links(self, where: Predicate) -> None:
        count, depth = shape_of_links(where)
        self.links += count
        for limit, found, what in (
            ("links_max", self.links, "conditions on related products in one operation"),
            ("link_depth_max", depth, "relationships followed one after another by a condition"),
        ):
            bound = getattr(self.bounds, limit)
            if found > bound:
                raise GatewayError("LIMIT_EXCEEDED", f"The limit {limit} is {bound} {what}.", limit=limit, bound=bound)

    def _grouping(self, connection: ConnectionStep, totals: TotalsStep, asked: Asked) -> Grouping:
        given = _given(totals.pick.arguments, self.values) if isinstance(totals.pick, GroupsPick) else {}
        found = bind_totals(
            totals,
            given,
            asked,
            _named(connection, _given(connection.arguments, self.values)),
            bounds=self.bounds,
            rulings=self.executable.rulings,
            decision=self.decision,
            rules=self.rules,
            long_as_text=self.long_as_text,
        )
        if not found.protected:
            return found
        # Totals of different rows would give by subtraction what each of them withholds (SPEC A8): only one kind of them is shown.
        rows = (connection.path[:-1] if connection.target else (), found.asked.where, found.asked.since)
        return replace(found, withheld=self.guarded.setdefault(connection.product.id, rows) != rows)


def _connection(step: ConnectionStep, values: Values, bounds: Bounds, decision: bytes, rules: Any) -> Bound:
    given = _given(step.arguments, values)
    product = step.product
    first = given.get("first")
    first = bounds.rows_default if first is None else first
    if first < 0:
        raise GatewayError("BAD_USER_INPUT", f"first of {'.'.join(step.path)} is negative.", hint="Ask for 0 rows or more.")
    if first > bounds.rows_max:
        raise GatewayError(
            "LIMIT_EXCEEDED",
            f"first of {'.'.join(step.path)} is over {bounds.rows_max}.",
            hint=f"Ask for at most {bounds.rows_max} rows, and page with after.",
        )
    where = where_predicate(product, given.get("where"), step.links)
    order = order_terms(product, given.get("orderBy"))
    since = given.get("since")
    if step.unusable:
        check_usable(product, _named(step, given) | {term.column for term in order}, step.unusable)
    asked = Asked(where, since, order, first, counts=step.counts, places=step.cursors, rows=step.wants_rows)
    after = given.get("after")
    bound_to = b""
    if after is not None or step.cursors:
        is_plain = where is TRUE and since is None and not order and not rules
        text = _PLAIN if is_plain else repr((order, where, since, rules)).encode()
        bound_to = blake2b(step.binding + text + decision, digest_size=16).digest()
    return Bound(asked, bound_to, after)


def _given(arguments: Mapping[str, Source], values: Values) -> dict[str, Any]:
    return {name: value for name, source in arguments.items() if (value := source(values.variables, values.literals)) is not MISSING}


def _named(step: ConnectionStep, given: Mapping[str, Any]) -> frozenset[str]:
    """Name the columns that decide which rows a list has."""
    updated = step.product.contract.times.updated
    since = frozenset((updated,)) if given.get("since") is not None and updated is not None else frozenset[str]()
    return where_columns(step.product, given.get("where")) | since


def open_place(bound: Bound, codec: CursorCodec, parent: bytes = b"") -> Asked:
    """Open the cursor given, for the list under ``parent`` (encoded key; empty at the root)."""
    if bound.after is None:
        return bound.asked
    return bound.asked.at(codec.open(bound.after, bound.bound_to + parent))
