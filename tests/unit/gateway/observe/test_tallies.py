"""Counts and times as plain numbers, and as Prometheus reads them."""

from prometheus_client import CollectorRegistry, generate_latest

from gateway.observe.tallies import Counts, Times


def test_counts_are_shown_per_labels() -> None:
    registry = CollectorRegistry()
    counts = Counts("reads", "Reads.", ("product", "outcome"), registry)
    for outcome in ("ok", "ok", "late"):
        counts.add("order/orders", outcome)
    text = generate_latest(registry).decode()
    assert 'reads_total{outcome="ok",product="order/orders"} 2.0' in text
    assert 'reads_total{outcome="late",product="order/orders"} 1.0' in text


def test_times_fall_into_every_bucket_that_holds_them() -> None:
    registry = CollectorRegistry()
    times = Times("seconds", "Time.", ("product",), (0.01, 0.1), registry)
    for seconds in (0.005, 0.01, 0.05, 3.0):
        times.add(seconds, "p")
    lines = generate_latest(registry).decode().splitlines()
    assert 'seconds_bucket{le="0.01",product="p"} 2.0' in lines
    assert 'seconds_bucket{le="0.1",product="p"} 3.0' in lines
    assert 'seconds_bucket{le="+Inf",product="p"} 4.0' in lines
    assert 'seconds_count{product="p"} 4.0' in lines
    assert 'seconds_sum{product="p"} 3.065' in lines


def test_a_histogram_without_labels_shows_before_anything_was_noted() -> None:
    registry = CollectorRegistry()
    Times("seconds", "Time.", (), (1.0,), registry)
    assert "seconds_count 0.0" in generate_latest(registry).decode()
