"""A question for totals -> groups: by the port where it can, else from rows within the scan budget.

Three ways. *Direct*: the port forms the very groups asked for. *Partial*: the port forms groups by foreign key, which are put
together here by the partners' columns; totals of those columns count each partner as often as its key occurs. *Rows*: rows are read,
ruled on and added up here. What a row rule narrows is left to the port only while its totals are proved (SPEC A6). Every way gives
the same groups.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from msgspec import structs

from contracts.fields import Kind, Scalar
from contracts.predicates import FALSE, TRUE, Predicate
from domain_adapters.algebra import aggregate_type
from domain_adapters.port import Aggregate, GroupBy, Keys, Read, calls_of
from domain_adapters.values import parser_of
from gateway.catalog.snapshot import Product
from gateway.engine.asking.asked import Fetched
from gateway.engine.asking.cuts import cutter
from gateway.engine.asking.grouping import Group, Grouping, Measure
from gateway.engine.reading.choice import PARTS_OF, group_lacks
from gateway.engine.reading.pages import Pages
from gateway.engine.reading.partners import read_partners
from gateway.engine.reading.pushdown import rename
from gateway.engine.reading.walks import Walk, scan
from gateway.engine.tasks import in_turns, let_go
from gateway.engine.totals.reduce import fits, of_partial
from gateway.engine.totals.related import OpenPartner, Related
from gateway.engine.totals.table import Key, States, Table
from gateway.errors import GatewayError

__all__ = ["Parents", "columns_for", "partial_groups", "pushed_groups"]

_COUNT = Scalar(Kind.LONG)
_ROWS = Measure("count", None, _COUNT)
_ROWS_AT_ONCE = 500
_GROUPS_AT_ONCE = 100
_STATES_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Parents:
    """Whose lists are totalled: key columns of the product, and the parents' keys."""

    columns: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()


def columns_for(product: Product, grouping: Grouping, parents: Parents) -> frozenset[int]:
    """Say which columns of the product's rows totals need."""
    names = {*parents.columns, *grouping.foreign}
    names |= {term.column.name for term in grouping.by if not term.path}
    names |= {it.column.name for it in grouping.measures if it.column is not None and not it.path}
    if grouping.protected and (subject := product.contract.subject) is not None:
        names.add(subject.column)
    return frozenset(product.index_by_name[name] for name in names)


async def pushed_groups(
    pages: Pages, grouping: Grouping, parents: Parents, *, page: Predicate | None = None
) -> dict[Key, list[Group]] | None:
    """Let the port form the groups asked for, per parent; None where it cannot, or is not believed.

    ``page``: which groups come after the cursor, given where a page of one list is wanted and not all; then the port also applies
    ``having``, ``order`` and ``first``, or does nothing.
    """
    capabilities, wanted = pages.port.capabilities, pages.wanted(grouping.asked)
    if wanted == FALSE:
        return {}
    if grouping.protected or grouping.paths or not _can(pages, grouping, parents, wanted):
        return None
    names = [(it, _name(pages.product, at)) for at, it in enumerate(grouping.measures)]
    aggregates = [Aggregate(it.function, it.column.name if it.column else None, name) for it, name in names]
    read = _read(pages, grouping, parents, wanted, aggregates)
    if page is not None:
        if not capabilities.order_by or not (page == TRUE or capabilities.having):
            return None
        spelt = _spelling(grouping, [name for _, name in names])
        order = tuple(replace(term, column=spelt[term.column]) for term in grouping.order)
        read = structs.replace(read, having=None if page == TRUE else rename(page, spelt), order_by=order, limit=grouping.first)
    at = len(parents.columns)
    found: dict[Key, list[Group]] = {}
    async for key, values in _walked(pages, read, grouping, parents, enough=None if page is None else grouping.first):
        totals = [values(it.function, it.column, name, it.type) for it, name in names]
        found.setdefault(key[:at], []).append([*key[at:], *totals, False])
    return found


async def partial_groups(
    pages: Pages, grouping: Grouping, parents: Parents, open_partner: OpenPartner, *, note: Callable[[Fetched], None]
) -> dict[Key, dict[Key, States]]:
    """Form groups per parent from what the port groups by foreign key, or from rows; ``note`` is told of what was dropped."""
    wanted = pages.wanted(grouping.asked)
    if wanted == FALSE:
        return {}
    own = [term for term in grouping.by if not term.path]
    foreign = grouping.foreign
    told_apart = [it for it in grouping.measures if it.function == "countDistinct" and not it.path]
    distinct = tuple(dict.fromkeys(it.column.name for it in told_apart if it.column is not None))
    found: dict[Key, States] | None = None
    if foreign and not grouping.protected and _can(pages, grouping, parents, wanted, partial=True):
        found = await _from_partials(pages, grouping, parents, wanted, foreign=foreign, distinct=distinct)
    if found is None:
        found = await _from_rows(pages, grouping, parents, wanted, foreign=foreign, note=note)
    size, cut = len(parents.columns), len(own)
    if not foreign and not size:
        return {(): found} if found else {}
    start = size + cut
    related = await Related.of(grouping, foreign, [key[start : start + len(foreign)] for key in found] if foreign else [], open_partner)
    groups: dict[Key, dict[Key, States]] = {}
    keys = list(found)[::-1]
    while keys:
        # Taken apart while it is read: to let go of all of it at once would take long.
        key = keys.pop()
        states = found.pop(key)
        if len(keys) % _ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)
        into = groups.setdefault(key[:size], {})
        lead = key[start : start + len(foreign)]
        whole = related.key(key[size:start], lead)
        related.measure(states, lead)
        if (known := into.get(whole)) is None:
            into[whole] = states
        else:
            for one, other in zip(known, states, strict=True):
                one.merge(other)
    return groups


# -- what a port can -----------------------------------------------------------------------------------------------------------


def _can(pages: Pages, grouping: Grouping, parents: Parents, wanted: Predicate, *, partial: bool = False) -> bool:
    return pages.totals(wanted) and not any(group_lacks(pages.port.capabilities, grouping, parents.columns, partial=partial))


def _name(product: Product, at: int) -> str:
    """Name a total as no column is."""
    name = f"m{at}"
    while name in product.column_by_name:
        name += "_"
    return name


def _spelling(grouping: Grouping, names: Sequence[str]) -> dict[str, str]:
    keys = {f"k{at}": term.column.name for at, term in enumerate(grouping.by)}
    return keys | {f"m{at}": name for at, name in enumerate(names)}


def _read(pages: Pages, grouping: Grouping, parents: Parents, wanted: Predicate, aggregates: Sequence[Aggregate]) -> Read:
    return Read(
        where=None if wanted == TRUE else wanted,
        since=pages.since(grouping.asked),
        keys=Keys(parents.columns, parents.keys) if parents.keys else None,
        aggregates=tuple(aggregates),
        group_by=(
            *(GroupBy(name) for name in parents.columns),
            *(GroupBy(term.column.name, term.part, term.zone) for term in grouping.by if not term.path),
        ),
        limit=pages.port.capabilities.page_max,
    )


async def _walked(pages: Pages, read: Read, grouping: Grouping, parents: Parents, *, enough: int | None = None) -> Any:
    """Yield (key, reader of totals) of every group that a port answers, checked against what there can be."""
    parsers = [parser_of(pages.product.column_by_name[it.column].type) for it in read.group_by]
    asked = set(parents.keys)
    seen: set[Key] = set()
    for call in calls_of(pages.port, read) if parents.keys else (read,):
        walk = Walk(pages, call, frozenset())
        while (page := await walk.next()) is not None:
            async for some in in_turns(page.groups or [], _GROUPS_AT_ONCE):
                for group in some:
                    try:
                        key = tuple(parse(cell) for parse, cell in zip(parsers, group["key"], strict=True))
                        values = group["values"]
                        if key in seen or not isinstance(values, dict):
                            raise ValueError
                    except (KeyError, TypeError, ValueError):
                        raise pages.invalid("groups without their keys or totals") from None
                    seen.add(key)
                    if not asked or key[: len(parents.columns)] in asked:
                        yield key, _reader(pages, values)
            if enough is not None and len(seen) >= enough:
                return
    if not read.group_by and not seen:
        raise pages.invalid("no totals")
    await let_go(seen)


def _reader(pages: Pages, values: dict[str, Any]) -> Callable[..., Any]:
    def read(function: str, column: Any, name: str, type_: Any) -> Any:
        try:
            value = parser_of(type_)(values[name])
            if function in ("count", "countDistinct") and value < 0:
                raise ValueError
            return fits(value, type_)
        except (KeyError, TypeError, ValueError, ArithmeticError):
            what = function if column is None else f"{function} of {column.graphql_name}"
            raise pages.invalid(f"{what} that is none") from None

    return read


# -- partial groups ------------------------------------------------------------------------------------------------------------


async def _from_partials(
    pages: Pages, grouping: Grouping, parents: Parents, wanted: Predicate, *, foreign: tuple[str, ...], distinct: tuple[str, ...]
) -> dict[Key, States]:
    """Read groups by own keys, foreign keys and, where values are to be told apart, those; so that they can be put together."""
    asked: dict[tuple[str, str | None], Aggregate] = {}
    # Of totals along paths, how often each foreign key occurs is all that the port can tell.
    measures = [_ROWS if it.path else it for it in grouping.measures]
    for it in measures:
        column = None if it.column is None else it.column.name
        if it.function != "countDistinct":
            for function in PARTS_OF.get(it.function, (it.function,)):
                asked.setdefault((function, column), Aggregate(function, column, ""))
    names = {pair: _name(pages.product, at) for at, pair in enumerate(asked)}
    aggregates = [replace(it, name=names[pair]) for pair, it in asked.items()]
    read = _read(pages, grouping, parents, wanted, aggregates)
    read = structs.replace(read, group_by=(*read.group_by, *map(GroupBy, foreign), *map(GroupBy, distinct)))
    size = len(read.group_by) - len(distinct)
    found: dict[Key, States] = {}
    async for key, values in _walked(pages, read, grouping, parents):
        cells = dict(zip(distinct, key[size:], strict=True))
        states = []
        for it in measures:
            column = None if it.column is None else it.column.name
            of = None if it.column is None else it.column.type
            if it.function == "countDistinct":
                total, count = cells[str(column)], 0
            elif it.function in ("sum", "avg"):
                total = values("sum", it.column, names["sum", column], aggregate_type("sum", of))
                count = values("count", it.column, names["count", column], _COUNT)
            elif it.function == "count":
                total, count = None, values("count", it.column, names["count", column], it.type)
            else:
                total, count = values(it.function, it.column, names[it.function, column], it.type), 0
            states.append(of_partial(it.function, it.type, of, total, count))
        if (known := found.get(key[:size])) is None:
            found[key[:size]] = states
        else:
            for one, other in zip(known, states, strict=True):
                one.merge(other)
    return found


# -- rows ----------------------------------------------------------------------------------------------------------------------


async def _from_rows(
    pages: Pages, grouping: Grouping, parents: Parents, wanted: Predicate, *, foreign: tuple[str, ...], note: Callable[[Fetched], None]
) -> dict[Key, States]:
    cells = pages.cells
    keys = [cells.of(name) for name in parents.columns]
    for term in grouping.by:
        if not term.path:
            cell = cells.of(term.column.name)
            keys.append(cell if term.part is None else _cut_cell(cell, cutter(term.column.type, term.part, term.zone)))
    keys += [cells.of(name) for name in foreign]
    table = Table(grouping, keys, cells)
    at_once = 1 + _STATES_AT_ONCE // (1 + len(grouping.measures))
    try:
        if parents.keys:
            fetched = await read_partners(pages, parents.columns, parents.keys, asked=grouping.asked)
            note(fetched)
            async for some in in_turns(fetched.rows, at_once):
                pages.refuse_bad(some, fetched.bad)
                table.add(some)
            await let_go(fetched.rows)
        else:

            def take(rows: list[Any], fetched: Fetched) -> None:
                pages.refuse_bad(rows, fetched.bad)
                table.add(rows)

            def taken(fetched: Fetched) -> None:
                fetched.bad = {}

            note(await scan(pages, grouping.asked, wanted, pages.visible, take=take, taken=taken, at_once=at_once))
    except OverflowError:
        raise GatewayError("LIMIT_EXCEEDED", "An instant lies too near the ends of time to be cut in this time zone.") from None
    return table.groups


def _cut_cell(cell: Callable[[Any], Any], cut: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda row: cut(cell(row))
