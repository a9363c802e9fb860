"""Asks a product everything that a port may be able to do: reads made from the contract and the rows that it is known to hold.

Values are taken from the rows, so that filters hit and miss; every case names the capability that it belongs to. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

from contracts.fields import Enumeration, Field, Kind, Scalar
from contracts.model import Contract
from contracts.predicates import And, Compare, Not, Operator, Or, Predicate
from domain_adapters.algebra import AGGREGATES, aggregate_type, is_sortable, operators_of, truncations_of
from domain_adapters.port import Aggregate, GroupBy, Keys, Nulls, Order, Read
from domain_adapters.values import canonical_instant

__all__ = ["Case", "cases_for"]

Row = Mapping[str, Any]
_LISTS = (Operator.IN, Operator.NOT_IN)
_ZONES = (None, "Europe/Berlin", "Asia/Kolkata", "America/Havana")


@dataclass(frozen=True, slots=True)
class Case:
    """One question. ``page``: rows per request while all pages are walked, None for as many as the port gives."""

    capability: str
    name: str
    read: Read
    page: int | None = None


def cases_for(contract: Contract, rows: Sequence[Row]) -> Iterator[Case]:
    """Make the cases for a product that holds these rows."""
    yield Case("paging", "all rows, page by page", Read(), page=11)
    yield Case("paging", "all rows in pages as long as the port likes", Read())
    yield from _selects(contract)
    yield from _filters(contract, rows)
    yield from _trees(contract, rows)
    yield from _orders(contract, rows)
    yield from _sinces(contract, rows)
    yield from _keys(contract, rows)
    yield from _counts(contract, rows)
    yield from _aggregates(contract, rows)
    yield from _groups(contract, rows)


def _sortable(contract: Contract) -> list[Field]:
    return [field for field in contract.fields if is_sortable(field.type)]


def _values(rows: Sequence[Row], column: str) -> list[Any]:
    """Give a few values of a column, spread over its range."""
    found = sorted({row[column] for row in rows if row[column] is not None})
    step = max(len(found) // 3, 1)
    return found[::step][:4]


def _selects(contract: Contract) -> Iterator[Case]:
    names = [field.name for field in contract.fields]
    yield Case("select", "one column", Read(select=(names[-1],)))
    yield Case("select", "every second column, backwards", Read(select=tuple(names[::-2])))
    for name in names[:3]:
        yield Case("select", f"{name}, page by page", Read(select=(name,)), page=11)


def _filters(contract: Contract, rows: Sequence[Row]) -> Iterator[Case]:
    for field in contract.fields:
        known = operators_of(field.type)
        values = _values(rows, field.name) if is_sortable(field.type) else []
        for op in Operator:
            if op not in known:
                continue
            if op is Operator.IS_NULL:
                asked: list[Any] = [True, False]
            elif op in _LISTS:
                asked = [(), tuple(values[:1]), tuple(values)]
            elif op in (Operator.CONTAINS, Operator.STARTS_WITH):
                asked = [*values[:3], *(value[:1] for value in values[-2:]), "%", "_"]
            else:
                asked = values[1:3]
            for number, value in enumerate(dict.fromkeys(asked)):
                yield Case(f"operator {op.value}", f"{field.name} {op.value} #{number}", Read(where=Compare(field.name, op, value)))


def _trees(contract: Contract, rows: Sequence[Row]) -> Iterator[Case]:
    flat = [(field, _values(rows, field.name)) for field in _sortable(contract)]
    held = [(field, values) for field, values in flat if len(values) > 1]
    yield Case("boolean", "and of nothing", Read(where=And(())))
    yield Case("boolean", "or of nothing", Read(where=Or(())))
    yield Case("boolean", "not of nothing", Read(where=Not(And(()))))
    for (one, ones), (two, twos) in pairwise(held):
        first, second = Compare(one.name, Operator.LT, ones[-1]), Compare(two.name, Operator.EQ, twos[0])
        unknown = Compare(one.name, Operator.NE, ones[0])
        yield Case("boolean", f"{one.name} and {two.name}", Read(where=And((first, Not(second)))))
        yield Case("boolean", f"{one.name} or {two.name}, page by page", Read(where=Or((second, Not(unknown)))), page=31)
        yield Case("boolean", f"not ({one.name} or not {two.name})", Read(where=Not(Or((first, Not(And((second, unknown))))))))


def _orders(contract: Contract, rows: Sequence[Row]) -> Iterator[Case]:
    flat = _sortable(contract)
    for at, field in enumerate(flat):
        nulls = Nulls.FIRST if at % 2 else Nulls.LAST
        yield Case("orderBy", f"by {field.name}", Read(order_by=(Order(field.name),)), page=37)
        yield Case("orderBy", f"by {field.name} down, nulls {nulls.value}", Read(order_by=(Order(field.name, True, nulls),)), page=29)
    for one, two in pairwise(flat):
        order = (Order(one.name, True), Order(two.name, False, Nulls.FIRST))
        yield Case("orderBy", f"by {one.name} down, {two.name} with nulls first", Read(order_by=order), page=41)
    held = next((field for field in flat if len(_values(rows, field.name)) > 1), None)
    if held is not None:
        where = Compare(held.name, Operator.GTE, _values(rows, held.name)[1])
        yield Case("orderBy", "under a filter", Read(where=where, order_by=(Order(held.name, True),)), page=5)


def _sinces(contract: Contract, rows: Sequence[Row]) -> Iterator[Case]:
    column = contract.times.updated
    if column is None:
        return
    type_ = contract.field_by_name[column].type
    for number, value in enumerate(_values(rows, column)):
        match type_:
            case Scalar(kind=Kind.DATE):
                since = f"{value.isoformat()}T00:00:00Z"
            case Scalar(kind=Kind.LOCAL_DATETIME):
                since = f"{value.isoformat()}Z"
            case Scalar(kind=Kind.INSTANT) if not isinstance(value, str):
                since = canonical_instant(value)
            case _:
                since = f"{value[:19]}Z"
        yield Case("since", f"#{number} is inclusive", Read(since=since), page=23)


def _keys(contract: Contract, rows: Sequence[Row]) -> Iterator[Case]:
    sets: list[tuple[str, ...]] = [(field.name,) for field in _sortable(contract)]
    if len(contract.primary_key) > 1:
        sets.append(contract.primary_key)
    sets += [(one.name, two.name) for one, two in islice(pairwise(_sortable(contract)), 1, 4)]
    for columns in sets:
        held = list(dict.fromkeys(key for row in rows if None not in (key := tuple(row[name] for name in columns))))
        label = " + ".join(columns)
        yield Case("keys", f"none by {label}", Read(keys=Keys(columns, ())))
        if not held:
            continue
        keys = Keys(columns, tuple(held[::3]))
        yield Case("keys", f"by {label}", Read(keys=keys), page=31)
        yield Case("keys", f"by {label}, each twice", Read(keys=Keys(columns, (held[0], held[-1], held[0]))))
        yield Case("limitPerKey", f"2 by {label}", Read(keys=keys, limit_per_key=2), page=14)
        order = tuple(Order(field.name, True) for field in _sortable(contract)[-1:])
        yield Case("limitPerKey", f"1 by {label}, in another order", Read(keys=keys, limit_per_key=1, order_by=order))


def _counts(contract: Contract, rows: Sequence[Row]) -> Iterator[Case]:
    yield Case("count", "of all rows", Read(count=True, limit=1))
    for field in _sortable(contract):
        values = _values(rows, field.name)
        if values:
            where = Compare(field.name, Operator.EQ, values[0])
            yield Case("count", f"of rows by {field.name}, none of the others", Read(where=where, count=True, limit=1))
            yield Case("count", f"of the other rows by {field.name}", Read(where=Not(where), count=True, limit=1))
            yield Case("count", f"of rows by key {field.name}", Read(keys=Keys((field.name,), ((values[0],),)), count=True, limit=1))


def _aggregates(contract: Contract, rows: Sequence[Row]) -> Iterator[Case]:
    totals = tuple(
        Aggregate(function, field.name, f"{function} of {field.name}")
        for field in contract.fields
        for function in AGGREGATES
        if aggregate_type(function, field.type) is not None
    )
    for function in AGGREGATES:
        asked = tuple(total for total in totals if total.function == function)
        rowwise = (Aggregate("count", None, "rows"),) if function == "count" else ()
        if asked:
            yield Case(f"aggregate {function}", "over all rows", Read(aggregates=(*rowwise, *asked)))
    for field in _sortable(contract):
        values = _values(rows, field.name)
        if values:
            where = Compare(field.name, Operator.NE, values[0])
            yield Case("aggregate count", f"under a filter by {field.name}", Read(aggregates=(Aggregate("count", None, "n"),), where=where))
    nothing = Read(aggregates=(Aggregate("count", None, "n"),), where=Or(()))
    yield Case("aggregate count", "over no rows", nothing)
    for function in ("sum", "avg", "min"):
        asked = tuple(total for total in totals if total.function == function)
        if asked:
            yield Case(f"aggregate {function}", "over no rows is null", Read(aggregates=asked, where=Or(())))


def _groups(contract: Contract, rows: Sequence[Row]) -> Iterator[Case]:
    count = Aggregate("count", None, "n")
    flat = _sortable(contract)
    summed = next((field for field in flat if aggregate_type("sum", field.type) is not None), None)
    totals = (count,) if summed is None else (count, Aggregate("sum", summed.name, "total"))
    for field in flat:
        having: Predicate = Compare("n", Operator.GT, 1)
        yield Case("groupBy", f"by {field.name}", Read(group_by=(GroupBy(field.name),), aggregates=totals), page=16)
        down = (Order("n", True),)
        yield Case("groupBy", f"by {field.name}, largest first", Read(group_by=(GroupBy(field.name),), aggregates=totals, order_by=down))
        yield Case(
            "having", f"groups of {field.name} with several rows", Read(group_by=(GroupBy(field.name),), aggregates=totals, having=having)
        )
        for part in truncations_of(field.type):
            for zone in _ZONES:
                cut = (GroupBy(field.name, part, zone),)
                yield Case(f"truncation {part}", f"of {field.name} in {zone or 'UTC'}", Read(group_by=cut, aggregates=(count,)), page=50)
    symbols = [field for field in flat if isinstance(field.type, Enumeration)] or flat[:1]
    for one, two in zip(symbols, flat, strict=False):
        if one is not two:
            pair = (GroupBy(one.name), GroupBy(two.name))
            values = _values(rows, one.name)
            where = Compare(one.name, Operator.NE, values[0]) if values else None
            yield Case(
                "groupBy", f"by {one.name} and {two.name} under a filter", Read(group_by=pair, aggregates=totals, where=where), page=8
            )
            having = Not(Compare(one.name, Operator.IS_NULL, True))
            yield Case("having", f"groups by {one.name} that are not null", Read(group_by=pair, aggregates=totals, having=having))
