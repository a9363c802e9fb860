"""A condition and a port's capabilities -> the part that the port applies and the part that is left for the gateway.

Pure. What is pushed is only ever a conjunct of the whole, so pushing it never loses a row.
"""

from __future__ import annotations

from collections.abc import Mapping

from contracts.predicates import TRUE, And, Compare, Not, Or, Predicate, conjunction
from domain_adapters.port import Capabilities

__all__ = ["can_push", "divide", "rename"]


def can_push(predicate: Predicate, capabilities: Capabilities) -> bool:
    """Whether the port applies the whole condition."""
    match predicate:
        case Compare(column=column, operator=operator):
            return capabilities.tests(column, operator)
        case And(parts=parts) if _conjoins(capabilities) and all(isinstance(part, Compare) for part in parts):
            return all(can_push(part, capabilities) for part in parts)
        case And(parts=parts) | Or(parts=parts):
            return capabilities.boolean and all(can_push(part, capabilities) for part in parts)
        case Not(part=part):
            return capabilities.boolean and can_push(part, capabilities)


def _conjoins(capabilities: Capabilities) -> bool:
    """Whether several tests at once need no tree: at level 0 they are parameters side by side."""
    return capabilities.level == 0


def divide(predicate: Predicate, capabilities: Capabilities) -> tuple[Predicate, Predicate]:
    """Split a condition into (pushed, left over); `TRUE` stands for nothing."""
    parts = predicate.parts if isinstance(predicate, And) else (predicate,)
    pushed = [part for part in parts if can_push(part, capabilities)]
    if not (_conjoins(capabilities) or capabilities.boolean):
        pushed = pushed[:1]
    left = [part for part in parts if part not in pushed]
    return conjunction(*pushed) if pushed else TRUE, conjunction(*left) if left else TRUE


def rename(predicate: Predicate, names: Mapping[str, str]) -> Predicate:
    """Call the columns of a condition something else."""
    match predicate:
        case Compare(column=column, operator=operator, value=value):
            return Compare(names[column], operator, value)
        case Not(part=part):
            return Not(rename(part, names))
        case And(parts=parts):
            return And(tuple(rename(part, names) for part in parts))
        case Or(parts=parts):
            return Or(tuple(rename(part, names) for part in parts))
