"""The demo, end to end: real processes, real sockets, the data a newcomer gets; asked as its roles, and losing its domains."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain_adapters.domains.generate import Sizes, ensure
from tests.conftest import needs
from tests.e2e.demo_process import RunningDemo, running_demo

pytestmark = pytest.mark.e2e
README = Path(__file__).parents[2] / "README.md"
REVENUE = """
query RevenueByCustomer($from: DateTime!) {
  order {
    ordersDaily(first: 50, since: $from, where: {status: {in: ["PAID", "SHIPPED"]}}, orderBy: [{totalAmount: DESC}]) {
      nodes {
        orderId  totalAmount  country  customerEmail  phone
        customer { name customerEmail }
        payments(first: 3) { nodes { method amount cardNumber } }
      }
      pageInfo { hasNextPage endCursor }
      totalCount
      metadata { generatedAt version totalRecords sloStatus port }
    }
  }
  mesh { product(domain: "order", name: "orders-daily") { owner slo { status freshness { lagSeconds } } } }
}
"""
FROM = {"from": "2020-01-01T00:00:00Z"}
MASKED_EMAIL = re.compile(r"^.\*\*\*@[a-z.]+$")
MASKED_CARD = re.compile(r"^\*{6,}\d{4}$")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    with running_demo(tmp_path_factory.mktemp("demo")) as found:
        yield found


@pytest.fixture(scope="module")
def analyst(demo: RunningDemo) -> str:
    return demo.token("--role", "analyst", "--claim", "countries=DE,FR,NL")


def revenue(demo: RunningDemo, token: str) -> dict[str, Any]:
    answer = demo.ask(REVENUE, token, FROM)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    assert "errors" not in found
    return found


def orders(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = answer["data"]["order"]["ordersDaily"]
    return found


def test_the_demo_shows_progress_addresses_and_a_request_per_role_that_works_as_pasted(demo: RunningDemo) -> None:
    needs("curl", what_for="pasting the demo's requests")
    said = "\n".join(demo.lines)
    assert "generated 100,000 orders" in said
    assert f"{demo.url}/graphql" in said
    requests = [line for line in demo.lines if line.startswith("curl -s ") and "/graphql" in line]
    assert len(requests) == 3
    for request in requests:
        told = subprocess.run(shlex.split(request), capture_output=True, text=True, check=True, timeout=60)
        assert "errors" not in json.loads(told.stdout)


def test_an_analyst_sees_three_countries_rows_with_masks(demo: RunningDemo, analyst: str) -> None:
    answer = revenue(demo, analyst)
    rows = orders(answer)["nodes"]
    assert len(rows) == 50
    assert {row["country"] for row in rows} == {"DE", "FR", "NL"}
    assert all(MASKED_EMAIL.match(row["customerEmail"]) for row in rows if row["customerEmail"] is not None)
    assert all(row["customer"]["name"] == "***" for row in rows if row["customer"] is not None)
    cards = [pay["cardNumber"] for row in rows for pay in row["payments"]["nodes"] if pay["cardNumber"] is not None]
    assert cards
    assert all(MASKED_CARD.match(card) for card in cards)
    masked = {it["path"].rsplit(".", 1)[1]: it["because"] for it in answer["extensions"]["mesh"]["masked"]}
    assert masked == {"customerEmail": "pii", "phone": "pii", "name": "pii", "cardNumber": "pci.pan"}


def test_a_fraud_investigator_sees_all_rows_with_mail_and_phone_clear(demo: RunningDemo, analyst: str) -> None:
    answer = revenue(demo, demo.token("--role", "fraud-investigator", "--purpose", "fraud-prevention"))
    rows = orders(answer)["nodes"]
    assert len({row["country"] for row in rows}) > 3
    assert orders(answer)["totalCount"] > orders(revenue(demo, analyst))["totalCount"]
    assert all("***" not in row["customerEmail"] and "*" not in row["phone"] for row in rows if row["customerEmail"] and row["phone"])
    assert all(row["customer"]["name"] == "***" for row in rows if row["customer"] is not None)


def test_a_fraud_investigator_without_a_purpose_has_no_access(demo: RunningDemo) -> None:
    answer = demo.ask(REVENUE, demo.token("--role", "fraud-investigator"), FROM)
    assert answer.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert "data" not in answer.json()


def test_break_glass_sees_all_clear_but_card_numbers(demo: RunningDemo) -> None:
    answer = revenue(demo, demo.token("--role", "break-glass", "--claim", "ticket=INC-1", "--purpose", "incident-response"))
    rows = orders(answer)["nodes"]
    assert any(row["customer"]["name"] not in ("***", None) for row in rows if row["customer"] is not None)
    cards = [pay["cardNumber"] for row in rows for pay in row["payments"]["nodes"] if pay["cardNumber"] is not None]
    assert all(MASKED_CARD.match(card) for card in cards)
    assert {it["path"].rsplit(".", 1)[1] for it in answer["extensions"]["mesh"]["masked"]} == {"cardNumber"}


def test_every_answer_says_how_good_the_data_in_it_is(demo: RunningDemo, analyst: str) -> None:
    answer = demo.ask(REVENUE, analyst, FROM)
    slo = answer.json()["extensions"]["mesh"]["slo"]
    assert answer.headers["mesh-slo-status"] == slo["status"]
    assert set(slo["products"]) == {"order/orders-daily", "customer/customers", "payment/payments"}
    for product in slo["products"].values():
        assert product["freshness"]["status"] == "MET", "the demo's data ends now"
        assert product["freshness"]["lagSeconds"] < 600
        assert product["availability"]["ratio"] > 0.999
    assert slo["products"]["payment/payments"]["paths"] == ["order.ordersDaily.nodes.payments"]


def test_the_board_in_a_terminal_shows_every_promise_of_the_demo(demo: RunningDemo) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "slo", "--url", demo.url], capture_output=True, text=True, check=True, timeout=60
    ).stdout.splitlines()
    assert told[0].split() == ["PRODUCT", "OBJECTIVE", "PROMISE", "FIGURE", "STATE", "BUDGET", "LEFT", "TREND", "OVER", "SOURCE"]
    assert sum("freshness" in line and "MET" in line for line in told) == 3
    assert len(told) == 1 + 12 + 2
    assert told[-1] == "3 products: 0 BREACHED, 0 UNKNOWN, 0 AT_RISK, 3 MET"


def test_the_readmes_frames_hold_every_row_that_the_caller_may_see(demo: RunningDemo) -> None:
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert code is not None
    token = demo.token("--role", "analyst", "--claim", "countries=DE,FR")
    names: dict[str, Any] = {"gateway": demo.url, "token": token}

    def count() -> int:
        answer = demo.ask("{ order { ordersDaily(first: 0) { totalCount } } }", token).json()
        found: int = answer["data"]["order"]["ordersDaily"]["totalCount"]
        return found

    before = count()
    exec(compile(code.group(1), "README.md", "exec"), names)  # noqa: S102  # our own page
    assert 1_000 < before <= len(names["pandas_frame"]) == len(names["polars_frame"]) <= count(), "orders keep coming in"
    assert names["table"].column_names == ["orderId", "totalAmount", "customer.country", "customer.customerEmail"]
    assert names["answer"].headers["Mesh-Masked"] == "order.ordersDaily.nodes.customer.customerEmail:email"
    assert set(names["polars_frame"]["customer.country"].drop_nulls()) == {"DE", "FR"}
    assert all(MASKED_EMAIL.match(it) for it in names["polars_frame"]["customer.customerEmail"].drop_nulls())


def test_the_readmes_query_gets_the_readmes_answer(demo: RunningDemo) -> None:
    text = README.read_text()
    query = re.search(r"```graphql\n(.*?)```", text, re.DOTALL)
    answer = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert query is not None
    assert answer is not None
    shown = json.loads(answer.group(1))
    found = demo.ask(query.group(1), demo.token("--role", "analyst", "--claim", "countries=DE,FR")).json()
    assert found["data"] == shown["data"]
    mesh, shown_mesh = found["extensions"]["mesh"], shown["extensions"]["mesh"]
    assert mesh["masked"] == shown_mesh["masked"]
    assert mesh["slo"]["status"] == shown_mesh["slo"]["status"]
    for id_, product in shown_mesh["slo"]["products"].items():
        for member, value in product.items():
            known = mesh["slo"]["products"][id_][member]
            if isinstance(value, dict):
                assert known["objective"] == value["objective"]
                assert known["status"] == value["status"]
            else:
                assert known == value


def test_upstream_calls_do_not_grow_with_the_number_of_rows(demo: RunningDemo, analyst: str) -> None:
    def calls() -> int:
        text = httpx.get(f"{demo.url}/metrics", trust_env=False).text
        return sum(int(float(it)) for it in re.findall(r'^meshgate_upstream_reads_total\{.*outcome="ok",.*\} (\S+)$', text, re.MULTILINE))

    query = "query($n: Int) { order { ordersDaily(first: $n) { nodes { orderId customer { name } payments { nodes { method } } } } } }"
    made = []
    for rows in (1, 10, 300):
        before = calls()
        assert "errors" not in demo.ask(query, analyst, {"n": rows}).json()
        made.append(calls() - before)
    assert made == [3, 3, 3]


def test_pages_follow_each_other_without_gap_or_repeat(demo: RunningDemo, analyst: str) -> None:
    query = """query($after: String) { order {
      ordersDaily(first: 1000, after: $after, where: {country: {eq: "NL"}}, orderBy: [{status: DESC}]) {
        nodes { orderId status } pageInfo { hasNextPage endCursor } totalCount } } }"""
    demo_feed(demo, running=False)
    seen: list[tuple[str, str]] = []
    after, more, total = None, True, 0
    while more:
        page = orders(demo.ask(query, analyst, {"after": after}).json())
        seen += [(row["status"], row["orderId"]) for row in page["nodes"]]
        after, more, total = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"], page["totalCount"]
    demo_feed(demo, running=True)
    assert len(seen) == total > 3_000
    assert len(set(seen)) == len(seen)
    assert [status for status, _ in seen] == sorted((status for status, _ in seen), reverse=True)


def demo_feed(demo: RunningDemo, *, running: bool) -> None:
    answer = httpx.post(f"http://127.0.0.1:{demo.ports[1]}/demo/feed", json={"running": running}, trust_env=False)
    assert answer.json()["running"] is running


def test_a_level_0_domain_is_filtered_sorted_and_counted_here(demo: RunningDemo, analyst: str) -> None:
    query = (
        "{ payment { payments(first: 5, where: {method: {eq: CARD}}, orderBy: [{amount: DESC}]) { totalCount nodes { amount method } } } }"
    )
    answer = demo.ask(query, analyst).json()
    assert "errors" not in answer
    found = answer["data"]["payment"]["payments"]
    amounts = [float(row["amount"]) for row in found["nodes"]]
    assert amounts == sorted(amounts, reverse=True)
    assert {row["method"] for row in found["nodes"]} == {"CARD"}
    assert found["totalCount"] > 10_000


def test_no_token_is_refused_and_says_what_to_send(demo: RunningDemo) -> None:
    answer = httpx.post(f"{demo.url}/graphql", json={"query": "{ __typename }"}, trust_env=False)
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert "Bearer" in answer.headers["www-authenticate"]


def test_a_first_mistake_is_answered_with_the_right_name(demo: RunningDemo, analyst: str) -> None:
    answer = demo.ask("{ order { orderDaily { nodes { orderId } } } }", analyst).json()
    assert "ordersDaily" in answer["errors"][0]["message"]


def test_explain_prints_plan_rulings_and_calls(demo: RunningDemo, tmp_path: Path) -> None:
    (tmp_path / "q.graphql").write_text(REVENUE)
    environment = {
        f"MESHGATE_PRODUCTS__{product}__ENDPOINT": f"http://127.0.0.1:{port}"
        for product, port in zip(("order/orders-daily", "payment/payments", "customer/customers"), demo.ports[1:], strict=True)
    }
    told = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "explain", "--role", "analyst", "--claim", "countries=DE", str(tmp_path / "q.graphql")],
        capture_output=True, text=True, check=True, timeout=60, env={**os.environ, **environment},
    )  # fmt: skip
    assert "upstream calls: 3" in told.stdout
    assert "order.ordersDaily.nodes.payments: page per parent of payment/payments@1.2.0 through rest-api (level 0)" in told.stdout
    assert "cardNumber: masked partial, because of pci.pan" in told.stdout


def test_domains_die_one_by_one_and_each_costs_its_own_part_only(tmp_path: Path) -> None:
    with running_demo(ensure(tmp_path, Sizes(customers=5_000, orders=30_000))) as demo:
        token = demo.token("--role", "analyst", "--claim", "countries=DE,FR,NL")
        _, order, payment, customer = demo.ports
        demo.kill_domain(payment)
        answer = demo.ask(REVENUE, token, FROM).json()
        rows = orders(answer)["nodes"]
        assert len(rows) == 50
        assert all(row["payments"] is None for row in rows)
        assert any(row["customer"] for row in rows)
        (error,) = answer["errors"]
        assert error["extensions"] | {"code": "UPSTREAM_UNAVAILABLE", "product": "payment/payments"} == error["extensions"]
        assert error["path"] == ["order", "ordersDaily", "nodes", "payments"]
        demo.kill_domain(customer)
        answer = demo.ask(REVENUE, token, FROM).json()
        assert all(row["customer"] is None and row["orderId"] for row in orders(answer)["nodes"])
        assert {it["extensions"]["product"] for it in answer["errors"]} == {"payment/payments", "customer/customers"}
        demo.kill_domain(order)
        answer = demo.ask(REVENUE, token, FROM).json()
        assert answer["data"]["order"] == {"ordersDaily": None}
        assert answer["data"]["mesh"]["product"]["owner"] == "order-team@company.com"
        assert httpx.get(f"{demo.url}/healthz", trust_env=False).status_code == 200
        started = time.monotonic()
        assert demo.interrupt() == 0
        assert time.monotonic() - started < 15
        assert not any(demo.listens(port) for port in demo.ports)
