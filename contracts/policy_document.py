"""The mesh-wide policy file into a `MeshPolicy`.

Rejects with `PolicyInvalidError`, all mistakes at once: what cannot be read with certainty must not decide who sees what.
"""

from __future__ import annotations

import hashlib
import pathlib
from typing import Annotated, Literal

from pydantic import Field as Member
from pydantic import StrictBool

from contracts.access_document import GrantDocument, RestrictDocument
from contracts.bounds import check_purposes, check_restriction, check_role
from contracts.build import grant_of, mask_of, restriction_of
from contracts.checks import PAN_LIMIT, shows_too_much
from contracts.document import AggregatesDocument
from contracts.errors import InvalidDocumentError, PolicyInvalidError, Problem, ProblemCode, quoted
from contracts.fields import Kind
from contracts.mask_document import AnyMask
from contracts.model import Aggregates
from contracts.policy import MeshPolicy, RoleBound, TagPolicy, TagRule
from contracts.report import Report
from contracts.texts import Document, Name, Names, Text
from contracts.validation import validated
from contracts.yaml_source import Path, read_yaml

__all__ = ["PolicyDocument", "load_policy", "parse_policy"]

_TYPES = (*(kind.value for kind in Kind), "enumeration", "record", "list", "map")


class RuleDocument(Document):
    """One rule of a tag: the first whose ``type`` and ``name`` fit a column gives its mask."""

    type: Name | None = None
    name: Name | None = None
    mask: AnyMask


class TagDocument(Document):
    """What a tag means for every column that carries it."""

    description: Text | None = None
    never_clear: StrictBool = False
    never_persist: StrictBool = False
    rules: Annotated[tuple[RuleDocument, ...], Member(max_length=200)] = ()
    aggregates: AggregatesDocument | None = None


class BoundDocument(Document):
    """What contracts may grant a role."""

    clear_tags: Names = ("*",)


class PolicySpec(Document):
    """What the mesh decides for all products."""

    roles: Names
    grantable_roles: Names | None = None
    anonymous_role: Name | None = None
    purposes: Names | None = None
    grants: Annotated[tuple[GrantDocument, ...], Member(max_length=500)] = ()
    bounds: dict[Name, BoundDocument] = Member(default_factory=dict)
    tags: dict[Name, TagDocument] = Member(default_factory=dict)
    restrictions: Annotated[tuple[RestrictDocument, ...], Member(max_length=500)] = ()
    retention_needs_date: StrictBool = False


class PolicyMetadata(Document):
    """Who keeps the policy."""

    name: Name | None = None
    owner: Text | None = None
    description: Text | None = None


class PolicyDocument(Document):
    """The mesh-wide policy."""

    api_version: Literal["datamesh/v1"]
    kind: Literal["MeshPolicy"]
    metadata: PolicyMetadata = PolicyMetadata()
    spec: PolicySpec


def load_policy(path: pathlib.Path | str) -> MeshPolicy:
    """Load the mesh policy from a file. **Raises** `PolicyInvalidError`."""
    path = pathlib.Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror or 'unreadable'}"
        raise PolicyInvalidError([Problem(ProblemCode.BAD_REFERENCE, message, str(path))]) from None
    return parse_policy(content, file=str(path))


def parse_policy(document: str | bytes, *, file: str = "mesh.yaml") -> MeshPolicy:
    """Load the mesh policy from memory. **Raises** `PolicyInvalidError`."""
    try:
        source = read_yaml(document, file)
    except InvalidDocumentError as error:
        raise PolicyInvalidError(error.problems) from None
    report = Report(source)
    read = validated(PolicyDocument, source.data, report)
    if read is None:
        raise PolicyInvalidError(report.problems)
    content = document.encode() if isinstance(document, str) else document
    policy = _policy(read.spec, report, hashlib.sha256(content).hexdigest())
    _check(policy, read.spec, report)
    if report.problems:
        raise PolicyInvalidError(report.problems)
    return policy


def _policy(spec: PolicySpec, report: Report, revision: str) -> MeshPolicy:
    return MeshPolicy(
        roles=spec.roles,
        grants=tuple(
            grant_of(grant.model_copy(update={"row_filter": None}), {}, report, ("spec", "grants", index))
            for index, grant in enumerate(spec.grants)
        ),
        tags=tuple(_tag(name, tag, report) for name, tag in spec.tags.items()),
        bounds=tuple(RoleBound(role=role, clear_tags=bound.clear_tags) for role, bound in spec.bounds.items()),
        grantable_roles=spec.grantable_roles,
        restrictions=tuple(restriction_of(entry) for entry in spec.restrictions),
        anonymous_role=spec.anonymous_role,
        purposes=spec.purposes,
        retention_needs_date=spec.retention_needs_date,
        revision=revision,
    )


def _tag(name: str, given: TagDocument, report: Report) -> TagPolicy:
    rules: list[TagRule] = []
    for index, rule in enumerate(given.rules):
        path = ("spec", "tags", name, "rules", index)
        if rule.type is not None and rule.type not in _TYPES:
            report.add(ProblemCode.WRONG_VALUE, (*path, "type"), f"no type {quoted(rule.type)}", nearest=report.nearest(rule.type, _TYPES))
        mask = mask_of(rule.mask, report, (*path, "mask"))
        if mask is not None and shows_too_much((name,), mask):
            report.add(ProblemCode.OUT_OF_BOUNDS, (*path, "mask"), PAN_LIMIT)
        elif mask is not None:
            rules.append(TagRule(type=rule.type, name=rule.name, mask=mask))
    aggregates = given.aggregates
    return TagPolicy(
        tag=name,
        rules=tuple(rules),
        never_clear=given.never_clear,
        never_persist=given.never_persist,
        aggregates=Aggregates(min_group=aggregates.min_group, functions=aggregates.functions) if aggregates is not None else None,
    )


def _check(policy: MeshPolicy, spec: PolicySpec, report: Report) -> None:
    for index, grant in enumerate(policy.grants):
        check_role(grant.role, policy, report, ("spec", "grants", index, "role"))
        check_purposes(grant.purposes, policy, report, ("spec", "grants", index, "purposes"))
        if spec.grants[index].row_filter is not None:
            here: Path = ("spec", "grants", index, "rowFilter")
            report.add(ProblemCode.CONTRADICTION, here, "grants on every product cannot name columns of one; grant it in the contract")
    for index, role in enumerate(policy.grantable_roles or ()):
        check_role(role, policy, report, ("spec", "grantableRoles", index))
    if policy.anonymous_role is not None:
        check_role(policy.anonymous_role, policy, report, ("spec", "anonymousRole"))
    known = [tag.tag for tag in policy.tags]
    for bound in policy.bounds:
        check_role(bound.role, policy, report, ("spec", "bounds", bound.role))
        for index, tag in enumerate(bound.clear_tags):
            if tag != "*" and tag not in known:
                there: Path = ("spec", "bounds", bound.role, "clearTags", index)
                report.add(ProblemCode.UNKNOWN_TAG, there, f"no tag {quoted(tag)} here", nearest=report.nearest(tag, known))
    for position, restriction in enumerate(policy.restrictions):
        check_restriction(restriction, policy, report, ("spec", "restrictions", position))
