"""A relation in DuckDB -> what is said of the product as a whole: how many rows, how new, how complete.

Pages say it as it was measured some seconds ago; ``/slo`` measures anew. Runs on the cursor it is given, in that one's transaction.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from contracts.fields import Field, Kind, Scalar
from contracts.model import Contract
from domain_adapters.statements import Relation
from domain_adapters.values import canonical_instant

__all__ = ["Figures", "Vitals", "since_column"]

_SAMPLE_ROWS = 1_000
_SINCE_KINDS = (Kind.INSTANT, Kind.DATE, Kind.LOCAL_DATETIME)


def since_column(contract: Contract) -> Field | None:
    """Give the column that says when a row was updated, if it can be compared with an instant."""
    field = None if contract.times.updated is None else contract.field_by_name.get(contract.times.updated)
    return field if field is not None and isinstance(field.type, Scalar) and field.type.kind in _SINCE_KINDS else None


@dataclass(frozen=True, slots=True)
class Figures:
    """What was found of the whole product. ``last_update``: as DuckDB writes it, in UTC."""

    rows: int
    last_update: str | None
    measured_s: float


class Vitals:
    """Measures one relation. ``every_s``: how long what was found holds."""

    def __init__(self, contract: Contract, relation: Relation, *, every_s: float) -> None:
        self._contract = contract
        self._relation = relation
        self._every_s = every_s
        self._known: Figures | None = None

    def forget(self) -> None:
        """Measure anew when asked next: the rows have changed."""
        self._known = None

    def figures(self, cursor: duckdb.DuckDBPyConnection) -> Figures:
        """Give the figures, measured every few seconds."""
        known = self._known
        if known is not None and time.monotonic() - known.measured_s < self._every_s:
            return known
        row = cursor.execute(f"SELECT count(*), {self._newest_sql()} FROM ({self._relation.sql}) AS t").fetchone()
        rows, newest = row or (0, None)
        self._known = Figures(rows, newest, time.monotonic())
        return self._known

    def status(self, figures: Figures, now: dt.datetime) -> str:
        """Say whether the data is as fresh as promised."""
        objective = self._contract.objectives.freshness
        updated = _instant(figures.last_update)
        if objective is None or updated is None:
            return "UNKNOWN"
        return "MET" if (now - updated).total_seconds() <= objective.limit_s else "BREACHED"

    def document(self, cursor: duckdb.DuckDBPyConnection, now: dt.datetime) -> dict[str, Any]:
        """Measure freshness and completeness for ``/slo``."""
        self._known = None
        figures = self.figures(cursor)
        updated = _instant(figures.last_update)
        document: dict[str, Any] = {"measuredAt": canonical_instant(now)}
        if updated is not None:
            document["freshness"] = {"lastUpdateAt": canonical_instant(updated)}
        required = [self._relation.columns[field.name].sql for field in self._contract.fields if field.required]
        if required and figures.rows:
            document["completeness"] = self._completeness(cursor, required)
        return document

    def _newest_sql(self) -> str:
        """Write the newest update as text of an instant; dates count from their midnight in UTC."""
        field = since_column(self._contract)
        if field is None:
            return "NULL"
        column = self._relation.columns[field.name]
        newest = f"max({column.sql})"
        if column.storage == "TIMESTAMPTZ":
            newest = f"({newest} AT TIME ZONE 'UTC')"
        return f"CAST({newest} AS VARCHAR)"

    def _completeness(self, cursor: duckdb.DuckDBPyConnection, required: Sequence[str]) -> dict[str, Any]:
        rows_max = self._contract.objectives.sample_rows or _SAMPLE_ROWS
        field = since_column(self._contract)
        newest = "" if field is None else f" ORDER BY {self._relation.columns[field.name].sql} DESC NULLS LAST"
        sample = f"SELECT {', '.join(required)} FROM ({self._relation.sql}) AS t{newest} LIMIT {int(rows_max)}"
        held = " + ".join(f"count({sql})" for sql in required)
        row = cursor.execute(f"SELECT {held}, count(*) FROM ({sample}) AS s").fetchone()
        cells, rows = row or (0, 0)
        return {"ratio": cells / (rows * len(required)), "sampleRows": rows}


def _instant(text: str | None) -> dt.datetime | None:
    try:
        return None if text is None else dt.datetime.fromisoformat(text[:26]).replace(tzinfo=dt.UTC)
    except ValueError:
        return None
