"""``python -m tests.bench``: Meshgate beside two floors and plain Strawberry, in one run; fails where a ratio has fallen."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.bench.contenders import CONTENDERS
from tests.bench.measure import WrongAnswerError, measure
from tests.bench.processes import cores
from tests.bench.report import disturbed, document, fallen, read, table
from tests.bench.shapes import report
from tests.bench.workload import QUESTIONS

RECORDED = Path(__file__).with_name("recorded.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--questions", nargs="+", choices=QUESTIONS, default=list(QUESTIONS))
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), default=["f1", "f2", "strawberry", "meshgate"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2, help="whole seconds per contender, question and round")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument(
        "--shapes", action="store_true", help="measure deep and wide shapes, pauses of the loop and of the collector instead"
    )
    parser.add_argument("--record", action="store_true", help=f"make the ratios those that later runs are held to ({RECORDED.name})")
    chosen = parser.parse_args()
    if None in cores():
        sys.stdout.write("fewer than two cores to pin to: the figures below mean little\n")
    if chosen.shapes:
        report(seconds=chosen.seconds, say=_say)
        return 0
    try:
        slices, around = measure(
            chosen.contenders, chosen.questions, rounds=chosen.rounds, seconds=chosen.seconds, clients=chosen.clients, say=_say
        )
    except WrongAnswerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    _say(table(slices, around))
    found = document(slices, around)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")
    if chosen.record:
        kept = {key: value for key, value in found.items() if key != "slices"}
        RECORDED.write_text(json.dumps(kept, indent=2) + "\n")
        return 0
    if unfit := disturbed(slices):
        _say(f"{', '.join(unfit)}: others used Meshgate's core too much; not judged")
    worse = fallen(slices, read(RECORDED))
    for one in worse:
        sys.stderr.write(f"{one}\n")
    return 1 if worse else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
