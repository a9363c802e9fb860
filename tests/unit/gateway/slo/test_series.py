"""Gauges about data products: the guide's names, the figures of the board, bounded."""

from __future__ import annotations

import datetime as dt

from prometheus_client.parser import text_string_to_metric_families

from gateway.observe.metrics import Metrics
from gateway.slo.series import SERIES, STATUS_NUMBERS, exposition, writer
from gateway.slo.status import SloStatus, worst
from tests.unit.gateway.slo.standing import START, budget, measured, standing

Found = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: bytes) -> Found:
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text.decode())
        for one in family.samples
    }


def of(found: Found, name: str, **labels: str) -> float | None:
    return found.get((name, tuple(sorted({"domain": "order", "product": "orders-daily", "version": "2.1.0", **labels}.items()))))


def test_figures_stand_under_the_guides_names_with_domain_product_and_version() -> None:
    slo = standing(
        "order/orders-daily",
        measured("freshness", 60.0),
        measured("completeness", 0.999, budget=budget(0.25, 0.5)),
        measured("accuracy", 0.98, "BREACHED"),
        measured("availability", 0.9999),
    )
    found = samples(exposition([slo], START + dt.timedelta(seconds=5), products_max=10))
    assert of(found, "data_product_freshness_lag_seconds") == 65.0
    assert of(found, "data_product_completeness_ratio") == 0.999
    assert of(found, "data_product_accuracy_ratio") == 0.98
    assert of(found, "data_product_availability_ratio") == 0.9999
    assert of(found, "data_product_slo_status") == 3.0
    assert of(found, "data_product_objective_status", objective="completeness") == 0.0
    assert of(found, "data_product_objective_status", objective="accuracy") == 3.0
    assert of(found, "data_product_error_budget_left_ratio", objective="completeness") == 0.25
    assert of(found, "data_product_error_budget_burn_rate", objective="completeness") == 0.5
    assert of(found, "data_product_error_budget_left_ratio", objective="accuracy") is None
    assert of(found, "data_product_measurement_age_seconds") == 5.0


def test_what_is_unknown_has_no_sample_but_its_status() -> None:
    slo = standing("order/orders-daily", measured("freshness", None, "UNKNOWN"), measured("accuracy", None, "UNKNOWN"), age_s=None)
    found = samples(exposition([slo], START, products_max=10))
    assert of(found, "data_product_freshness_lag_seconds") is None
    assert of(found, "data_product_accuracy_ratio") is None
    assert of(found, "data_product_slo_status") == 2.0


def test_the_lag_grows_while_nothing_is_measured() -> None:
    slo = standing("order/orders-daily", measured("freshness", 60.0))
    lags = [
        of(samples(exposition([slo], START + dt.timedelta(hours=h), products_max=1)), "data_product_freshness_lag_seconds") for h in (0, 1)
    ]
    assert lags == [60.0, 3_660.0]


def test_numbers_of_statuses_order_them_as_worst_of_does() -> None:
    statuses = list(SloStatus)
    assert worst(statuses) is max(statuses, key=STATUS_NUMBERS.__getitem__)
    assert sorted(STATUS_NUMBERS, key=STATUS_NUMBERS.__getitem__) == [
        SloStatus.MET,
        SloStatus.AT_RISK,
        SloStatus.UNKNOWN,
        SloStatus.BREACHED,
    ]


def test_products_beyond_the_bound_are_counted_and_have_no_series() -> None:
    slos = [standing(f"order/p{index}", measured("freshness", 1.0)) for index in range(5)]
    text = exposition(slos, START, products_max=3)
    assert b"data_product_metrics_left_out 2" in text
    assert b'product="p2"' in text
    assert b'product="p3"' not in text


def test_an_older_version_still_served_has_series_of_its_own() -> None:
    slos = [standing("order/orders-daily@1.9.0", measured("freshness", 1.0)), standing("order/orders-daily", measured("freshness", 1.0))]
    found = exposition(slos, START, products_max=3).decode()
    assert found.count('data_product_slo_status{domain="order",product="orders-daily",version=') == 2


def test_no_name_breaks_out_of_its_label() -> None:
    text = exposition([standing('order/a"} 1\n\\x', measured("freshness", 1.0))], START, products_max=1)
    assert [value for (name, _), value in samples(text).items() if name == "data_product_slo_status"] == [0.0]


def test_the_metrics_page_shows_them_and_looks_at_the_board_when_it_is_asked() -> None:
    metrics, slos = Metrics(), [standing("order/orders-daily", measured("freshness", 1.0))]
    metrics.also(writer(lambda: slos, lambda: START, products_max=10))
    write = metrics.rendering()
    slos.append(standing("order/other", measured("freshness", 1.0)))
    assert b'product="other"' not in write()
    assert b'product="other"' in metrics.render()
    families = list(text_string_to_metric_families(metrics.render().decode()))
    assert len({family.name for family in families}) == len(families)
    assert {series.prometheus for series in SERIES} <= {family.name for family in families}


def test_probes_and_calls_are_counted_by_outcome_and_both_series_are_there_from_the_first_on() -> None:
    metrics = Metrics(products_max=2)
    metrics.events("order/orders-daily", "2.1.0", bad=0, total=3)
    found = samples(metrics.render())
    assert of(found, "data_product_availability_events_total", outcome="good") == 3.0
    assert of(found, "data_product_availability_events_total", outcome="bad") == 0.0
    metrics.events("order/orders-daily@1", "1.9.0", bad=2, total=3)
    metrics.events("order/beyond", "1.0.0", bad=1, total=1)
    found = samples(metrics.render())
    assert of(found, "data_product_availability_events_total", outcome="bad", version="1.9.0") == 2.0
    assert b"beyond" not in metrics.render()
