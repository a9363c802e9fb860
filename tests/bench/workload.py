"""What everybody is asked: three tables of made-up rows, five questions over them, and their right answers.

Pure but for `Workload.write`, which lays the tables out as `upstream.c` reads them.
"""

from __future__ import annotations

import array
import itertools
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

__all__ = ["CURSORS", "QUESTIONS", "Row", "Workload", "lay_out"]

Row = dict[str, Any]

CURSORS = 64
STEP = 60
"""Rows between two cursors."""
ORDERS = (CURSORS + 1) * STEP + 1_000
CUSTOMERS = 1_500
QUESTIONS = ("Q1", "Q2", "Q3", "Q4", "Q5")
FIRST = {"Q1": 1, "Q2": 100, "Q3": 1_000, "Q4": 100, "Q5": 100}
ORDER = ("order_id", "customer_id", "contact_email", "status", "currency", "total_amount", "item_count", "created_at")
JOINED = ("order_id", "status", "total_amount")
CUSTOMER = ("customer_id", "name", "country", "segment", "loyalty_tier")
PAYMENT = ("payment_id", "method", "amount")
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Workload:
    """Rows, questions and answers. ``pseudonym_key``: of the keyed hash in Q5."""

    pseudonym_key: bytes

    @cached_property
    def tables(self) -> Mapping[str, list[Row]]:
        """Rows of a fixed seed. Keys are numbered from 0 in order; payments lie in the order of their orders."""
        chance = random.Random(4711)
        customers = [_customer(number, chance) for number in range(CUSTOMERS)]
        orders = [_order(number, chance.choice(customers), chance) for number in range(ORDERS)]
        numbers = itertools.count()
        payments = [_payment(next(numbers), order, chance) for order in orders for _ in range(chance.choice((1, 1, 1, 2, 3)))]
        return {"orders": orders, "payments": payments, "customers": customers}

    def write(self, folder: Path) -> None:
        """Lay out the tables for the upstream: texts, where each row begins, which rows a key has, figures of quality."""
        key_of = {"orders": "order_id", "payments": "order_id", "customers": "customer_id"}
        for name, rows in self.tables.items():
            lay_out(folder, name, rows, key_of[name], json.dumps(_quality()).encode())

    def cursor(self, variant: int) -> str:
        """Give the upstream's cursor of a variant."""
        return str(_place(variant))

    def answer(self, question: str, variant: int) -> list[Row]:
        """Give the rows that answer a question, spelled as in the contract."""
        page = self.tables["orders"][_place(variant) :][: FIRST[question]]
        if question == "Q4":
            return [
                _picked(row, JOINED)
                | {"customer": _picked(self._customers[row["customer_id"]], CUSTOMER)}
                | {"payments": [_picked(it, PAYMENT) for it in self._payments[row["order_id"]]]}
                for row in page
            ]
        rows = [_picked(row, ORDER) for row in page]
        if question == "Q5":
            for row in rows:
                row["contact_email"] = self.pseudonym(row["contact_email"])
        return rows

    @property
    def pseudonym(self) -> Callable[[str], str]:
        """The keyed hash of a text, 128 bit, behind its key's version: written out apart from the gateway's own."""
        return lambda text: "v1:" + blake2b(text.encode(), key=self.pseudonym_key, digest_size=16).hexdigest()

    @cached_property
    def _customers(self) -> Mapping[str, Row]:
        return {row["customer_id"]: row for row in self.tables["customers"]}

    @cached_property
    def _payments(self) -> Mapping[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for row in self.tables["payments"]:
            found.setdefault(row["order_id"], []).append(row)
        return found


def lay_out(folder: Path, name: str, rows: list[Row], key: str, slo: bytes) -> None:
    """Lay out one table for the upstream. ``key``: column that rows are looked up by, whose values end in numbers."""
    texts = [json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode() for row in rows]
    (folder / f"{name}.rows").write_bytes(b",".join(texts))
    marks = array.array("Q", [0, *itertools.accumulate(len(text) + 1 for text in texts)])
    (folder / f"{name}.marks").write_bytes(marks.tobytes())
    (folder / f"{name}.keys").write_bytes(_ranges([_number(row[key]) for row in rows]).tobytes())
    (folder / f"{name}.slo").write_bytes(slo)


def _place(variant: int) -> int:
    # No variant is the first page: a gateway answers that one without opening a cursor.
    return (variant + 1) * STEP


def _picked(row: Row, names: tuple[str, ...]) -> Row:
    return {name: row[name] for name in names}


def _number(key: str) -> int:
    return int("".join(filter(str.isdigit, key)))


def _ranges(numbers: list[int]) -> array.array[int]:
    """First row and one past the last row of every key number; rows of one key must lie together."""
    found = array.array("I", [0, 0] * (max(numbers) + 1))
    for row, number in enumerate(numbers):
        if found[2 * number + 1] == 0:
            found[2 * number] = row
        found[2 * number + 1] = row + 1
    return found


def _quality() -> Row:
    now = datetime.now(UTC)
    said = {"measuredAt": _instant(now), "freshness": {"lastUpdateAt": _instant(now - timedelta(minutes=2))}}
    return said | {"completeness": {"ratio": 0.9991}, "accuracy": {"ratio": 0.9995}, "availability": {"ratio": 0.9999}}


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _some_instant(chance: random.Random) -> str:
    return _instant(_BEGIN + timedelta(seconds=chance.randrange(300 * 86_400)))


def _customer(number: int, chance: random.Random) -> Row:
    given = chance.choice(("Amira", "Björn", "Chloé", "Dmitri", "Elif", "Farid", "Greta", "Hiro"))
    family = chance.choice(("Okafor", "Lindqvist", "Moreau", "Tanaka", "Weiss", "Yılmaz"))
    return {
        "customer_id": f"C{number:06d}",
        "name": f"{given} {family}",
        "email": f"customer.{number}@mail.example",
        "country": chance.choice(("DE", "FR", "NL", "PL", "ES")),
        "segment": chance.choice(("consumer", "business")),
        "loyalty_tier": chance.choice(("none", "silver", "gold")),
        "signup_date": _some_instant(chance)[:10],
        "is_active": chance.random() < 0.8,
    }


def _order(number: int, customer: Row, chance: random.Random) -> Row:
    created_at = _some_instant(chance)
    return {
        "order_id": f"O{number:07d}",
        "customer_id": customer["customer_id"],
        "contact_email": customer["email"],
        "status": chance.choice(("PLACED", "PAID", "SHIPPED", "RETURNED")),
        "currency": chance.choice(("EUR", "PLN")),
        "total_amount": chance.randrange(100, 99_999) / 100,
        "item_count": chance.randint(1, 20),
        "channel": chance.choice(("web", "app", "store")),
        "created_at": created_at,
        "updated_at": created_at,
    }


def _payment(number: int, order: Row, chance: random.Random) -> Row:
    return {
        "payment_id": f"P{number:07d}",
        "order_id": order["order_id"],
        "method": chance.choice(("CARD", "TRANSFER", "WALLET")),
        "provider": chance.choice(("north", "south")),
        "status": "CAPTURED",
        "amount": chance.randrange(100, 50_000) / 100,
        "currency": order["currency"],
        "paid_at": order["created_at"],
    }
