"""Measuring: every contender answers every question in every round, one after the other, on one core that is its own.

All servers run the whole time; those that are not asked do next to nothing. Answers are compared in full, cursor by cursor, before the
first round and after the last; in between their statuses are counted, and their mean length must be that of right answers.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.contenders import CONTENDERS, Contender, free_port, pseudonym_key, rows_of
from tests.bench.load import ask, generator, press
from tests.bench.processes import Process, cores, wait_until
from tests.bench.upstream import command
from tests.bench.workload import CURSORS, Workload

__all__ = ["Slice", "Surroundings", "WrongAnswerError", "measure"]

_BUSY_MIN = 0.85
_TRIES_MAX = 2
_LENGTH_MIN = 0.97
_WARM_UP_S = 1
_SECONDS_MAX = 16


class WrongAnswerError(Exception):
    """A contender did not answer what it was asked; its figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One contender's share of a round. ``busy``: how much of its core it used; under 1, others were in the way."""

    round: int
    question: str
    contender: str
    per_s: float
    cpu_ms: float
    busy: float
    p50_ms: float
    p99_ms: float
    memory_mib: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the figures were measured with."""

    load: str
    upstream: str
    is_pinned: bool
    clients: int
    seconds: int
    rounds: int


@dataclass
class _Running:
    contender: Contender
    process: Process
    lengths: dict[str, float] = field(default_factory=dict)


def measure(
    names: Sequence[str],
    questions: Sequence[str],
    *,
    rounds: int,
    seconds: int,
    clients: int = 32,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[list[Slice], Surroundings]:
    """Measure contenders by name. Raises: `WrongAnswerError`; RuntimeError for a server that does not start."""
    gateway_core, load_core = cores()
    found: list[Slice] = []
    with tempfile.TemporaryDirectory(prefix="meshgate-bench-") as place, contextlib.ExitStack() as open_:
        folder = Path(place)
        workload = Workload(pseudonym_key())
        workload.write(folder)
        upstreams = {name: free_port() for name in workload.tables}
        served, language = command(folder, upstreams)
        upstream = open_.enter_context(Process(served, core=load_core, log=folder / "upstream.log"))
        for port in upstreams.values():
            wait_until(lambda port=port: ask(port, [b"GET /data-products/x/slo HTTP/1.1\r\n\r\n"]), upstream)
        running = []
        for name in names:
            contender = CONTENDERS[name]()
            process = open_.enter_context(contender.open(folder, upstreams, gateway_core))
            running.append(_Running(contender, process))
        for one in running:
            for question in questions:
                _verify(one, question, workload)
                press(one.contender.port, one.contender.requests[question], clients=clients, seconds=_WARM_UP_S, core=load_core)
            say(f"{one.contender.title}: {len(questions) * CURSORS} answers are right")
        for round_ in range(rounds):
            for question in questions:
                # Each goes first in its turn, so that nobody always follows the same neighbour.
                for one in running[round_ % len(running) :] + running[: round_ % len(running)]:
                    found.append(_slice(one, question, round_, clients=clients, seconds=seconds, core=load_core))
                    say(_line(found[-1]))
        for one in running:
            for question in questions:
                _verify(one, question, workload)
    load = generator()
    return found, Surroundings(load, language, gateway_core is not None, clients, seconds, rounds)


def _verify(one: _Running, question: str, workload: Workload) -> None:
    lengths = []
    for variant, (status, body, length) in enumerate(ask(one.contender.port, one.contender.requests[question])):
        try:
            rows = rows_of(body)
        except ValueError as error:
            raise WrongAnswerError(f"{one.contender.title}, {question}, cursor {variant}: {error}") from None
        if status != 200 or rows != workload.answer(question, variant):
            raise WrongAnswerError(f"{one.contender.title}, {question}, cursor {variant}: status {status}, {body[:500]!r}")
        lengths.append(length)
    one.lengths[question] = sum(lengths) / len(lengths)


def _slice(one: _Running, question: str, round_: int, *, clients: int, seconds: int, core: int | None) -> Slice:
    best: Slice | None = None
    for _ in range(_TRIES_MAX):
        before_s = one.process.cpu_s()
        load = press(one.contender.port, one.contender.requests[question], clients=clients, seconds=seconds, core=core)
        cpu_s = one.process.cpu_s() - before_s
        _let_finish(one.process)
        if not load.failed and load.requests < 2 * clients and seconds < _SECONDS_MAX:
            # Too slow to be told from a start and an end in so short a time.
            return _slice(one, question, round_, clients=clients, seconds=2 * seconds, core=core)
        if load.failed or load.requests == 0:
            raise WrongAnswerError(f"{one.contender.title}, {question}: {load.failed} of {load.requests} requests failed under load")
        mean = load.bytes / load.requests
        if mean < _LENGTH_MIN * one.lengths[question]:
            raise WrongAnswerError(
                f"{one.contender.title}, {question}: answers of {mean:.0f} bytes under load, {one.lengths[question]:.0f} are right"
            )
        made = Slice(
            round_,
            question,
            one.contender.name,
            load.requests / load.seconds,
            1_000 * cpu_s / load.requests,
            cpu_s / load.seconds,
            load.p50_ms,
            load.p99_ms,
            one.process.memory_mib(),
        )
        if best is None or made.busy > best.busy:
            best = made
        if not best.busy < _BUSY_MIN:  # also where the system does not tell
            break
    assert best is not None
    return best


def _let_finish(process: Process) -> None:
    """Wait for what a server still works on after its clients have gone, which would take the core from the next one."""
    for _ in range(100):
        before_s = process.cpu_s()
        time.sleep(0.1)
        if process.cpu_s() - before_s < 0.02:
            return


def _line(one: Slice) -> str:
    figures = f"{one.per_s:>10,.0f}/s  {one.cpu_ms:>8.3f} ms CPU  {one.busy:>4.0%} of its core"
    return f"round {one.round + 1}  {one.question}  {one.contender:<12}{figures}"
