"""Who asks, as the token says it: verified facts, no decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Caller"]


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """A verified caller of one request.

    ``purposes``: those the caller may state; ``purpose``: the one this request states (SPEC A4) or None. ``claims``: the whole
    verified payload, nested as sent. ``expires_at_s``: when the token ends (epoch seconds), None for anonymous callers.
    """

    subject: str
    roles: frozenset[str]
    purposes: tuple[str, ...] = ()
    purpose: str | None = None
    domain: str | None = None
    client: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    expires_at_s: float | None = None
