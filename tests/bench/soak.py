"""An hour in the life of a gateway: ``python -m tests.bench.soak [MINUTES]``.

64 clients mix questions, deep and wide shapes, operations never seen before, forms, the catalogue, mistakes and broken connections at a
modest rate (`soak_load`), against one gateway process over 14 products. Printed over time: memory (RSS, PSS), the longest that the loop
computed between two turns, the longest run of the collector in each generation, and what was answered wrongly. Fails where memory passes
`RSS_MAX_MIB`, grows by `DISTINCT_MAX_MIB` with 1,500 distinct operations, or still grows in the second half (`FLAT_MAX_MIB`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.contenders import Contender, free_port, headers_of, pseudonym_key, settings_of
from tests.bench.load import ask
from tests.bench.processes import Process, cores, wait_until
from tests.bench.shapes_mesh import names, write
from tests.bench.soak_load import Ask, Client, Mix, Tally, distinct
from tests.bench.upstream import command
from tests.bench.watched import taken
from tests.bench.workload import QUESTIONS, Workload

__all__ = ["DISTINCT_MAX_MIB", "FLAT_MAX_MIB", "RSS_MAX_MIB", "Sample", "Soaked", "soak"]

RSS_MAX_MIB = 150.0
"""When 64 clients have asked the five questions, as a mesh of three products is asked."""
DISTINCT_MAX_MIB = 30.0
FLAT_MAX_MIB = 8.0
"""From the second quarter of the time to the last one, by medians."""
DISTINCT = 1_500
_CLIENTS = 64
# Of what is kept a third of what is usual, so that it is full, and old operations go for new ones, most of the time.
_SETTINGS = ["[limits]\nrows_max = 10000", "[cache]\nexecutables_max_bytes = 25165824"]
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Memory:
    """A process's memory. ``own_mib``: what is no file's, so that nobody else's doing shows in it."""

    rss_mib: float
    pss_mib: float
    own_mib: float

    @classmethod
    def of(cls, pid: int) -> Memory:
        """Ask the system."""
        found = dict.fromkeys(("Rss:", "Pss:", "Anonymous:"), 0)
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(" ")
            if name in found:
                found[name] = int(rest.split()[0])
        return cls(*(it / 1024 for it in found.values()))


@dataclass(frozen=True, slots=True)
class Sample:
    """One interval. ``held_ms``: the longest the loop computed; ``collector_ms``: the longest collection of each generation."""

    at_s: float
    memory: Memory
    cpu_share: float
    requests: int
    held_ms: float
    collector_ms: tuple[float, float, float]
    wrong: int

    def line(self) -> str:
        """Write it."""
        collected = " ".join(f"{it:6.1f}" for it in self.collector_ms)
        memory = f"{self.memory.rss_mib:8.1f}{self.memory.pss_mib:8.1f}{self.memory.own_mib:8.1f}"
        figures = f"{memory}{self.cpu_share:7.1%}{self.requests:>10,}{self.held_ms:9.1f}   {collected}"
        return f"{self.at_s / 60:7.2f}{figures}{self.wrong:>7}"


HEAD = f"{'minute':>7}{'RSS':>8}{'PSS':>8}{'own':>8}{'CPU':>7}{'requests':>10}{'held ms':>9}   {'collector ms (0, 1, 2)':>20}{'wrong':>6}"


@dataclass(frozen=True, slots=True)
class Soaked:
    """What was found: once the five questions, then everything was asked; then after 1,500 distinct operations; then over time."""

    questions: Memory
    begin: Memory
    distinct: Memory
    samples: Sequence[Sample]
    tally: Tally

    @property
    def grew_mib(self) -> float:
        """How much the last quarter lies above the second one."""
        quarter = max(1, len(self.samples) // 4)
        early, late = self.samples[quarter : 2 * quarter] or self.samples[:1], self.samples[-quarter:]
        return statistics.median(it.memory.own_mib for it in late) - statistics.median(it.memory.own_mib for it in early)

    @property
    def distinct_mib(self) -> float:
        """What 1,500 distinct operations took."""
        return self.distinct.own_mib - self.begin.own_mib

    def faults(self) -> list[str]:
        """Say what is not as it must be."""
        found = list(self.tally.examples)
        if not self.questions.rss_mib < RSS_MAX_MIB:
            found.append(f"{self.questions.rss_mib:.0f} MiB after the five questions, {RSS_MAX_MIB:.0f} are allowed")
        if not self.distinct_mib < DISTINCT_MAX_MIB:
            found.append(f"{DISTINCT:,} distinct operations or fewer took {self.distinct_mib:.1f} MiB, {DISTINCT_MAX_MIB:.0f} are allowed")
        if not self.grew_mib < FLAT_MAX_MIB:
            found.append(f"memory is not flat: {self.grew_mib:.1f} MiB more in the last quarter than in the second one")
        return found

    def summary(self) -> str:
        """Write it."""
        held = max(it.held_ms for it in self.samples)
        collector = max(max(it.collector_ms) for it in self.samples)
        counts = ", ".join(f"{count:,} {kind}" for kind, count in self.tally.done.most_common())
        most = max(it.memory.rss_mib for it in self.samples)
        sizes = (
            f"{self.questions.rss_mib:.0f} MiB RSS after the five questions, {self.begin.rss_mib:.0f} after everything, {most:.0f} at most"
        )
        grew = f"{self.distinct_mib:+.1f} MiB with distinct operations, {self.grew_mib:+.1f} in the last quarter over the second"
        return "\n".join(
            (
                f"{sum(self.tally.done.values()):,} requests ({counts}), {self.tally.wrong} answered wrongly",
                f"memory: {sizes}",
                f"own memory: {grew}",
                f"longest turn of the loop {held:.1f} ms, longest collection {collector:.1f} ms",
            )
        )


def soak(
    seconds: float, *, per_s: float, every_s: float, distinct_count: int = DISTINCT, say: Callable[[str], None] = lambda _: None
) -> Soaked:
    """Run. ``distinct_count``: distinct operations before the mix. Raises: RuntimeError for a server that does not start, or ends."""
    with _running() as (gateway, contender, pauses):
        return asyncio.run(
            _soaked(gateway, contender, pauses, seconds, per_s=per_s, every_s=every_s, distinct_count=distinct_count, say=say)
        )


@contextlib.contextmanager
def _running() -> Iterator[tuple[Process, Contender, Path]]:
    gateway_core, load_core = cores()
    with tempfile.TemporaryDirectory(prefix="meshgate-soak-") as place, contextlib.ExitStack() as open_:
        folder = Path(place)
        workload = Workload(pseudonym_key())
        workload.write(folder)
        write(folder)
        shutil.copytree(_HERE / "mesh/contracts", folder / "contracts", dirs_exist_ok=True)
        shutil.copy(_HERE / "mesh/policy.yaml", folder / "policy.yaml")
        ports = {name: free_port() for name in (*workload.tables, *names())}
        served, _ = command(folder, ports)
        upstream = open_.enter_context(Process(served, core=load_core, log=folder / "upstream.log"))
        for port in ports.values():
            wait_until(lambda port=port: ask(port, [b"GET /x/slo HTTP/1.1\r\n\r\n"]), upstream)
        contender = Contender("meshgate", "Meshgate", port=free_port())
        settings = settings_of(folder, ports, contender.port, catalog=folder / "contracts", shapes=names(), further=_SETTINGS)
        pauses = folder / "pauses"
        watched = [sys.executable, "-m", "tests.bench.watched", str(settings), str(pauses)]
        gateway = open_.enter_context(Process(watched, core=gateway_core, log=folder / "gateway.log"))
        wait_until(lambda: ask(contender.port, [b"GET /readyz HTTP/1.1\r\nhost: bench\r\n\r\n"])[0][0] == 200, gateway)
        contender.prepare(QUESTIONS)
        yield gateway, contender, pauses


async def _soaked(
    gateway: Process,
    contender: Contender,
    pauses: Path,
    seconds: float,
    *,
    per_s: float,
    every_s: float,
    distinct_count: int,
    say: Callable[[str], None],
) -> Soaked:
    tally = Tally()
    mix = Mix(contender.port, contender.requests, headers_of("Q1"))
    clients = [Client(contender.port, tally) for _ in range(_CLIENTS)]
    try:
        await _paced([mix.question() for _ in range(500)], clients, per_s=4 * per_s)
        questions = Memory.of(gateway.pid)
        await _paced([mix.next() for _ in range(500)], clients, per_s=2 * per_s)
        begin = Memory.of(gateway.pid)
        for _ in range(2):
            # Twice, so that each is kept.
            await _paced([Ask("distinct", mix.graphql(distinct(number))) for number in range(distinct_count)], clients, per_s=4 * per_s)
        samples: list[Sample] = []
        found = Soaked(questions, begin, Memory.of(gateway.pid), samples, tally)
        say(f"{found.distinct_mib:.1f} MiB for {distinct_count:,} distinct operations, asked twice\n{HEAD}")
        taken(pauses)
        began_s = time.monotonic()
        while (at_s := time.monotonic() - began_s) < seconds - every_s / 10:
            cpu_s = gateway.cpu_s()
            done = sum(tally.done.values())
            part_s = min(every_s, seconds - at_s)
            await _paced([mix.next() for _ in range(max(1, round(part_s * per_s)))], clients, per_s=per_s)
            gateway.check()
            took_s = time.monotonic() - began_s - at_s
            paused = await asyncio.to_thread(taken, pauses)
            collected = (paused["generation_0_ms"], paused["generation_1_ms"], paused["generation_2_ms"])
            share, count = (gateway.cpu_s() - cpu_s) / took_s, sum(tally.done.values()) - done
            samples.append(Sample(at_s + took_s, Memory.of(gateway.pid), share, count, paused["held_ms"], collected, tally.wrong))
            say(samples[-1].line())
    finally:
        for client in clients:
            await client.aclose()
    return found


async def _paced(asks: Sequence[Ask], clients: Sequence[Client], *, per_s: float) -> None:
    """Do everything, each when it is due and a client is free."""
    began_s = time.monotonic()
    waiting = iter(enumerate(asks))

    async def work(client: Client) -> None:
        for number, it in waiting:
            await asyncio.sleep(max(0.0, began_s + number / per_s - time.monotonic()))
            await client.do(it)

    await asyncio.gather(*(work(client) for client in clients))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=60.0)
    parser.add_argument("--per-s", type=float, default=50.0, help="requests per second")
    parser.add_argument("--every-s", type=float, default=60.0, help="seconds between two lines")
    chosen = parser.parse_args()
    found = soak(60 * chosen.minutes, per_s=chosen.per_s, every_s=chosen.every_s, say=_say)
    _say(found.summary())
    for fault in found.faults():
        sys.stderr.write(f"{fault}\n")
    return 1 if found.faults() else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
