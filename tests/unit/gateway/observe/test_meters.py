"""Gauges through OpenTelemetry: the guide's names, attributes, and what the loop showed last."""

from __future__ import annotations

import datetime as dt
import sys
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from gateway.observe import meters
from tests.unit.gateway.slo.standing import START, budget, measured, standing


def exported(reader: InMemoryMetricReader) -> dict[str, list[tuple[dict[str, Any], float]]]:
    data = reader.get_metrics_data()
    found: dict[str, list[tuple[dict[str, Any], float]]] = {}
    for resource in data.resource_metrics if data is not None else ():
        assert resource.resource.attributes["service.name"] == "meshgate"
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                found[metric.name] = [(dict(point.attributes or {}), point.value) for point in metric.data.data_points]  # type: ignore[union-attr]  # sums and histograms alone are measured
    return found


def test_gauges_have_the_guides_names_and_say_domain_product_and_version() -> None:
    reader = InMemoryMetricReader()
    found = meters.configure("off", lambda: START + dt.timedelta(seconds=2), products_max=1, every_s=60.0, reader=reader)
    assert found is not None
    found.show(
        [standing("order/orders-daily", measured("freshness", 60.0), measured("completeness", 0.999, budget=budget(0.5))), standing("a/b")]
    )
    own = {"domain": "order", "product": "orders-daily", "version": "2.1.0"}
    points = exported(reader)
    assert points["data_product.freshness_lag_seconds"] == [(own, 62.0)]
    assert points["data_product.completeness_ratio"] == [(own, 0.999)]
    assert points["data_product.slo_status"] == [(own, 0.0)]
    assert points["data_product.error_budget_left_ratio"] == [({**own, "objective": "completeness"}, 0.5)]
    assert "data_product.accuracy_ratio" not in points
    found.show([])
    assert "data_product.slo_status" not in exported(reader)
    found.stop()


def test_off_exports_nothing_and_console_is_an_exporter(capsys: pytest.CaptureFixture[str]) -> None:
    assert meters.configure("off", lambda: START, products_max=1, every_s=60.0) is None
    found = meters.configure("console", lambda: START, products_max=1, every_s=60.0)
    assert found is not None
    found.show([standing("order/orders-daily", measured("freshness", 60.0))])
    found.stop()
    assert "data_product.freshness_lag_seconds" in capsys.readouterr().out


def test_otlp_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.metric_exporter", None)
    with pytest.raises(RuntimeError, match="opentelemetry-exporter-otlp-proto-http"):
        meters.configure("otlp", lambda: START, products_max=1, every_s=60.0)
