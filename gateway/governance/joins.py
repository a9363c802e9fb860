"""The two ends of a relationship are one value: what follows for rulings (SPEC A7), and which declared pairs disagree.

Pure. Rejects nothing; `differing_pairs` is for ``meshgate check``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from contracts.masks import MaskKind, strictest
from contracts.model import Contract, Relationship
from contracts.policy import MeshPolicy
from contracts.together import target_of
from gateway.governance.choice import mask_choice
from gateway.governance.columns import agreed, label
from gateway.governance.ruling import Access, FieldRuling

__all__ = ["DifferingPair", "differing_pairs", "stricter"]

_STRICTNESS = {Access.CLEAR: 0, Access.MASKED: 1, Access.DENIED: 2}


@dataclass(frozen=True, slots=True)
class DifferingPair:
    """Two ends of a relationship that their contracts protect differently. ``differences``: what differs, one phrase each."""

    relationship: str
    own: str
    other: str
    differences: tuple[str, ...]


def stricter(a: FieldRuling, b: FieldRuling) -> FieldRuling:
    """Join the rulings on both ends of a relationship; the result speaks of ``a``'s column.

    Row rules of two products cannot be tested on one row, so an end that varies by row counts as the strictest that occurs.
    The mask is the stricter of both; `masks.fitting` makes it fit a column of another type.
    """
    if not a.varies and not b.varies and (a == b or (b.access is Access.CLEAR and b.usable)):
        return a
    unclear = [end for end in (a, b) if end.varies or end.access is not Access.CLEAR or not end.usable]
    lead = a if _STRICTNESS[a.access] >= _STRICTNESS[b.access] else b
    masks = [end.mask for end in (a, b) if end.mask is not None]
    return FieldRuling(
        a.column,
        lead.access,
        strictest(masks) if lead.access is Access.MASKED else None,
        lead.reason,
        hidden=a.hidden or b.hidden,
        usable=a.usable and b.usable and lead.access is not Access.DENIED,
        aggregates=agreed([end.aggregates for end in unclear]) if lead.access is Access.MASKED else None,
    )


def differing_pairs(contracts: Iterable[Contract], policy: MeshPolicy) -> Iterator[DifferingPair]:
    """Report every declared pair of join columns that the two contracts protect differently.

    A target that is not among ``contracts`` is passed over: whether it exists is another check.
    """
    known: dict[str, list[Contract]] = {}
    listed = list(contracts)
    for contract in listed:
        known.setdefault(contract.key, []).append(contract)
    for contract in listed:
        for relationship in contract.relationships:
            target = target_of(relationship, known.get(relationship.to, ()))
            if target is not None:
                for own, other in relationship.on:
                    yield from _pair(contract, relationship, target, columns=(own, other), policy=policy)


def _pair(
    contract: Contract, relationship: Relationship, target: Contract, *, columns: tuple[str, str], policy: MeshPolicy
) -> Iterator[DifferingPair]:
    own, other = columns
    if own not in contract.field_by_name or other not in target.field_by_name:
        return
    ends = ((contract, own), (target, other))
    found: list[str] = []
    classified = [end.classification_by_name[column] for end, column in ends]
    if set(classified[0].tags) != set(classified[1].tags):
        found.append("tags")
    if classified[0].level != classified[1].level:
        found.append("level")
    if classified[0].visibility is not classified[1].visibility:
        found.append("visibility")
    masks = [
        mask_choice(end.field_by_name[column], end.classification_by_name[column], policy)[0]
        if end.classification_by_name[column].is_classified
        else None
        for end, column in ends
    ]
    if masks[0] != masks[1]:
        found.append("mask")
    elif (
        masks[0] is not None
        and masks[0].kind is MaskKind.PSEUDONYM
        and masks[0].scope != "mesh"
        and contract.metadata.domain != target.metadata.domain
    ):
        found.append("pseudonym key (each domain has its own; scope: mesh makes them match)")
    if found:
        name = f"{label(contract)}.{relationship.name}"
        yield DifferingPair(name, f"{label(contract)}.{own}", f"{label(target)}.{other}", tuple(found))
