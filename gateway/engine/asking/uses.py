"""What of products an operation uses: by what it selects, and by what the values of one request name. Names only, never values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from contracts.predicates import TRUE, columns_of
from gateway.catalog.snapshot import Product
from gateway.compiler.executable import ConnectionStep, Executable
from gateway.compiler.plan import ColumnPick, ConnectionPick, DomainPick, PartnerPick, Plan, RowPick, Rows
from gateway.compiler.totals import AggregatePick, GroupsPick, measures_of
from gateway.engine.asking.asked import Asked
from gateway.engine.asking.binding import Bound
from gateway.engine.asking.grouping import Grouping

__all__ = ["fields_asked", "fields_of"]


def fields_of(plan: Plan) -> frozenset[str]:
    """Name what an operation selects, looks up and follows: ``domain/product.column``, ``domain/product.relationship``."""
    return frozenset(field for pick in plan.picks if isinstance(pick, DomainPick) for it in pick.picks for field in _root(it))


def fields_asked(executable: Executable, bound: Mapping[tuple[str, ...], Any]) -> set[str]:
    """Name what this request filters, sorts and groups by."""
    found: set[str] = set()
    for step in executable.questions:
        asked = bound[step.path]
        if isinstance(asked, Bound) and (asked.asked.where is not TRUE or asked.asked.order):
            found |= _asked(step.product, asked.asked)
        if isinstance(step, ConnectionStep):
            for totals in step.totals:
                grouping: Grouping = bound[totals.path]
                found |= _asked(step.product, grouping.asked)
                for term in grouping.by:
                    products = (step.product, *(product for _, product in term.path))
                    found.add(_field(products[-1], term.column.name))
                    found.update(_field(product, it.graphql_name) for product, (it, _) in zip(products, term.path, strict=False))
    return found


def _asked(product: Product, asked: Asked) -> set[str]:
    columns = columns_of(asked.where) | {term.column for term in asked.order}
    return {_field(product, name) for name in columns}


def _root(pick: object) -> Iterator[str]:
    if isinstance(pick, ConnectionPick):
        yield from _connection(pick)
    elif isinstance(pick, RowPick):
        yield from (_field(pick.product, name) for name in pick.product.primary_key)
        yield from _rows(pick.rows)


def _connection(pick: ConnectionPick) -> Iterator[str]:
    for part in pick.parts:
        if isinstance(part, (AggregatePick, GroupsPick)):
            yield from (_field(pick.product, it.column.name) for it, _ in measures_of(part) if it.column is not None)
    for rows in pick.row_sets:
        yield from _rows(rows)


def _rows(rows: Rows) -> Iterator[str]:
    for pick in rows.picks:
        if isinstance(pick, ColumnPick):
            yield _field(rows.product, pick.column.name)
        elif isinstance(pick, (PartnerPick, ConnectionPick)) and pick.relation is not None:
            relation = pick.relation
            yield from (_field(rows.product, name) for name in (relation.graphql_name, *relation.own_columns))
            yield from _rows(pick.rows) if isinstance(pick, PartnerPick) else _connection(pick)


def _field(product: Product, name: str) -> str:
    return f"{product.id}.{name}"
