"""Invents the demo's data from a fixed seed: customers, their orders, the payments of those, as three Parquet files.

Same seed and sizes, same rows on every machine. All instants end at `ANCHOR`; `store` shifts them to the present when a domain
starts. Touches one folder; writes beside it and renames, so that a half-written data set is never taken for a whole one.
"""

from __future__ import annotations

import bisect
import contextlib
import datetime as dt
import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import msgspec

from domain_adapters.domains.people import COUNTRIES, Country, person

__all__ = ["ANCHOR", "Sizes", "card_number", "ensure", "order_lines"]

ANCHOR = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_ANCHOR_US = int(ANCHOR.timestamp()) * 1_000_000
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_SPAN = 730 * _DAY
_FORMAT = 1
_CHANNELS = ("WEB", "APP", "STORE", "PARTNER")
_TAGS = ("gift", "express", "promo", "b2b", "fragile", "näher-dran", "新規")

_COLUMNS = {
    "customers": {
        "customer_id": "VARCHAR", "name": "VARCHAR", "customer_email": "VARCHAR", "phone": "VARCHAR", "country": "VARCHAR",
        "birth_date": "DATE", "segment": "VARCHAR", "signup_at": "BIGINT", "updated_at": "BIGINT", "marketing_consent": "BOOLEAN",
    },
    "orders": {
        "order_id": "VARCHAR", "customer_id": "VARCHAR", "customer_email": "VARCHAR", "phone": "VARCHAR", "country": "VARCHAR",
        "status": "VARCHAR", "total_amount": "DECIMAL(12,2)", "currency": "VARCHAR", "ordered_at": "BIGINT", "updated_at": "BIGINT",
        "item_count": "INTEGER", "channel": "VARCHAR", "tags": "VARCHAR[]",
        "shipping_address": "STRUCT(city VARCHAR, postal_code VARCHAR)",
    },
    "payments": {
        "payment_id": "VARCHAR", "order_id": "VARCHAR", "amount": "DECIMAL(12,2)", "currency": "VARCHAR", "method": "VARCHAR",
        "status": "VARCHAR", "card_number": "VARCHAR", "paid_at": "BIGINT", "updated_at": "BIGINT",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much to invent. Payments follow from orders, about 1.3 for each."""

    customers: int = 20_000
    orders: int = 100_000
    seed: int = 20_260_101


@dataclass(frozen=True, slots=True)
class _Buyer:
    id: str
    country: Country
    email: str | None
    phone: str | None


def ensure(folder: Path, sizes: Sizes | None = None, say: Callable[[str], None] = lambda line: None) -> Path:
    """Generate the data set unless the folder holds the same one already; ``say`` is told of progress.

    Without ``sizes`` one of any size will do, so that a domain serves what its demo generated. Raises: OSError where the folder
    cannot be written.
    """
    wanted = {"format": _FORMAT, **asdict(sizes or Sizes())}
    with contextlib.suppress(OSError, ValueError, AttributeError):
        held = json.loads((folder / "data.json").read_text())
        if held == wanted or (sizes is None and held.get("format") == _FORMAT):
            return folder
    folder.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix="building-", dir=folder))
    try:
        for name, rows in _tables(sizes or Sizes()):
            say(f"generating {name} ...")
            written = _write(building, name, rows)
            say(f"generated {written:,} {name}")
        for file in building.glob("*.parquet"):
            file.replace(folder / file.name)
        (building / "data.json").write_text(json.dumps(wanted))
        (building / "data.json").replace(folder / "data.json")
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def _tables(sizes: Sizes) -> Iterator[tuple[str, Iterable[dict[str, Any]]]]:
    buyers: list[tuple[int, _Buyer]] = []
    orders: list[dict[str, Any]] = []
    yield "customers", _customers(sizes, buyers)
    yield "orders", _orders(sizes, buyers, orders)
    yield "payments", _payments(sizes, orders)


def _write(folder: Path, name: str, rows: Iterable[dict[str, Any]]) -> int:
    encode = msgspec.json.Encoder().encode
    lines = folder / f"{name}.ndjson"
    count = 0
    with lines.open("wb") as file:
        for row in rows:
            file.write(encode(row) + b"\n")
            count += 1
    columns = _COLUMNS[name]
    instants = ", ".join(f"make_timestamp({column}) AS {column}" for column, kind in columns.items() if column.endswith("_at"))
    typed = "{" + ", ".join(f"'{column}': '{kind}'" for column, kind in columns.items()) + "}"
    with duckdb.connect() as db:
        db.execute(
            f"COPY (SELECT * REPLACE ({instants}) FROM read_json('{_sql(lines)}', format='newline_delimited', columns={typed})) "
            f"TO '{_sql(folder / name)}.parquet' (FORMAT parquet, COMPRESSION zstd)"
        )
    lines.unlink()
    return count


def _sql(path: Path) -> str:
    return str(path).replace("'", "''")


def _customers(sizes: Sizes, buyers: list[tuple[int, _Buyer]]) -> Iterator[dict[str, Any]]:
    random = Random(f"customers {sizes.seed}")
    shares = list(itertools.accumulate(country.share for country in COUNTRIES))
    # Two thirds joined before the first order; so every order can have a customer who had joined by then.
    joined = sorted(
        _ANCHOR_US - int((_SPAN * random.random()) if random.random() < 0.34 else _SPAN * (1 + 2 * random.random()))
        for _ in range(sizes.customers)
    )
    for number, signup_us in enumerate(joined, 1):
        country = random.choices(COUNTRIES, cum_weights=shares)[0]
        found = person(country, number, random)
        buyer = _Buyer(f"C{number:06}", country, found.email, found.phone)
        buyers.append((signup_us, buyer))
        age_days = int(random.triangular(18 * 365, 88 * 365, 36 * 365))
        changed_us = signup_us + int((_ANCHOR_US - signup_us) * random.random() ** 0.5)
        yield {
            "customer_id": buyer.id,
            "name": found.name if random.random() > 0.01 else None,
            "customer_email": found.email,
            "phone": found.phone,
            "country": country.code,
            "birth_date": (ANCHOR.date() - dt.timedelta(days=age_days)).isoformat() if random.random() > 0.12 else None,
            "segment": random.choices(("CONSUMER", "BUSINESS", "VIP"), (82, 14, 4))[0],
            "signup_at": signup_us // 1000 * 1000,
            "updated_at": _ANCHOR_US if number == sizes.customers else changed_us,
            "marketing_consent": random.random() < 0.56,
        }


def _orders(sizes: Sizes, buyers: list[tuple[int, _Buyer]], kept: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    random = Random(f"orders {sizes.seed}")
    signups = [signup_us for signup_us, _ in buyers]
    # Business grows: more orders towards the end than at the beginning.
    placed = sorted(_ANCHOR_US - _SPAN + int(_SPAN * random.random() ** 0.75) for _ in range(sizes.orders))
    placed[0], placed[-1] = _ANCHOR_US - _SPAN, _ANCHOR_US - 30 * _SECOND
    for number, ordered_us in enumerate(placed, 1):
        # Few customers place many of the orders: the share of customer k falls with its rank.
        rank = int(bisect.bisect(signups, ordered_us) * random.random() ** 1.8)
        buyer = buyers[(rank * 7919) % max(1, bisect.bisect(signups, ordered_us))][1] if random.random() > 0.005 else None
        row = order_lines(
            f"O{number:07}", buyer.id if buyer else f"C9{random.randrange(10**5):05}", buyer.country if buyer else None, random
        )
        row |= {"customer_email": buyer.email if buyer else None, "phone": buyer.phone if buyer else None, "ordered_at": ordered_us}
        row["status"], row["updated_at"] = _progress(ordered_us, random)
        if number == sizes.orders:
            row["status"], row["updated_at"] = "PLACED", _ANCHOR_US
        kept.append(row)
        yield row


def order_lines(order_id: str, customer_id: str, country: Country | None, random: Random) -> dict[str, Any]:
    """Invent what is in an order and where it goes; who ordered and when is the caller's to add."""
    home = country or COUNTRIES[0]
    target = home if random.random() < 0.97 else random.choice(COUNTRIES)
    channel = random.choices(_CHANNELS, (52, 33, 9, 6))[0]
    amount = min(
        9_999_999.99, random.lognormvariate(3.9, 0.9) * (160 if target.currency == "JPY" else 1_450 if target.currency == "KRW" else 1)
    )
    address = {"city": random.choice(target.cities), "postal_code": f"{random.randrange(100_000):05}" if random.random() > 0.07 else None}
    return {
        "order_id": order_id,
        "customer_id": customer_id,
        "country": target.code,
        "total_amount": f"{amount:.0f}.00" if target.currency in {"JPY", "KRW"} else f"{amount:.2f}",
        "currency": target.currency,
        "item_count": min(60, 1 + int(random.expovariate(0.55))),
        "channel": channel,
        "tags": random.sample(_TAGS, random.choices((0, 1, 2, 3), (64, 24, 9, 3))[0]),
        "shipping_address": None if channel == "STORE" or random.random() < 0.02 else address,
    }


def _progress(ordered_us: int, random: Random) -> tuple[str, int]:
    age = (_ANCHOR_US - ordered_us) / _DAY
    luck = random.random()
    if luck < 0.05:
        status, after = "CANCELLED", random.uniform(0.01, 2)
    elif luck < 0.09 and age > 20:
        status, after = "RETURNED", random.uniform(12, 20)
    elif luck < 0.12 and age > 90:
        # Rows that arrive late: corrected weeks after the order was placed.
        status, after = "DELIVERED", random.uniform(25, 90)
    elif age > 9:
        status, after = "DELIVERED", random.uniform(1.5, 9)
    elif age > 3:
        status, after = random.choice((("SHIPPED", 1.0), ("DELIVERED", 2.5)))
    elif age > 0.5:
        status, after = random.choice((("PAID", 0.01), ("SHIPPED", 0.4)))
    else:
        status, after = random.choice((("PLACED", 0.0), ("PAID", 0.004)))
    return status, min(_ANCHOR_US - random.randrange(_SECOND), ordered_us + int(after * _DAY * random.uniform(0.8, 1.0)))


def _payments(sizes: Sizes, orders: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    random = Random(f"payments {sizes.seed}")
    number = 0
    for order in orders:
        for row in _payments_of(order, random):
            number += 1
            yield {"payment_id": f"P{number:07}", **row}
        if random.random() < 0.002:
            number += 1
            stray = _payment(f"O9{random.randrange(10**6):06}", order["total_amount"], order, random, status="CAPTURED")
            yield {"payment_id": f"P{number:07}", **stray}


def _payments_of(order: dict[str, Any], random: Random) -> Iterator[dict[str, Any]]:
    status = order["status"]
    if status == "PLACED" or (status == "CANCELLED" and random.random() < 0.5):
        if random.random() < 0.4:
            yield _payment(
                order["order_id"], order["total_amount"], order, random, status="FAILED" if status == "CANCELLED" else "AUTHORISED"
            )
        return
    for _ in range(random.choices((0, 1, 2), (84, 13, 3))[0]):
        yield _payment(order["order_id"], order["total_amount"], order, random, status="FAILED")
    end = "REFUNDED" if status in {"RETURNED", "CANCELLED"} else "CAPTURED"
    cents = int(order["total_amount"].replace(".", ""))
    if random.random() < 0.16 and cents > 100 and order["currency"] not in {"JPY", "KRW"}:
        first = cents * random.randrange(20, 80) // 100
        for part in (first, cents - first):
            yield _payment(order["order_id"], f"{part // 100}.{part % 100:02}", order, random, status=end)
    else:
        yield _payment(order["order_id"], order["total_amount"], order, random, status=end)


def _payment(order_id: str, amount: str, order: dict[str, Any], random: Random, *, status: str) -> dict[str, Any]:
    method = random.choices(("CARD", "WALLET", "BANK_TRANSFER", "INVOICE"), (61, 22, 11, 6))[0]
    paid_us = min(_ANCHOR_US, order["ordered_at"] + random.randrange(5, 3600) * _SECOND // (8 if method == "CARD" else 1))
    return {
        "order_id": order_id,
        "amount": amount,
        "currency": order["currency"],
        "method": method,
        "status": status,
        "card_number": card_number(random) if method == "CARD" else None,
        "paid_at": paid_us // 1000 * 1000,
        "updated_at": max(paid_us, min(_ANCHOR_US, order["updated_at"])),
    }


def card_number(random: Random) -> str:
    """Invent a number of the right form (16 digits, Luhn) in a range that no bank issues."""
    digits = "999999" + f"{random.randrange(10**9):09}"
    total = sum(sum(divmod(int(digit) * (2 if place % 2 == 0 else 1), 10)) for place, digit in enumerate(digits))
    return digits + str(-total % 10)
