"""What was measured and how states changed, kept in the store: budgets and trends outlive the process.

Counts are summed by hour and written once a minute; a process that is killed loses a minute of them. While the store is away they wait in
a bounded outbox, and measuring goes on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from gateway.slo.board import Board
from gateway.slo.changes import Change
from gateway.slo.measured import ObjectiveName
from gateway.slo.product import ProductState
from gateway.slo.promises import WINDOW_MAX_S
from gateway.slo.reading import Reading
from gateway.store.outbox import Outbox
from gateway.store.store import Statement, Store

__all__ = ["History"]

_HOUR_S = 3_600
_WRITE = (
    "INSERT INTO slo_hours (product, objective, hour, writer, bad, total, figure_sum, figures) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (product, objective, hour, writer) DO UPDATE SET bad = excluded.bad, total = excluded.total, "
    "figure_sum = excluded.figure_sum, figures = excluded.figures"
)
_CHANGED = (
    "INSERT INTO slo_changes (change_key, product, objective, before, after, at_ms, figure) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (change_key) DO NOTHING"
)
_READ = (
    "SELECT product, objective, hour, sum(bad), sum(total), sum(figure_sum), CAST(sum(figures) AS BIGINT) FROM slo_hours WHERE hour >= ? "
    "GROUP BY product, objective, hour ORDER BY hour"
)
_Sums = tuple[float, float, float, int]


class History:
    """Sums readings for one ``writer``, a name that no other process has, and writes them through ``outbox``."""

    def __init__(self, outbox: Outbox, writer: str) -> None:
        self._outbox = outbox
        self._writer = writer
        # (product, objective) -> the hour and its sums so far.
        self._hours: dict[tuple[str, ObjectiveName], tuple[int, _Sums]] = {}
        self._changed: set[tuple[str, ObjectiveName]] = set()

    def measured(self, product: str, readings: Sequence[Reading]) -> None:
        """Take measurements in."""
        for reading in readings:
            if not reading.total:
                continue
            key = (product, reading.objective)
            hour = int(reading.measured_at.timestamp() // _HOUR_S)
            known_hour, sums = self._hours.get(key, (hour, (0.0, 0.0, 0.0, 0)))
            if hour != known_hour:
                self._write(key)
                sums = (0.0, 0.0, 0.0, 0)
            bad, total, figure_sum, figures = sums
            has_figure = reading.figure is not None
            added = (bad + reading.bad, total + reading.total, figure_sum + (reading.figure or 0.0), figures + has_figure)
            self._hours[key] = (hour, added)
            self._changed.add(key)

    def changed(self, change: Change) -> None:
        """Keep a change of state; of several replicas that tell the same one, the first."""
        objective = None if change.objective is None else change.objective.value
        at_ms = int(change.at.timestamp() * 1_000)
        row = (change.key, change.product, objective, change.before.value, change.after.value, at_ms, change.figure)
        self._outbox.put(Statement(_CHANGED, row))

    def write(self) -> None:
        """Hand over what changed since the last time."""
        for key in list(self._changed):
            self._write(key)

    async def prune(self, store: Store, now: dt.datetime) -> None:
        """Forget what no window reaches any more."""
        oldest = int(now.timestamp() - WINDOW_MAX_S - 86_400)
        hours = Statement("DELETE FROM slo_hours WHERE hour < ?", (oldest // _HOUR_S,))
        await store.run(hours, Statement("DELETE FROM slo_changes WHERE at_ms < ?", (oldest * 1_000,)))

    async def recall(self, store: Store, board: Board, now: dt.datetime) -> None:
        """Let the board know what was counted before this process began."""
        known: dict[str, list[tuple[ObjectiveName, dt.datetime, _Sums]]] = {}
        for product, objective, hour, *sums in await store.rows(_READ, int(now.timestamp() - WINDOW_MAX_S) // _HOUR_S):
            if objective in ObjectiveName._value2member_map_:
                at = min(now, dt.datetime.fromtimestamp((hour + 0.5) * _HOUR_S, dt.UTC))
                known.setdefault(product, []).append((ObjectiveName(objective), at, (sums[0], sums[1], sums[2], sums[3])))
        for product, rows in known.items():
            board.remember(product, lambda state, rows=rows: _remember(state, rows))  # type: ignore[misc]  # mypy infers no lambda's defaults

    def _write(self, key: tuple[str, ObjectiveName]) -> None:
        self._changed.discard(key)
        hour, sums = self._hours[key]
        self._outbox.put(Statement(_WRITE, (key[0], key[1].value, hour, self._writer, *sums)))


def _remember(state: ProductState, rows: Sequence[tuple[ObjectiveName, dt.datetime, _Sums]]) -> None:
    for name, at, (bad, total, figure_sum, figures) in rows:
        objective = state.objectives.get(name)
        if objective is not None:
            objective.remember(at, bad=bad, total=total, figure=figure_sum / figures if figures else None)
