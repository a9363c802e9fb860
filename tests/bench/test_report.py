from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.bench.contenders import free_port, rows_of
from tests.bench.load import ask
from tests.bench.measure import Slice
from tests.bench.processes import Process, wait_until
from tests.bench.report import disturbed, fallen, ratios
from tests.bench.upstream import Table, command
from tests.bench.workload import Workload


def slice_of(contender: str, per_s: float, cpu_ms: float, round_: int = 0, *, busy: float = 1.0) -> Slice:
    return Slice(round_, "Q1", contender, per_s, cpu_ms, busy=busy, p50_ms=1.0, p99_ms=2.0, memory_mib=50.0)


def test_a_ratio_is_the_median_of_ratios_within_rounds() -> None:
    slices = [slice_of("f2", 100.0 * speed, 1.0, round_) for round_, speed in enumerate((1, 2, 10))]
    slices += [slice_of("meshgate", 50.0 * speed, 2.0, round_) for round_, speed in enumerate((1, 2, 1))]
    assert ratios(slices) == {"Q1": {"f2": 0.5}}
    assert ratios(slices, by_cpu=True) == {"Q1": {"f2": 0.5}}


def test_a_ratio_has_fallen_when_requests_and_cpu_time_say_so() -> None:
    recorded = {"ratios": {"Q1": {"f2": 0.5}}, "cpu_ratios": {"Q1": {"f2": 0.5}}}
    slower = [slice_of("f2", 100.0, 1.0), slice_of("meshgate", 40.0, 2.5)]
    hindered = [slice_of("f2", 100.0, 1.0), slice_of("meshgate", 40.0, 2.0)]
    assert fallen(slower, recorded) == ["Q1: Meshgate/f2 fell from 0.50 to 0.40"]
    assert fallen(hindered, recorded) == []
    assert fallen(slower, {}) == []


def test_nothing_is_judged_while_others_use_the_gateways_core() -> None:
    recorded = {"ratios": {"Q1": {"f2": 0.5}}, "cpu_ratios": {"Q1": {"f2": 0.5}}}
    slices = [slice_of("f2", 100.0, 1.0), slice_of("meshgate", 10.0, 9.0, busy=0.4)]
    assert disturbed(slices) == ["Q1"]
    assert fallen(slices, recorded) == []


def test_answers_are_compared_as_rows_whatever_is_wrapped_around_them() -> None:
    ours = b'{"data":{"order":{"orders":{"nodes":[{"orderId":"O1","payments":{"nodes":[{"paymentId":"P1"}]}}]}}},"extensions":{}}'
    theirs = b'{"data":{"orders":[{"order_id":"O1","payments":[{"payment_id":"P1"}]}]}}'
    assert rows_of(ours) == rows_of(theirs) == [{"order_id": "O1", "payments": [{"payment_id": "P1"}]}]


def test_the_upstream_answers_alike_in_c_and_in_python(tmp_path: Path) -> None:
    workload = Workload(b"k" * 32)
    workload.write(tmp_path)
    ports = {name: free_port() for name in workload.tables}
    served, _ = command(tmp_path, ports)
    last = workload.tables["customers"][-1]["customer_id"]
    targets = {
        "orders": [
            "?since=1970-01-01T00:00:00Z&limit=3&cursor=60",
            "?limit=2",
            "?limit=1000&cursor=5800",
            "?limit=5&cursor=999999",
            "/slo",
        ],
        "customers": [
            f"?customer_id=in:(C000007,{last},C000007)",
            "?customer_id=in%3A%28C000001%2CC000002%29",
            "?customer_id=in:(C999999)",
        ],
        "payments": ["?order_id=in:(O0000000,O0000003)", "/schema"],
    }
    with Process(served, core=None, log=tmp_path / "upstream.log") as upstream:
        for name, ends in targets.items():
            port, table = ports[name], Table.load(tmp_path, name)
            wait_until(lambda port=port: ask(port, [b"GET /slo HTTP/1.1\r\n\r\n"]), upstream)
            for end in ends:
                target = f"/data-products/{name}{end}"
                ((status, body, length),) = ask(port, [f"GET {target} HTTP/1.1\r\nhost: x\r\n\r\n".encode()])
                written = table.answer(target)
                assert written.endswith(b"\r\n\r\n" + body)
                assert (status, length) == (int(written[9:12]), len(written))


def test_the_command_line_names_its_choices() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.bench", "--help"], capture_output=True, text=True, check=True)
    assert "--record" in done.stdout
    assert "strawberry" in done.stdout
