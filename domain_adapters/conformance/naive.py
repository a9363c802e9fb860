"""Answers a read the plainest way: over rows in a list, with the semantics spelt out once. The suite's yardstick; slow on purpose."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cmp_to_key, reduce
from operator import itemgetter
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from contracts.fields import Kind, Scalar, Unit
from contracts.model import Contract
from contracts.predicates import compile_test
from domain_adapters.algebra import aggregate_type
from domain_adapters.port import Aggregate, GroupBy, Nulls, Order, Read

__all__ = ["Group", "groups_of", "matching", "ordered", "per_key"]

Row = Mapping[str, Any]
_Item = TypeVar("_Item")
_EXACT = Context(prec=400)


@dataclass(frozen=True, slots=True)
class Group:
    """One group's key (a value per ``groupBy`` entry) and its aggregates by name."""

    key: tuple[Any, ...]
    values: dict[str, Any]


def matching(rows: Sequence[Row], read: Read, contract: Contract) -> list[Row]:
    """Keep the rows that ``where``, ``since`` and ``keys`` let through, in the order given."""
    kept = list(rows)
    if read.where is not None:
        holds = compile_test(read.where, itemgetter)
        kept = [row for row in kept if holds(row) is True]
    if read.since is not None and contract.times.updated is not None:
        column = contract.times.updated
        since = _since_value(read.since, contract.field_by_name[column].type)
        kept = [row for row in kept if row[column] is not None and row[column] >= since]
    if read.keys is not None:
        columns, wanted = read.keys.columns, set(read.keys.values)
        kept = [row for row in kept if None not in (key := tuple(row[name] for name in columns)) and key in wanted]
    return kept


def _since_value(since: str, type_: Any) -> Any:
    moment = dt.datetime.fromisoformat(since)
    match type_:
        case Scalar(kind=Kind.DATE):
            return moment.date()
        case Scalar(kind=Kind.LOCAL_DATETIME):
            return moment.replace(tzinfo=None)
        case Scalar(unit=Unit.NANOS):
            return f"{moment.replace(tzinfo=None, microsecond=0).isoformat()}.{moment.microsecond:06d}000Z"
    return moment


def ordered(rows: Sequence[Row], order: Sequence[Order]) -> list[Row]:
    """Sort rows by terms, nulls where each term says; rows that are equal stay in the order given."""
    return _sorted(rows, order, itemgetter)


def _sorted(items: Sequence[_Item], order: Sequence[Order], cell_of: Callable[[str], Callable[[Any], Any]]) -> list[_Item]:
    terms = [(cell_of(term.column), term) for term in order]

    def compare(left: _Item, right: _Item) -> int:
        for cell, term in terms:
            a, b = cell(left), cell(right)
            if a == b:
                continue
            if a is None or b is None:
                return -1 if (a is None) == (term.nulls is Nulls.FIRST) else 1
            return -1 if (a < b) != term.descending else 1
        return 0

    return sorted(items, key=cmp_to_key(compare))


def per_key(rows: Sequence[Row], columns: Sequence[str]) -> dict[tuple[Any, ...], list[Row]]:
    """Gather rows by key, each key's in the order given."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in columns), []).append(row)
    return found


def groups_of(rows: Sequence[Row], read: Read, contract: Contract) -> list[Group]:
    """Group and aggregate rows that already match, apply ``having`` and order."""
    gathered: dict[tuple[Any, ...], list[Row]] = {} if read.group_by else {(): []}
    for row in rows:
        gathered.setdefault(tuple(_cut(row[item.column], item, contract) for item in read.group_by), []).append(row)
    groups = [Group(key, {item.name: aggregated(item, members, contract) for item in read.aggregates}) for key, members in gathered.items()]
    cell_of = _cell_of(read)
    if read.having is not None:
        holds = compile_test(read.having, cell_of)
        groups = [group for group in groups if holds(group) is True]
    for place in reversed(range(len(read.group_by))):
        groups = _sorted(groups, (Order(str(place)),), _key_at)
    return _sorted(groups, read.order_by, cell_of)


def _key_at(place: str) -> Callable[[Group], Any]:
    return lambda group: group.key[int(place)]


def _cell_of(read: Read) -> Callable[[str], Callable[[Group], Any]]:
    places = {item.column: at for at, item in reversed(list(enumerate(read.group_by)))}

    def cell_of(name: str) -> Callable[[Group], Any]:
        if name in places:
            return lambda group: group.key[places[name]]
        return lambda group: group.values[name]

    return cell_of


def aggregated(item: Aggregate, rows: Sequence[Row], contract: Contract) -> Any:
    """Take one aggregate over rows, exactly where its type is exact."""
    if item.column is None:
        return len(rows)
    cells = [row[item.column] for row in rows if row[item.column] is not None]
    type_ = aggregate_type(item.function, contract.field_by_name[item.column].type)
    match item.function:
        case "count":
            return len(cells)
        case "countDistinct":
            return len(set(cells))
    if not cells:
        return None
    match item.function:
        case "min":
            return min(cells)
        case "max":
            return max(cells)
    decimal = isinstance(type_, Scalar) and type_.kind is Kind.DECIMAL
    if decimal:
        total: Any = reduce(_EXACT.add, map(Decimal, cells))
    else:
        total = math.fsum(cells) if isinstance(cells[0], float) else sum(cells)
    if item.function == "sum":
        return total
    if decimal and isinstance(type_, Scalar):
        return _EXACT.divide(total, len(cells)).quantize(Decimal(1).scaleb(-(type_.scale or 0)), ROUND_HALF_UP, _EXACT)
    return total / len(cells)


def _cut(value: Any, item: GroupBy, contract: Contract) -> Any:
    if value is None or item.truncate is None:
        return value
    type_ = contract.field_by_name[item.column].type
    if isinstance(type_, Scalar) and type_.kind is Kind.DATE:
        return _floor(dt.datetime.combine(value, dt.time()), item.truncate).date()
    if isinstance(type_, Scalar) and type_.kind is Kind.LOCAL_DATETIME:
        return _floor(value, item.truncate)
    if isinstance(value, str):
        moment = dt.datetime.fromisoformat(value[:19] + "+00:00")
        return f"{_cut_instant(moment, item).replace(tzinfo=None).isoformat()}.000000000Z"
    return _cut_instant(value, item)


def _cut_instant(moment: dt.datetime, item: GroupBy) -> dt.datetime:
    part, zone = item.truncate or "", ZoneInfo(item.time_zone or "UTC")
    local = moment.astimezone(zone)
    floor = _floor(local.replace(tzinfo=None), part)
    if part in ("hour", "minute", "second"):
        return (floor - (local.utcoffset() or dt.timedelta())).replace(tzinfo=dt.UTC)
    return floor.replace(tzinfo=zone).astimezone(dt.UTC)


def _floor(clock: dt.datetime, part: str) -> dt.datetime:
    day = clock.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    match part:
        case "year":
            return day.replace(month=1, day=1)
        case "quarter":
            return day.replace(month=day.month - (day.month - 1) % 3, day=1)
        case "month":
            return day.replace(day=1)
        case "week":
            return day - dt.timedelta(days=day.weekday())
        case "day":
            return day
        case "hour":
            return clock.replace(minute=0, second=0, microsecond=0)
        case "minute":
            return clock.replace(second=0, microsecond=0)
    return clock.replace(microsecond=0)
