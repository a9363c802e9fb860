"""A product grows old while a gateway measures it: at risk, in breach, told to a webhook, refused where demanded, well again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from contracts import parse_contract
from domain_adapters.serve import Served, site
from domain_adapters.sources import Live, Rows
from domain_adapters.sql import open_sql
from gateway import app
from gateway.service import build
from gateway.settings import load
from tests.conformance.serving import serving
from tests.e2e.debian import eventually
from tests.e2e.mesh_under_test import DEMO_KEY, POLICY, bearer
from tests.e2e.test_prometheus import CONTRACT
from tests.unit.gateway.slo.alerting.receiving import Clock
from tests.unit.gateway.slo.alerting.test_sinks import Inbox, verification

SECRET = "a secret of tests that is long enough to be one"
GOOD_ONLY = "{ shop { things @requireSlo(status: AT_RISK) { nodes { id } } } }"


async def test_a_product_that_grows_old_is_told_of_and_refused_where_good_data_is_demanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract, clock, inbox = parse_contract(CONTRACT), Clock(), Inbox()
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "things.yaml").write_text(CONTRACT)
    (tmp_path / "policy.yaml").write_text(POLICY)
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    things = duckdb.connect(":memory:")
    things.execute("SET TimeZone = 'UTC'")
    things.execute("CREATE TABLE things (id BIGINT, updated_at TIMESTAMPTZ)")
    things.execute("INSERT INTO things VALUES (1, ?)", [clock.now])
    port = await open_sql(contract, Live(things, "things"), clock=clock, cursors=1)
    async with serving(inbox.app) as hooks, serving(site((Served(contract, port, levels=frozenset({1})),))) as domain:
        environment = {
            "MESHGATE_CATALOG_DIR": str(tmp_path / "catalog"),
            "MESHGATE_POLICY_FILE": str(tmp_path / "policy.yaml"),
            "MESHGATE_AUTH__DEMO_KEY": DEMO_KEY,
            "MESHGATE_PRODUCTS__shop/things__ENDPOINT": domain,
            "MESHGATE_SLO__FRESHNESS_S": "1",
            "MESHGATE_ALERTS__WEBHOOK_URL": hooks,
            "MESHGATE_ALERTS__WEBHOOK_SECRET": "env:WEBHOOK_SECRET",
        }
        service = build(load(None, environment), clock=clock)
        application: Any = app.build(service.answerer, service.settings, metrics=service.metrics, start=service.start, stop=service.aclose)
        async with serving(application) as url, httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:

            async def ask() -> dict[str, Any]:
                answer = await client.post("/graphql", json={"query": GOOD_ONLY}, headers=bearer("analyst"))
                found: dict[str, Any] = answer.json()
                return found

            def told() -> list[str]:
                changes = [change for _, _, body in inbox.requests for change in json.loads(body)["changes"]]
                # The clock turns faster than measuring follows, so that for a moment nothing is known.
                return [it["after"] for it in changes if it["objective"] == "freshness" and it["after"] != "UNKNOWN"]

            async def turned(status: str) -> bool:
                slo = service.board.product("shop/things").freshness
                return slo is not None and slo.status.value == status

            await eventually(lambda: turned("MET"))
            assert "errors" not in await ask()
            clock.turn(50 * 60)
            await eventually(lambda: turned("AT_RISK"))
            assert "errors" not in await ask()
            clock.turn(11 * 60)
            await eventually(lambda: turned("BREACHED"))
            reads = service.metrics.render().decode()
            (error,) = (await ask())["errors"]
            assert (error["extensions"]["code"], error["extensions"]["owner"]) == ("SLO_UNMET", "shop-team@example.com")
            line = next(it for it in reads.splitlines() if it.startswith("meshgate_upstream_reads_total{"))
            assert line in service.metrics.render().decode().splitlines()  # nothing was read

            async def told_all() -> bool:
                return told() == ["AT_RISK", "BREACHED"]

            await eventually(told_all)
            is_genuine = verification()
            assert all(is_genuine(headers, body, SECRET.encode(), clock.now.timestamp()) for _, headers, body in inbox.requests[-1:])
            things.cursor().execute("UPDATE things SET updated_at = ?", [clock.now])

            async def healed() -> bool:
                clock.turn(1)  # two good measurements, one after the other
                return await turned("MET")

            await eventually(healed)
            assert "errors" not in await ask()

            async def told_recovery() -> bool:
                return told()[-1] == "MET"

            await eventually(told_recovery)
    await port.aclose()
    things.close()


async def test_two_gateways_that_share_a_store_tell_a_webhook_each_change_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contract, clock, inbox = parse_contract(CONTRACT), Clock(), Inbox()
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "things.yaml").write_text(CONTRACT)
    (tmp_path / "policy.yaml").write_text(POLICY)
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    port = await open_sql(contract, Rows([{"id": 1, "updated_at": clock.now}]), clock=clock, cursors=1)
    async with serving(inbox.app) as hooks, serving(site((Served(contract, port, levels=frozenset({1})),))) as domain:
        environment = {
            "MESHGATE_CATALOG_DIR": str(tmp_path / "catalog"),
            "MESHGATE_POLICY_FILE": str(tmp_path / "policy.yaml"),
            "MESHGATE_PRODUCTS__shop/things__ENDPOINT": domain,
            "MESHGATE_SLO__FRESHNESS_S": "1",
            "MESHGATE_STORE__URL": f"sqlite:{tmp_path / 'store.db'}",
            "MESHGATE_ALERTS__WEBHOOK_URL": hooks,
            "MESHGATE_ALERTS__WEBHOOK_SECRET": "env:WEBHOOK_SECRET",
        }
        gateways = [build(load(None, environment), clock=clock) for _ in range(2)]
        try:
            for service in gateways:
                await service.start()

            async def all_turned(status: str) -> bool:
                found = [service.board.product("shop/things").freshness for service in gateways]
                return all(one is not None and one.status.value == status for one in found)

            async def all_told() -> bool:
                return not any(courier.waiting for service in gateways for courier in service.alerts.couriers)

            for minutes, status in ((0, "MET"), (50, "AT_RISK"), (11, "BREACHED")):
                clock.turn(minutes * 60)
                await eventually(lambda status=status: all_turned(status))  # type: ignore[misc]  # mypy infers no lambda's defaults
                await eventually(all_told)
            told = [
                change["after"]
                for _, _, body in inbox.requests
                for change in json.loads(body)["changes"]
                if change["objective"] == "freshness"
            ]
            assert [it for it in told if it != "UNKNOWN"] == ["AT_RISK", "BREACHED"]
            assert told.count("UNKNOWN") <= 2
        finally:
            for service in gateways:
                await service.aclose()
    await port.aclose()
