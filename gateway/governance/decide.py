"""The ruling itself: a contract, the mesh policy and the facts about a caller become one `ProductRuling` (SPEC A1, A2, A8).

Pure. Every grant is judged cell by cell on its own and then joined, so that several roles give exactly the union of each alone;
a restriction that names roles takes from what those roles grant, one that names none takes from everything.
Rejects nothing: what is unknown (role, tag, claim) is denied.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace

from contracts.model import Contract, Grant, Visibility
from contracts.policy import MeshPolicy
from contracts.predicates import FALSE, TRUE, Predicate
from gateway.governance.columns import NO_GRANT, Column, Held, in_clear, label, not_at_all, restrictions_on
from gateway.governance.facts import Facts, grant_holds
from gateway.governance.ruling import FieldRuling, ProductRuling, Reason, Standing

__all__ = ["decide", "standing_without_grants"]


def decide(contract: Contract, policy: MeshPolicy, facts: Facts) -> ProductRuling:
    """Rule on one product for all callers with these facts.

    Source: SPEC A1 (grants, restrictions, union), A2 (standing), A8 (``usable``).
    """
    held, missing = _held(contract, policy, facts)
    if not held:  # nothing is left to take away
        return _without_access(contract, Reason(missing, label(contract)))
    restrictions = restrictions_on(contract, policy, facts)
    # Where every grant is about all columns, plain ones are clear in every row, and need no further look.
    plain = _plain_columns(contract) if not restrictions and all(one.covers("*") for one in held) else frozenset[str]()
    columns = {field.name: Column(field, contract, policy, restrictions) for field in contract.fields if field.name not in plain}
    seeing = [one for one in held if one.rule != FALSE and (plain or any(column.seen_by(one) for column in columns.values()))]
    if not seeing:
        return _without_access(contract, Reason(missing, label(contract)))
    rules = sorted({one.rule for one in seeing}, key=lambda rule: (rule != TRUE, repr(rule)))
    row_rules, fields = _compact(
        rules, tuple(in_clear(one.name) if one.name in plain else columns[one.name].ruling(seeing, rules) for one in contract.fields)
    )
    ends = [one.grant.until for one in seeing if one.grant.until is not None and one.grant.until < dt.date.max]
    return ProductRuling(
        product=contract.key,
        contract=label(contract),
        owner=contract.metadata.owner,
        standing=Standing.SERVED,
        row_rules=row_rules,
        fields=fields,
        valid_until=dt.datetime.combine(min(ends) + dt.timedelta(days=1), dt.time(), dt.UTC) if ends else None,
    )


def standing_without_grants(contract: Contract, policy: MeshPolicy, facts: Facts) -> Standing | None:
    """Tell how a product stands to whom no grant applies, without ruling on its fields; None where one does."""
    return None if _held(contract, policy, facts)[0] else _unserved(contract)


def _unserved(contract: Contract) -> Standing:
    return Standing.LISTED if contract.metadata.visibility is Visibility.LISTED else Standing.HIDDEN


def _held(contract: Contract, policy: MeshPolicy, facts: Facts) -> tuple[list[Held], str]:
    """Find the grants that apply, and what the last of the caller's roles lacked where none does."""
    held: list[Held] = []
    missing = NO_GRANT
    for grant, by_contract in _grants(contract, policy):
        failed = grant_holds(grant, facts, contract.metadata.domain)
        if failed is None:
            held.append(Held(grant, TRUE if grant.row_filter is None else grant.row_filter, by_contract))
        elif failed != "role":
            missing = failed
    return held, missing


def _grants(contract: Contract, policy: MeshPolicy) -> Iterator[tuple[Grant, bool]]:
    grantable = policy.grantable_roles
    for grant in policy.grants:
        if grant.role in policy.roles:
            yield grant, False
    for grant in contract.access.grants:
        if grant.role in policy.roles and (grantable is None or grant.role in grantable):
            yield grant, True


def _compact(rules: Sequence[Predicate], fields: tuple[FieldRuling, ...]) -> tuple[tuple[Predicate, ...], tuple[FieldRuling, ...]]:
    """Drop the rules that decide nothing: under "every row", those that no field varies by."""
    if rules[0] != TRUE:
        return tuple(rules), fields
    used = sorted({index for field in fields for index in (*field.clear_rows, *field.masked_rows)})
    if not used:
        return (), fields
    used = sorted({0, *used})
    place = {index: at for at, index in enumerate(used)}
    moved = tuple(
        replace(
            field,
            clear_rows=tuple(place[index] for index in field.clear_rows),
            masked_rows=tuple(place[index] for index in field.masked_rows),
        )
        if field.varies
        else field
        for field in fields
    )
    return tuple(rules[index] for index in used), moved


def _plain_columns(contract: Contract) -> frozenset[str]:
    special = {column for column, given in contract.classification if given.tags or given.is_classified}
    return frozenset(field.name for field in contract.fields if field.name not in special)


def _without_access(contract: Contract, reason: Reason) -> ProductRuling:
    # The rule that no row satisfies stands in for the standing, should anybody forget to look at it.
    no_grant = Reason(NO_GRANT, label(contract))
    return ProductRuling(
        product=contract.key,
        contract=label(contract),
        owner=contract.metadata.owner,
        standing=_unserved(contract),
        row_rules=(FALSE,),
        fields=tuple(not_at_all(column, given, no_grant) for column, given in contract.classification_by_name.items()),
        reason=reason,
    )
