"""Grants, row filters and restrictions as contracts and policies write them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, StrictBool
from pydantic import Field as Member

from contracts.texts import ClaimText, Day, Document, Name, Names

__all__ = ["ConditionDocument", "GrantDocument", "RestrictDocument", "RowFilterDocument"]


class ConditionDocument(Document):
    """Comparisons of one column that must all hold; ``$claims.path`` stands for a claim of the caller's token."""

    eq: Any = None
    ne: Any = None
    in_: Any = None
    not_in: Any = None
    lt: Any = None
    lte: Any = None
    gt: Any = None
    gte: Any = None
    contains: Any = None
    starts_with: Any = None
    is_null: StrictBool | None = None


class RowFilterDocument(Document):
    """Columns with their conditions, which must all hold; ``and``, ``or``, ``not`` combine further ones."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, ConditionDocument]

    and_: Annotated[tuple[RowFilterDocument, ...], Member(max_length=100)] | None = None
    or_: Annotated[tuple[RowFilterDocument, ...], Member(max_length=100)] | None = None
    not_: RowFilterDocument | None = None


class GrantDocument(Document):
    """Who may see what: deny by default, and an entry without ``fields`` grants only what it clears."""

    role: Name
    fields: Names = ()
    clear: Names = ()
    row_filter: RowFilterDocument | None = None
    purposes: Names = ()
    until: Day | None = None
    claims: dict[Name, ClaimText] = Member(default_factory=dict)
    predicates: Literal["allow", "deny"] = "deny"


class RestrictDocument(Document):
    """Takes away, never gives; what is left out matches everything."""

    name: Name
    effect: Literal["mask", "deny"]
    roles: Names = ()
    products: Names = ()
    fields: Names = ()
    tags: Names = ()
    unless_purpose: Names = ()
