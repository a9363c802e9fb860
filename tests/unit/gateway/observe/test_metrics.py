"""Metrics: Prometheus text with bounded labels."""

from __future__ import annotations

from gateway.observe.metrics import Metrics


def sample(metrics: Metrics, line: str) -> bool:
    return line in metrics.render().decode().splitlines()


def test_requests_are_counted_by_code_and_timed() -> None:
    metrics = Metrics()
    metrics.request("OK", 0.004)
    metrics.request("OK", 0.004)
    metrics.request("FORBIDDEN", 0.1)
    assert sample(metrics, 'meshgate_requests_total{code="OK"} 2.0')
    assert sample(metrics, 'meshgate_requests_total{code="FORBIDDEN"} 1.0')
    assert sample(metrics, 'meshgate_request_seconds_bucket{le="0.005"} 2.0')


def test_products_beyond_the_bound_count_as_other() -> None:
    metrics = Metrics(products_max=1)
    metrics.read("a/b", "ok", 0.1, "rest-api", 1)
    metrics.read("c/d", "ok", 0.1, "rest-api", 1)
    metrics.read("a/b", "invalid", 0.1, "rest-api", 1)
    metrics.read("a/b", "customer@example.com", 0.1, "rest-api", 1)
    assert sample(metrics, 'meshgate_upstream_reads_total{level="1",outcome="ok",port="rest-api",product="a/b"} 1.0')
    assert sample(metrics, 'meshgate_upstream_reads_total{level="1",outcome="ok",port="other",product="other"} 1.0')
    assert sample(metrics, 'meshgate_upstream_reads_total{level="1",outcome="invalid",port="rest-api",product="a/b"} 1.0')
    assert sample(metrics, 'meshgate_upstream_reads_total{level="1",outcome="other",port="rest-api",product="a/b"} 1.0')
    assert "c/d" not in metrics.render().decode()
    assert "customer@" not in metrics.render().decode()


def test_answers_of_stand_ins_are_counted_by_port_within_the_same_bound() -> None:
    metrics = Metrics(products_max=1)
    metrics.failover("a/b", "copy", 0)
    metrics.failover("a/b", "copy", 0)
    metrics.failover("c/d", "copy", 0)
    assert sample(metrics, 'meshgate_port_failovers_total{level="0",port="copy",product="a/b"} 2.0')
    assert sample(metrics, 'meshgate_port_failovers_total{level="0",port="other",product="other"} 1.0')


def test_compilations_and_look_ups_are_counted() -> None:
    metrics = Metrics()
    metrics.compiled(0.002)
    metrics.executable(hit=True)
    metrics.executable(hit=False)
    metrics.executable(hit=True)
    assert sample(metrics, "meshgate_compile_seconds_count 1.0")
    assert sample(metrics, 'meshgate_executables_total{outcome="hit"} 2.0')
    assert sample(metrics, 'meshgate_executables_total{outcome="miss"} 1.0')


def test_a_gauge_is_asked_when_the_metrics_are_read() -> None:
    metrics = Metrics()
    value = 1.0
    metrics.gauge("things", "Things.", lambda: value)
    metrics.in_flight(lambda: 7)
    value = 2.0
    assert sample(metrics, "meshgate_things 2.0")
    assert sample(metrics, "meshgate_requests_in_flight 7.0")


def test_two_registries_do_not_meet() -> None:
    one, two = Metrics(), Metrics()
    one.request("OK", 0.1)
    assert not sample(two, 'meshgate_requests_total{code="OK"} 1.0')


def test_estimates_are_shown_beside_what_was_read() -> None:
    metrics = Metrics()
    metrics.cost(20.0, 10, 9)
    metrics.cost(5e9, 0, 0)
    metrics.cost(150.0, 40, None)
    text = metrics.render().decode()
    assert 'meshgate_operation_cost_bucket{le="100.0"} 1.0' in text
    assert 'meshgate_operation_cost_bucket{le="1000.0"} 2.0' in text
    assert 'meshgate_operation_cost_bucket{le="+Inf"} 3.0' in text
    assert "meshgate_operation_cost_sum 5.00000017e+09" in text
    assert 'meshgate_operation_rows_ratio_bucket{le="0.5"} 0.0' in text
    assert 'meshgate_operation_rows_ratio_bucket{le="1.0"} 1.0' in text
    assert "meshgate_operation_rows_estimated_total 10.0" in text
    assert "meshgate_operation_rows_read_total 9.0" in text
