"""A change of state, told to those who listen: alerts, events, history.

The same measurements give the same changes in every replica, so `Change.key` is what they agree on, and who tells the world of a change
first may keep the others from telling it again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from gateway.slo.measured import Measured, ObjectiveName, ProductSlo
from gateway.slo.status import SloStatus

__all__ = ["Change", "Listener", "Sequences", "changes_between"]


@dataclass(frozen=True, slots=True)
class Change:
    """One objective of one product, or the product as a whole (``objective`` None), went from one status to another.

    ``at``: the instant that implies it (of the measurement, or when data grew too old), not when it was noticed. ``figure`` and ``limit``:
    seconds of lag, or ratios; None where unknown, and for a product as a whole. ``sequence``: counts the changes of this objective in this
    process, from 1. ``wording``: the contract's own. ``finding``: why, where that is known, without values.
    """

    product: str
    version: str
    owner: str
    objective: ObjectiveName | None
    before: SloStatus
    after: SloStatus
    at: dt.datetime
    sequence: int
    figure: float | None = None
    limit: float | None = None
    wording: str | None = None
    finding: str | None = None

    @property
    def key(self) -> str:
        """Name this change the same in every replica."""
        what = "product" if self.objective is None else self.objective.value
        return f"{self.product}|{self.version}|{what}|{self.at.isoformat()}|{self.after.value}"


class Listener(Protocol):
    """Who is told of every change, in order, on the event loop; must neither wait nor raise."""

    def changed(self, change: Change) -> None:
        """Take a change in."""


class Sequences:
    """Counts the changes of each objective of each product."""

    def __init__(self) -> None:
        self._counted: dict[tuple[str, ObjectiveName | None], int] = {}

    def next(self, product: str, objective: ObjectiveName | None) -> int:
        """Count one more."""
        number = self._counted[product, objective] = self._counted.get((product, objective), 0) + 1
        return number


def changes_between(before: ProductSlo, after: ProductSlo, at: dt.datetime, sequences: Sequences) -> Iterator[Change]:
    """Tell what changed from one standing of a product to the next: objectives first, the product as a whole last."""
    known = {one.name: one.status for one in before.objectives}
    for one in after.objectives:
        if known.get(one.name) is not one.status:
            yield _change(before, after, one, at, sequences)
    if before.status is not after.status:
        yield _change(before, after, None, at, sequences)


def _change(before: ProductSlo, after: ProductSlo, one: Measured | None, at: dt.datetime, sequences: Sequences) -> Change:
    name = None if one is None else one.name
    was = before.status if one is None else next((it.status for it in before.objectives if it.name is one.name), SloStatus.UNKNOWN)
    return Change(
        product=after.product,
        version=after.version or "",
        owner=after.owner or "",
        objective=name,
        before=was,
        after=after.status if one is None else one.status,
        at=at,
        sequence=sequences.next(after.product, name),
        figure=None if one is None else one.figure,
        limit=None if one is None else one.limit,
        wording=None if one is None else one.objective,
        finding=None if one is None else one.finding,
    )
