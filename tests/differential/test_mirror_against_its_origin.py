"""One question to three meshes: over the demo's hand-written payment endpoint (level 0), over a mirror of it, and over both.

What both can answer they answer alike, masked columns, row rules, joins and totals included; what level 0 cannot within its budget,
the mirror can.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from contracts.load import load_contract
from contracts.policy_document import load_policy
from domain_adapters.addresses import AddressPolicy
from domain_adapters.domains.payment import Ledger, make_app
from domain_adapters.endpoint import Endpoint
from domain_adapters.kinds import Surroundings
from domain_adapters.mirror import open_mirror
from domain_adapters.port import Call
from domain_adapters.remote import RemotePort
from domain_adapters.serve import app
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from tests.conformance.serving import serving
from tests.e2e.mesh_under_test import Mesh, bearer, mesh

from . import figures

CONTRACTS = Path(__file__).parents[2] / "contracts"
PAYMENTS, ORDERS = CONTRACTS / "catalog/payment/payments.yaml", CONTRACTS / "catalog/order/orders-daily.yaml"
POLICY = CONTRACTS / "policies/mesh.yaml"
FILES = {
    str(path.relative_to(CONTRACTS / "catalog")): path.read_text()
    for folder in ("order", "payment")
    for path in (CONTRACTS / "catalog" / folder).rglob("*.*")
}
START = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
PAYMENT_COUNT = 700
CURRENCIES, METHODS, STATES = ("EUR", "PLN", "SEK"), ("CARD", "WALLET", "BANK_TRANSFER"), ("CAPTURED", "AUTHORISED", "FAILED")


def ledger() -> Ledger:
    made, dice = Ledger(), Random(7)
    for number in range(PAYMENT_COUNT):
        at = START + dt.timedelta(minutes=17 * number, microseconds=dice.randrange(2) * number * 1_000)
        method = dice.choice(METHODS)
        card = "".join(dice.choices("0123456789", k=16)) if method == "CARD" else None
        row = (
            f"P{number:05}",
            f"O{dice.randrange(200):05}",
            Decimal(dice.randrange(50_000)) / 100,
            dice.choice(CURRENCIES),
            method,
            dice.choice(STATES),
            card,
        )
        text = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        made.add(row, text, text, int(at.timestamp() * 1_000_000))
    return made


def orders(contract: Any) -> list[dict[str, Any]]:
    dice = Random(8)
    rows = []
    for number in range(200):
        row: dict[str, Any] = {}
        for field in contract.fields:
            row[field.name] = None
        row |= {"order_id": f"O{number:05}", "customer_id": f"C{number % 40:04}", "customer_email": f"c{number}@example.com"}
        row |= {"country": dice.choice(("DE", "FR", "SE")), "status": "PLACED", "total_amount": Decimal(number), "currency": "EUR"}
        row |= {"updated_at": START, "order_date": START.date(), "ordered_at": START, "item_count": 1}
        rows.append({name: value for name, value in row.items() if name in contract.field_by_name})
    return rows


MIRROR_PORT = """\
      - {type: rest-api, name: mirror, path: /data-products/payments, level: 1}
"""


@asynccontextmanager
async def meshes(folder: Path, **settings: str) -> AsyncIterator[tuple[Mesh, Mesh, Mesh]]:
    """Run a gateway over the origin, one over its mirror, and one over both as two ports of the product."""
    payments, orders_daily = load_contract(PAYMENTS), load_contract(ORDERS)
    port = await open_sql(orders_daily, Rows(orders(orders_daily)))
    around = Surroundings(policy=AddressPolicy(loopback=True))
    async with serving(make_app(ledger())) as origin, serving(app(orders_daily, port)) as shop:
        copy = await open_mirror(payments, Endpoint(origin), folder / "copies", policy=load_policy(POLICY), around=around)
        await copy.refresher.refresh()
        async with serving(app(payments, copy, levels=frozenset({1}))) as mirrored:
            known = {"policy": POLICY.read_text()} | settings
            given = {"order/orders-daily": shop}
            level_1 = {"PRODUCTS__payment/payments__LEVEL": "1"}
            beside = {"PRODUCTS__payment/payments__PORTS__mirror__ENDPOINT": mirrored}
            payment = FILES["payment/payments.yaml"] + MIRROR_PORT
            async with (
                mesh(folder / "a", FILES, {**given, "payment/payments": origin}, **known) as plain,
                mesh(folder / "b", FILES, {**given, "payment/payments": mirrored}, **known, **level_1) as copied,
                mesh(
                    folder / "c",
                    {**FILES, "payment/payments.yaml": payment},
                    {**given, "payment/payments": origin},
                    **known,
                    **beside,
                ) as paired,
            ):
                # As the gateway does before it is ready: what a port can do decides which is asked.
                for product in paired.service.snapshot.products.values():
                    for remote in product.ports:
                        assert isinstance(remote, RemotePort)
                        await remote.probe(Call())
                yield plain, copied, paired


LANDS = ('["DE", "FR"]', '["SE"]', '["DE", "NL"]')
GROUP_FAR = "{ key { order { country } } count sum { amount order { totalAmount } } min { paidAt } }"
PER_ORDER = "payments(first: 1) { aggregate { count sum { amount } } groups(by: [{field: METHOD}]) { key { method } count } }"
ORDERS_FAR = f"{{ totalCount nodes {{ orderId {PER_ORDER} }} }}"
GROUP = "{ key { method paidAt } count max { amount } }"


def questions(count: int) -> list[str]:
    """Make up questions that both levels can answer: in a stated order, or about sets."""
    dice = Random(11)
    made = []
    for _ in range(count):
        tests = [
            f'amount: {{{dice.choice(("gt", "lte"))}: "{dice.randrange(500)}.00"}}',
            f"currency: {{in: {str(dice.sample(CURRENCIES, 2)).replace(chr(39), chr(34))}}}",
            f"method: {{{dice.choice(('eq', 'ne'))}: {dice.choice(METHODS)}}}",
            f'status: {{contains: "{dice.choice(("URE", "A", "x"))}"}}',
            f'paidAt: {{gte: "2026-11-0{dice.randrange(1, 8)}T00:00:00Z"}}',
            f'orderId: {{startsWith: "O00{dice.randrange(2)}"}}',
        ]
        where = ", ".join(dice.sample(tests, dice.randrange(3)))
        order = dice.choice(("amount: DESC", "currency: ASC", "paymentId: DESC", "updatedAt: ASC"))
        since = f', since: "2026-11-0{dice.randrange(1, 9)}T01:02:03Z"' if dice.random() < 0.4 else ""
        rows = f"payments(first: {dice.randrange(1, 60)}, where: {{{where}}}, orderBy: [{{{order}}}]{since})"
        country = f"order: {{country: {{in: {dice.choice(LANDS)}}}}}"
        far = f"payments(where: {{{', '.join([*dice.sample(tests, dice.randrange(2)), country])}}})"
        paid = f"payments: {{{dice.choice(('some', 'none'))}: {{{where}}}}}"
        shapes = (
            f"{{ payment {{ {rows} {{ nodes {{ paymentId orderId amount cardNumber paidAt updatedAt }} totalCount }} }} }}",
            f"{{ payment {{ {rows} {{ nodes {{ method }} aggregate {{ count sum {{ amount }} min {{ paidAt }} avg {{ amount }} }} }} }} }}",
            f"{{ payment {{ {rows} {{ groups(by: [{{field: METHOD}}, {{field: PAID_AT, truncate: WEEK}}], first: 40) {GROUP} }} }} }}",
            f"{{ payment {{ {rows} {{ nodes {{ amount order {{ orderId country customerEmail }} }} }} }} }}",
            f"{{ payment {{ {rows} {{ groups(by: [{{path: [ORDER], field: COUNTRY}}]) {GROUP_FAR} }} }} }}",
            f"{{ payment {{ {far} {{ totalCount aggregate {{ count sum {{ amount order {{ totalAmount }} }} }} }} }} }}",
            f"{{ order {{ ordersDaily(first: 40, where: {{{paid}}}, orderBy: [{{orderId: ASC}}]) {ORDERS_FAR} }} }}",
        )
        made.append(dice.choice(shapes))
    return made


NESTED = """{ order { ordersDaily(first: 50, orderBy: [{orderId: ASC}]) { nodes {
    orderId payments(first: 2, where: {amount: {gt: "100"}}, orderBy: [{amount: DESC}]) { nodes { paymentId amount cardNumber } totalCount }
} } } }"""
BY_KEY = """{ payment { one: paymentsByKey(key: {paymentId: "P00042"}) { amount cardNumber }
                        none: paymentsByKey(key: {paymentId: "P9"}) { amount } } }"""


def stable(answer: Any) -> Any:
    return answer.get("data"), [(error.get("path"), error["extensions"]["code"]) for error in answer.get("errors", ())]


async def test_what_both_can_answer_they_answer_alike(tmp_path: Path) -> None:
    async with meshes(tmp_path) as (plain, copied, paired):
        answered = 0
        for roles in (("analyst",), ("dashboard",), ("analyst", "steward"), ("auditor",)):
            head = bearer(*roles, countries=["DE", "FR"])
            for query in [*questions(40), NESTED, BY_KEY]:
                expected = stable(await plain.ask(query, headers=head))
                assert stable(await copied.ask(query, headers=head)) == expected, query
                assert stable(await paired.ask(query, headers=head)) == expected, query
                answered += expected[0] is not None
                for kind in ("over the mirror", "over the mirror beside its origin"):
                    figures.note("mirror", kind, query, errors=len(expected[1]), refused=expected[0] is None)
        assert answered > 60


async def test_every_row_is_there_and_the_same(tmp_path: Path) -> None:
    query = (
        "{ payment { payments(first: 1000) { nodes { paymentId orderId amount currency method status cardNumber paidAt updatedAt } } } }"
    )
    async with meshes(tmp_path) as all_three:
        found = [
            sorted((row for row in (await one.ask(query))["data"]["payment"]["payments"]["nodes"]), key=lambda row: row["paymentId"])
            for one in all_three
        ]
        assert len(found[0]) == PAYMENT_COUNT
        assert found[0] == found[1] == found[2]
        assert {row["cardNumber"][:12] for row in found[0] if row["cardNumber"]} == {"*" * 12}


@pytest.mark.parametrize(
    "query",
    [
        "{ payment { payments(first: 3, orderBy: [{amount: DESC}]) { nodes { paymentId } } } }",
        "{ payment { payments { aggregate { sum { amount } } } } }",
        "{ payment { payments(first: 1) { totalCount } } }",
    ],
)
async def test_what_level_0_cannot_within_its_budget_the_mirror_answers(tmp_path: Path, query: str) -> None:
    async with meshes(tmp_path, LIMITS__SCAN_ROWS_MAX="300") as (plain, copied, paired):
        assert {error["extensions"]["code"] for error in (await plain.ask(query))["errors"]} == {"PORT_CANNOT"}
        answers = [await one.ask(query) for one in (copied, paired)]
        assert ["errors" in answer for answer in answers] == [False, False]
        assert answers[0]["data"]["payment"]["payments"]
        assert answers[0]["data"] == answers[1]["data"]
