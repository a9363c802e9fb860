"""Whether a contract grants only what the mesh policy lets contracts grant (SPEC A1).

Pure. Roles and purposes must exist, roles must be grantable, and what is cleared must lie within the role's tags. Unknown
tags load, masked as strictly as can be, with a warning.
"""

from __future__ import annotations

from collections.abc import Iterator

from contracts.errors import ProblemCode, nearest_of, quoted
from contracts.model import Contract, FieldClassification, Grant, Restriction
from contracts.policy import MeshPolicy
from contracts.report import Report
from contracts.yaml_source import Path

__all__ = ["check_bounds", "check_purposes", "check_restriction", "check_role"]


def check_bounds(contract: Contract, policy: MeshPolicy, report: Report) -> None:
    """Add what the policy forbids to ``report``."""
    for index, grant in enumerate(contract.access.grants):
        path: Path = ("spec", "access", index)
        _check_grant(contract, grant, policy, report, path)
    for index, restriction in enumerate(contract.restrictions):
        check_restriction(restriction, policy, report, ("spec", "restrict", index))
    known = [tag.tag for tag in policy.tags]
    for name, given in contract.classification:
        for tag in given.tags:
            if tag not in known:
                message = f"the mesh policy does not know tag {quoted(tag)}; the column is withheld"
                report.warn(ProblemCode.UNKNOWN_TAG, ("spec", "classification", "fields", name), message, nearest=nearest_of(tag, known))
    if policy.retention_needs_date and contract.retention is not None and contract.retention.from_column is None:
        path = ("spec", "classification", "retention")
        report.add(ProblemCode.NOT_ENFORCEABLE, path, 'the mesh policy wants a column that dates the rows: "from", or "time.event"')


def check_role(role: str, policy: MeshPolicy, report: Report, path: Path) -> bool:
    """Add a problem unless ``role`` exists; say whether it does."""
    if role in policy.roles:
        return True
    report.add(ProblemCode.UNKNOWN_ROLE, path, f"no role {quoted(role)} in the mesh policy", nearest=nearest_of(role, policy.roles))
    return False


def check_purposes(purposes: tuple[str, ...], policy: MeshPolicy, report: Report, path: Path) -> None:
    """Add a problem for every purpose that does not exist."""
    if policy.purposes is None:
        return
    for index, purpose in enumerate(purposes):
        if purpose not in policy.purposes:
            nearest = nearest_of(purpose, policy.purposes)
            message = f"no purpose {quoted(purpose)} in the mesh policy"
            report.add(ProblemCode.UNKNOWN_PURPOSE, (*path, index), message, nearest=nearest)


def _check_grant(contract: Contract, grant: Grant, policy: MeshPolicy, report: Report, path: Path) -> None:
    check_purposes(grant.purposes, policy, report, (*path, "purposes"))
    if not check_role(grant.role, policy, report, (*path, "role")):
        return
    if policy.grantable_roles is not None and grant.role not in policy.grantable_roles:
        message = f"contracts may not grant role {quoted(grant.role)}, only {', '.join(policy.grantable_roles) or 'none'}"
        report.add(ProblemCode.OUT_OF_BOUNDS, (*path, "role"), message)
    never = {tag.tag for tag in policy.tags if tag.never_clear}
    bound = next((bound.clear_tags for bound in policy.bounds if bound.role == grant.role), ("*",))
    for index, name, given in _cleared(contract, grant):
        here = (*path, "clear", index)
        if grant.clear[index] != "*" and (forbidden := sorted(never.intersection(given.tags))):
            report.add(ProblemCode.OUT_OF_BOUNDS, here, f"column {quoted(name)} is tagged {forbidden[0]}, which nobody may see in clear")
        elif not _within(given, bound):
            what = ", ".join(given.tags) or "classified without a tag"
            allowed = ", ".join(bound) or "nothing"
            message = f"column {quoted(name)} ({what}) is more than role {quoted(grant.role)} may be shown in clear ({allowed})"
            report.add(ProblemCode.OUT_OF_BOUNDS, here, message)


def _cleared(contract: Contract, grant: Grant) -> Iterator[tuple[int, str, FieldClassification]]:
    """List the classified columns that a grant clears, each with the place of the entry that does so."""
    for index, entry in enumerate(grant.clear):
        for name, given in contract.classification_by_name.items():
            if given.is_classified and entry in ("*", name):
                yield index, name, given


def _within(given: FieldClassification, bound: tuple[str, ...]) -> bool:
    if "*" in bound:
        return True
    return bool(given.tags) and set(given.tags) <= set(bound)


def check_restriction(restriction: Restriction, policy: MeshPolicy, report: Report, path: Path) -> None:
    """Add a problem for every role and purpose of a restriction that does not exist."""
    for index, role in enumerate(restriction.roles):
        check_role(role, policy, report, (*path, "roles", index))
    check_purposes(restriction.unless_purpose, policy, report, (*path, "unlessPurpose"))
