"""``/slo`` documents as teams write them: SPEC B2, B3."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from gateway.slo.documents import DOCUMENT_BYTES_MAX, read_figures
from gateway.slo.figures import Figures

NOW = dt.datetime(2026, 11, 23, 2, 30, tzinfo=dt.UTC)
UPDATED = dt.datetime(2026, 11, 23, 1, 2, 3, tzinfo=dt.UTC)


def read(document: Any) -> Figures:
    return read_figures(document if isinstance(document, bytes) else json.dumps(document).encode(), NOW)


def test_our_own_document_is_read_in_full() -> None:
    document = {
        "measuredAt": "2026-11-23T02:29:00Z",
        "freshness": {"lastUpdateAt": "2026-11-23T01:02:03Z"},
        "completeness": {"ratio": 0.9991, "sampleRows": 1000},
        "accuracy": {"ratio": 1, "sampleRows": 1000},
        "availability": {"ratio": 0.9999},
    }
    assert read(document) == Figures(NOW - dt.timedelta(minutes=1), UPDATED, 0.9991, 1.0, 0.9999)


@pytest.mark.parametrize("document", [{"freshness": 5_277_000_000_000}, {"freshness": {"lag": 5_277_000_000_000}}])
def test_durations_without_a_unit_have_the_one_that_the_contract_declares(document: Any) -> None:
    found = read_figures(json.dumps(document).encode(), NOW, unit_s=1e-9)
    assert found.last_update_at == NOW - dt.timedelta(seconds=5277)
    named = {"freshness": {"lagSeconds": 5277}}
    assert read_figures(json.dumps(named).encode(), NOW, unit_s=1e-9).last_update_at == found.last_update_at
    assert read({"freshness": 5277}).last_update_at == found.last_update_at


def test_every_member_is_optional() -> None:
    assert read({}) == Figures(NOW)
    assert read({"unheardOf": [1, 2, {"a": None}], "freshness": None, "completeness": {}, "measuredAt": None}) == Figures(NOW)


@pytest.mark.parametrize(
    "document",
    [
        {"freshness": 5277.0, "completeness": 0.9991},
        {"freshness": "PT1H27M57S", "completeness": "99.91%"},
        {"freshness": "5277", "completeness": "0.9991"},
        {"Freshness": 5277, "Completeness": 99.91},
        {"freshness": {"lagSeconds": 5277}, "completeness": {"percent": 99.91}},
        {"freshness": {"lag_ms": 5277000}, "completeness_ratio": 0.9991},
        {"freshness": {"LagNanos": 5277000000000}, "CompletenessPercent": "99.91"},
        {"freshness_lag_seconds": 5277, "completeness": {"value": 0.9991}},
        {"lag": 1, "freshness": {"last_update_at": "2026-11-23T02:02:03+01:00"}, "completeness": {"actual": "99.91 %"}},
        {"lastUpdate": "2026-11-23T01:02:03.000000000Z", "completeness": 0.9991},
        {"freshness": {"lastUpdated": 1795395723}, "completeness": 0.9991},
        {"freshness": {"lastUpdated": 1795395723000}, "completeness": 0.9991},
        {"freshness": {"lastUpdated": 1795395723.0}, "completeness": 0.9991},
        {"freshness": {"lastUpdated": 1795395723000000}, "completeness": 0.9991},
        {"freshness": {"lastUpdated": 1795395723000000000}, "completeness": 0.9991},
        {"slo": {"freshness": {"lastUpdateAt": "2026-11-23T01:02:03Z"}, "completeness": 0.9991}},
        {"data": {"freshness": "1 hour 27 min 57 s", "completeness": 0.9991}, "metadata": {}},
    ],
)
def test_other_spellings_say_the_same(document: dict[str, Any]) -> None:
    assert read(document) == Figures(NOW, UPDATED, 0.9991)


def test_java_and_go_instants_are_read_to_the_microsecond() -> None:
    found = read({"generatedAt": "2026-11-23T02:29:59.123456789Z", "freshness": "PT0S"})
    assert found.measured_at == dt.datetime(2026, 11, 23, 2, 29, 59, 123456, tzinfo=dt.UTC)
    assert found.last_update_at == found.measured_at


@pytest.mark.parametrize(
    ("document", "finding"),
    [
        ({"freshness": -1}, "freshness is no age"),
        ({"freshness": "NaN"}, "freshness is no age"),
        ({"freshness": "< 1 hour"}, "freshness is no age"),
        ({"freshness": 3_600_000_000_000}, "freshness is no age"),
        ({"freshness": 10**400}, "freshness is no age"),
        ({"freshness": True}, "freshness is no age"),
        ({"freshness": ["PT1H"]}, "freshness is no age"),
        (b'{"freshness": NaN}', "freshness is no age"),
        ({"freshness": {"lastUpdateAt": "2026-11-23T01:02:03"}}, "lastUpdateAt is no instant"),
        ({"freshness": {"lastUpdateAt": "0001-01-01T00:00:00Z"}}, "lastUpdateAt is no instant"),
        ({"freshness": {"lastUpdateAt": "2026-13-45T00:00:00Z"}}, "lastUpdateAt is no instant"),
        ({"freshness": {"lastUpdateAt": 12}}, "lastUpdateAt is no instant"),
        ({"freshness": {"lastUpdateAt": {"seconds": 1}}}, "lastUpdateAt is no instant"),
        ({"freshness": {"lastUpdateAt": "2026-11-23T03:30:00Z"}}, "lastUpdateAt lies in the future"),
        ({"completeness": -0.1}, "completeness is no share"),
        ({"completeness": 100.1}, "completeness is no share"),
        ({"completeness": "> 99.5%"}, "completeness is no share"),
        ({"completeness": "Infinity"}, "completeness is no share"),
        ({"completeness": False}, "completeness is no share"),
        ({"completeness": [1]}, "completeness is no share"),
        (b'{"completeness": Infinity}', "completeness is no share"),
        ({"completeness": {"ratio": 1, "sampleRows": 0}}, "completeness was measured over no rows"),
        ({"accuracy": 10**400}, "accuracy is no share"),
        ({"availability": "best effort"}, "availability is no share"),
        ([], "no object"),
        (b"<html>", "not JSON"),
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 60_000, "not JSON"),
        (b'{"freshness": ' + b"9" * 5_000 + b"}", "not JSON"),
        (b" " * (DOCUMENT_BYTES_MAX + 1), "too large"),
    ],
)
def test_what_cannot_be_true_is_dropped_and_reported_without_its_value(document: Any, finding: str) -> None:
    found = read(document)
    assert (found.measured_at, found.last_update_at) == (NOW, None)
    assert (found.completeness_ratio, found.accuracy_ratio, found.availability_ratio) == (None, None, None)
    assert len(found.findings) == 1
    assert finding in found.findings[0]
    assert "99.5" not in found.findings[0]


def test_one_bad_member_leaves_its_neighbours() -> None:
    found = read({"completeness": "?", "accuracy": 0.5, "measuredAt": "yesterday", "freshness": 60})
    assert (found.completeness_ratio, found.accuracy_ratio) == (None, 0.5)
    assert found.last_update_at == NOW - dt.timedelta(minutes=1)
    assert len(found.findings) == 2


def test_a_clock_slightly_ahead_counts_as_now_and_one_far_ahead_not_at_all() -> None:
    ahead = read({"measuredAt": "2026-11-23T02:30:30Z", "freshness": {"lastUpdateAt": "2026-11-23T02:30:20Z"}})
    assert (ahead.measured_at, ahead.last_update_at, ahead.findings) == (NOW, NOW, ())
    assert read({"measuredAt": "2026-11-23T02:31:01Z"}).findings == ("measuredAt lies in the future",)


def test_one_is_all_and_one_percent_must_be_said() -> None:
    assert read({"completeness": 1}).completeness_ratio == 1.0
    assert read({"completeness": "1%"}).completeness_ratio == 0.01
    assert read({"completeness": {"percentage": 1}}).completeness_ratio == 0.01
    assert read({"completeness": 0}).completeness_ratio == 0.0
