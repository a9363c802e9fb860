"""A name that does not exist -> the names that it was most likely meant to be, nearest first, in a few milliseconds out of thousands.

Comparing letter by letter is for the few that share most groups of letters with it: those are found at the speed of C. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from heapq import nlargest
from operator import eq

__all__ = ["nearest"]

_NAME_MAX = 60
_COMPARED_MAX = 40
_LIKENESS_MIN = 0.6


def nearest(name: str, known: Iterable[str]) -> Iterator[str]:
    """Give the names like ``name``; none for one so long that nobody mistyped it. Whether it is cut off is decided by names alone."""
    if len(name) > _NAME_MAX:
        return
    wanted = name.casefold()
    size = 1 if len(wanted) <= 4 else 2 if len(wanted) <= 8 else 3
    parts = {wanted[at : at + size] for at in range(len(wanted) - size + 1)}
    backwards = wanted[::-1]
    scored = []
    for it in known:
        folded = it.casefold()
        if shared := sum([part in folded for part in parts]):
            # Of thousands that share as much, such as numbered ones, those that have it in the same places.
            scored.append((shared + sum(map(eq, folded, wanted)) + sum(map(eq, folded[::-1], backwards)), it))
    likely = nlargest(_COMPARED_MAX, scored)
    matcher = SequenceMatcher(b=wanted, autojunk=False)
    found: list[tuple[float, str]] = []
    for _, it in likely:
        matcher.set_seq1(it.casefold())
        if matcher.real_quick_ratio() >= _LIKENESS_MIN and matcher.quick_ratio() >= _LIKENESS_MIN:
            found.append((matcher.ratio(), it))
    yield from (it for likeness, it in sorted(found, key=lambda it: (-it[0], it[1])) if likeness >= _LIKENESS_MIN)
