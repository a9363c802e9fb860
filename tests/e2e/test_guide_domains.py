"""The guide's own handlers, Spring Boot and Go, as domains of a mesh: the gateway joins them, rules on them, and says how good they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.load import load_contract
from domain_adapters.addresses import AddressPolicy
from domain_adapters.conformance import Outcome, judge, report
from domain_adapters.endpoint import Endpoint
from domain_adapters.kinds import Surroundings, open_remote
from domain_adapters.mirror import open_mirror
from domain_adapters.port import Call, Read
from tests.conftest import PATIENCE_S
from tests.e2e.domains.building import Domain, built_go, built_spring, running
from tests.e2e.mesh_under_test import DEMO_KEY, POLICY, bearer

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
CONTRACTS = Path(__file__).parent / "domains" / "contracts"
AROUND = Surroundings(policy=AddressPolicy(loopback=True))
QUERY = """{ payment { payments(first: 6, where: {amount: {gt: "400"}, method: {ne: "WALLET"}}, orderBy: [{amount: DESC}]) {
    nodes { paymentId amount order {
        orderId country customerEmail totalAmount payments(orderBy: [{paymentId: ASC}]) { nodes { paymentId } }
    } }
    totalCount aggregate { count sum { amount } } groups(by: [{field: METHOD}]) { key { method } count }
} } }"""


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sequence[str]]:
    folder = tmp_path_factory.mktemp("built")
    return {"payment": built_go(folder), "order": built_spring(folder)}


@pytest.fixture(scope="module")
def domains(commands: dict[str, Sequence[str]]) -> Iterator[dict[str, Domain]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(running(command)) for name, command in commands.items()}


@contextmanager
def gateway(folder: Path, orders: str, payments: str) -> Iterator[httpx.Client]:
    """Run the gateway over both, ready: everything that answers has been measured once."""
    for domain, name in (("order", "orders-daily"), ("payment", "payments")):
        (folder / domain).mkdir()
        (folder / domain / f"{name}.yaml").write_bytes((CONTRACTS / f"{name}.yaml").read_bytes())
    (folder / "policy.yaml").write_text(POLICY)
    environment = {
        **os.environ,
        "MESHGATE_CATALOG_DIR": str(folder),
        "MESHGATE_POLICY_FILE": str(folder / "policy.yaml"),
        "MESHGATE_AUTH__DEMO_KEY": DEMO_KEY,
        "MESHGATE_HTTP__PORT": "0",
        "MESHGATE_PRODUCTS__order/orders-daily__ENDPOINT": orders,
        "MESHGATE_PRODUCTS__payment/payments__ENDPOINT": payments,
    }
    process = subprocess.Popen([sys.executable, "-m", "gateway.cli", "serve"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        lines = (json.loads(line) for line in process.stderr)
        port = next(line["port"] for line in lines if line["event"] == "listening")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=bearer("analyst"), trust_env=False, timeout=30) as client:
            until_s = time.monotonic() + PATIENCE_S
            while client.get("/readyz").status_code != 200:
                assert time.monotonic() < until_s
            yield client
    finally:
        process.kill()
        process.communicate()


def ask(client: httpx.Client, query: str) -> Any:
    return client.post("/graphql", json={"query": query}).json()


def amount(number: int) -> Decimal:
    return Decimal(f"{number * 13 % 500}.{number % 100:02}")


def order_of(number: int) -> dict[str, Any] | None:
    order = number * 7 % 120
    country = ("DE", "FR", "SE")[order % 3]
    if country == "SE":
        return None
    paid = sorted(payment for payment in range(240) if payment * 7 % 120 == order)
    return {
        "orderId": f"O{order:04}",
        "country": country,
        "customerEmail": "c***@example.com",
        "totalAmount": f"{Decimal(order * 37 % 10_000).scaleb(-2):f}",
        "payments": {"nodes": [{"paymentId": f"P{payment:04}"} for payment in paid]},
    }


def test_a_query_over_java_and_go_is_joined_filtered_sorted_counted_and_stamped(domains: dict[str, Domain], tmp_path: Path) -> None:
    with gateway(tmp_path, domains["order"].url, domains["payment"].url) as client:
        answer = ask(client, QUERY)
    assert "errors" not in answer, answer["errors"]
    large = [number for number in range(240) if number % 3 != 1 and amount(number) > 400]
    largest = sorted(large, key=lambda number: (-amount(number), number))[:6]
    assert answer["data"]["payment"]["payments"] == {
        "nodes": [{"paymentId": f"P{number:04}", "amount": str(amount(number)), "order": order_of(number)} for number in largest],
        "totalCount": len(large),
        "aggregate": {"count": len(large), "sum": {"amount": str(sum(map(amount, large)))}},
        "groups": [
            {"key": {"method": method}, "count": sum(number % 3 == kind for number in large)}
            for method, kind in (("BANK_TRANSFER", 2), ("CARD", 0))
        ],
    }
    assert {node["order"] is None for node in answer["data"]["payment"]["payments"]["nodes"]} == {True, False}
    mesh = answer["extensions"]["mesh"]
    assert [(receipt["path"], receipt["mask"]) for receipt in mesh["masked"]] == [("payment.payments.nodes.order.customerEmail", "email")]
    orders, payments = mesh["slo"]["products"]["order/orders-daily"], mesh["slo"]["products"]["payment/payments"]
    # PT2.9S of Java and 2900000000 of Go are the same three seconds.
    for product in (orders, payments):
        assert product["freshness"]["status"] == "MET"
        assert 0 <= product["freshness"]["lagSeconds"] < 3_600
        assert product["asOf"] < product["measuredAt"]
    assert orders["completeness"]["ratio"] <= 0.998
    assert payments["version"] == "1.2.0"


async def test_both_keep_what_level_0_promises(domains: dict[str, Domain]) -> None:
    for domain, name in (("order", "orders-daily"), ("payment", "payments")):
        contract = load_contract(CONTRACTS / f"{name}.yaml")

        async def opened(contract: Any = contract, url: str = domains[domain].url) -> Any:
            return open_remote(contract, contract.output_ports[0], Endpoint(url), AROUND)

        verdicts = await judge(contract, opened, every=3)
        assert not [verdict for verdict in verdicts if verdict.outcome is Outcome.WRONG], report(verdicts)
        assert {verdict.capability for verdict in verdicts if verdict.outcome is Outcome.RIGHT} >= {"paging", "since"}


async def test_both_can_be_mirrored(domains: dict[str, Domain], tmp_path: Path) -> None:
    for domain, name, rows in (("order", "orders-daily", 300), ("payment", "payments", 240)):
        contract = load_contract(CONTRACTS / f"{name}.yaml").model_copy(update={"classification": ()})
        port = await open_mirror(contract, Endpoint(domains[domain].url), tmp_path, policy=None, around=AROUND)
        try:
            await port.refresher.refresh()
            await port.refresher.refresh(everything=False)
            assert (port.standing.facts.rows, port.standing.facts.left_out) == (rows, 0)
            assert json.loads(await port.read(Read(count=True, limit=1), Call()))["count"] == rows
        finally:
            await port.aclose()


def test_when_one_dies_the_other_half_is_answered(commands: dict[str, Sequence[str]], tmp_path: Path) -> None:
    with ExitStack() as stack:
        payment, order = (stack.enter_context(running(commands[domain])) for domain in ("payment", "order"))
        with gateway(tmp_path, order.url, payment.url) as client:
            assert "errors" not in ask(client, QUERY)
            order.kill()
            answer = ask(client, QUERY)
            nodes = answer["data"]["payment"]["payments"]["nodes"]
            assert [node["order"] for node in nodes] == [None] * 6
            assert {node["amount"] for node in nodes} == {str(amount(number)) for number in map(_number, nodes)}
            assert {(error["extensions"]["code"], error["extensions"]["product"]) for error in answer["errors"]} == {
                ("UPSTREAM_UNAVAILABLE", "order/orders-daily")
            }
            payment.kill()
            answer = ask(client, QUERY)
            assert answer["data"] == {"payment": {"payments": None}}
            assert {error["extensions"]["product"] for error in answer["errors"]} == {"payment/payments"}


def _number(node: dict[str, Any]) -> int:
    return int(node["paymentId"][1:])
