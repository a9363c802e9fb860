"""The mesh-wide policy: which roles exist, what they hold everywhere, how tags are masked, and what contracts may not grant."""

from __future__ import annotations

from typing import Literal

from contracts.masks import Mask
from contracts.model import Frozen, Grant

__all__ = ["MeshPolicy", "Restriction", "RoleBound", "TagPolicy", "TagRule"]


class TagRule(Frozen):
    """One line of a tag's ordered list: the first whose ``type`` and ``name`` fit a column decides its mask.

    ``type``: a scalar kind, ``enumeration``, ``record``, ``list`` or ``map``; ``name``: a glob over column names. None fits all.
    """

    type: str | None = None
    name: str | None = None
    mask: Mask


class TagPolicy(Frozen):
    """What a tag means. ``never_clear``: no grant may show such a field as it is, break-glass included."""

    tag: str
    rules: tuple[TagRule, ...] = ()
    never_clear: bool = False


class RoleBound(Frozen):
    """What contracts may grant a role: tags that they may clear (``("*",)``: any)."""

    role: str
    clear_tags: tuple[str, ...] = ("*",)


class Restriction(Frozen):
    """Takes away, never gives. Empty tuples match everything; ``products`` and ``fields`` are globs."""

    name: str
    effect: Literal["mask", "deny"]
    roles: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    unless_purpose: tuple[str, ...] = ()


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
    retention_needs_date: bool = False
    revision: str = ""
