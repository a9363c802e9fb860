"""The mesh-wide policy: which roles exist, what they hold everywhere, how tags are masked, and what contracts may not grant."""

from __future__ import annotations

from fnmatch import fnmatchcase

from contracts.fields import Field, FieldType, Scalar
from contracts.masks import Mask, MaskKind, fits, strictest
from contracts.model import Aggregates, Contract, FieldClassification, Frozen, Grant, Restriction

__all__ = ["MeshPolicy", "Restriction", "RoleBound", "TagPolicy", "TagRule", "mask_for", "never_persisted", "type_name"]


class TagRule(Frozen):
    """One line of a tag's ordered list: the first whose ``type`` and ``name`` fit a column decides its mask.

    ``type``: a scalar kind, ``enumeration``, ``record``, ``list`` or ``map``; ``name``: a glob over column names. None fits all.
    """

    type: str | None = None
    name: str | None = None
    mask: Mask


class TagPolicy(Frozen):
    """What a tag means.

    ``never_clear``: no grant may show such a field as it is, break-glass included. ``never_persist``: no copy of it may be kept
    outside its source (PCI DSS 4.0, 3.3: security codes, PINs).
    """

    tag: str
    rules: tuple[TagRule, ...] = ()
    never_clear: bool = False
    never_persist: bool = False
    aggregates: Aggregates | None = None


class RoleBound(Frozen):
    """What contracts may grant a role: tags that they may clear (``("*",)``: any)."""

    role: str
    clear_tags: tuple[str, ...] = ("*",)


class MeshPolicy(Frozen):
    """Everything the mesh decides for all products.

    ``roles``: every role that exists; a contract that grants another is refused. ``grants``: held on every product.
    ``bounds``: limits on what contracts may grant; a role that is not listed may be granted without limit unless
    ``grantable_roles`` names others only. ``anonymous_role``: the role of callers without a token, None: they get 401.
    """

    roles: tuple[str, ...]
    grants: tuple[Grant, ...] = ()
    tags: tuple[TagPolicy, ...] = ()
    bounds: tuple[RoleBound, ...] = ()
    grantable_roles: tuple[str, ...] | None = None
    restrictions: tuple[Restriction, ...] = ()
    anonymous_role: str | None = None
    purposes: tuple[str, ...] | None = None
    """Every purpose that exists, None: any text is one; contracts that name another are refused."""
    retention_needs_date: bool = False
    revision: str = ""


def mask_for(field: Field, classification: FieldClassification, policy: MeshPolicy | None) -> Mask | None:
    """Choose the mask of a field: its own, else the strictest that its tags ask for; None if it is not classified.

    A tag's mask is the first of its rules that fits the column, at last `redact` for text and `nullify` for all else; so is
    that of a level without tags. A tag that the policy does not know asks for the strictest of all. **Source** SPEC A9, D9.
    """
    if not classification.is_classified:
        return None
    if classification.mask is not None:
        return classification.mask if fits(classification.mask, field.type) else _WITHHELD
    if not classification.tags:
        return _last_resort(field)
    known = {tag.tag: tag for tag in policy.tags} if policy is not None else {}
    return strictest([_mask_of_tag(known[tag], field) if tag in known else _WITHHELD for tag in classification.tags])


_WITHHELD = Mask(MaskKind.NULLIFY)


def _mask_of_tag(tag: TagPolicy, field: Field) -> Mask:
    for rule in tag.rules:
        is_type = rule.type is None or rule.type == type_name(field.type)
        if is_type and (rule.name is None or fnmatchcase(field.name, rule.name)) and fits(rule.mask, field.type):
            return rule.mask
    return _last_resort(field)


def _last_resort(field: Field) -> Mask:
    redact = Mask(MaskKind.REDACT)
    return redact if fits(redact, field.type) else _WITHHELD


def never_persisted(contract: Contract, policy: MeshPolicy | None) -> tuple[str, ...]:
    """Name the columns of which no copy may be kept: by the contract, by a tag of theirs, or by a tag that the policy does not know.

    Without a policy every tag is unknown. **Source** SPEC B4, D9.
    """
    keepable = {tag.tag for tag in policy.tags if not tag.never_persist} if policy is not None else set()
    given = contract.classification_by_name
    return tuple(name for name, found in given.items() if found.never_persist or not keepable.issuperset(found.tags))


def type_name(type_: FieldType) -> str:
    """Name a type as tag rules do."""
    match type_:
        case Scalar(kind=kind):
            return kind.value
        case _:
            return type(type_).__name__.lower()
