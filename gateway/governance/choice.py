"""Which mask a field gets and what calls for it: what contract and policy say, within what PCI allows (SPEC A9). Pure."""

from __future__ import annotations

from contracts.fields import Field
from contracts.masks import Mask, MaskKind, fits
from contracts.model import FieldClassification
from contracts.policy import MeshPolicy, mask_for

__all__ = ["mask_choice"]

_PAN_TAG = "pci.pan"
_PAN_FIRST_MAX = 6
_PAN_LAST_MAX = 4


def mask_choice(field: Field, classification: FieldClassification, policy: MeshPolicy) -> tuple[Mask, str]:
    """Choose the mask of a field, and the tag, level or word that calls for it.

    A field that is not classified, which only a restriction masks, is redacted or nullified.
    """
    mask = mask_for(field, classification, policy) or _last_resort(field)
    because = _tag_that_asks(mask, field, classification, policy) or classification.level or "classified"
    if mask.kind is MaskKind.PARTIAL and _PAN_TAG in classification.tags:
        mask = Mask(mask.kind, first=min(mask.first, _PAN_FIRST_MAX), last=min(mask.last, _PAN_LAST_MAX))
    return mask, str(because)


def _tag_that_asks(mask: Mask, field: Field, classification: FieldClassification, policy: MeshPolicy) -> str | None:
    tags = classification.tags
    if len(tags) > 1 and classification.mask is None:
        return next((tag for tag in tags if mask_for(field, FieldClassification(tags=(tag,)), policy) == mask), tags[0])
    return tags[0] if tags else None


def _last_resort(field: Field) -> Mask:
    redact = Mask(MaskKind.REDACT)
    return redact if fits(redact, field.type) else Mask(MaskKind.NULLIFY)
