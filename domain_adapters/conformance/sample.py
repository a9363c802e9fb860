"""A product made to be hard to serve: composite key, ties, nulls, unicode, exact decimals, instants to the nanosecond, nested values.

The suite runs over any product; over this one it reaches every corner. Nothing here is random: the rows are the same everywhere.
"""

from __future__ import annotations

import base64
import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

from contracts.fields import Enumeration, Field, Kind, List, Map, Record, Scalar, Unit
from contracts.model import Contract, Metadata, OutputPort, Times
from contracts.objectives import Objectives, TimeObjective

__all__ = ["SAMPLE_ROWS", "sample_contract", "sample_rows"]

SAMPLE_ROWS = 120
_LABELS = (
    *("", "a", "A", "B", "aa", "z", "\u00e9", "e\u0301", "ß", "Ω", "\U0001f600", "\uff5e", "中文"),
    *("\t", "a\0b", "100%", "_", '"q"\\', "\u00e9\U0001f600x"),
)
_FIRST = dt.datetime(2024, 10, 26, 21, 17, 3, tzinfo=dt.UTC)
_ADDRESS = Record(
    "Address",
    (
        Field("city", Scalar(Kind.STRING)),
        Field("point", Record("Point", (Field("lat", Scalar(Kind.DECIMAL, 9, 6)), Field("at", Scalar(Kind.DATE))))),
    ),
)


def sample_contract(*, keyed: bool = True) -> Contract:
    """Give the sample's contract; without a key, it pages in the port's own order."""
    return Contract(
        metadata=Metadata(name="sample", domain="conformance", owner="suite@example.com", version="1.2.3"),
        fields=(
            Field("region", Scalar(Kind.STRING), required=True),
            Field("number", Scalar(Kind.LONG), required=True),
            Field("customer", Scalar(Kind.INT)),
            Field("label", Scalar(Kind.STRING)),
            Field("status", Enumeration("Status", ("OPEN", "PAID", "ÜBERFÄLLIG"))),
            Field("price", Scalar(Kind.DECIMAL, 12, 2)),
            Field("exact", Scalar(Kind.DECIMAL, 38, 10)),
            Field("ratio", Scalar(Kind.FLOAT)),
            Field("counter", Scalar(Kind.LONG)),
            Field("active", Scalar(Kind.BOOLEAN)),
            Field("day", Scalar(Kind.DATE)),
            Field("at", Scalar(Kind.TIME, unit=Unit.MICROS)),
            Field("seen", Scalar(Kind.INSTANT, unit=Unit.MICROS)),
            Field("local", Scalar(Kind.LOCAL_DATETIME, unit=Unit.MICROS)),
            Field("precise", Scalar(Kind.INSTANT, unit=Unit.NANOS)),
            Field("ident", Scalar(Kind.UUID)),
            Field("blob", Scalar(Kind.BYTES)),
            Field("address", _ADDRESS),
            Field("tags", List(Scalar(Kind.STRING))),
            Field("scores", List(Scalar(Kind.INT), item_required=False)),
            Field("rates", Map(Scalar(Kind.DECIMAL, 8, 3))),
            Field("updated", Scalar(Kind.INSTANT, unit=Unit.MILLIS), required=True),
        ),
        objectives=Objectives(freshness=TimeObjective("< 1 hour", 3600.0)),
        primary_key=("region", "number") if keyed else (),
        times=Times(updated="updated"),
        output_ports=(OutputPort(type="rest-api", path="/data-products/sample"),),
    )


def sample_rows() -> list[dict[str, Any]]:
    """Give the sample's rows as Python values."""
    return [_row(at) for at in range(SAMPLE_ROWS)]


def _row(at: int) -> dict[str, Any]:
    # Steps over a night when clocks go back in Europe, so that hours and days are cut where it hurts.
    seen = _FIRST + dt.timedelta(minutes=107 * at, microseconds=0 if at % 3 else 120_000 + at)
    address = {"city": _LABELS[at % len(_LABELS)], "point": {"lat": Decimal(at * 7919).scaleb(-6), "at": dt.date(2024, 2, 29)}}
    return {
        "region": ("east", "West", "süd")[at % 3],
        "number": 9_007_199_254_740_993 - at // 3,
        "customer": None if at % 11 == 0 else at % 17,
        "label": None if at % 13 == 0 else _LABELS[at % len(_LABELS)],
        "status": None if at % 7 == 0 else ("PAID", "OPEN", "ÜBERFÄLLIG", "PAID")[at % 4],
        "price": None if at % 19 == 0 else Decimal(at * at * 31 - 5_000).scaleb(-2),
        "exact": None if at % 5 == 0 else Decimal(12345678901234567890123456 + at).scaleb(-10) * (-1 if at % 2 else 1),
        "ratio": None if at % 9 == 0 else (at - 100) / 7,
        "counter": None if at % 23 == 0 else (1 << 62) + at if at % 2 else -at,
        "active": None if at % 6 == 0 else at % 4 == 1,
        "day": None if at % 10 == 0 else dt.date(2023, 12, 25) + dt.timedelta(days=at * 3),
        "at": None if at % 8 == 0 else dt.time(at % 24, at % 60, at % 59, 0 if at % 2 else at * 100),
        "seen": None if at % 12 == 0 else seen,
        "local": None if at % 15 == 0 else (seen + dt.timedelta(hours=2)).replace(tzinfo=None),
        "precise": None
        if at % 14 == 0
        else f"{seen.replace(tzinfo=None, microsecond=0).isoformat()}.{999_999_999 - at if at % 2 else at:09d}Z",
        "ident": None if at % 16 == 0 else str(UUID(int=(at * 0x9E3779B97F4A7C15F39CC0605CEDC835) % (1 << 128))),
        "blob": None if at % 21 == 0 else base64.b64encode(bytes((at % 256, 255 - at % 256))).decode(),
        "address": None if at % 25 == 0 else {**address, "point": None} if at % 4 == 0 else address,
        "tags": None if at % 18 == 0 else [_LABELS[(at + step) % len(_LABELS)] for step in range(at % 4)],
        "scores": None if at % 22 == 0 else [None if (at + step) % 3 == 0 else at + step for step in range(at % 3)],
        "rates": None if at % 24 == 0 else {"näh": Decimal(at).scaleb(-3)} if at % 2 else {},
        "updated": _FIRST + dt.timedelta(hours=at // 4),
    }
