"""Calls made for callers, counted towards availability: only how many there were, and how many failed by the domain's fault.

`note` is on the hot path: two additions. Measuring takes the counts away, so that states move on probes only.
"""

from __future__ import annotations

__all__ = ["Calls"]

# As `gateway.observe.metrics.OUTCOMES` names them: the domain is not at fault for what was refused, cancelled, out of the caller's time or
# of our room.
_ANSWERED = "ok"
_FAILED = frozenset({"unavailable", "invalid"})


class Calls:
    """Counts by product since they were last taken."""

    __slots__ = ("_bad", "_good")

    def __init__(self) -> None:
        self._good: dict[str, int] = {}
        self._bad: dict[str, int] = {}

    def note(self, product: str, outcome: str) -> None:
        """Count a read by its outcome."""
        if outcome == _ANSWERED:
            self._good[product] = self._good.get(product, 0) + 1
        elif outcome in _FAILED:
            self._bad[product] = self._bad.get(product, 0) + 1

    def take(self, product: str) -> tuple[int, int]:
        """Give (failed, all) of a product, and begin anew."""
        bad = self._bad.pop(product, 0)
        return bad, bad + self._good.pop(product, 0)
