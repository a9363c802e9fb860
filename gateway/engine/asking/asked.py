"""What is asked of a list, and what was found: the values between binding, reading and shaping."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from contracts.predicates import TRUE, Predicate
from domain_adapters.port import Order, Port
from gateway.engine.decoding.cellwise import Bad, Page
from gateway.errors import GatewayError

__all__ = ["Asked", "Fetched"]


class Asked(msgspec.Struct, frozen=True):
    """A bound question for one list. ``order``: the caller's own terms; ``place``: an opened cursor, None for the first page."""

    where: Predicate = TRUE
    since: dt.datetime | None = None
    order: tuple[Order, ...] = ()
    first: int = 20
    place: bytes | None = None
    counts: bool = False
    places: bool = False
    """Whether every row's place is wanted (for cursors)."""
    rows: bool = True
    """Whether any row is wanted, or only what is known of the list."""

    def at(self, place: bytes | None) -> Asked:
        """Ask for the page that begins at ``place``."""
        return Asked(self.where, self.since, self.order, self.first, place, self.counts, self.places, self.rows)


class Fetched(msgspec.Struct):
    """Rows in order with what is known of the list they are from. ``places``: one packed place per row, if asked for."""

    rows: list[Any]
    has_next: bool = False
    has_previous: bool = False
    places: list[bytes] = []
    count: int | None = None
    count_error: GatewayError | None = None
    metadata: Any = None
    """What the last page said of itself."""
    port: str | None = None
    limited: bool = False
    """The port left out rows beyond ``per_key``; else each key's rows are all here."""
    bad: Bad = {}
    dropped: int = 0

    def take(self, page: Page, port: Port) -> None:
        """Add what a page says beside its rows."""
        if page.bad:
            self.bad |= page.bad
        self.dropped += page.dropped
        self.metadata = page.metadata or self.metadata
        self.port = port.name
