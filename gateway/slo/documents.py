"""A port's ``/slo`` document, as teams really write it, becomes `Figures` (SPEC B2, B3).

Member names in any case and style; instants with a zone or as epoch numbers; durations as numbers of a named unit, ISO 8601 or words;
shares as ratios or percentages. Never raises: what is not credible is dropped and becomes a finding, which quotes no value.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from contracts.durations import parse_duration
from gateway.slo.figures import Figures

__all__ = ["DOCUMENT_BYTES_MAX", "SKEW_MAX_S", "read_figures"]

DOCUMENT_BYTES_MAX = 64 * 1024
SKEW_MAX_S = 60.0
"""How far a domain's clock may run ahead of ours."""

_AGE_MAX_S = 100 * 365 * 86_400.0
_EARLIEST = dt.datetime(1971, 1, 1, tzinfo=dt.UTC)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:[Zz]|[+-]\d\d:?\d\d)", re.ASCII).fullmatch
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?", re.ASCII).fullmatch
_WRAPPERS = ("slo", "data", "status", "figures", "current", "metrics")
_MEASURED = ("measuredat", "generatedat", "checkedat", "timestamp", "asof")
_UPDATED = ("lastupdateat", "lastupdatedat", "lastupdate", "lastupdated", "lastupdatetime", "updatedat", "newest")
# Epoch numbers by size: each unit's range from 1973 on does not touch the next one's.
_EPOCH_UNITS = ((1e8, 1e11, 1.0), (1e11, 1e14, 1e-3), (1e14, 1e17, 1e-6), (1e17, 1e20, 1e-9))
# Of names that say no unit, the contract's port says it.
_LAG_UNITS: dict[str, float | None] = {
    "lagseconds": 1.0,
    "lags": 1.0,
    "lag": None,
    "ageseconds": 1.0,
    "age": None,
    "seconds": 1.0,
    "value": None,
    "actual": None,
    "current": None,
    "lagms": 1e-3,
    "lagmillis": 1e-3,
    "lagmilliseconds": 1e-3,
    "lagnanos": 1e-9,
    "lagns": 1e-9,
    "lagnanoseconds": 1e-9,
}
_RATIO_NAMES = ("ratio", "value", "actual", "current", "measured")
_PERCENT_NAMES = ("percent", "percentage", "pct")


class _Reader:
    """One document being read; ``findings`` grows on the way."""

    def __init__(self, document: Mapping[str, Any], received_at: dt.datetime, unit_s: float) -> None:
        self.findings: list[str] = []
        self._unit_s = unit_s
        self._document = document
        self._received_at = received_at

    def figures(self) -> Figures:
        measured_at = self._instant("measuredAt", self._first(self._document, _MEASURED)) or self._received_at
        return Figures(
            measured_at=min(measured_at, self._received_at),
            last_update_at=self._last_update(measured_at),
            completeness_ratio=self._ratio("completeness"),
            accuracy_ratio=self._ratio("accuracy"),
            availability_ratio=self._ratio("availability"),
            findings=tuple(self.findings),
        )

    def _last_update(self, measured_at: dt.datetime) -> dt.datetime | None:
        stated = self._document.get("freshness")
        members = _folded(stated) if isinstance(stated, Mapping) else {}
        for place in (members, self._document):
            found = self._instant("lastUpdateAt", self._first(place, _UPDATED))
            if found is not None:
                return found
        lag_s = self._lag(stated, members)
        return None if lag_s is None else measured_at - dt.timedelta(seconds=lag_s)

    def _lag(self, stated: Any, members: Mapping[str, Any]) -> float | None:
        candidates: Iterator[tuple[Any, float | None]] = (
            pair
            for pair in (
                *((members[name], scale) for name, scale in _LAG_UNITS.items() if name in members),
                *(
                    (self._document[f"freshness{name}"], scale)
                    for name, scale in _LAG_UNITS.items()
                    if f"freshness{name}" in self._document
                ),
                (None if isinstance(stated, Mapping) else stated, None),
            )
            if pair[0] is not None
        )
        raw, scale = next(candidates, (None, None))
        if raw is None:
            return None
        lag_s = _seconds(raw, self._unit_s if scale is None else scale)
        if lag_s is None or not 0 <= lag_s <= _AGE_MAX_S:
            self._drop("freshness is no age that data can have")
            return None
        return lag_s

    def _ratio(self, name: str) -> float | None:
        stated = self._document.get(name)
        members = _folded(stated) if isinstance(stated, Mapping) else {}
        if members and members.get("samplerows") == 0:
            self._drop(f"{name} was measured over no rows")
            return None
        candidates = [
            *((members[one], False) for one in _RATIO_NAMES if one in members),
            *((members[one], True) for one in _PERCENT_NAMES if one in members),
            *((self._document[f"{name}{one}"], False) for one in _RATIO_NAMES if f"{name}{one}" in self._document),
            *((self._document[f"{name}{one}"], True) for one in _PERCENT_NAMES if f"{name}{one}" in self._document),
            (None if isinstance(stated, Mapping) else stated, False),
        ]
        raw, percent = next((pair for pair in candidates if pair[0] is not None), (None, False))
        if raw is None:
            return None
        share = _share(raw, percent=percent)
        if share is None:
            self._drop(f"{name} is no share between 0 and 1 or 0 and 100 %")
        return share

    def _instant(self, name: str, raw: Any) -> dt.datetime | None:
        if raw is None:
            return None
        found = _moment(raw)
        if found is None or found < _EARLIEST:
            self._drop(f"{name} is no instant with a zone")
            return None
        if found > self._received_at + dt.timedelta(seconds=SKEW_MAX_S):
            self._drop(f"{name} lies in the future")
            return None
        return min(found, self._received_at)

    def _drop(self, finding: str) -> None:
        if finding not in self.findings:
            self.findings.append(finding)

    @staticmethod
    def _first(members: Mapping[str, Any], names: tuple[str, ...]) -> Any:
        return next((members[name] for name in names if members.get(name) is not None), None)


def read_figures(body: bytes, received_at: dt.datetime, *, unit_s: float = 1.0) -> Figures:
    """Read a ``/slo`` answer that came in at ``received_at``; ``unit_s``: of durations written as bare numbers."""
    if len(body) > DOCUMENT_BYTES_MAX:
        return Figures(received_at, findings=("the /slo document is too large",))
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return Figures(received_at, findings=("the /slo document is not JSON",))
    if not isinstance(document, dict):
        return Figures(received_at, findings=("the /slo document is no object",))
    return _Reader(_unwrapped(_folded(document)), received_at, unit_s).figures()


def _folded(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "").replace("-", "").casefold(): value for name, value in members.items()}


def _unwrapped(document: dict[str, Any]) -> dict[str, Any]:
    for wrapper in _WRAPPERS:
        inner = document.get(wrapper)
        if isinstance(inner, dict):
            return {**document, **_folded(inner)}
    return document


def _finite(raw: Any) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        return None
    try:
        found = float(raw)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _seconds(raw: Any, scale: float) -> float | None:
    if isinstance(raw, str):
        if _NUMBER(raw):
            return float(raw) * scale
        try:
            return parse_duration(raw)
        except ValueError:
            return 0.0 if raw in ("PT0S", "P0D", "0s") else None
    number = _finite(raw)
    return None if number is None else number * scale


def _share(raw: Any, *, percent: bool) -> float | None:
    if isinstance(raw, str):
        text = raw.strip()
        percent = percent or text.endswith("%")
        text = text.removesuffix("%").strip()
        if not _NUMBER(text):
            return None
        raw = float(text)
    number = _finite(raw)
    if number is None or not 0 <= number <= 100:
        return None
    # 1 is all of it: a product of which one row in a hundred is there would say 0.01 or 1 %.
    return round(number / 100, 12) if percent or number > 1 else number


def _moment(raw: Any) -> dt.datetime | None:
    try:
        if isinstance(raw, str):
            return dt.datetime.fromisoformat(raw).astimezone(dt.UTC) if _INSTANT(raw) else None
        number = _finite(raw)
        if number is None:
            return None
        for least, most, scale in _EPOCH_UNITS:
            if least <= number < most:
                return _EPOCH + dt.timedelta(seconds=number * scale)
    except (ValueError, OverflowError):
        return None
    return None
