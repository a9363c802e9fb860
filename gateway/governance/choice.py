"""Which mask a classified field gets: the contract's own, else the mesh policy's for its tags (SPEC A9). Pure; rejects nothing."""

from __future__ import annotations

from fnmatch import fnmatchcase

from contracts.fields import Enumeration, Field, FieldType, List, Map, Record, Scalar
from contracts.masks import Mask, MaskKind, fits, strictest
from contracts.model import FieldClassification
from contracts.policy import MeshPolicy, TagPolicy

__all__ = ["default_mask", "mask_choice"]

_PAN_TAG = "pci.pan"
_PAN_FIRST_MAX = 6
_PAN_LAST_MAX = 4


def mask_choice(field: Field, classification: FieldClassification, policy: MeshPolicy) -> tuple[Mask, str]:
    """Choose the mask of a field, and the tag, level or word that calls for it (SPEC A9)."""
    because = classification.tags[0] if classification.tags else classification.level or "classified"
    declared = classification.mask
    if declared is not None and fits(declared, field.type):
        return _bounded(declared, classification), str(because)
    known = {tag.tag: tag for tag in policy.tags}
    by_tag = [(_mask_of_tag(field, known[tag]), tag) for tag in classification.tags if tag in known]
    if not by_tag:
        return default_mask(field.type), str(because)
    chosen = strictest([mask for mask, _ in by_tag])
    return _bounded(chosen, classification), next(tag for mask, tag in by_tag if mask == chosen)


def _mask_of_tag(field: Field, tag: TagPolicy) -> Mask:
    kind = _kind(field.type)
    for rule in tag.rules:
        if rule.type in (None, kind) and (rule.name is None or fnmatchcase(field.name, rule.name)) and fits(rule.mask, field.type):
            return rule.mask
    return default_mask(field.type)


def _kind(type_: FieldType) -> str:
    match type_:
        case Scalar(kind=kind):
            return kind.value
        case Enumeration():
            return "enumeration"
        case Record():
            return "record"
        case List():
            return "list"
        case Map():
            return "map"


def default_mask(type_: FieldType) -> Mask:
    """Redact text, nullify all else."""
    redact = Mask(MaskKind.REDACT)
    return redact if fits(redact, type_) else Mask(MaskKind.NULLIFY)


def _bounded(mask: Mask, classification: FieldClassification) -> Mask:
    if mask.kind is MaskKind.PARTIAL and _PAN_TAG in classification.tags:
        return Mask(mask.kind, first=min(mask.first, _PAN_FIRST_MAX), last=min(mask.last, _PAN_LAST_MAX))
    return mask
