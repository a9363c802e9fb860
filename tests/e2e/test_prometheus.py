"""A real Prometheus scrapes a gateway whose product is stale, and evaluates the rules made from the contract."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

from contracts import parse_contract
from domain_adapters.serve import Served, site
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from gateway import app
from gateway.service import build
from gateway.settings import load
from gateway.slo.rules import rules_yaml
from tests.conformance.serving import serving
from tests.e2e.debian import eventually, prometheus
from tests.e2e.mesh_under_test import DEMO_KEY, POLICY, bearer

CONTRACT = """
apiVersion: datamesh/v1
kind: DataContract
metadata: {name: things, domain: shop, owner: shop-team@example.com, version: "1.0.0", docs: "https://docs.example.com/things"}
spec:
  schema:
    type: inline
    fields:
      - {name: id, type: long, required: true}
      - {name: updated_at, type: instant}
  primaryKey: [id]
  time: {updated: updated_at}
  slo: {freshness: "< 1 hour", availability: "99.9%"}
  access:
    - {role: analyst, fields: ["*"]}
  ports:
    output:
      - {type: rest-api, path: /things, level: 1}
"""


async def test_a_real_prometheus_scrapes_the_gateway_and_its_rules_fire(tmp_path: Path) -> None:
    contract = parse_contract(CONTRACT)
    now = dt.datetime.now(dt.UTC)
    old = {"id": 1, "updated_at": now - dt.timedelta(hours=3)}
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "things.yaml").write_text(CONTRACT)
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "prometheus").mkdir()
    port = await open_sql(contract, Rows([old]), clock=lambda: dt.datetime.now(dt.UTC), cursors=1)
    try:
        async with serving(site((Served(contract, port, levels=frozenset({1})),))) as domain:
            environment = {
                "MESHGATE_CATALOG_DIR": str(tmp_path / "catalog"),
                "MESHGATE_POLICY_FILE": str(tmp_path / "policy.yaml"),
                "MESHGATE_AUTH__DEMO_KEY": DEMO_KEY,
                "MESHGATE_PRODUCTS__shop/things__ENDPOINT": domain,
            }
            service = build(load(None, environment))
            application: Any = app.build(
                service.answerer, service.settings, metrics=service.metrics, start=service.start, stop=service.aclose
            )
            # As written but evaluated each second: the test waits in real time.
            rules = re.sub(r"interval: \d+s", "interval: 1s", rules_yaml([contract]))
            token = bearer("operator")["authorization"].removeprefix("Bearer ")
            async with (
                serving(application) as gateway,
                prometheus(tmp_path / "prometheus", scrape=gateway, rules=rules, bearer=token) as api,
            ):

                async def query(expression: str) -> list[dict[str, Any]]:
                    answer = (await api.get("/api/v1/query", params={"query": expression})).json()
                    found: list[dict[str, Any]] = answer["data"]["result"]
                    return found

                (lag,) = await eventually(lambda: query("data_product_freshness_lag_seconds"))
                assert lag["metric"].items() >= {"domain": "shop", "product": "things", "version": "1.0.0"}.items()
                assert float(lag["value"][1]) > 3 * 3_600

                async def page() -> dict[str, str] | None:
                    alerts = (await api.get("/api/v1/alerts")).json()["data"]["alerts"]
                    return next((it["labels"] for it in alerts if it["labels"].get("burn") == "14.4x" and it["state"] == "firing"), None)

                labels = await eventually(page)
                assert (
                    labels.items()
                    >= {
                        "alertname": "DataProductErrorBudgetBurn",
                        "severity": "page",
                        "objective": "freshness",
                        "domain": "shop",
                        "product": "things",
                        "owner": "shop-team@example.com",
                        "request_access": "shop-team@example.com",
                        "runbook": "https://docs.example.com/things",
                    }.items()
                )
                groups = (await api.get("/api/v1/rules")).json()["data"]["groups"]
                assert [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")] == []
                assert await query('data_product_objective_status{objective="freshness"} == 3')
    finally:
        await port.aclose()
