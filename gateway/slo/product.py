"""The promises of one product, as they stand together: its objectives, their worst, its encoded entry.

Pure but for the state itself; instants come in as arguments.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import msgspec

from contracts.model import Contract
from gateway.slo.measured import ObjectiveName, ProductSlo
from gateway.slo.objective import ObjectiveState, Promise
from gateway.slo.reading import Reading
from gateway.slo.status import worst

__all__ = ["ProductState"]

_FINDINGS_MAX = 10


class ProductState:
    """What is known of one product. ``fragment``: its encoded entry, open at the end for ``paths``."""

    __slots__ = ("_as_of", "_contract", "_dated_at", "_drift", "_key", "_promises", "changes_at", "fragment", "objectives", "slo")

    def __init__(self, key: str, contract: Contract, promises: tuple[Promise, ...]) -> None:
        self._key = key
        self._contract = contract
        self._promises = promises
        self._drift: str | None = None
        self._as_of: dt.datetime | None = None
        self._dated_at: dt.datetime | None = None
        self.objectives = {promise.name: ObjectiveState(promise) for promise in promises}
        self.changes_at: dt.datetime | None = None
        self.slo = self._standing()
        self.fragment = self._encoded()

    @property
    def contract(self) -> Contract:
        """What the product promises."""
        return self._contract

    def is_for(self, contract: Contract, promises: tuple[Promise, ...]) -> bool:
        """Whether this is the state of this very contract, measured the same way."""
        known = self._contract
        is_same = contract is known or (contract.revision != "" and contract.revision == known.revision and contract.key == known.key)
        return is_same and promises == self._promises

    def take(self, readings: Iterable[Reading], now: dt.datetime) -> bool:
        """Take measurements in; tell whether anything visible changed."""
        changed = False
        for reading in readings:
            if reading.objective is ObjectiveName.FRESHNESS and not reading.failed:
                # Of a product that promises no freshness the age is told all the same.
                changed = changed or self._as_of != reading.last_update_at
                self._as_of, self._dated_at = reading.last_update_at, reading.measured_at
            state = self.objectives.get(reading.objective)
            if state is not None and state.take(reading, now):
                changed = True
        return self._settle(changed=changed)

    def drifts(self, finding: str | None) -> bool:
        """Note what callers' queries met, or that a probe has looked since; a finding moves no state."""
        is_new = finding != self._drift
        self._drift = finding
        return self._settle(changed=is_new)

    def move(self, now: dt.datetime) -> bool:
        """Let time pass; tell whether anything visible changed."""
        changed = [state.move(now) for state in self.objectives.values()]
        return self._settle(changed=any(changed))

    def _settle(self, *, changed: bool) -> bool:
        self.changes_at = min((it.changes_at for it in self.objectives.values() if it.changes_at is not None), default=None)
        if not changed:
            return False
        self.slo = self._standing()
        before, self.fragment = self.fragment, self._encoded()
        return self.fragment != before

    def _encoded(self) -> bytes:
        return msgspec.json.encode(self.slo.members())[:-1]

    def _standing(self) -> ProductSlo:
        found = {state.promise.name: state.measured for state in self.objectives.values()}
        freshness = found.get(ObjectiveName.FRESHNESS)
        instants = [one.measured_at for one in found.values() if one.measured_at is not None]
        lag_measured_at = self._dated_at if freshness is None else freshness.measured_at
        findings = [one.finding for one in found.values() if one.finding is not None]
        if self._drift is not None:
            findings.append(self._drift)
        return ProductSlo(
            product=self._key,
            owner=self._contract.metadata.owner,
            version=self._contract.metadata.version,
            status=worst(one.status for one in found.values()),
            as_of=self._as_of,
            measured_at=lag_measured_at or max(instants, default=None),
            freshness=freshness,
            completeness=found.get(ObjectiveName.COMPLETENESS),
            accuracy=found.get(ObjectiveName.ACCURACY),
            availability=found.get(ObjectiveName.AVAILABILITY),
            findings=tuple(dict.fromkeys(findings))[:_FINDINGS_MAX],
        )
