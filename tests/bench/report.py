"""Slices in, ratios and a table out, and what has fallen since it was last recorded."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.measure import Slice, Surroundings

__all__ = ["FALLEN_TO", "GOALS", "Ratios", "disturbed", "document", "fallen", "ratios", "read", "table"]

Ratios = Mapping[str, Mapping[str, float]]
"""Question -> contender -> how many times as fast Meshgate is, as the median over rounds."""

GOALS = {"Q1": 0.5, "Q2": 0.6, "Q3": 0.75, "Q4": 0.6, "Q5": 0.55}
"""Of F2."""
FALLEN_TO = 0.85
BUSY_MIN = 0.7
_OURS = "meshgate"


def ratios(slices: Sequence[Slice], *, by_cpu: bool = False) -> Ratios:
    """Compare Meshgate with each other contender within each round: by requests per second, or by CPU time per request."""
    placed = {(one.round, one.question, one.contender): one for one in slices}
    found: dict[str, dict[str, list[float]]] = {}
    for (round_, question, contender), other in placed.items():
        ours = placed.get((round_, question, _OURS))
        if ours is None or contender == _OURS:
            continue
        ratio = other.cpu_ms / ours.cpu_ms if by_cpu else ours.per_s / other.per_s
        found.setdefault(question, {}).setdefault(contender, []).append(ratio)
    return {question: {name: statistics.median(every) for name, every in others.items()} for question, others in found.items()}


def disturbed(slices: Sequence[Slice]) -> list[str]:
    """Name the questions during which Meshgate had so little of its core that even its CPU time per request says little."""
    busy: dict[str, list[float]] = {}
    for one in slices:
        if one.contender == _OURS:
            busy.setdefault(one.question, []).append(one.busy)
    return [question for question, every in busy.items() if statistics.median(every) < BUSY_MIN]


def fallen(slices: Sequence[Slice], recorded: Mapping[str, Any]) -> list[str]:
    """Name the ratios that are 15 % below the recorded ones, by requests *and* by CPU time.

    Both, because on a machine that others use too either alone falls without anybody having changed anything. Questions that were
    `disturbed` are not judged at all.
    """
    found = []
    unfit = disturbed(slices)
    by_rate, by_cpu = ratios(slices), ratios(slices, by_cpu=True)
    for question, others in by_rate.items():
        for name, ratio in others.items() if question not in unfit else ():
            before = recorded.get("ratios", {}).get(question, {}).get(name)
            before_cpu = recorded.get("cpu_ratios", {}).get(question, {}).get(name)
            if before is None or before_cpu is None:
                continue
            if ratio < FALLEN_TO * before and not by_cpu[question][name] >= FALLEN_TO * before_cpu:
                found.append(f"{question}: Meshgate/{name} fell from {before:.2f} to {ratio:.2f}")
    return found


def table(slices: Sequence[Slice], around: Surroundings) -> str:
    """Draw the medians."""
    by_rate, by_cpu = ratios(slices), ratios(slices, by_cpu=True)
    pinning = "gateway alone on one core" if around.is_pinned else "NOT PINNED: figures mean little"
    lines = [
        f"{around.clients} clients, {around.rounds} rounds of {around.seconds} s, {pinning}",
        f"load by {around.load}, upstream in {around.upstream}",
        f"{'':<4}{'':<14}{'requests/s':>12}{'CPU ms':>10}{'busy':>7}{'p99 ms':>9}{'MiB':>7}{'Meshgate is':>14}{'by CPU':>9}",
    ]
    for question in dict.fromkeys(one.question for one in slices):
        for name in dict.fromkeys(one.contender for one in slices):
            some = [one for one in slices if one.question == question and one.contender == name]
            middle = {
                key: statistics.median(getattr(one, key) for one in some) for key in ("per_s", "cpu_ms", "busy", "p99_ms", "memory_mib")
            }
            compared = ""
            if name in by_rate.get(question, {}):
                goal = f"  (goal {GOALS[question]})" if name == "f2" else ""
                compared = f"{by_rate[question][name]:>12.2f} x{by_cpu[question][name]:>7.2f} x{goal}"
            lines.append(
                f"{question:<4}{name:<14}{middle['per_s']:>12,.0f}{middle['cpu_ms']:>10.3f}{middle['busy']:>7.0%}"
                f"{middle['p99_ms']:>9.1f}{middle['memory_mib']:>7.0f}{compared}"
            )
    return "\n".join(lines)


def document(slices: Sequence[Slice], around: Surroundings) -> dict[str, Any]:
    """Put everything into one JSON document."""

    def short(found: Ratios) -> dict[str, dict[str, float]]:
        return {question: {name: round(value, 3) for name, value in others.items()} for question, others in found.items()}

    return {
        "python": platform.python_version(),
        "surroundings": asdict(around),
        "ratios": short(ratios(slices)),
        "cpu_ratios": short(ratios(slices, by_cpu=True)),
        "slices": [asdict(one) for one in slices],
    }


def read(path: Path) -> dict[str, Any]:
    """Read what was recorded; nothing, if nothing was."""
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found
