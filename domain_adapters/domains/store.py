"""Opens the generated files as tables of one in-memory database, every instant shifted so that the data ends now.

Touches the folder it is given, for reading.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb

from domain_adapters.columns import quoted
from domain_adapters.domains.generate import ANCHOR
from domain_adapters.duck import hardened

__all__ = ["micros_of", "open_store"]

_SHIFTED = {
    "customers": "* REPLACE (signup_at + shift AS signup_at, updated_at + shift AS updated_at)",
    "orders": (
        "* EXCLUDE (ordered_at) REPLACE (updated_at + shift AS updated_at), "
        "CAST(ordered_at + shift AS DATE) AS order_date, ordered_at + shift AS ordered_at"
    ),
    "payments": "* REPLACE (paid_at + shift AS paid_at, updated_at + shift AS updated_at)",
}


def micros_of(moment: dt.datetime) -> int:
    """Give an aware instant as microseconds since 1970."""
    return int((moment - dt.datetime.fromtimestamp(0, dt.UTC)) / dt.timedelta(microseconds=1))


def open_store(folder: Path, *tables: str, now: dt.datetime) -> duckdb.DuckDBPyConnection:
    """Load tables (``customers``, ``orders``, ``payments``); instants are UTC without a zone, as DuckDB keeps them."""
    db = hardened("2GB")
    # Whole milliseconds, or signup_at and paid_at would say more than their type holds.
    shift_ms = (micros_of(now) - micros_of(ANCHOR)) // 1000
    for table in tables:
        file = quoted(str(folder / f"{table}.parquet"))
        columns = _SHIFTED[table]
        db.execute(f"CREATE TABLE {table} AS SELECT {columns} FROM (SELECT *, to_milliseconds({shift_ms}) AS shift FROM {file}) AS t")
        db.execute(f"ALTER TABLE {table} DROP COLUMN shift")
    return db
