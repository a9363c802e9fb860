"""``python -m tests.differential --cases 10000``: compare that many answers at least, and print how many of what, and how long it took.

The engine over both levels of port, in process and over the wire, against graphql-core with plain resolvers, totals and filters along
relationships included; totals against the plainest evaluation; forms against the JSON answer; rulings against their specification; joins,
filters and groups against one database; mirrors against graphql-core and their origin. ``MESHGATE_TEST_SEED=fresh`` draws others.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .figures import FOLDER, summed

_ANSWERS_PER_CASE = 4
"""Every operation is asked over two levels, some of them in several forms, and every suite draws its own."""

_RULINGS = "rulings"
"""Judged cell by cell, not by operations: counted apart."""


def main() -> int:
    """Run the suites and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description="Compare generated operations with their oracles.")
    parser.add_argument("--cases", type=int, default=10_000, help="answers to compare at least (default: 10000)")
    parser.add_argument("--numprocesses", type=int, default=2, help="processes that share the work (default: 2)")
    chosen = parser.parse_args()
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, FOLDER: folder, "MESHGATE_CASES": str(-(-chosen.cases // _ANSWERS_PER_CASE))}
        command = [sys.executable, "-m", "pytest", "-q", str(Path(__file__).parent), "-n", str(chosen.numprocesses), "--dist", "worksteal"]
        code = subprocess.run(command, env=environment, check=False).returncode
        found = summed(Path(folder))
    refused, partly = found["refused as a whole"], found["with errors in parts"]
    suites = [it for it in found if ":" not in it and not it.startswith(("with ", "refused "))]
    compared = sum(found[it] for it in suites if it != _RULINGS)
    alike = f"{refused:,} of them refused and {partly:,} answered in part, the same way" + ("" if code else "; none different")
    print(f"{compared:,} answers compared in {time.perf_counter() - began_s:,.0f} s, {alike}")
    print(f"{found[_RULINGS]:,} rulings besides")
    for suite in sorted(suites):
        print(f"{found[suite]:8,} {suite}")
        for kind in sorted(it for it in found if it.startswith(f"{suite}: ")):
            print(f"{found[kind]:16,} {kind.partition(': ')[2]}")
    for feature in sorted(it for it in found if it.startswith(("with ", "refused "))):
        print(f"{found[feature]:8,} {feature}")
    return code or (1 if compared < chosen.cases else 0)


if __name__ == "__main__":
    sys.exit(main())
