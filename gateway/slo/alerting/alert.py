"""A change of state with what somebody who is told of it needs to know. Pure; no values of data, no secrets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from contracts.durations import duration_text
from contracts.model import Contract
from domain_adapters.values import canonical_instant
from gateway.slo.changes import Change
from gateway.slo.status import SloStatus

__all__ = ["FIRING", "Alert", "Sink", "SinkError"]

FIRING = frozenset({SloStatus.AT_RISK, SloStatus.BREACHED, SloStatus.UNKNOWN})
"""The states that somebody has to be told of; MET ends them."""


class SinkError(Exception):
    """What was told did not arrive. ``reason``: a word without secrets. ``retry_after_s``: as the receiver asked."""

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Alert:
    """One objective's newest state.

    ``told``: what the receiver was told last, None if nothing. It is not always the change's own ``before``: some states pass untold.
    """

    change: Change
    contract: Contract
    told: SloStatus | None = None

    @property
    def objective(self) -> str:
        """The objective's name."""
        assert self.change.objective is not None
        return self.change.objective.value

    def summary(self) -> str:
        """Say it in a sentence."""
        change = self.change
        if change.after is SloStatus.MET:
            return f"{change.product} keeps its promise again: {self.objective} {change.wording}"
        how = {SloStatus.AT_RISK: "is about to break", SloStatus.BREACHED: "does not keep"}.get(change.after, "is not known to keep")
        figure = self._figure()
        return f"{change.product} {how} its promise: {self.objective} {change.wording}" + (f"; it is {figure}" if figure else "")

    def _figure(self) -> str | None:
        figure = self.change.figure
        if figure is None:
            return None
        return duration_text(figure) if self.objective == "freshness" else f"{figure:.6g}"

    def members(self) -> dict[str, Any]:
        """Spell it for machines."""
        change, meta = self.change, self.contract.metadata
        return {
            "key": change.key,
            "product": change.product,
            "domain": meta.domain,
            "name": meta.name,
            "version": change.version,
            "owner": change.owner,
            "objective": self.objective,
            "promise": change.wording,
            "before": change.before.value,
            "after": change.after.value,
            "at": canonical_instant(change.at),
            "figure": change.figure,
            "limit": change.limit,
            "finding": change.finding,
            "summary": self.summary(),
            "docs": meta.docs,
            "requestAccess": meta.owner,
        }


class Sink(Protocol):
    """Somebody to be told. ``name``: as logs and metrics call it.

    ``resend_s``: how often what goes on is told again, None for never. ``tells_replicas_apart``: several gateways may tell it the same,
    and it notices by itself; otherwise they agree who does.
    """

    name: str
    tells_replicas_apart: bool

    @property
    def resend_s(self) -> float | None:
        """How often what goes on is told again."""

    async def send(self, alerts: Sequence[Alert], now: dt.datetime) -> None:
        """Tell all of these, or raise `SinkError`."""

    async def aclose(self) -> None:
        """Let go of connections."""
