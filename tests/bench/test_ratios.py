"""A short run, so that `make test` notices when a request has become several times as dear. `make bench` is the real measurement."""

from __future__ import annotations

import pytest

from tests.bench.measure import measure
from tests.bench.processes import cores
from tests.bench.report import ratios, table

# About half of what `make bench` finds: machines differ, neighbours come and go.
OF_F1 = {"Q1": 0.14, "Q2": 0.24, "Q4": 0.26}
OF_F2 = {"Q1": 0.11, "Q2": 0.13, "Q4": 0.11}


@pytest.mark.bench
@pytest.mark.skipif(None in cores(), reason="fewer than two cores that processes can be pinned to: no ratio would mean anything")
def test_a_request_costs_no_multiple_of_what_it_cost_before() -> None:
    slices, around = measure(["f1", "f2", "meshgate"], list(OF_F2), rounds=2, seconds=1)
    shown = table(slices, around)
    by_rate, by_cpu = ratios(slices), ratios(slices, by_cpu=True)
    for question, least in OF_F2.items():
        assert max(by_rate[question]["f2"], by_cpu[question]["f2"]) > least, shown
        assert max(by_rate[question]["f1"], by_cpu[question]["f1"]) > OF_F1[question], shown
