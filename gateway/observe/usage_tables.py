"""Usage in the shared store: counts that replicas add to, and what each shape of an operation names. Names and numbers, never values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from gateway.observe.usage import OTHER, Used
from gateway.store.migrations import Migration
from gateway.store.store import Statement, Store

__all__ = ["PART", "STEPS", "additions", "pruned", "read_usage"]

PART = "usage"
_COUNTS = """
CREATE TABLE usage_counts (
    day TEXT NOT NULL, client TEXT NOT NULL, shape TEXT NOT NULL, requests BIGINT NOT NULL, PRIMARY KEY (day, client, shape)
)"""
STEPS = (
    Migration(
        1,
        "counts, shapes and their fields, what was added last",
        (
            _COUNTS,
            "CREATE TABLE usage_shapes (shape TEXT PRIMARY KEY, operation TEXT NOT NULL)",
            "CREATE TABLE usage_fields (shape TEXT NOT NULL, field TEXT NOT NULL, PRIMARY KEY (shape, field))",
            "CREATE INDEX usage_fields_field ON usage_fields (field)",
            "CREATE TABLE usage_writers (writer TEXT PRIMARY KEY, number BIGINT NOT NULL, at_ms BIGINT NOT NULL)",
        ),
    ),
)
_ADD = (
    "INSERT INTO usage_counts (day, client, shape, requests) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (day, client, shape) DO UPDATE SET requests = usage_counts.requests + excluded.requests"
)
_NAME_MAX = 200


def additions(writer: str, number: int, some: Iterable[Used]) -> list[Statement]:
    """Write the transaction that adds counts, once however often it is run. ``number``: greater for each of a writer's transactions.

    Counts would be added twice where a store's answer was lost; so the first statement returns a row the first time only.
    """
    found = [
        Statement(
            "INSERT INTO usage_writers (writer, number, at_ms) VALUES (?, ?, now_ms()) ON CONFLICT (writer) "
            "DO UPDATE SET number = excluded.number, at_ms = excluded.at_ms WHERE usage_writers.number < excluded.number RETURNING number",
            (writer, number),
            rows_expected=1,
        )
    ]
    for one in some:
        found.append(Statement(_ADD, (one.day.isoformat(), _plain(one.client), one.shape, one.requests)))
        if one.fields:
            found.append(
                Statement(
                    "INSERT INTO usage_shapes (shape, operation) VALUES (?, ?) ON CONFLICT (shape) DO UPDATE SET operation = "
                    "CASE WHEN usage_shapes.operation = '' THEN excluded.operation ELSE usage_shapes.operation END",
                    (one.shape, _plain(one.operation or "")),
                )
            )
            sql = "INSERT INTO usage_fields (shape, field) VALUES (?, ?) ON CONFLICT DO NOTHING"
            found += [Statement(sql, (one.shape, _plain(field))) for field in one.fields]
    return found


def _plain(name: str) -> str:
    """Make text that every store takes of what a token, a contract or an operation calls something."""
    return name[:_NAME_MAX].replace("\0", "").encode(errors="replace").decode()


async def pruned(store: Store, today: dt.date, *, days_max: int, rows_max: int) -> None:
    """Forget days that are too old, and tell the clients and shapes of old days apart no longer while there are too many rows."""
    oldest = (today - dt.timedelta(days=days_max)).isoformat()
    await store.run(
        Statement("DELETE FROM usage_counts WHERE day < ?", (oldest,)),
        Statement("DELETE FROM usage_writers WHERE at_ms < now_ms() - ?", (days_max * 86_400_000,)),
    )
    for day, rows in await store.rows("SELECT day, COUNT(*) FROM usage_counts GROUP BY day ORDER BY day"):
        ((count,),) = await store.rows("SELECT COUNT(*) FROM usage_counts")
        if count <= rows_max or day >= today.isoformat():
            break
        if rows > 1:
            await store.run(*_folded(day))
    await store.run(
        Statement("DELETE FROM usage_fields WHERE shape NOT IN (SELECT shape FROM usage_counts)"),
        Statement("DELETE FROM usage_shapes WHERE shape NOT IN (SELECT shape FROM usage_counts)"),
    )


def _folded(day: str) -> tuple[Statement, Statement]:
    others = "day = ? AND NOT (client = ? AND shape = ?)"
    added = "ON CONFLICT (day, client, shape) DO UPDATE SET requests = usage_counts.requests + excluded.requests"
    return (
        Statement(
            "INSERT INTO usage_counts (day, client, shape, requests) "
            "SELECT day, CAST(? AS TEXT), CAST(? AS TEXT), CAST(SUM(requests) AS BIGINT) FROM usage_counts "
            f"WHERE {others} GROUP BY day {added}",
            (OTHER, OTHER, day, OTHER, OTHER),
        ),
        Statement(f"DELETE FROM usage_counts WHERE {others}", (day, OTHER, OTHER)),
    )


async def read_usage(store: Store, since: dt.date) -> list[Used]:
    """Give what all processes counted since a day, by day, client and shape. **Raises** `StoreError`."""
    fields: dict[str, list[str]] = {}
    for shape, field in await store.rows("SELECT shape, field FROM usage_fields ORDER BY field"):
        fields.setdefault(shape, []).append(field)
    named: dict[str, str] = dict(await store.rows("SELECT shape, operation FROM usage_shapes"))
    sql = "SELECT day, client, shape, requests FROM usage_counts WHERE day >= ? ORDER BY day, client, shape"
    return [
        Used(dt.date.fromisoformat(day), client, shape, requests, tuple(fields.get(shape, ())), named.get(shape) or None)
        for day, client, shape, requests in await store.rows(sql, since.isoformat())
    ]
