"""``python -m tests.golden``: compare every golden case; with ``--refresh`` write what it comes to now, to be read in the diff."""

from __future__ import annotations

import argparse
import asyncio
import sys

from .golden import case_names, expected, outcome, write


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("--refresh", action="store_true", help="take what the cases come to now as expected")
    parser.add_argument("names", nargs="*", help="cases; all unless said")
    given = parser.parse_args()
    changed = 0
    for name in given.names or case_names():
        found = asyncio.run(outcome(name))
        if found != expected(name):
            changed += 1
            if given.refresh:
                write(name, found)
            sys.stdout.write(f"{name}: {'refreshed' if given.refresh else 'differs'}\n")
    return 0 if given.refresh else min(changed, 1)


if __name__ == "__main__":
    sys.exit(main())
