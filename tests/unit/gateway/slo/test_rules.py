"""Rules from contracts, judged by promtool: they load, and they fire when they should, on days of made-up series."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.model import Contract, Metadata, Support
from contracts.objectives import Objectives, RatioObjective
from gateway.slo.rules import rules_yaml
from tests.conftest import needs
from tests.unit.gateway.slo.test_board import ALL, FRESH, contract

ORDERS = 'domain="order",product="orders-daily",version="2.1.0"'
LAG = f"data_product_freshness_lag_seconds{{{ORDERS}}}"
STATUS = f"data_product_slo_status{{{ORDERS}}}"
BURNING = 'count by (severity, objective, burn) (ALERTS{alertname="DataProductErrorBudgetBurn",alertstate="firing"})'


def rules(*contracts: Contract) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(rules_yaml(contracts))["groups"] for rule in group["rules"]]


def alerts(*contracts: Contract) -> list[dict[str, Any]]:
    return [rule for rule in rules(*contracts) if "alert" in rule]


def check(folder: Path, text: str) -> str:
    file = folder / "rules.yml"
    file.write_text(text)
    done = subprocess.run([needs("promtool"), "check", "rules", "--lint-fatal", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def play(
    folder: Path, contracts: list[Contract], series: dict[str, str], expected: dict[tuple[str, str], dict[str, float]], *, every: str = "1m"
) -> None:
    """Let promtool play ``series``, one value each ``every``, and hold (time, expression) to {series: value}."""
    (folder / "rules.yml").write_text(rules_yaml(contracts))
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": every,
        "tests": [
            {
                "interval": every,
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {"expr": expression, "eval_time": at, "exp_samples": [{"labels": it, "value": value} for it, value in found.items()]}
                    for (at, expression), found in expected.items()
                ],
            }
        ],
    }
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump(test))
    done = subprocess.run([needs("promtool"), "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_nothing_wrong_with_the_rules_of_the_demo(tmp_path: Path) -> None:
    from contracts import load_catalog

    found = check(tmp_path, rules_yaml(load_catalog(Path("contracts/catalog"))))
    assert "SUCCESS" in found


def test_every_objective_has_recordings_burn_rates_and_the_owner() -> None:
    found = rules(contract(ALL))
    recorded = {(rule["record"], rule["labels"]["objective"]) for rule in found if "record" in rule}
    for objective in ("freshness", "completeness", "accuracy", "availability"):
        for window in ("5m", "30m", "1h", "6h", "3d"):
            assert (f"data_product:objective_errors:ratio_{window}", objective) in recorded
    burning = [rule["labels"] for rule in alerts(contract(ALL)) if rule["alert"] == "DataProductErrorBudgetBurn"]
    assert [(it["severity"], it["burn"], it["window"]) for it in burning if it["objective"] == "availability"] == [
        ("page", "14.4x", "1h"),
        ("page", "6x", "6h"),
        ("ticket", "1x", "3d"),
    ]
    for rule in alerts(contract(ALL)):
        assert rule["labels"]["owner"] == rule["labels"]["request_access"] == "order-team@company.com"
        assert (rule["labels"]["domain"], rule["labels"]["product"], rule["labels"]["version"]) == ("order", "orders-daily", "2.1.0")


def test_a_stale_product_sets_off_breach_and_fast_burn_and_recovers(tmp_path: Path) -> None:
    # Two good hours, two hours of growing lag beyond the limit, then fresh again.
    series = {LAG: "60x120 3601+60x120 60x120", STATUS: "0x360"}
    breached = 'count by (objective) (ALERTS{alertname="DataProductObjectiveBreached",alertstate="firing"})'
    page = {'{burn="14.4x",objective="freshness",severity="page"}': 1.0}
    slow = {'{burn="6x",objective="freshness",severity="page"}': 1.0, '{burn="1x",objective="freshness",severity="ticket"}': 1.0}
    play(
        tmp_path,
        [contract(FRESH)],
        series,
        {
            ("1h", "count(ALERTS)"): {},
            ("2h2m", breached): {},
            ("2h4m", breached): {'{objective="freshness"}': 1.0},
            ("2h30m", BURNING): page | slow,
            ("4h20m", breached): {},
            ("4h20m", BURNING): slow,
            ("6h", BURNING): {'{burn="1x",objective="freshness",severity="ticket"}': 1.0},
        },
    )


def test_data_near_its_limit_is_at_risk_and_not_breached(tmp_path: Path) -> None:
    named = "count by (alertname, severity) (ALERTS)"
    play(
        tmp_path,
        [contract(FRESH)],
        {LAG: "2879x10 2880x20 3600x20", STATUS: "1x60"},
        {
            ("10m", named): {},
            ("15m", named): {'{alertname="DataProductObjectiveAtRisk",severity="info"}': 1.0},
            ("45m", named): {'{alertname="DataProductObjectiveAtRisk",severity="info"}': 1.0},
        },
    )


def test_availability_burns_by_the_share_of_bad_events(tmp_path: Path) -> None:
    only = Objectives(availability=RatioObjective("99.95%", 0.9995))
    events = f"data_product_availability_events_total{{{ORDERS}"
    # One event in a hundred fails: twenty times the speed that a budget of 0.05 % allows.
    series = {f'{events},outcome="good"}}': "0+99x120", f'{events},outcome="bad"}}': "0+1x120", STATUS: "0x120"}
    hourly = 'round(data_product:objective_errors:ratio_1h{objective="availability"}, 0.0001)'
    labels = 'domain="order",major="2",objective="availability",product="orders-daily"'
    play(
        tmp_path,
        [contract(only)],
        series,
        {
            ("2h", hourly): {f"{{{labels}}}": 0.01},
            ("2h", 'count(ALERTS{alertstate="firing"})'): {"{}": 3.0},
        },
    )


def test_what_was_never_asked_is_neither_there_nor_away(tmp_path: Path) -> None:
    only = Objectives(availability=RatioObjective("99.95%", 0.9995))
    events = f"data_product_availability_events_total{{{ORDERS}"
    series = {f'{events},outcome="good"}}': "7x120", f'{events},outcome="bad"}}': "0x120", STATUS: "0x120"}
    play(tmp_path, [contract(only)], series, {("2h", 'data_product:objective_errors:ratio_1h{objective="availability"}'): {}})


def test_a_share_of_rows_burns_in_proportion_and_is_breached_below_its_target(tmp_path: Path) -> None:
    only = Objectives(accuracy=RatioObjective("> 99%", 0.99))
    series = {f"data_product_accuracy_ratio{{{ORDERS}}}": "0.995x30 0.92x60", STATUS: "0x90"}
    breached = 'count(ALERTS{alertname="DataProductObjectiveBreached",alertstate="firing"})'
    play(
        tmp_path,
        [contract(only)],
        series,
        # Eight rows in a hundred wrong is eight times what one in a hundred allows: no page at 14.4, one at 6 once the half hour is bad.
        {
            ("25m", "count(ALERTS)"): {},
            ("40m", breached): {"{}": 1.0},
            ("89m", BURNING): {'{burn="1x",objective="accuracy",severity="ticket"}': 1.0},
        },
    )


def test_a_gap_in_the_figures_is_no_good_moment(tmp_path: Path) -> None:
    # An hour of breach, an hour without any figure: the hour's share of errors is still that of what is known.
    of_freshness = STATUS.replace("slo_status{", 'objective_status{objective="freshness",')
    series = {LAG: "4000x60 _x30", STATUS: "3x60 2x30", of_freshness: "3x60 2x30"}
    play(
        tmp_path,
        [contract(FRESH)],
        series,
        {
            ("80m", "data_product:objective_errors:ratio_1h"): {
                'data_product:objective_errors:ratio_1h{domain="order",major="2",objective="freshness",product="orders-daily"}': 1.0
            },
            ("82m", 'count by (objective) (ALERTS{alertname="DataProductUnmeasured",alertstate="firing"})'): {
                '{objective="freshness"}': 1.0
            },
        },
    )


def test_a_product_that_no_gateway_knows_of_is_unmeasured(tmp_path: Path) -> None:
    other = LAG.replace("orders-daily", "other")
    alerting = 'count(ALERTS{alertname="DataProductUnmeasured",alertstate="firing"})'
    play(tmp_path, [contract(FRESH)], {other: "1x30"}, {("14m", alerting): {}, ("16m", alerting): {"{}": 1.0}})


def test_of_several_replicas_the_freshest_lag_and_the_worst_ratio_count(tmp_path: Path) -> None:
    def at(name: str, replica: str) -> str:
        return f'{name}{{{ORDERS},instance="{replica}"}}'

    both = Objectives(freshness=FRESH.freshness, completeness=ALL.completeness)
    series = {
        at("data_product_freshness_lag_seconds", "a"): "60x10",
        at("data_product_freshness_lag_seconds", "b"): "9999x10",
        at("data_product_completeness_ratio", "a"): "1x10",
        at("data_product_completeness_ratio", "b"): "0.9x10",
    }
    name = '{domain="order",major="2",objective="%s",product="orders-daily"}'
    play(
        tmp_path,
        [contract(both)],
        series,
        {("5m", "round(data_product:objective_bad:ratio, 0.001)"): {name % "freshness": 0.0, name % "completeness": 0.1}},
    )


def test_a_new_minor_version_takes_over_and_another_major_does_not(tmp_path: Path) -> None:
    lag = 'data_product_freshness_lag_seconds{domain="order",product="orders-daily",version="%s"}'
    series = {lag % "2.1.0": "60x5 _x20", lag % "2.2.0": "_x5 60x20", lag % "1.9.0": "9999x25", lag % "20.0.0": "0x25"}
    name = 'data_product:objective_bad:ratio{domain="order",major="%s",objective="freshness",product="orders-daily"}'
    play(
        tmp_path,
        [contract(FRESH), contract(FRESH, version="1.9.0")],
        series,
        {("20m", "data_product:objective_bad:ratio"): {name % "2": 0.0, name % "1": 1.0}},
    )


@pytest.mark.parametrize(
    "owner",
    ["{{ $labels.instance }}", '"}) or vector(1) #', "team: [a]\n- b", "{{{{", "팀 é 🐟", "a\x85b\u2028c\x7f\t\\ \ufeff", "- no", "yes"],
)
def test_no_text_of_a_contract_is_read_as_template_promql_or_yaml(tmp_path: Path, owner: str) -> None:
    metadata = Metadata(name="orders-daily", domain="order", owner=owner, version="2.1.0", docs="https://docs/{{x}}")
    metadata = metadata.model_copy(update={"support": (Support(channel="{{ fail }}"),)})
    hostile = Contract(metadata=metadata, fields=(), objectives=FRESH, classification=())
    check(tmp_path, rules_yaml([hostile]))
    fires = {("10m", 'count(ALERTS{alertname="DataProductObjectiveBreached",alertstate="firing"})'): {"{}": 1.0}}
    play(tmp_path, [hostile], {LAG: "4000x20", STATUS: "3x20"}, fires)
    (file,) = tmp_path.glob("rules.yml")
    labels = yaml.safe_load(file.read_text())["groups"][1]["rules"][0]["labels"]
    assert labels["owner"].replace('{{"{{"}}', "{{") == owner
    assert yaml.safe_load(file.read_text())["groups"][1]["rules"][0]["annotations"]["runbook_url"].startswith("https://docs/")


def test_a_product_that_promises_nothing_has_no_rules() -> None:
    assert rules(contract(Objectives())) == []


def test_equal_contracts_give_equal_bytes() -> None:
    assert rules_yaml([contract(ALL)]) == rules_yaml([contract(ALL)])
