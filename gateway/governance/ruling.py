"""Rulings: what one kind of caller may see of one product, decided once and compiled into everything that serves them.

Only `gateway.governance.decide` makes them. All values are frozen and hashable: equal rulings are the same work.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from contracts.masks import Mask
from contracts.model import Aggregates
from contracts.predicates import Predicate

__all__ = ["Access", "FieldRuling", "ProductRuling", "Reason", "Standing"]


class Access(StrEnum):
    """How a cell is shown."""

    CLEAR = "clear"
    MASKED = "masked"
    DENIED = "denied"


class Standing(StrEnum):
    """What a product is to the caller: served, known of, or not there at all."""

    SERVED = "served"
    LISTED = "listed"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: ``because`` names the tag, level, restriction or missing grant; ``source`` the contract or policy that says so."""

    because: str
    source: str


@dataclass(frozen=True, slots=True)
class FieldRuling:
    """The ruling on one column.

    ``clear_rows`` and ``masked_rows``: indices into `ProductRuling.row_rules`; a row is shown clear if it satisfies one of the
    first, else masked if it satisfies one of the second, else not at all (null). Where every row gets the same, ``access``
    says it and both are empty: that is nearly always so, and then nothing is tested per row. ``access`` of a ruling that varies
    by row is the strictest that occurs. ``usable``: may stand in predicates, orders, groups, keys. ``aggregates``: masked in every
    row, but may be aggregated over true values so (SPEC A8).
    """

    column: str
    access: Access
    mask: Mask | None = None
    reason: Reason | None = None
    hidden: bool = False
    usable: bool = True
    clear_rows: tuple[int, ...] = ()
    masked_rows: tuple[int, ...] = ()
    aggregates: Aggregates | None = None

    @property
    def varies(self) -> bool:
        """Whether rows of one answer are shown differently."""
        return bool(self.clear_rows or self.masked_rows)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ProductRuling:
    """The ruling on one version of one product, for one decision key.

    ``row_rules``: the different row rules of the grants that apply; a row is served if it satisfies one. Empty: every row is
    served. Rules may hold `Claim`s, bound per request. ``fields``: one per column, in the contract's order.
    """

    product: str
    contract: str
    """``domain/name@version``, as receipts print it."""
    owner: str
    standing: Standing
    row_rules: tuple[Predicate, ...] = ()
    fields: tuple[FieldRuling, ...] = ()
    reason: Reason | None = None
    valid_until: dt.datetime | None = None

    def field(self, column: str) -> FieldRuling:
        """Find the ruling on ``column``; raises `KeyError`."""
        for ruling in self.fields:
            if ruling.column == column:
                return ruling
        raise KeyError(column)
