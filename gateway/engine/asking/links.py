"""Conditions on related products, between binding and reading: what a `Link` stands for is known only when its keys are.

A bound ``where`` holds a link in the place of a value, as a row rule holds a claim; `gateway.engine.relating.semijoins` finds the keys, and
`filled` puts them in. With a link, a row satisfies the condition or it does not, whatever nulls there are. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from contracts.fields import FieldType, Kind, Scalar
from contracts.predicates import FALSE, TRUE, Among, And, Compare, Not, Operator, Or, Predicate, columns_of, conjunction, disjunction
from domain_adapters.values import emitter_of, parser_of
from gateway.catalog.snapshot import Product
from gateway.compiler.executable import LinkStep

__all__ = ["Key", "Link", "as_own_keys", "columns_in", "filled", "link_of", "links_below", "links_of", "shape_of_links", "weakened"]

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """A row satisfies it if there is a visible partner, by ``pairs`` (own column, the partner's), that satisfies ``where``."""

    target: str
    pairs: tuple[tuple[str, str], ...]
    where: Predicate
    step: LinkStep = field(repr=False, compare=False)

    @property
    def own_columns(self) -> tuple[str, ...]:
        """Key columns of the rows that are filtered."""
        return tuple(own for own, _ in self.pairs)

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The partners' key columns, in the same order."""
        return tuple(other for _, other in self.pairs)


def link_of(step: LinkStep, where: Predicate) -> Predicate:
    """Make the condition that there is a partner."""
    return Compare("", Operator.IN, Link(step.product.id, step.relation.pairs, where, step))


def links_of(predicate: Predicate) -> Iterator[Link]:
    """List the links of a condition, but not those inside links."""
    match predicate:
        case Compare(value=Link() as link):
            yield link
        case And(parts=parts) | Or(parts=parts):
            for part in parts:
                yield from links_of(part)
        case Not(part=part):
            yield from links_of(part)


def links_below(predicate: Predicate) -> Iterator[Link]:
    """List the links of a condition, those inside links too."""
    for link in links_of(predicate):
        yield link
        yield from links_below(link.where)


def columns_in(predicate: Predicate) -> frozenset[str]:
    """Name every own column that the condition reads, those of its links' keys included."""
    match predicate:
        case Compare(value=Link() as link):
            return frozenset(link.own_columns)
        case And(parts=parts) | Or(parts=parts):
            return frozenset().union(*map(columns_in, parts))
        case Not(part=part):
            return columns_in(part)
    return columns_of(predicate)


def shape_of_links(predicate: Predicate) -> tuple[int, int]:
    """Count the links of a condition, those inside links too, and how deep they go."""
    count = depth = 0
    for link in links_of(predicate):
        below, levels = shape_of_links(link.where)
        count, depth = count + 1 + below, max(depth, levels + 1)
    return count, depth


def filled(predicate: Predicate, keys: Mapping[Link, Collection[Key]]) -> Predicate:
    """Put keys in the place of all links; those in a set are for no port to be told of, but every row is tested."""
    return _replaced(predicate, lambda link, positive: _is_among(link, keys[link], positive=positive), positive=True)


def weakened(predicate: Predicate, keys: Mapping[Link, Collection[Key]]) -> Predicate:
    """Put keys in the place of those links whose keys are known, and give a condition that the others only narrow further."""

    def known(link: Link, positive: bool) -> Predicate:
        if link in keys:
            return _is_among(link, keys[link], positive=positive)
        return TRUE if positive else FALSE

    return _replaced(predicate, known, positive=True)


def _replaced(predicate: Predicate, made: Callable[[Link, bool], Predicate], *, positive: bool) -> Predicate:
    match predicate:
        case Compare(value=Link() as link):
            return made(link, positive)
        case And(parts=parts):
            return conjunction(*(_replaced(part, made, positive=positive) for part in parts))
        case Or(parts=parts):
            return disjunction(*(_replaced(part, made, positive=positive) for part in parts))
        case Not(part=part):
            inner = _replaced(part, made, positive=not positive)
            return FALSE if inner == TRUE else TRUE if inner == FALSE else Not(inner)
    return predicate


def _is_among(link: Link, keys: Collection[Key], *, positive: bool) -> Predicate:
    columns = link.own_columns
    if not keys:
        return FALSE
    if isinstance(keys, AbstractSet):
        among: Predicate = Among(columns, keys)
        narrower: list[Predicate] = []
    elif len(columns) == 1:
        among = Compare(columns[0], Operator.IN, tuple(value for (value,) in keys))
        narrower = []
    else:
        among = Among(columns, frozenset(keys))
        # What a port can apply, if only it lets no row fall that the whole would keep.
        narrower = [Compare(name, Operator.IN, tuple(dict.fromkeys(key[at] for key in keys))) for at, name in enumerate(columns)]
    if positive:
        return conjunction(among, *narrower)
    # A null key is unknown to be among keys, but it is known to have no partner.
    return conjunction(*(Compare(name, Operator.IS_NULL, False) for name in columns), among)


def as_own_keys(link: Link, keys: Collection[Key], product: Product) -> list[Key]:
    """Give keys of the partners as values of the own columns, which are of ``product``; what these cannot hold equals none of them."""
    target = link.step.product.column_by_name
    pairs = [(product.column_by_name[own].type, target[other].type) for own, other in link.pairs]
    if all(own == other for own, other in pairs):
        return list(keys)
    convert = [_conversion(own, other) for own, other in pairs]
    found: list[Key] = []
    for key in keys:
        try:
            own_key = tuple(to_own(value) for to_own, value in zip(convert, key, strict=True))
        except (ValueError, ArithmeticError):
            continue
        if own_key == key:
            found.append(own_key)
    return found


def _conversion(own: FieldType, other: FieldType) -> Callable[[Any], Any]:
    parse, emit = parser_of(own), emitter_of(other)
    if isinstance(own, Scalar) and own.kind in (Kind.INT, Kind.LONG):
        return lambda value: int(value) if isinstance(value, (int, float, Decimal)) else parse(emit(value))
    return lambda value: parse(emit(value))
