"""The payment domain, written as a team without our SDK would: level 0 only, its own names, its own batch look-up.

``GET /data-products/payments?since=...&limit=...&cursor=...``, or with ``orderId=in:(a,b,c)`` / ``paymentId=...``; rows in
camelCase, errors as plain text. ``/schema`` is a bare JSON Schema, ``/slo`` the team's current figures. Knows nothing of the
rest of this package but where the demo's data lies.
"""

from __future__ import annotations

import base64
import bisect
import contextlib
import datetime as dt
import json
from array import array
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from random import Random
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from domain_adapters.domains.generate import card_number, ensure
from domain_adapters.domains.service import arguments, main, serve
from domain_adapters.domains.store import micros_of, open_store

__all__ = ["Ledger", "make_app"]

VERSION = "1.2.0"
LIMIT_DEFAULT, LIMIT_MAX = 100, 1000
EVENTS_MAX_BYTES = 64 * 1024
TEXT, TEXT_OR_NULL = {"type": "string"}, {"type": ["string", "null"]}
SCHEMA: dict[str, Any] = {
    "title": "Payment",
    "type": "object",
    "required": ["paymentId", "orderId", "amount", "currency", "method", "status", "paidAt", "updatedAt"],
    "properties": {
        "paymentId": TEXT,
        "orderId": TEXT,
        "amount": {"type": "number"},
        "currency": TEXT,
        "method": {"enum": ["CARD", "BANK_TRANSFER", "WALLET", "INVOICE"]},
        "status": TEXT,
        "cardNumber": TEXT_OR_NULL,
        "paidAt": {"type": "string", "format": "date-time"},
        "updatedAt": {"type": "string", "format": "date-time"},
    },
}


class BadRequestError(Exception):
    """The caller sent something we cannot work with."""


def iso(micros: int, digits: int) -> str:
    """Format an instant the way our JSON library does: always with fraction, always Z."""
    moment = dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=micros)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[: 20 + digits] + "Z"


class Ledger:
    """All payments in memory, oldest change first; each is kept as the JSON we answer, found by order and by payment."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.changed = array("q")
        self.by_order: dict[str, list[int]] = {}
        self.by_payment: dict[str, int] = {}

    def add(self, row: Sequence[Any], paid_at: str, changed_at: str, changed_us: int) -> None:
        """Add a payment that changed last of all; the row is payment, order, amount, currency, method, status and card."""
        payment, order, amount, currency, method, status, card = row
        position = len(self.rows)
        # Amounts as JSON numbers with their two decimals: written by hand, as json.dumps has no decimals.
        self.rows.append(
            (
                f'{{"paymentId":"{payment}","orderId":"{order}","amount":{amount:.2f},"currency":"{currency}","method":"{method}",'
                f'"status":"{status}","cardNumber":{json.dumps(card)},"paidAt":"{paid_at}","updatedAt":"{changed_at}"}}'
            ).encode()
        )
        self.changed.append(changed_us)
        self.by_order.setdefault(order, []).append(position)
        self.by_payment[payment] = position

    @classmethod
    def load(cls, folder: Path, now: dt.datetime) -> Ledger:
        """Read the generated payments."""
        ledger = cls()
        with contextlib.closing(open_store(folder, "payments", now=now)) as db:
            result = db.execute(
                "SELECT payment_id, order_id, amount, currency, method, status, card_number, "
                "strftime(paid_at, '%Y-%m-%dT%H:%M:%S.%gZ'), strftime(updated_at, '%Y-%m-%dT%H:%M:%S.%fZ'), epoch_us(updated_at) "
                "FROM payments ORDER BY updated_at, payment_id"
            )
            while chunk := result.fetchmany(10_000):
                for *row, paid_at, changed_at, changed_us in chunk:
                    ledger.add(row, paid_at, changed_at, changed_us)
        return ledger

    def positions(self, orders: Iterable[str] | None, payments: Iterable[str] | None) -> Sequence[int]:
        """Find payments by order and payment number, all of them if neither is given; in order of change."""
        found: Sequence[int] | None = None
        if orders is not None:
            found = sorted({position for order in orders for position in self.by_order.get(order, ())})
        if payments is not None:
            wanted = {self.by_payment[payment] for payment in payments if payment in self.by_payment}
            found = sorted(wanted if found is None else wanted.intersection(found))
        return range(len(self.rows)) if found is None else found


def in_list(text: str | None) -> list[str] | None:
    """Understand ``in:(a,b,c)`` and a single value."""
    if text is None:
        return None
    return text[4:-1].split(",") if text.startswith("in:(") and text.endswith(")") else [text]


def instant(text: str | None) -> int:
    """Understand the ``since`` parameter, which is required."""
    if text is None:
        raise BadRequestError("Required request parameter 'since' is not present")
    try:
        moment = dt.datetime.fromisoformat(text)
        return micros_of(moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))
    except (ValueError, OverflowError):
        raise BadRequestError("Parameter 'since' must be an ISO-8601 instant") from None


def page_size(text: str | None) -> int:
    """Understand the ``limit`` parameter."""
    if text is None:
        return LIMIT_DEFAULT
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < 1:
        raise BadRequestError("Parameter 'limit' must be a positive number")
    return min(int(text), LIMIT_MAX)


def position_after(cursor: str | None) -> int:
    """Understand our own cursor: the position of the last payment sent."""
    if cursor is None:
        return -1
    try:
        return int(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode().removeprefix("p:"))
    except ValueError:
        raise BadRequestError("Parameter 'cursor' is not one of ours") from None


def make_app(ledger: Ledger, random: Random | None = None) -> Starlette:
    """Build the service around a ledger."""
    luck = random or Random()

    async def payments(request: Request) -> Response:
        asked = request.query_params
        try:
            first = bisect.bisect_left(ledger.changed, instant(asked.get("since")))
            limit = page_size(asked.get("limit"))
            after = max(first, position_after(asked.get("cursor")) + 1)
        except BadRequestError as error:
            return PlainTextResponse(str(error), 400)
        found = ledger.positions(in_list(asked.get("orderId")), in_list(asked.get("paymentId")))
        start = bisect.bisect_left(found, after)
        page = found[start : start + limit]
        more = start + limit < len(found)
        cursor = json.dumps(base64.urlsafe_b64encode(f"p:{page[-1]}".encode()).decode().rstrip("=")) if more else "null"
        body = b'{"data":[%s],"nextCursor":%s,"metadata":{"generatedAt":"%s","version":"%s","totalRecords":%d}}' % (
            b",".join([ledger.rows[position] for position in page]),
            cursor.encode(),
            iso(micros_of(dt.datetime.now(dt.UTC)), 3).encode(),
            VERSION.encode(),
            len(ledger.rows),
        )
        return Response(body, media_type="application/json")

    async def schema(request: Request) -> Response:
        return JSONResponse(SCHEMA)

    async def slo(request: Request) -> Response:
        lag_s = max(0.0, micros_of(dt.datetime.now(dt.UTC)) / 1e6 - (ledger.changed[-1] / 1e6 if ledger.changed else 0.0))
        return JSONResponse({"freshness": f"PT{lag_s:.3f}S", "completeness": 0.9997, "accuracy": 0.9996, "availability": 0.9994})

    async def events(request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > EVENTS_MAX_BYTES:
                return PlainTextResponse("too many events", 413)
        try:
            paid = [(str(event["orderId"]), Decimal(str(event["amount"])), str(event["currency"])) for event in json.loads(body)]
        except (ValueError, TypeError, KeyError, InvalidOperation, RecursionError):
            return PlainTextResponse("not a list of orders to be paid", 400)
        for order, amount, currency in paid:
            if not (order.isalnum() and order.isascii() and currency.isalpha() and currency.isascii() and amount.is_finite()):
                return PlainTextResponse("not an order to be paid", 400)
            method = luck.choice(("CARD", "CARD", "WALLET", "BANK_TRANSFER"))
            now_us = max(micros_of(dt.datetime.now(dt.UTC)), ledger.changed[-1] if ledger.changed else 0)
            card = card_number(luck) if method == "CARD" else None
            row = (f"P{len(ledger.rows) + 1:07}", order, amount, currency, method, "AUTHORISED", card)
            ledger.add(row, iso(now_us, 3), iso(now_us, 6), now_us)
        return Response(status_code=204)

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "UP"})

    return Starlette(
        routes=[
            Route("/data-products/payments", payments),
            Route("/data-products/payments/schema", schema),
            Route("/data-products/payments/slo", slo),
            Route("/internal/orders-to-be-paid", events, methods=["POST"]),
            Route("/health", health),
        ]
    )


async def run(host: str, port: int, data: Path) -> None:
    """Serve the payments of a data folder."""
    ledger = Ledger.load(ensure(data), dt.datetime.now(dt.UTC))
    await serve(make_app(ledger), host, port)


if __name__ == "__main__":
    given = arguments("payment", 9002).parse_args()
    main(run(given.host, given.port, given.data))
