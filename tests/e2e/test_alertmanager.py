"""A real Alertmanager is told by two gateways at once: one alert while it lasts, and none when it is over."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from domain_adapters.addresses import AddressPolicy
from gateway.slo.alerting.alertmanager import Alertmanager
from gateway.slo.alerting.alerts import Alerts
from gateway.slo.alerting.post import Post
from tests.e2e.debian import alertmanager, eventually
from tests.unit.gateway.slo.alerting.receiving import AT_RISK, BREACHED, MET, Clock, change, contract_of


async def test_a_real_alertmanager_takes_one_alert_from_two_gateways_until_it_is_over(tmp_path: Path) -> None:
    clock = Clock()
    clock.now = dt.datetime.now(dt.UTC)
    async with alertmanager(tmp_path) as api:
        url = str(api.base_url)
        gateways = [
            Alerts(
                [Alertmanager(Post(url, AddressPolicy(loopback=True), path="/api/v2/alerts"), resend_s=60.0)],
                lambda _: contract_of(docs="https://docs.example.com/orders"),
                clock=clock,
            )
            for _ in range(2)
        ]

        async def tell(status: Any) -> None:
            for gateway in gateways:
                gateway.changed(change(status, clock.now))
                await gateway.couriers[0].step()

        async def names() -> list[str]:
            answer = await api.get("/api/v2/alerts", params={"active": "true"})
            return [one["labels"]["alertname"] for one in answer.json()]

        await tell(AT_RISK)
        assert await eventually(names) == ["DataProductAtRisk"]
        (found,) = (await api.get("/api/v2/alerts")).json()
        assert found["labels"]["owner"] == "order-team@company.com"
        assert found["annotations"]["runbook_url"] == "https://docs.example.com/orders"
        # What ends in the future has not ended yet, for an Alertmanager: this clock must not run ahead of its own.
        clock.now = dt.datetime.now(dt.UTC)
        await tell(BREACHED)

        async def only_breached() -> bool:
            return await names() == ["DataProductBreached"]

        await eventually(only_breached)
        (before,) = (await api.get("/api/v2/alerts")).json()
        clock.turn(60)
        for gateway in gateways:
            await gateway.couriers[0].step()

        async def prolonged() -> bool:
            return bool((await api.get("/api/v2/alerts")).json()[0]["endsAt"] > before["endsAt"])

        await eventually(prolonged)
        clock.now = dt.datetime.now(dt.UTC)
        await tell(MET)

        async def over() -> bool:
            return not await names()

        await eventually(over)
        for gateway in gateways:
            await gateway.aclose()
