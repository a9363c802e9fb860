"""What a caller demands of data, held against how a product stands.

Pure. What is unknown meets no demand. Rejects demands that cannot be meant (ValueError, fit to be shown).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from contracts.durations import duration_text, parse_duration
from gateway.slo.measured import Measured, ProductSlo
from gateway.slo.status import SloStatus

__all__ = ["OnBreach", "Unmet", "Wanted", "strictest", "unmet", "wanted"]


class OnBreach(StrEnum):
    """What happens when a demand is not met; the strictest first."""

    ERROR = "ERROR"
    NULL = "NULL"
    WARN = "WARN"


_STRICTEST_FIRST = tuple(OnBreach)
_ENOUGH = {SloStatus.MET: (SloStatus.MET,), SloStatus.AT_RISK: (SloStatus.MET, SloStatus.AT_RISK)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One demand; None where nothing is demanded. ``status``: the worst that is good enough."""

    freshness_s: float | None = None
    completeness_ratio: float | None = None
    accuracy_ratio: float | None = None
    status: SloStatus | None = None
    on_breach: OnBreach = OnBreach.ERROR

    @property
    def is_empty(self) -> bool:
        """Whether it demands nothing."""
        return self.freshness_s is None and self.completeness_ratio is None and self.accuracy_ratio is None and self.status is None


@dataclass(frozen=True, slots=True)
class Unmet:
    """One thing demanded of one product that is not so. ``figure``: seconds or a ratio, None if unknown or a status is demanded."""

    product: str
    owner: str
    objective: str
    demanded: str | float
    figure: float | None
    status: SloStatus

    def message(self) -> str:
        """Say it in a sentence."""
        what = f"{self.objective} of {self.product}"
        if self.objective == "status":
            return f"{what} is {self.status.value}, and {self.demanded} is demanded."
        if self.figure is None:
            return f"{what} is unknown, and {self.demanded} is demanded."
        shown = duration_text(self.figure) if self.objective == "freshness" else f"{self.figure:.6g}"
        standing = " and not known to be kept" if self.status is SloStatus.UNKNOWN else ""
        return f"{what} is {shown}{standing}, and {self.demanded} is demanded."

    def members(self) -> dict[str, Any]:
        """Spell it as errors and ``extensions.mesh.unmet`` print it."""
        return {
            "product": self.product,
            "owner": self.owner,
            "objective": self.objective,
            "demanded": self.demanded,
            "figure": self.figure,
            "status": self.status.value,
        }


def wanted(
    freshness: str | None, completeness: float | None, accuracy: float | None, status: SloStatus | None, on_breach: OnBreach
) -> Wanted:
    """Read a demand as callers write it. **Raises** ValueError: unparsable, negative, more than everything, or worth nothing."""
    freshness_s = None
    if freshness is not None:
        try:
            freshness_s = parse_duration(freshness)
        except ValueError as error:
            raise ValueError(f"freshness: {error}") from None
    for name, ratio in (("completeness", completeness), ("accuracy", accuracy)):
        if ratio is not None and not (math.isfinite(ratio) and 0.0 < ratio <= 1.0):
            raise ValueError(f"{name}: expected a share above 0 and at most 1, such as 0.995")
    if status is not None and status not in _ENOUGH:
        raise ValueError(f"status: {status.value} demands nothing; expected MET or AT_RISK")
    return Wanted(freshness_s, completeness, accuracy, status, on_breach)


def strictest(demands: Iterable[Wanted]) -> Wanted:
    """Put demands that hold together into one that is met only if each of them is: those of an operation, its registration, its client."""
    found = list(demands)
    ages = [it.freshness_s for it in found if it.freshness_s is not None]
    complete = [it.completeness_ratio for it in found if it.completeness_ratio is not None]
    accurate = [it.accuracy_ratio for it in found if it.accuracy_ratio is not None]
    statuses = [it.status for it in found if it.status is not None]
    return Wanted(
        min(ages, default=None),
        max(complete, default=None),
        max(accurate, default=None),
        SloStatus.MET if SloStatus.MET in statuses else max(statuses, default=None),
        min((it.on_breach for it in found if not it.is_empty), key=_STRICTEST_FIRST.index, default=OnBreach.ERROR),
    )


def unmet(demand: Wanted, slo: ProductSlo, now: dt.datetime, *, product: str, owner: str) -> Iterator[Unmet]:
    """Tell what of a demand a product, by this name and of this owner, does not meet at ``now``."""
    if demand.freshness_s is not None:
        # An age grows while nothing newer is known of, so that it is never taken for less than it is.
        age_s = None if slo.as_of is None else max(0.0, (now - slo.as_of).total_seconds())
        status = SloStatus.UNKNOWN if age_s is None else _status(slo.freshness)
        if age_s is None or age_s > demand.freshness_s or status is SloStatus.UNKNOWN:
            yield Unmet(product, owner, "freshness", f"at most {duration_text(demand.freshness_s)}", age_s, status)
    for name, least, measured in (
        ("completeness", demand.completeness_ratio, slo.completeness),
        ("accuracy", demand.accuracy_ratio, slo.accuracy),
    ):
        if least is None:
            continue
        ratio = None if measured is None else measured.figure
        if ratio is None or ratio < least or measured is None or measured.status is SloStatus.UNKNOWN:
            yield Unmet(product, owner, name, least, ratio, SloStatus.UNKNOWN if measured is None else measured.status)
    if demand.status is not None and slo.status not in _ENOUGH[demand.status]:
        yield Unmet(product, owner, "status", _words(demand.status), None, slo.status)


def _status(measured: Measured | None) -> SloStatus:
    # What a contract does not promise has no status; its age is known all the same.
    return SloStatus.MET if measured is None else measured.status


def _words(status: SloStatus) -> str:
    return " or ".join(it.value for it in _ENOUGH[status])
