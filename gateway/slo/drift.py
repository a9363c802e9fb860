"""Drift that callers' queries meet: rows whose values do not keep their type. It raises a finding and hastens a probe; it moves no state.

Each (row key, version) counts once a minute, whoever meets it, and one caller for a tenth of the count at most: nobody can talk a product
down. Holds hashes only, within bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

__all__ = ["Drift"]

_PERIOD_S = 60.0
_ROWS_MAX = 10_000
_CALLERS_MAX = 1_000
_CALLER_SHARE = 0.1


@dataclass(slots=True)
class _Met:
    """What was met of one product since ``began_s``."""

    began_s: float
    rows: set[int] = field(default_factory=set)
    by_caller: dict[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Rows met, each caller's within its share; one at least."""
        most = max(1, int(_CALLER_SHARE * len(self.rows)))
        return sum(min(found, most) for found in self.by_caller.values())


class Drift:
    """Counts by product. ``found``: told (product, finding) whenever there is more to say. ``time_s``: monotonic seconds."""

    def __init__(self, found: Callable[[str, str], None], time_s: Callable[[], float]) -> None:
        self._found = found
        self._time_s = time_s
        self._met: dict[str, _Met] = {}

    def note(self, product: str, caller: str, rows: Iterable[int]) -> None:
        """Take in rows that one caller's query met, as hashes of key and version."""
        now_s = self._time_s()
        met = self._met.get(product)
        if met is None or now_s - met.began_s >= _PERIOD_S:
            met = self._met[product] = _Met(now_s)
        before = met.count
        for row in rows:
            if row in met.rows or len(met.rows) >= _ROWS_MAX:
                continue
            if caller not in met.by_caller and len(met.by_caller) >= _CALLERS_MAX:
                break
            met.rows.add(row)
            met.by_caller[caller] = met.by_caller.get(caller, 0) + 1
        if met.count > before:
            self._found(product, f"callers' queries met rows that do not keep the contract ({met.count} counted)")
