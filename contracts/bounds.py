"""Whether a contract grants only what the mesh policy lets contracts grant (SPEC A1).

Pure. Roles and purposes must exist, roles must be grantable, and what is cleared must lie within the role's tags. Unknown
tags load, masked as strictly as can be, with a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from functools import cache

from contracts.errors import ProblemCode, quoted
from contracts.model import Contract, FieldClassification, Grant, Restriction
from contracts.policy import MeshPolicy
from contracts.report import Report
from contracts.yaml_source import Path

__all__ = ["check_bounds", "check_purposes", "check_restriction", "check_role"]


def check_bounds(contract: Contract, policy: MeshPolicy, report: Report) -> None:
    """Add what the policy forbids to ``report``."""
    never_tags = {tag.tag for tag in policy.tags if tag.never_clear}
    never = {name for name, given in contract.classification if never_tags.intersection(given.tags)}

    @cache
    def beyond_of(role: str) -> frozenset[str]:
        bound = _bound_of(role, policy)
        return frozenset(name for name, given in contract.classification if not _within(given, bound))

    for index, grant in enumerate(contract.access.grants):
        _check_grant(grant, policy, report, ("spec", "access", index), never=never, beyond_of=beyond_of)
    for index, restriction in enumerate(contract.restrictions):
        check_restriction(restriction, policy, report, ("spec", "restrict", index))
    known = [tag.tag for tag in policy.tags]
    for name, given in contract.classification:
        for tag in given.tags:
            if tag not in known:
                message = f"the mesh policy does not know tag {quoted(tag)}; the column is withheld from everybody"
                report.warn(
                    ProblemCode.UNKNOWN_TAG, ("spec", "classification", "fields", name), message, nearest=report.nearest(tag, known)
                )
    if policy.retention_needs_date and contract.retention is not None and contract.retention.from_column is None:
        path = ("spec", "classification", "retention")
        report.add(ProblemCode.NOT_ENFORCEABLE, path, 'the mesh policy wants a column that dates the rows: "from", or "time.event"')


def check_role(role: str, policy: MeshPolicy, report: Report, path: Path) -> bool:
    """Add a problem unless ``role`` exists; say whether it does."""
    if role in policy.roles:
        return True
    report.add(ProblemCode.UNKNOWN_ROLE, path, f"no role {quoted(role)} in the mesh policy", nearest=report.nearest(role, policy.roles))
    return False


def check_purposes(purposes: tuple[str, ...], policy: MeshPolicy, report: Report, path: Path) -> None:
    """Add a problem for every purpose that does not exist."""
    if policy.purposes is None:
        return
    for index, purpose in enumerate(purposes):
        if purpose not in policy.purposes:
            nearest = report.nearest(purpose, policy.purposes)
            message = f"no purpose {quoted(purpose)} in the mesh policy"
            report.add(ProblemCode.UNKNOWN_PURPOSE, (*path, index), message, nearest=nearest)


def _check_grant(
    grant: Grant, policy: MeshPolicy, report: Report, path: Path, *, never: AbstractSet[str], beyond_of: Callable[[str], frozenset[str]]
) -> None:
    check_purposes(grant.purposes, policy, report, (*path, "purposes"))
    if not check_role(grant.role, policy, report, (*path, "role")):
        return
    if policy.grantable_roles is not None and grant.role not in policy.grantable_roles:
        message = f"contracts may not grant role {quoted(grant.role)}, only {', '.join(policy.grantable_roles) or 'none'}"
        report.add(ProblemCode.OUT_OF_BOUNDS, (*path, "role"), message)
    for index, entry in enumerate(grant.clear):
        here = (*path, "clear", index)
        if entry in never:
            report.add(ProblemCode.OUT_OF_BOUNDS, here, f"column {quoted(entry)} carries a tag that nobody may see in clear")
        elif beyond := beyond_of(grant.role) if entry == "*" else beyond_of(grant.role) & {entry}:
            allowed = ", ".join(_bound_of(grant.role, policy)) or "nothing"
            named = quoted(min(beyond)) + (f" and {len(beyond) - 1} more" if len(beyond) > 1 else "")
            report.add(ProblemCode.OUT_OF_BOUNDS, here, f"role {quoted(grant.role)} may clear {allowed}, but not {named}")


def _bound_of(role: str, policy: MeshPolicy) -> tuple[str, ...]:
    return next((bound.clear_tags for bound in policy.bounds if bound.role == role), ("*",))


def _within(given: FieldClassification, bound: tuple[str, ...]) -> bool:
    if "*" in bound or not given.is_classified:
        return True
    return bool(given.tags) and set(given.tags) <= set(bound)


def check_restriction(restriction: Restriction, policy: MeshPolicy, report: Report, path: Path) -> None:
    """Add a problem for every role and purpose of a restriction that does not exist."""
    for index, role in enumerate(restriction.roles):
        check_role(role, policy, report, (*path, "roles", index))
    check_purposes(restriction.unless_purpose, policy, report, (*path, "unlessPurpose"))
