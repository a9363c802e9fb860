"""Small contracts, policies and callers to rule on."""

from __future__ import annotations

from typing import Any

from contracts.fields import Field, FieldType, Kind, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import Access, Contract, FieldClassification, Grant, Metadata, Visibility
from contracts.objectives import Objectives
from contracts.policy import MeshPolicy, TagPolicy, TagRule
from contracts.predicates import Claim, Compare, Operator
from gateway.caller import Caller

TEXT = Scalar(Kind.STRING)
EMAIL = Mask(MaskKind.EMAIL)
OWN_COUNTRIES = Compare("country", Operator.IN, Claim("countries"))

PII = TagPolicy(
    tag="pii",
    rules=(
        TagRule(type="string", name="*email*", mask=EMAIL),
        TagRule(type="date", mask=Mask(MaskKind.TRUNCATE, to="year")),
        TagRule(type="string", mask=Mask(MaskKind.REDACT)),
    ),
)
PAN = TagPolicy(tag="pci.pan", never_clear=True, rules=(TagRule(type="string", mask=Mask(MaskKind.PARTIAL, last=4)),))


def policy(**members: Any) -> MeshPolicy:
    roles = members.pop("roles", ("analyst", "fraud", "break-glass", "owner"))
    return MeshPolicy(roles=roles, tags=members.pop("tags", (PII, PAN)), **members)


def contract(
    *grants: Grant,
    fields: dict[str, FieldType] | None = None,
    tags: dict[str, tuple[str, ...]] | None = None,
    classified: dict[str, FieldClassification] | None = None,
    visibility: Visibility = Visibility.LISTED,
    name: str = "orders-daily",
    domain: str = "order",
    version: str = "2.1.0",
    **members: Any,
) -> Contract:
    columns = fields or {"order_id": TEXT, "country": TEXT, "email": TEXT, "card": TEXT}
    given = {column: FieldClassification(tags=found) for column, found in (tags or {"email": ("pii",), "card": ("pci.pan",)}).items()}
    given.update(classified or {})
    return Contract(
        metadata=Metadata(name=name, domain=domain, owner=f"{domain}-team@company.com", version=version, visibility=visibility),
        fields=tuple(Field(column, type_) for column, type_ in columns.items()),
        objectives=Objectives(),
        classification=tuple((column, found) for column, found in given.items() if column in columns),
        access=Access(grants=grants),
        **members,
    )


def caller(*roles: str, purpose: str | None = None, domain: str | None = None, **claims: Any) -> Caller:
    return Caller("someone", frozenset(roles), purpose=purpose, domain=domain, claims=claims)
