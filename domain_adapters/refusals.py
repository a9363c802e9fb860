"""Decides whether a port's capabilities cover a read: what is absent is unsupported and must be refused. Pure."""

from __future__ import annotations

from contracts.predicates import Among, And, Compare, Not, Or, Predicate
from domain_adapters.errors import PortCannotError
from domain_adapters.port import Capabilities, Read

__all__ = ["lacking", "refuse_beyond"]


def refuse_beyond(read: Read, can: Capabilities) -> None:
    """Refuse a read that needs what is absent. Raises: `PortCannotError`, naming the first capability that is missing."""
    missing = lacking(read, can)
    if missing is not None:
        raise PortCannotError(f"the port cannot do this: {missing}", reason=missing, status=400)


def lacking(read: Read, can: Capabilities) -> str | None:
    """Name the first capability that the read needs and the port has not, None if it has all."""
    needs = (
        ("select", read.select is not None, can.select),
        ("orderBy", bool(read.order_by), can.order_by),
        ("since", read.since is not None, can.since),
        ("keys", read.keys is not None, can.keys),
        ("limitPerKey", read.limit_per_key is not None, can.limit_per_key),
        ("count", read.count, can.count),
        ("groupBy", bool(read.group_by), can.group_by),
        ("having", read.having is not None, can.having),
    )
    for name, needed, present in needs:
        if needed and not present:
            return name
    if read.keys is not None:
        if len(read.keys.values) > can.keys_max:
            return "keysMax"
        if can.key_columns is not None and read.keys.columns not in can.key_columns:
            return "keyColumns"
    if any(item.function not in can.aggregates for item in read.aggregates):
        return "aggregates"
    if any(item.truncate is not None and item.truncate not in can.truncations for item in read.group_by):
        return "truncations"
    return None if read.where is None else _lacking_test(read.where, can)


def _lacking_test(predicate: Predicate, can: Capabilities) -> str | None:
    match predicate:
        case Compare(column=column, operator=op):
            if can.tests(column, op):
                return None
            return "filterColumns" if op in can.operators else "operators"
        case Among():
            return "operators"
        case And(parts=()):
            return None
        case Not(part=part):
            return _lacking_test(part, can) if can.boolean else "boolean"
        case And(parts=parts) | Or(parts=parts):
            if not can.boolean:
                return "boolean"
            return next((missing for part in parts if (missing := _lacking_test(part, can)) is not None), None)
