"""SLOs measured by a whole gateway: what an answer says of them, and what a lying, drifting or dying domain makes of them."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.conftest import PATIENCE_S
from tests.e2e.mesh_under_test import Mesh, mesh
from tests.unit.domain_adapters.crooked import CrookedServer, Visit

CONTRACT = """
apiVersion: datamesh/v1
kind: DataContract
metadata: {name: things, domain: shop, owner: shop-team@example.com, version: "1.0.0"}
spec:
  schema:
    type: inline
    fields:
      - {name: id, type: long, required: true}
      - {name: price, type: int, required: true}
      - {name: updated_at, type: instant, required: true}
  primaryKey: [id]
  time: {updated: updated_at}
  slo:
    freshness: "< 3 seconds"
    completeness: {target: "> 99%", window: P7D}
    accuracy: "> 99%"
    availability: {target: "50%", window: P1D}
  access:
    - {role: analyst, fields: ["*"]}
  ports:
    output:
      - {type: rest-api, path: /things, level: 0}
"""
FAST = {"SLO__FRESHNESS_S": "0.2", "SLO__SAMPLE_S": "0.4", "SLO__TIMEOUT_S": "0.5"}
QUERY = "{ shop { things { nodes { id } metadata { sloStatus slo { %s } } } } }"
STATUSES = "status freshness { status } completeness { status } accuracy { status } availability { status }"


class Domain:
    """A domain of level 0 whose rows, clock and health a test turns."""

    def __init__(self) -> None:
        self.runs = self.is_up = True
        self.price: Any = 1
        self.updated_at = dt.datetime.now(dt.UTC)

    async def serve(self, visit: Visit) -> None:
        if not self.is_up:
            await visit.answer(b"down", status=503)
            return
        if self.runs:
            self.updated_at = dt.datetime.now(dt.UTC)
        at = self.updated_at.isoformat()
        if visit.path.partition("?")[0].endswith("/slo"):
            await visit.answer(json.dumps({"freshness": {"lastUpdateAt": at}}).encode())
        else:
            rows = [{"id": number, "price": self.price, "updated_at": at} for number in range(5)]
            await visit.answer(json.dumps({"data": rows, "nextCursor": None}).encode())


@asynccontextmanager
async def measured(folder: Path, **settings: str) -> AsyncIterator[tuple[Mesh, Domain]]:
    domain = Domain()
    async with CrookedServer(domain.serve) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with mesh(folder, {"things.yaml": CONTRACT}, {"shop/things": url}, **{**FAST, **settings}) as found:
            await found.service.start()
            await until(lambda: "slo" not in found.service.readiness())
            yield found, domain


async def until(fact: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not fact():
            await asyncio.sleep(0.01)


def status(found: Mesh, name: str | None = None) -> str:
    slo = found.service.board.product("shop/things")
    return (slo if name is None else getattr(slo, name)).status.value  # type: ignore[no-any-return]  # by its name


async def test_an_answer_says_how_good_its_data_is_in_extensions_metadata_catalogue_and_header(tmp_path: Path) -> None:
    async with measured(tmp_path) as (found, _):
        figures = "objective status source sample measuredAt trend budget { windowSeconds leftRatio burnRate }"
        chosen = (
            f"state: status asOf freshness {{ lagSeconds {figures} }} accuracy {{ ratio {figures} __typename }} availability {{ ratio }}"
        )
        answer = await found.post(QUERY % chosen)
        body = answer.json()
        assert "errors" not in body
        block = body["extensions"]["mesh"]["slo"]
        assert answer.headers["mesh-slo-status"] == block["status"] == "MET"
        metadata = body["data"]["shop"]["things"]["metadata"]
        assert metadata["sloStatus"] == "MET"
        slo = metadata["slo"]
        assert list(slo) == ["state", "asOf", "freshness", "accuracy", "availability"]
        assert (slo["freshness"]["source"], slo["freshness"]["budget"]["leftRatio"]) == ("slo", 1.0)
        accuracy = slo["accuracy"]
        assert (accuracy["ratio"], accuracy["source"], accuracy["sample"], accuracy["__typename"]) == (1.0, "rows", 5, "SloRatio")
        assert slo["freshness"]["lagSeconds"] == block["products"]["shop/things"]["freshness"]["lagSeconds"]
        query = '{ mesh { product(domain: "shop", name: "things") { slo { status accuracy { source sample budget { leftRatio } } } } } }'
        told = (await found.ask(query))["data"]["mesh"]["product"]["slo"]
        assert told == {"status": "MET", "accuracy": {"source": "rows", "sample": 5, "budget": {"leftRatio": 1.0}}}


async def test_a_feed_that_stops_is_at_risk_then_breached_and_comes_back(tmp_path: Path) -> None:
    async with measured(tmp_path) as (found, domain):
        seen = [(await found.post(QUERY % STATUSES)).headers["mesh-slo-status"]]
        domain.runs = False
        async with asyncio.timeout(PATIENCE_S):
            while seen[-1] != "BREACHED":
                answer = await found.post(QUERY % STATUSES)
                assert (
                    answer.json()["data"]["shop"]["things"]["metadata"]["slo"]["freshness"]["status"] == answer.headers["mesh-slo-status"]
                )
                if answer.headers["mesh-slo-status"] != seen[-1]:
                    seen.append(answer.headers["mesh-slo-status"])
                await asyncio.sleep(0.01)
        assert seen == ["MET", "AT_RISK", "BREACHED"]
        domain.runs = True
        await until(lambda: status(found) == "MET")


async def test_drift_in_type_is_found_by_a_query_and_judged_by_a_probe(tmp_path: Path) -> None:
    async with measured(tmp_path, SLO__SAMPLE_S="3600") as (found, domain):
        # As if the last sample had been a minute ago.
        found.service.upkeep.measurer._watched["shop/things"].sampled_s = float("-inf")
        domain.price = "dear"
        answer = await found.ask("{ shop { things { nodes { id price } } } }")
        assert answer["errors"][0]["extensions"]["code"] == "UPSTREAM_INVALID"
        assert status(found, "accuracy") == "MET", "a query moves no state"
        finding = "callers' queries met rows that do not keep the contract (1 counted)"
        assert finding in found.service.board.product("shop/things").findings
        await until(lambda: status(found, "accuracy") == "BREACHED")
        slo = found.service.board.product("shop/things")
        assert slo.accuracy is not None
        assert (slo.accuracy.figure, slo.accuracy.finding) == (0.0, "values do not keep the contract in price")
        assert finding not in slo.findings


async def test_a_domain_that_dies_is_unknown_or_breached_and_nothing_else_suffers(tmp_path: Path) -> None:
    async with measured(tmp_path) as (found, domain):
        domain.is_up = False
        await until(lambda: status(found, "freshness") in ("UNKNOWN", "BREACHED") and status(found, "completeness") == "UNKNOWN")
        answer = await found.ask(QUERY % "status")
        assert answer["extensions"]["mesh"]["slo"]["status"] in ("UNKNOWN", "BREACHED")
        domain.is_up = True
        await until(lambda: status(found, "completeness") == "MET" and status(found, "freshness") == "MET")


async def test_calls_that_fail_count_towards_availability_with_the_next_probe(tmp_path: Path) -> None:
    async with measured(tmp_path, SLO__FRESHNESS_S="0.3") as (found, domain):
        before = found.service.board.product("shop/things").availability
        assert before is not None
        assert before.figure == 1.0
        domain.is_up = False
        await asyncio.gather(*(found.ask(QUERY % "status") for _ in range(3)))
        domain.is_up = True

        def share() -> float:
            slo = found.service.board.product("shop/things").availability
            assert slo is not None
            assert slo.figure is not None
            return slo.figure

        await until(lambda: share() < 1.0)
