"""The demo's order feed is stopped and started again: what an answer says, who is told, and what a demand for fresh data does."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain_adapters.domains.generate import Sizes, ensure
from gateway.slo.alerting.webhook import signature
from tests.conftest import PATIENCE_S
from tests.e2e.demo_process import RunningDemo, running_demo
from tests.unit.gateway.http.served import served
from tests.unit.gateway.slo.alerting.test_sinks import Inbox

pytestmark = pytest.mark.e2e
SECRET = "a secret of tests that is long enough to be one"
ORDERS = "{ order { ordersDaily(first: 1) %s { nodes { orderId } } } }"
FRESH_ONLY = ORDERS % '@requireSlo(freshness: "14 seconds")'


def freshness(demo: RunningDemo, token: str) -> str:
    body = demo.ask(ORDERS % "", token).json()
    found: str = body["extensions"]["mesh"]["slo"]["products"]["order/orders-daily"]["freshness"]["status"]
    return found


def switch_feed(demo: RunningDemo, *, running: bool) -> None:
    answer = httpx.post(f"http://127.0.0.1:{demo.ports[1]}/demo/feed", json={"running": running}, trust_env=False)
    assert answer.json()["running"] is running


def wait_for(fact: Callable[[], Any]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not fact():
        assert time.monotonic() < deadline_s, "it did not come to that in time"
        time.sleep(0.1)


def test_a_stopped_feed_is_at_risk_then_breached_told_refused_where_demanded_and_well_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree("contracts/catalog", tmp_path / "catalog")
    contract = tmp_path / "catalog" / "order" / "orders-daily.yaml"
    contract.write_text(contract.read_text().replace('freshness: "< 1 hour"', 'freshness: "< 14 seconds"'))
    inbox = Inbox()

    def told() -> list[str]:
        changes = [change for _, _, body in inbox.requests for change in json.loads(body)["changes"]]
        found = [it["after"] for it in changes if (it["product"], it["objective"]) == ("order/orders-daily", "freshness")]
        # A machine that is too busy to measure in time makes a state unknown for a while.
        return [after for after in found if after != "UNKNOWN"]

    with served(inbox.app) as hooks:
        monkeypatch.setenv("MESHGATE_CATALOG_DIR", str(tmp_path / "catalog"))
        monkeypatch.setenv("MESHGATE_SLO__FRESHNESS_S", "0.5")
        monkeypatch.setenv("MESHGATE_ALERTS__WEBHOOK_URL", hooks)
        monkeypatch.setenv("MESHGATE_ALERTS__WEBHOOK_SECRET", "env:WEBHOOK_SECRET")
        monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
        with running_demo(ensure(tmp_path / "data", Sizes(customers=400, orders=1_500))) as demo:
            analyst = demo.token("--role", "analyst", "--claim", "countries=DE,FR,NL")
            wait_for(lambda: freshness(demo, analyst) == "MET")
            wait_for(lambda: "errors" not in demo.ask(FRESH_ONLY, analyst).json())
            already = len(told())
            switch_feed(demo, running=False)
            seen = ["MET"]

            def is_breached() -> bool:
                if (status := freshness(demo, analyst)) not in (seen[-1], "UNKNOWN"):
                    seen.append(status)
                return status == "BREACHED"

            wait_for(is_breached)
            assert seen == ["MET", "AT_RISK", "BREACHED"]
            answer = demo.ask(FRESH_ONLY, analyst)
            assert answer.status_code == 503
            extensions = answer.json()["errors"][0]["extensions"]
            assert (extensions["code"], extensions["product"], extensions["objective"], extensions["owner"]) == (
                "SLO_UNMET",
                "order/orders-daily",
                "freshness",
                "order-team@company.com",
            )
            assert extensions["figure"] > 14
            wait_for(lambda: told()[already:] == ["AT_RISK", "BREACHED"])
            _, headers, body = inbox.requests[-1]
            assert headers["mesh-signature"] == signature(SECRET.encode(), headers["mesh-timestamp"], body)
            switch_feed(demo, running=True)
            wait_for(lambda: freshness(demo, analyst) == "MET")
            wait_for(lambda: "errors" not in demo.ask(FRESH_ONLY, analyst).json())
            wait_for(lambda: told()[-1] == "MET")
