"""The tables of SLOs in the shared store: sums by hour, changes of state, and the latest readings for replicas that follow."""

from __future__ import annotations

from gateway.store.migrations import Migration

__all__ = ["PART", "STEPS"]

PART = "slo"

# Each process writes rows of its own, so that writing them twice changes nothing.
_HOURS = """
CREATE TABLE slo_hours (
    product TEXT NOT NULL, objective TEXT NOT NULL, hour BIGINT NOT NULL, writer TEXT NOT NULL,
    bad DOUBLE PRECISION NOT NULL, total DOUBLE PRECISION NOT NULL, figure_sum DOUBLE PRECISION NOT NULL, figures BIGINT NOT NULL,
    PRIMARY KEY (product, objective, hour, writer)
)"""
_CHANGES = """
CREATE TABLE slo_changes (
    change_key TEXT PRIMARY KEY, product TEXT NOT NULL, objective TEXT, before TEXT NOT NULL, after TEXT NOT NULL,
    at_ms BIGINT NOT NULL, figure DOUBLE PRECISION
)"""
_LATEST = """
CREATE TABLE slo_latest (
    product TEXT NOT NULL, kind TEXT NOT NULL, writer TEXT NOT NULL, changed_ms BIGINT NOT NULL, readings TEXT NOT NULL,
    PRIMARY KEY (product, kind)
)"""

STEPS = (
    Migration(
        1,
        "sums by hour, changes, latest readings",
        (
            _HOURS,
            "CREATE INDEX slo_hours_hour ON slo_hours (hour)",
            _CHANGES,
            "CREATE INDEX slo_changes_product ON slo_changes (product, at_ms)",
            _LATEST,
            "CREATE INDEX slo_latest_changed ON slo_latest (changed_ms)",
        ),
    ),
)
