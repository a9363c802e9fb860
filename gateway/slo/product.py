"""The state of one product's promises over time: what each measurement and each passing instant makes of them (SPEC D5, C4).

Pure but for the state itself; instants come in as arguments. A breach is left after two good measurements only; a measurement that
failed or ran out of date never improves anything.
"""

from __future__ import annotations

import datetime as dt

import msgspec

from contracts.model import Contract
from contracts.objectives import RatioObjective, TimeObjective
from gateway.slo.figures import Figures
from gateway.slo.measured import RATIOS, Measured, ObjectiveName, ProductSlo
from gateway.slo.status import SloStatus, freshness_changes, freshness_status, ratio_status, worst

__all__ = ["ProductState"]

_GOOD_TO_LEAVE = 2
_GOOD = (SloStatus.MET, SloStatus.AT_RISK)


class ProductState:
    """What is known of one product. ``fragment``: its encoded entry, open at the end for ``paths``."""

    __slots__ = ("_availability_ratio", "_contract", "_figures", "_findings", "_good", "_stale_at", "changes_at", "fragment", "slo")

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._figures: Figures | None = None
        self._availability_ratio: float | None = None
        self._findings: tuple[str, ...] = ()
        self._stale_at: dt.datetime | None = None
        # Good measurements in a row since a breach, by objective; absent: not in breach.
        self._good: dict[str, int] = {}
        self.changes_at: dt.datetime | None = None
        self.fragment = b""
        self.slo = self._judge(None)
        self._encode()

    def is_for(self, contract: Contract) -> bool:
        """Whether this is the state of this very contract."""
        known = self._contract
        return contract is known or (contract.revision != "" and contract.revision == known.revision and contract.key == known.key)

    def record(self, figures: Figures, now: dt.datetime, stale_at: dt.datetime) -> bool:
        """Take a measurement in; of one older than what is known, only availability. Tell whether anything visible changed."""
        known = self._figures
        self._note_breaches(self._judge(now))
        self._availability_ratio = figures.availability_ratio
        counting = ["availability"]
        if known is None or figures.measured_at >= known.measured_at:
            self._figures, self._findings, self._stale_at = figures, figures.findings, stale_at
            if known is None or figures.measured_at > known.measured_at:
                counting = ["freshness", *RATIOS]
        self._count_good(counting, now)
        return self.move(now)

    def fail(self, finding: str, availability_ratio: float | None, now: dt.datetime) -> bool:
        """Take in that a measurement failed: figures stay until they are too old. Tell whether anything visible changed."""
        self._note_breaches(self._judge(now))
        self._availability_ratio, self._findings = availability_ratio, (finding,)
        self._good = dict.fromkeys(self._good, 0)
        return self.move(now)

    def move(self, now: dt.datetime) -> bool:
        """Let time pass; tell whether anything visible changed."""
        found = self._judge(now)
        self._note_breaches(found)
        self.changes_at = self._next_change(now)
        if found == self.slo:
            return False
        self.slo = found
        return self._encode()

    def _encode(self) -> bool:
        before = self.fragment
        self.fragment = msgspec.json.encode(self.slo.members())[:-1]
        return self.fragment != before

    def _judge(self, now: dt.datetime | None) -> ProductSlo:
        objectives = self._contract.objectives
        figures = self._figures
        promises: dict[str, Measured] = {}
        if objectives.freshness is not None:
            promises["freshness"] = self._freshness(objectives.freshness, now)
        for name in RATIOS:
            objective: RatioObjective | None = getattr(objectives, name)
            if objective is not None:
                promises[name] = self._ratio(name, objective, now)
        return ProductSlo(
            product=self._contract.key,
            owner=self._contract.metadata.owner,
            version=self._contract.metadata.version,
            status=worst(promise.status for promise in promises.values()),
            as_of=None if figures is None else figures.last_update_at,
            measured_at=None if figures is None else figures.measured_at,
            findings=self._findings,
            **promises,
        )

    def _freshness(self, objective: TimeObjective, now: dt.datetime | None) -> Measured:
        updated_at = None if self._figures is None else self._figures.last_update_at
        if self._figures is None or now is None or updated_at is None:
            return Measured(ObjectiveName.FRESHNESS, objective.text, objective.limit_s, self._held("freshness", SloStatus.UNKNOWN))
        judged_at = min(now, self._stale_at) if self._stale_at is not None else now
        status = freshness_status(objective, max(0.0, (judged_at - updated_at).total_seconds()))
        if self._is_stale(now) and status is not SloStatus.BREACHED:
            status = SloStatus.UNKNOWN
        lag_s = max(0.0, (self._figures.measured_at - updated_at).total_seconds())
        return Measured(
            ObjectiveName.FRESHNESS,
            objective.text,
            objective.limit_s,
            self._held("freshness", status),
            lag_s,
            source="slo",
            measured_at=self._figures.measured_at,
        )

    def _ratio(self, name: ObjectiveName, objective: RatioObjective, now: dt.datetime | None) -> Measured:
        if name == "availability":
            # Counted by ourselves: it stays true when the port no longer answers.
            ratio = self._availability_ratio
            status = ratio_status(objective, ratio)
        else:
            ratio = None if self._figures is None else getattr(self._figures, f"{name}_ratio")
            status = ratio_status(objective, ratio)
            if status is SloStatus.MET and self._is_stale(now):
                status = SloStatus.UNKNOWN
        at = None if self._figures is None else self._figures.measured_at
        return Measured(name, objective.text, objective.target_ratio, self._held(name, status), ratio, source="slo", measured_at=at)

    def _is_stale(self, now: dt.datetime | None) -> bool:
        return now is None or self._stale_at is None or now >= self._stale_at

    def _held(self, name: str, status: SloStatus) -> SloStatus:
        good = self._good.get(name)
        return status if good is None else SloStatus.BREACHED

    def _note_breaches(self, slo: ProductSlo) -> None:
        for name in ("freshness", *RATIOS):
            promise: Measured | None = getattr(slo, name)
            if promise is not None and promise.status is SloStatus.BREACHED:
                self._good.setdefault(name, 0)

    def _count_good(self, names: list[str], now: dt.datetime) -> None:
        held, self._good = self._good, {}
        plain = self._judge(now)
        for name, good in held.items():
            promise: Measured | None = getattr(plain, name)
            is_good = promise is not None and promise.status in _GOOD
            counted = (good + (name in names)) if is_good else 0
            if counted < _GOOD_TO_LEAVE:
                self._good[name] = counted

    def _next_change(self, now: dt.datetime) -> dt.datetime | None:
        objective = self._contract.objectives.freshness
        figures = self._figures
        instants = [self._stale_at] if self._stale_at is not None else []
        if objective is not None and figures is not None and figures.last_update_at is not None:
            instants.extend(freshness_changes(objective, figures.last_update_at))
        return min((one for one in instants if one > now), default=None)
