"""Where a row stands in a list, as what a cursor holds, and which rows come after it.

Two kinds. *Keyset*: the row's values of the whole order; the rows after it are a condition. *Page*: a level-0 port's own cursor,
an offset in the page it leads to, and a fingerprint of the row before the place, so that a page that changed is noticed.
"""

from __future__ import annotations

import datetime as dt
import operator
from collections.abc import Callable, Sequence
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import msgspec

from contracts.fields import FieldType
from contracts.predicates import FALSE, Compare, Operator, Predicate, conjunction, disjunction
from domain_adapters.port import Nulls, Order
from domain_adapters.values import parser_of
from gateway.errors import GatewayError

__all__ = [
    "PagePlace",
    "after",
    "fingerprint",
    "is_keyset",
    "pack_keyset",
    "pack_page",
    "page_port",
    "sort_key",
    "unpack_keyset",
    "unpack_page",
]

_encode = msgspec.json.Encoder().encode


class PagePlace(msgspec.Struct, frozen=True):
    """``cursor``: the port's, None for its first page. ``print_``: of the row at ``offset - 1``, empty at offset 0.

    ``port``: whose cursor it is, where the product has several ports.
    """

    cursor: str | None = None
    offset: int = 0
    print_: str = ""
    port: str = ""


def pack_keyset(values: Sequence[Any]) -> bytes:
    """Write a keyset place; values in their wire form."""
    return b"k" + _encode(values)


def unpack_keyset(payload: bytes, types: Sequence[FieldType]) -> tuple[Any, ...]:
    """Read a keyset place back into values of ``types``."""
    if payload[:1] != b"k":
        raise _other()
    values = msgspec.json.decode(payload[1:])
    if len(values) != len(types):
        raise _other()
    try:
        return tuple(parser_of(type_)(value) for type_, value in zip(types, values, strict=True))
    except ValueError:
        raise _other() from None


def pack_page(place: PagePlace) -> bytes:
    """Write a page place."""
    members = [place.cursor, place.offset, place.print_]
    return b"p" + _encode([*members, place.port] if place.port else members)


def unpack_page(payload: bytes) -> PagePlace:
    """Read a page place back."""
    if payload[:1] != b"p":
        raise _other()
    return PagePlace(*msgspec.json.decode(payload[1:]))


def is_keyset(payload: bytes) -> bool:
    """Whether a place is known by every port."""
    return payload[:1] == b"k"


def page_port(payload: bytes) -> str:
    """Name the port that a page place belongs to, empty where there was only one."""
    return unpack_page(payload).port


def _other() -> GatewayError:
    return GatewayError("CURSOR_EXPIRED", "The list this cursor belongs to is now served in another way.")


def fingerprint(cells: Sequence[Any]) -> str:
    """Condense what identifies a row."""
    return blake2b(_encode(cells), digest_size=8).hexdigest()


def after(order: Sequence[Order], values: Sequence[Any]) -> Predicate:
    """Give the condition of the rows that come after ``values`` in ``order``."""
    choices: list[Predicate] = []
    equal: list[Predicate] = []
    for term, value in zip(order, values, strict=True):
        later = _later(term, value)
        if later != FALSE:
            choices.append(conjunction(*equal, later))
        equal.append(Compare(term.column, Operator.IS_NULL, True) if value is None else Compare(term.column, Operator.EQ, value))
    return disjunction(*choices)


def _later(term: Order, value: Any) -> Predicate:
    nulls_last = term.nulls is Nulls.LAST
    if value is None:
        return FALSE if nulls_last else Compare(term.column, Operator.IS_NULL, False)
    beyond = Compare(term.column, Operator.LT if term.descending else Operator.GT, value)
    return disjunction(beyond, Compare(term.column, Operator.IS_NULL, True)) if nulls_last else beyond


def sort_key(order: Sequence[Order], cells: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """Return the key function that sorts rows by ``order``; ``cells`` gives each term's cell of a row."""
    places = [_place(term, cell) for term, cell in zip(order, cells, strict=True)]
    if len(places) == 1:
        return places[0]
    return lambda row: tuple([place(row) for place in places])


_FIRST, _LAST = (0, ""), (2, "")


def _place(term: Order, cell: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Give the function from a row to what its cell is compared by: nothing but tuples of what compares in C."""
    null = _LAST if term.nulls is Nulls.LAST else _FIRST
    if not term.descending:
        return lambda row: null if (value := cell(row)) is None else (1, value)
    turned = _TURNED.get
    return lambda row: null if (value := cell(row)) is None else (1, turned(type(value), _Turned)(value))


class _Turned:
    """A value that compares the other way round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Turned) and bool(self.value == other.value)

    def __lt__(self, other: _Turned) -> bool:
        return bool(other.value < self.value)

    __hash__ = None  # type: ignore[assignment]  # how Python says that there is no hash


_TURNED: dict[type, Callable[[Any], Any]] = {
    int: operator.neg,
    float: operator.neg,
    Decimal: Decimal.copy_negate,
    dt.date: lambda value: -value.toordinal(),
}
"""Types whose values can be compared the other way round by what they are turned into."""
