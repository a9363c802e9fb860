"""New orders while the demo runs: about one a second is placed now, its payment follows; can be stopped and started.

Touches what it is given: a database, and an address to tell payments to. The random generator and the clock are arguments.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import duckdb

from domain_adapters.domains.generate import order_lines
from domain_adapters.domains.people import COUNTRIES

__all__ = ["OrderFeed"]

Tell = Callable[[list[dict[str, Any]]], Awaitable[None]]
_COUNTRY_BY_CODE = {country.code: country for country in COUNTRIES}
_BUYERS_MAX = 5_000
_log = logging.getLogger(__name__)


class OrderFeed:
    """Places orders in table ``orders``, for customers of table ``customers``, and tells ``tell`` of each to be paid."""

    def __init__(
        self,
        db: duckdb.DuckDBPyConnection,
        tell: Tell,
        *,
        every_s: float = 1.0,
        random: Random | None = None,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._db = db.cursor()
        self._tell = tell
        self._every_s = every_s
        self._random = random or Random()
        self._now = now
        self._buyers = self._db.execute(
            f"SELECT customer_id, customer_email, phone, country FROM customers ORDER BY customer_id LIMIT {_BUYERS_MAX}"
        ).fetchall()
        (placed,) = self._db.execute("SELECT count(*) FROM orders").fetchone() or (0,)
        self._placed = self._numbered = int(placed)
        self._running = asyncio.Event()

    @property
    def running(self) -> bool:
        """Whether orders are being placed."""
        return self._running.is_set()

    @property
    def placed(self) -> int:
        """How many orders there are in all."""
        return self._placed

    def start(self) -> None:
        """Go on placing orders."""
        self._running.set()

    def stop(self) -> None:
        """Place no more orders until started again."""
        self._running.clear()

    async def run(self) -> None:
        """Place orders while running, until cancelled."""
        while True:
            await self._running.wait()
            try:
                await self.place(self._random.choice((1, 1, 1, 2)))
            except (duckdb.Error, OSError) as error:
                _log.warning("the feed could not place an order: %s", type(error).__name__)
            await asyncio.sleep(self._every_s)

    async def place(self, number: int = 1) -> list[dict[str, Any]]:
        """Place orders now and give their rows."""
        rows = [self._order() for _ in range(number)]
        await asyncio.to_thread(self._insert, rows)
        self._placed += number
        with contextlib.suppress(OSError):
            await self._tell([{"orderId": row["order_id"], "amount": row["total_amount"], "currency": row["currency"]} for row in rows])
        return rows

    def close(self) -> None:
        """Release the cursor."""
        self._db.close()

    def _order(self) -> dict[str, Any]:
        buyer, email, phone, country = self._random.choice(self._buyers)
        self._numbered += 1
        row = order_lines(f"O{self._numbered:07}", buyer, _COUNTRY_BY_CODE[country], self._random)
        now = self._now().astimezone(dt.UTC).replace(tzinfo=None)
        return row | {
            "customer_email": email,
            "phone": phone,
            "status": "PLACED",
            "order_date": now.date(),
            "updated_at": now,
            "ordered_at": now,
        }

    def _insert(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            columns = ", ".join(row)
            holes = ", ".join("?" for _ in row)
            self._db.execute(f"INSERT INTO orders ({columns}) VALUES ({holes})", list(row.values()))
