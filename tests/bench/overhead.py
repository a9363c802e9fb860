"""What Meshgate adds to the time of its upstreams: ``python -m tests.bench.overhead``.

Open-loop load (`arrivals`) at half of what a core that is the gateway's alone carries at most; at the same rate the upstreams are asked
directly for what the gateway asks them for that question, step by step. Printed is p50, p99 and p99.9 of both and the difference. *late* is
p99 of how late the generator itself was. *waited* is how much of the time the gateway was ready to run and did not get its core: on a
quiet machine next to nothing. On one that others use too, ``--ahead`` lets all that is measured run before them.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.bench.arrivals import Arrived, Exchange, Spread, arrive
from tests.bench.contenders import CONTENDERS, Contender, free_port, pseudonym_key, rows_of
from tests.bench.load import Load, ask, generator, press
from tests.bench.processes import Process, ahead, cores, pinned, wait_until
from tests.bench.upstream import command
from tests.bench.workload import CURSORS, FIRST, Workload

__all__ = ["GOAL_MS", "Overhead", "measure", "summary"]

GOAL_MS = 3.0
"""What p99 may grow by."""
_QUESTIONS = ("Q1", "Q2", "Q4")
_SHARE = 0.5
_CLIENTS = 64
_PRESS_S = 2


@dataclass(frozen=True, slots=True)
class Overhead:
    """One round of one question. ``waited``: share of the time that the gateway stood ready without its core."""

    question: str
    per_s: float
    upstream: Arrived
    gateway: Arrived
    waited: float

    @property
    def added(self) -> Spread:
        """What the gateway adds."""
        return self.gateway.spread.above(self.upstream.spread)

    def line(self) -> str:
        """Write it."""
        spreads = (self.upstream.spread, self.gateway.spread, self.added)
        figures = "   ".join(f"{it.p50_ms:6.2f} {it.p99_ms:6.2f} {it.p999_ms:7.2f}" for it in spreads)
        late = f"{self.upstream.late.p99_ms:5.2f}{self.gateway.late.p99_ms:6.2f}"
        return f"{self.question}{self.per_s:>8,.0f}/s   {figures}   {late}{self.waited:>8.1%}"


HEAD = f"{'':12}{'upstream, ms':>24}{'gateway, ms':>24}{'added, ms':>24}   late, ms  waited\n{'':12}" + f"{'p50    p99   p99.9':>24}" * 3


def measure(
    questions: Sequence[str] = _QUESTIONS,
    *,
    rounds: int,
    seconds: float,
    share: float = _SHARE,
    say: Callable[[str], None] = lambda _: None,
) -> list[Overhead]:
    """Measure, the upstream and the gateway in turn. Raises: RuntimeError where an answer is not right or a server does not start."""
    gateway_core, load_core = cores()
    found: list[Overhead] = []
    with tempfile.TemporaryDirectory(prefix="meshgate-overhead-") as place, contextlib.ExitStack() as open_:
        folder = Path(place)
        workload = Workload(pseudonym_key())
        workload.write(folder)
        upstreams = {name: free_port() for name in workload.tables}
        served, language = command(folder, upstreams)
        upstream = open_.enter_context(Process(served, core=load_core, log=folder / "upstream.log"))
        for port in upstreams.values():
            wait_until(lambda port=port: ask(port, [b"GET /data-products/x/slo HTTP/1.1\r\n\r\n"]), upstream)
        contender = CONTENDERS["meshgate"]()
        gateway = open_.enter_context(contender.open(folder, upstreams, gateway_core))
        rates: dict[str, float] = {}
        for question in questions:
            _verify(contender.port, contender.requests[question], question, workload)
            most, cpu_s = _saturated(contender, gateway, question, seconds=min(_PRESS_S, round(seconds) or 1), core=load_core)
            rates[question] = share * most.requests / cpu_s
            say(f"{question}: {most.requests / cpu_s:,.0f}/s at most ({generator()}, upstream in {language}; {_busy(most, cpu_s)})")
        say(HEAD)
        for _ in range(rounds):
            for question in questions:
                with pinned(load_core):
                    direct = arrive(_direct(question, workload, upstreams), per_s=rates[question], seconds=seconds, clients=_CLIENTS)
                    exchanges = [[[(contender.port, request)]] for request in contender.requests[question]]
                    before_s = _waited_s(gateway.pid)
                    through = arrive(exchanges, per_s=rates[question], seconds=seconds, clients=_CLIENTS)
                    waited = (_waited_s(gateway.pid) - before_s) / seconds
                _right(direct.failed + through.failed, through.exchanges, question)
                found.append(Overhead(question, rates[question], direct, through, waited))
                say(found[-1].line())
    return found


def _saturated(contender: Contender, gateway: Process, question: str, *, seconds: int, core: int | None) -> tuple[Load, float]:
    """Press once to warm up and once to measure; give what came back and the processor time that it took."""
    for _ in range(2):
        before_s = gateway.cpu_s()
        load = press(contender.port, contender.requests[question], clients=32, seconds=seconds, core=core)
        _right(load.failed, load.requests, question)
    cpu_s = gateway.cpu_s() - before_s
    return load, cpu_s if cpu_s > 0 else load.seconds  # NaN where the system does not tell


def _busy(load: Load, cpu_s: float) -> str:
    return f"{cpu_s / load.seconds:.0%} of its core"


def _direct(question: str, workload: Workload, upstreams: Mapping[str, int]) -> list[Exchange]:
    """What the gateway asks of its upstreams for each cursor: the list, and for joins what its keys lead to, both at once."""
    found: list[Exchange] = []
    for variant in range(CURSORS):
        path = f"orders?since=1970-01-01T00:00:00Z&limit={FIRST[question]}&cursor={workload.cursor(variant)}"
        steps = [[_get(upstreams, path)]]
        if question == "Q4":
            rows = workload.answer(question, variant)
            steps.append(
                [
                    _get(upstreams, f"customers?customer_id=in:({_joined([row['customer']['customer_id'] for row in rows])})"),
                    _get(upstreams, f"payments?order_id=in:({_joined([row['order_id'] for row in rows])})"),
                ]
            )
        found.append(steps)
    return found


def _joined(keys: Sequence[str]) -> str:
    return quote(",".join(dict.fromkeys(keys)))


def _get(upstreams: Mapping[str, int], path: str) -> tuple[int, bytes]:
    port = upstreams[path.partition("?")[0]]
    return port, f"GET /data-products/{path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: application/json\r\n\r\n".encode()


def _verify(port: int, requests: Sequence[bytes], question: str, workload: Workload) -> None:
    for variant, (status, body, _) in enumerate(ask(port, requests)):
        if status != 200 or rows_of(body) != workload.answer(question, variant):
            raise RuntimeError(f"{question}, cursor {variant}: status {status}, {body[:500]!r}")


def _right(failed: int, requests: int, question: str) -> None:
    if failed or not requests:
        raise RuntimeError(f"{question}: {failed} of {requests} requests failed")


def _waited_s(pid: int) -> float:
    """How long the process's threads were ready to run and did not; NaN where the system does not tell."""
    try:
        told = [file.read_text().split()[1] for file in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    except (OSError, IndexError):
        return float("nan")
    return sum(map(int, told)) / 1e9 if told else float("nan")


def summary(found: Sequence[Overhead]) -> str:
    """Write medians over rounds, and the round that was least disturbed."""
    lines = []
    for question in dict.fromkeys(one.question for one in found):
        every = [one.added for one in found if one.question == question]
        middle = [statistics.median(values) for values in zip(*((it.p50_ms, it.p99_ms, it.p999_ms) for it in every), strict=True)]
        least = min(it.p99_ms for it in every)
        verdict = "reached" if middle[1] < GOAL_MS else "reached in the best round only" if least < GOAL_MS else "missed"
        shown = f"p50 +{middle[0]:.2f}, p99 +{middle[1]:.2f} (best round +{least:.2f}), p99.9 +{middle[2]:.2f} ms"
        lines.append(f"{question}: {shown}; the goal of +{GOAL_MS:.0f} ms at p99 is {verdict}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.overhead", description=__doc__)
    parser.add_argument("--questions", nargs="+", choices=FIRST, default=list(_QUESTIONS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="per round and side")
    parser.add_argument("--share", type=float, default=_SHARE, help="of what the gateway can do at most")
    parser.add_argument("--ahead", action="store_true", help="run before everybody else on the machine, which takes the right to do so")
    chosen = parser.parse_args()
    with ahead(chosen.ahead) as is_ahead:
        if chosen.ahead and not is_ahead:
            _say("this user may not run ahead of others: the figures below are theirs as well")
        found = measure(chosen.questions, rounds=chosen.rounds, seconds=chosen.seconds, share=chosen.share, say=_say)
    _say(summary(found))
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
