"""The dashboard, read back by Grafana's own models: nothing in it is unknown to them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from contracts import load_catalog
from contracts.model import Contract, Metadata
from contracts.objectives import Objectives
from gateway.slo.dashboard import PRODUCTS_MAX, dashboard
from tests.conftest import needs
from tests.unit.gateway.slo.test_board import ALL, FRESH, contract


def panels(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [inner for panel in found["panels"] for inner in (panel, *panel.get("panels", []))]


def expressions(found: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in panels(found) for target in panel.get("targets", [])]


def missing(given: Any, kept: Any, at: str = "") -> list[str]:
    """Name the members of ``given`` that are not in ``kept``."""
    if isinstance(given, dict):
        lost = [f"{at}.{name}" for name in given if not isinstance(kept, dict) or name not in kept]
        return lost + [one for name in given if name in (kept or {}) for one in missing(given[name], kept[name], f"{at}.{name}")]
    if isinstance(given, list):
        if not isinstance(kept, list) or len(kept) != len(given):
            return [at]
        return [one for index, item in enumerate(given) for one in missing(item, kept[index], f"{at}[{index}]")]
    return [] if given == kept else [f"{at}: {given!r} became {kept!r}"]


def test_grafanas_own_models_keep_every_member_of_it() -> None:
    found = dashboard(load_catalog(Path("contracts/catalog")))
    kept = json.loads(json.dumps(Dashboard.from_json(found), cls=JSONEncoder))
    assert missing(found, kept) == []


def test_each_product_has_a_folded_row_with_its_promises_as_thresholds() -> None:
    found = dashboard([contract(ALL)])
    (row,) = [panel for panel in found["panels"] if panel["type"] == "row"]
    assert row["collapsed"]
    assert row["title"] == "order/orders-daily 2.1.0 (order-team@company.com)"
    by_title = {panel["title"]: panel for panel in row["panels"]}
    lag = by_title["freshness: < 1 hour"]["fieldConfig"]["defaults"]
    assert [step["value"] for step in lag["thresholds"]["steps"]] == [None, 2_880.0, 3_600.0]
    assert lag["unit"] == "s"
    ratio = by_title["availability: 99.95%"]["fieldConfig"]["defaults"]
    assert [step["value"] for step in ratio["thresholds"]["steps"]] == [None, 0.9995]


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    found = dashboard([contract(ALL), contract(FRESH, name="other"), contract(Objectives(), name="silent")])
    ids = [panel["id"] for panel in panels(found)]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in panels(found):
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    queries = [
        {"record": f"q:{index}", "expr": text} for index, text in enumerate(expressions(dashboard(load_catalog("contracts/catalog"))))
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": queries}]}))
    done = subprocess.run([needs("promtool"), "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_text_of_a_contract_is_read_as_a_variable() -> None:
    metadata = Metadata(name="orders", domain="order", owner="$__all ${datasource} [[x]]", version="1.0.0")
    found = dashboard([Contract(metadata=metadata, fields=(), objectives=FRESH, classification=())], title="$x")
    (row,) = [panel for panel in found["panels"] if panel["type"] == "row"]
    assert "$_" not in row["title"]
    assert "${" not in row["title"]
    assert "[[" not in row["title"]
    assert found["title"] == "$\u200bx"


def test_the_same_products_give_the_same_dashboard_and_others_another() -> None:
    one, other = dashboard([contract(ALL)]), dashboard([contract(ALL, name="other")])
    assert dashboard([contract(ALL, version="2.7.0")])["uid"] == one["uid"] != other["uid"]
    assert 8 <= len(one["uid"]) <= 40


def test_more_products_than_a_page_shows_are_refused() -> None:
    with pytest.raises(ValueError, match="choose those of one domain"):
        dashboard([contract(FRESH, name=f"p{index}") for index in range(PRODUCTS_MAX + 1)])
