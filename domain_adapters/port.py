"""What a port is: something that keeps a contract's promise by answering reads in the wire's own bytes.

Every kind of port, in process or remote, answers a `Read` with the JSON page that the protocol defines, so that one decoder,
one conformance suite and one set of bounds serve them all. A capability that is absent is unsupported and must be refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import msgspec
from msgspec import structs

from contracts.model import Use
from contracts.predicates import Operator, Predicate

__all__ = [
    "Aggregate",
    "Call",
    "Capabilities",
    "GroupBy",
    "Keys",
    "Nulls",
    "Order",
    "Port",
    "Probes",
    "Read",
    "Restricted",
    "Splits",
    "calls_of",
    "chunks_of",
]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a port can do beyond paging in its own order.

    ``operators``: per-cell tests it applies; ``boolean``: ``and``/``or``/``not`` trees of them. ``filter_columns``: the only
    columns it filters by, None for all; ``filters``: the exact (column, operator) pairs where a port is irregular (see `tests`);
    ``operators`` are then those that all its columns share. ``keys``:
    look-ups by batches of keys, of at most ``keys_max``, over ``key_columns``
    (sets of columns it can look up by; None for any); ``limit_per_key``: at most n rows per key, in order.
    ``aggregates``: function names; ``truncations``: date parts for ``group_by``. ``page_max``: rows per page.
    """

    level: int = 0
    select: bool = False
    operators: frozenset[Operator] = frozenset()
    boolean: bool = False
    filter_columns: frozenset[str] | None = None
    filters: frozenset[tuple[str, Operator]] | None = None
    order_by: bool = False
    since: bool = False
    keys: bool = False
    key_columns: frozenset[tuple[str, ...]] | None = None
    keys_max: int = 1_000
    limit_per_key: bool = False
    count: bool = False
    aggregates: frozenset[str] = frozenset()
    group_by: bool = False
    truncations: frozenset[str] = frozenset()
    having: bool = False
    stats: bool = False
    page_max: int = 1_000

    def tests(self, column: str, operator: Operator) -> bool:
        """Tell whether the port applies this operator to this column."""
        if self.filters is not None:
            return (column, operator) in self.filters
        return operator in self.operators and (self.filter_columns is None or column in self.filter_columns)


class Nulls(StrEnum):
    """Where nulls sort."""

    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Order:
    """One sort term; nulls last unless said."""

    column: str
    descending: bool = False
    nulls: Nulls = Nulls.LAST


@dataclass(frozen=True, slots=True)
class Keys:
    """Rows whose ``columns`` equal one of ``values`` (one tuple per key, same arity and order as ``columns``).

    ``text``: the values of one column as a list, where whoever divided a read has written them already; they are neither null nor
    to be mistaken for others.
    """

    columns: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    text: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """``function(column) as name``; column None counts rows."""

    function: str
    column: str | None
    name: str


@dataclass(frozen=True, slots=True)
class GroupBy:
    """A grouping column; ``truncate``: ``year`` .. ``second`` in ``time_zone`` (IANA name, UTC if None)."""

    column: str
    truncate: str | None = None
    time_zone: str | None = None


class Read(msgspec.Struct, frozen=True):
    """One question to a port. Column names are the contract's; values are Python values of the column's type.

    ``select`` None: all columns. ``order_by`` is complete (ends with the primary key where there is one). ``since``: RFC 3339
    instant in UTC, inclusive. ``cursor``: as the port gave it. ``limit``: rows of this page (with ``keys`` and
    ``limit_per_key``: rows in all, and at most ``limit_per_key`` per key; pages as usual). ``count``: also report how many
    rows match in all, ``limit`` and ``cursor`` aside.
    """

    select: tuple[str, ...] | None = None
    where: Predicate | None = None
    order_by: tuple[Order, ...] = ()
    limit: int | None = None
    cursor: str | None = None
    since: str | None = None
    keys: Keys | None = None
    limit_per_key: int | None = None
    aggregates: tuple[Aggregate, ...] = ()
    group_by: tuple[GroupBy, ...] = ()
    having: Predicate | None = None
    count: bool = False


class Call(msgspec.Struct, frozen=True):
    """The frame of one read: time left, bytes allowed after decompression, headers to pass on (trace context)."""

    timeout_s: float = 10.0
    body_max_bytes: int = 64 * 1024 * 1024
    headers: tuple[tuple[str, str], ...] = ()


class Port(Protocol):
    """One output port of one product, open and ready.

    ``read`` returns the bytes of one JSON page: ``{data, nextCursor, metadata{generatedAt, version, totalRecords, sloStatus}}``
    and, where asked and able, ``applied``, ``count``, ``groups``. Level-0 endpoints may spell members in snake_case or PascalCase.
    Columns are spelt as ``spelling`` says.

    Raises: `PortUnavailableError` (retry), `PortRefusedError` (cannot or will not), `PortBrokenPromiseError` (not the protocol).
    """

    @property
    def name(self) -> str:
        """What ``metadata.port`` says: the port's name or type in the contract, unique among the ports of its product."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; may change when an endpoint is probed again."""

    @property
    def spelling(self) -> dict[str, str]:
        """Contract column -> its name in this port's rows."""

    async def read(self, read: Read, call: Call) -> bytes:
        """Answer one page."""

    async def slo(self, call: Call) -> bytes:
        """Answer the port's ``/slo`` document as it stands (JSON)."""

    async def aclose(self) -> None:
        """Release connections and files."""


@runtime_checkable
class Splits(Protocol):
    """A port that knows better than ``keys_max`` how many requests a keys read takes (length of URLs, ambiguous keys)."""

    def split(self, read: Read) -> tuple[Read, ...]:
        """Divide a read into reads that together answer it."""


@runtime_checkable
class Restricted(Protocol):
    """A port that its contract puts to some uses only."""

    @property
    def serves(self) -> frozenset[Use]:
        """The uses, empty for all."""


@runtime_checkable
class Probes(Protocol):
    """A port that learns what it can do by asking its endpoint."""

    @property
    def probed(self) -> bool:
        """Whether the endpoint has said what it can do."""

    async def probe(self, call: Call) -> Capabilities:
        """Ask the endpoint. Raises: `PortError` where nothing can be learnt and nothing was known."""


def calls_of(port: Port, read: Read) -> tuple[Read, ...]:
    """Give the reads, each one upstream request per page, that together answer this one; none if no key can match.

    Their answers are disjoint, so rows may simply be put together; ``limit`` holds for each of them.
    """
    # Not isinstance: it compares every member of the protocol, for every read.
    split: Callable[[Read], tuple[Read, ...]] | None = getattr(port, "split", None)
    return chunks_of(read, port.capabilities.keys_max) if split is None else split(read)


def chunks_of(read: Read, keys_max: int) -> tuple[Read, ...]:
    """Divide a keys read by number of keys alone; each key is asked for once."""
    keys = read.keys
    if keys is None or read.cursor is not None:
        return (read,)
    values = tuple(dict.fromkeys(keys.values))
    return tuple(
        structs.replace(read, keys=Keys(keys.columns, values[start : start + keys_max])) for start in range(0, len(values), keys_max)
    )
