"""A contract's objectives as promises that can be measured, or with the reason why not.

Pure. What contradicts itself or is absurd stays UNKNOWN with a finding for the owner; everything else of the product is unharmed.
"""

from __future__ import annotations

from collections.abc import Iterator

from contracts.model import Contract
from contracts.objectives import SPAN_MAX_S, SPAN_MIN_S, RatioObjective, TimeObjective
from gateway.slo.measured import RATIOS, ObjectiveName
from gateway.slo.objective import Promise

__all__ = ["FRESHNESS_ALLOWED", "WINDOW_MAX_S", "promises_of"]

FRESHNESS_ALLOWED = 0.01
"""The share of measurements that may find data too old before the budget of freshness is spent: contracts state none."""
WINDOW_MAX_S = SPAN_MAX_S
_LIMIT_MAX_S = 100 * 365 * 86_400.0
_ROWS_MAX = 10**12


def promises_of(contract: Contract, *, measured_every_s: float) -> tuple[Promise, ...]:
    """Read the promises. ``measured_every_s``: how often the product's freshness is measured."""
    return tuple(_promises(contract, measured_every_s))


def _promises(contract: Contract, measured_every_s: float) -> Iterator[Promise]:
    objectives = contract.objectives
    for written, unreadable in objectives.unreadable:
        yield Promise(ObjectiveName(written), unreadable.text, None, FRESHNESS_ALLOWED, None, unreadable.reason)
    if objectives.freshness is not None:
        objection = _too_often(objectives.freshness, measured_every_s)
        limit = None if objection else objectives.freshness.limit_s
        yield Promise(ObjectiveName.FRESHNESS, objectives.freshness.text, limit, FRESHNESS_ALLOWED, None, objection)
    for name in RATIOS:
        ratio: RatioObjective | None = getattr(objectives, name)
        if ratio is not None:
            objection = _absurd(ratio)
            limit = None if objection else ratio.target_ratio
            # Decimal digits of the contract, not those that binary floating point adds.
            yield Promise(name, ratio.text, limit, round(1.0 - ratio.target_ratio, 12), None if objection else ratio.window_s, objection)


def _too_often(objective: TimeObjective, measured_every_s: float) -> str | None:
    if objective.limit_s < measured_every_s:
        return f"freshness is promised within {objective.limit_s:g} s and measured every {measured_every_s:g} s only"
    if objective.limit_s > _LIMIT_MAX_S:
        return "freshness within more than a hundred years promises nothing"
    return None


def _absurd(objective: RatioObjective) -> str | None:
    if not 0.0 < objective.target_ratio <= 1.0:
        return "the target is no share between 0 and 100 %"
    for span_s in (objective.window_s, objective.expected_rows_per_s):
        if span_s is not None and not SPAN_MIN_S <= span_s <= WINDOW_MAX_S:
            return "a window is between one minute and 92 days"
    if objective.expected_rows_min is not None and objective.expected_rows_min > _ROWS_MAX:
        return "more rows are expected than a product can have"
    return None
