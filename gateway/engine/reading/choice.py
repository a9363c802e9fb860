"""A read and the ports of a product -> the ports in the order in which they are to be asked, and what each leaves to the gateway.

Pure; looks at the question, at what ports can do and whether their circuits are open, never at data. **Source** SPEC B1: the first in
contract order that can do all that is needed, the next while its circuit is open; where none can do all, the one that leaves least.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from msgspec import structs

from contracts.model import Use
from contracts.predicates import FALSE, TRUE, And, Compare, Operator, Predicate, conjunction
from domain_adapters.breaker import Circuit
from domain_adapters.port import Capabilities, Order, Port
from gateway.catalog.snapshot import Product
from gateway.engine.asking.asked import Asked
from gateway.engine.asking.grouping import Grouping
from gateway.engine.reading.positions import after, is_keyset, page_port, unpack_keyset
from gateway.engine.reading.pushdown import can_push, divide, wanted_of

__all__ = ["PARTS_OF", "Choice", "Lack", "Need", "Offer", "Option", "Work", "choose", "group_lacks", "looks_up", "settled"]

PARTS_OF = {"avg": ("sum", "count"), "sum": ("sum", "count")}
"""Function -> the functions that its value is put together from."""


class Work(IntEnum):
    """What the gateway does in a port's place, by what that costs."""

    NONE = 0
    FILTER = 1
    """Drop rows of the pages that are read anyway, or a few pages more."""
    MORE = 2
    """Read all rows of some keys, or all groups, where some of them would do."""
    COUNT = 3
    """Read every row that matches for their number alone."""
    SCAN = 4
    """Read every row that matches what is pushed, within the scan budget."""
    REFUSED = 5
    """Nothing: it cannot be made good."""


@dataclass(frozen=True, slots=True)
class Lack:
    """A capability that a read needs and a port has not. ``work``: what is done here for it."""

    capability: str
    work: Work


@dataclass(frozen=True, slots=True)
class Need:
    """One read, as far as choosing a port goes.

    ``rule``: the caller's row rules. ``keys``: columns that rows are looked up by; ``per_key``: only some rows of each key are wanted.
    ``grouping``: the totals wanted. ``sorts_here``: a masked key breaks ties, which no port can do.
    """

    use: Use
    asked: Asked
    rule: Predicate = TRUE
    keys: tuple[str, ...] = ()
    per_key: bool = False
    grouping: Grouping | None = None
    sorts_here: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """A port and what is known of it. ``trusts_counts``, ``trusts_totals``: whether those hold under row rules (SPEC A6)."""

    port: Port
    serves: frozenset[Use] = frozenset()
    trusts_counts: bool = True
    trusts_totals: bool = True

    is_known: bool = True
    """Whether the port has said what it can do."""

    @property
    def is_away(self) -> bool:
        """Whether its circuit is open."""
        return bool(getattr(self.port, "circuit", None) == Circuit.OPEN)


@dataclass(frozen=True, slots=True)
class Option:
    """A port that may be asked. ``asked``: the question as it is put when this port answers it; ``narrows``: some of it is pushed."""

    offer: Offer
    lacks: tuple[Lack, ...]
    asked: Asked
    narrows: bool

    @property
    def work(self) -> Work:
        """The dearest thing that is left to the gateway."""
        return max((it.work for it in self.lacks), default=Work.NONE)


@dataclass(frozen=True, slots=True)
class Choice:
    """``options``: the ports to ask, in this order, those with an open circuit last. ``barred``: ports that do not serve such reads."""

    options: tuple[Option, ...]
    barred: tuple[Offer, ...] = ()


def choose(need: Need, product: Product, offers: Sequence[Offer]) -> Choice:
    """Put the ports of a product in the order in which a read asks them. **Raises** CURSOR_EXPIRED for a place that no port knows."""
    serving = [it for it in offers if not it.serves or need.use in it.serves]
    barred = tuple(it for it in offers if it not in serving)
    place = need.asked.place
    if place is not None and not is_keyset(place):
        # A port's own cursor means nothing to the others.
        name = page_port(place) or (serving[0].port.name if serving else "")
        serving = [it for it in serving if it.port.name == name]
    sorts = any(it.port.capabilities.order_by for it in serving)
    options = [_option(need, product, it, sorts=sorts) for it in serving]
    # Stable: otherwise the contract's order.
    options.sort(key=lambda it: (it.offer.is_away, not it.offer.is_known, it.work, len(it.lacks)))
    return Choice(tuple(options), barred)


def _option(need: Need, product: Product, offer: Offer, *, sorts: bool) -> Option:
    asked = settled(need.asked, product, offer.port.capabilities, sorts=sorts) if need.use in (Use.LIST, Use.EXPORT) else need.asked
    lacks = tuple(dict.fromkeys(_lacks(replace(need, asked=asked), product, offer)))
    able = offer.port.capabilities
    pushed, _ = divide(wanted_of(product, asked, need.rule, able), able)
    return Option(offer, lacks, asked, narrows=pushed != TRUE or (asked.since is not None and able.since))


def settled(asked: Asked, product: Product, able: Capabilities, *, sorts: bool) -> Asked:
    """Say the order that a list has without one, where it must not be this port's own: another port or its cursor has decided it."""
    decided = sorts if asked.place is None else is_keyset(asked.place)
    if asked.order or able.order_by or not decided or not product.primary_key:
        return asked
    return structs.replace(asked, order=tuple(map(Order, product.primary_key)))


# -- what a port lacks ---------------------------------------------------------------------------------------------------------


def _lacks(need: Need, product: Product, offer: Offer) -> Iterator[Lack]:
    able = offer.port.capabilities
    wanted = wanted_of(product, need.asked, need.rule, able)
    if wanted == FALSE:
        return
    if need.grouping is not None:
        yield from _of_totals(need, need.grouping, wanted, offer)
    elif need.use is Use.LOOKUP:
        yield from _of_lookup(need, wanted, offer)
    else:
        yield from _of_list(need, product, wanted, offer)


def _of_list(need: Need, product: Product, wanted: Predicate, offer: Offer) -> Iterator[Lack]:
    asked, able = need.asked, offer.port.capabilities
    is_scanned = False
    if asked.rows:
        if asked.order and not product.primary_key:
            yield Lack("primary key", Work.REFUSED)
        is_sorted = bool(product.primary_key) and (able.order_by or bool(asked.order) or need.sorts_here)
        beyond = wanted
        if is_sorted and asked.place is not None and not need.sorts_here:
            order = (*asked.order, *(Order(name) for name in product.primary_key if all(name != it.column for it in asked.order)))
            values = unpack_keyset(asked.place, [product.column_by_name[it.column].type for it in order])
            beyond = conjunction(wanted, after(order, values))
        left = list(_unpushed(need, beyond, able))
        if need.use is Use.EXPORT:
            is_scanned = is_sorted and (need.sorts_here or not able.order_by)
        else:
            is_scanned = is_sorted and (need.sorts_here or not able.order_by or bool(left))
        if is_sorted and (need.sorts_here or not able.order_by):
            yield Lack("ties by masked keys" if need.sorts_here else "orderBy", Work.SCAN)
        for what in left:
            yield Lack(what, Work.SCAN if is_scanned else Work.FILTER)
    if asked.counts and not is_scanned and not (able.count and _believed(need, offer.trusts_counts) and _pushes(wanted, able)):
        yield Lack("count" if not able.count else "count of these rows", Work.COUNT)


def _of_lookup(need: Need, wanted: Predicate, offer: Offer) -> Iterator[Lack]:
    able = offer.port.capabilities
    if not looks_up(able, need.keys):
        by_filter = len(need.keys) == 1 and able.tests(need.keys[0], Operator.IN)
        yield Lack(f"keys by {', '.join(need.keys)}", Work.MORE if by_filter else Work.SCAN)
    left = list(_unpushed(need, wanted, able))
    for what in left:
        yield Lack(what, Work.FILTER)
    if need.per_key and (left or need.sorts_here or not (able.limit_per_key and able.order_by)):
        yield Lack("limitPerKey", Work.MORE)
    counts = looks_up(able, need.keys) and able.group_by and "count" in able.aggregates and able.count
    if need.per_key and need.asked.counts and not (counts and not left and _believed(need, offer.trusts_counts)):
        yield Lack("count per key", Work.MORE)


def _of_totals(need: Need, grouping: Grouping, wanted: Predicate, offer: Offer) -> Iterator[Lack]:
    able = offer.port.capabilities
    from_rows = Work.MORE if need.keys and looks_up(able, need.keys) else Work.SCAN
    if grouping.protected:
        yield Lack("totals of enough subjects only", from_rows)
    partial = bool(grouping.paths)
    for what in group_lacks(able, grouping, need.keys, partial=partial):
        yield Lack(what, from_rows)
    if not _believed(need, offer.trusts_totals):
        yield Lack("proof of its totals under row rules", from_rows)
    for what in _unpushed(need, wanted, able):
        yield Lack(what, from_rows)
    if grouping.by and not need.keys and not able.order_by:
        yield Lack("orderBy", Work.MORE)
    if grouping.having != TRUE and not able.having:
        yield Lack("having", Work.MORE)


def group_lacks(able: Capabilities, grouping: Grouping, keys: tuple[str, ...], *, partial: bool) -> Iterator[str]:
    """Name what a port lacks to form groups itself, per parent where there are ``keys``; ``partial``: by foreign key."""
    functions = dict.fromkeys("count" if it.path else it.function for it in grouping.measures)
    if partial:
        functions = dict.fromkeys(name for it in functions if it != "countDistinct" for name in PARTS_OF.get(it, (it,)))
    yield from (f"aggregate {name}" for name in functions if name not in able.aggregates)
    if (grouping.by or grouping.paths or keys) and not able.group_by:
        yield "groupBy"
    if keys and not looks_up(able, keys):
        yield f"keys by {', '.join(keys)}"
    for term in grouping.by:
        if not term.path and term.part is not None and term.part not in able.truncations:
            yield f"truncate to {term.part}"


def looks_up(able: Capabilities, columns: tuple[str, ...]) -> bool:
    """Whether a port finds rows by keys of these columns."""
    return able.keys and (able.key_columns is None or columns in able.key_columns)


def _believed(need: Need, trusts: bool) -> bool:
    return trusts or need.rule == TRUE


def _pushes(wanted: Predicate, able: Capabilities) -> bool:
    return wanted == TRUE or can_push(wanted, able)


def _parts(predicate: Predicate) -> tuple[Predicate, ...]:
    return predicate.parts if isinstance(predicate, And) else (predicate,)


def _unpushed(need: Need, wanted: Predicate, able: Capabilities) -> Iterator[str]:
    """Name the parts of a condition that the port does not apply; of row rules only that they are."""
    _, left = divide(wanted, able)
    if left == TRUE:
        return
    for part in _parts(left):
        if part in _parts(need.rule):
            yield "filter of the row rule"
        elif need.asked.since is not None and part not in _parts(need.asked.where) and isinstance(part, Compare):
            yield "since"
        elif isinstance(part, Compare) and not part.column:
            yield "filter by partners"  # whose keys are not known yet
        elif isinstance(part, Compare):
            yield f"filter {part.column} {part.operator.value}"
        else:
            yield "filter with and, or, not"
