"""Groups that are too small to show totals of protected columns -> one remainder, or nothing (SPEC A8).

A group's size is the smallest number of subjects with a value, over the protected columns in use. Too small groups become one
remainder, whose keys are null; it takes in the smallest others until it is large enough. What is too small even so has no totals.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.engine.asking.grouping import Group, Grouping
from gateway.engine.totals.table import Key, States, begun

__all__ = ["finished", "is_withheld", "merged"]


def merged(groups: dict[Key, States], grouping: Grouping) -> list[tuple[Key | None, States]]:
    """Put groups together until each is large enough; the remainder, if any, has no key."""
    if not grouping.protected:
        return list(groups.items())
    # Of groups of one size the first by key: another choice the next time would give by subtraction what is merged.
    sized = sorted(groups.items(), key=lambda it: (_size(it[1], grouping), [(cell is None, cell) for cell in it[0]]))
    least = max(grouping.protected.values())
    small = sum(_size(states, grouping) < least for _, states in sized)
    if not small or not grouping.by:
        return list(sized)
    rest = begun(grouping)
    taken = 0
    for _, states in sized:
        if taken >= small and _size(rest, grouping) >= least:
            break
        taken += 1
        for whole, part in zip(rest, states, strict=True):
            whole.merge(part)
    return [(None, rest), *sized[taken:]]


def is_withheld(states: States, grouping: Grouping) -> bool:
    """Whether a group's totals of protected columns must not show."""
    return grouping.withheld or (bool(grouping.protected) and _size(states, grouping) < max(grouping.protected.values()))


def finished(groups: Iterable[tuple[Key | None, States]], grouping: Grouping) -> tuple[list[Group], bool]:
    """Work totals out; says as well whether any were withheld. Raises `OverflowError` for a total that does not fit."""
    found: list[Group] = []
    hidden = False
    for key, states in groups:
        withheld = is_withheld(states, grouping)
        hidden = hidden or withheld
        totals = [
            None if withheld and it.column is not None and it.column.name in grouping.protected else state.value()
            for it, state in zip(grouping.measures, states, strict=False)
        ]
        found.append([*(key if key is not None else (None,) * len(grouping.by)), *totals, key is None])
    return found, hidden


def _size(states: States, grouping: Grouping) -> int:
    return min(int(state.value()) for state in states[len(grouping.measures) :])
