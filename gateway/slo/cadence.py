"""How often a product is measured, and over how many rows: the guide's intervals unless its contract says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.model import Contract

__all__ = ["Cadence"]

# Figures survive that many intervals without a good measurement.
_STALE_INTERVALS = 5


@dataclass(frozen=True, slots=True)
class Cadence:
    """Intervals in seconds. ``freshness_s``: asking for ``/slo`` (freshness, availability); ``sample_s``: reading ``sample_rows`` rows.

    What that costs a domain: per product at most two calls each ``freshness_s`` (five for an endpoint of level 0 without ``/slo``) and
    three each ``sample_s``; a sample asked for out of turn comes no sooner than ``hasten_s`` after the last one.
    """

    freshness_s: float = 60.0
    sample_s: float = 300.0
    sample_rows: int = 500
    hasten_s: float = 55.0

    def of(self, contract: Contract) -> Cadence:
        """Take over what the contract says about measuring."""
        objectives = contract.objectives
        every_s = objectives.measure_every_s
        if every_s is None and objectives.sample_rows is None:
            return self
        freshness_s = every_s or self.freshness_s
        return Cadence(
            freshness_s,
            max(freshness_s, self.sample_s),
            objectives.sample_rows or self.sample_rows,
            min(self.hasten_s, max(freshness_s, self.sample_s)),
        )

    @property
    def freshness_stale_s(self) -> float:
        """How long a freshness or availability figure is believed."""
        return _STALE_INTERVALS * self.freshness_s

    @property
    def sample_stale_s(self) -> float:
        """How long a completeness or accuracy figure is believed."""
        return _STALE_INTERVALS * self.sample_s
