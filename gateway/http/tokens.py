"""Tokens: what the demo key signs, so that a newcomer can ask as any role. Production tokens come from an identity provider."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import jwt

__all__ = ["DEMO_AUDIENCE", "DEMO_ISSUER", "sign"]

DEMO_ISSUER = "meshgate-demo"
DEMO_AUDIENCE = "meshgate"
_RESERVED = frozenset({"iss", "aud", "exp", "nbf", "iat", "sub", "roles", "purposes", "domain"})


def sign(
    roles: Sequence[str],
    claims: Mapping[str, Any],
    *,
    purposes: Sequence[str],
    domain: str | None,
    key: str,
    lifetime_s: float,
    subject: str | None = None,
    audience: str = DEMO_AUDIENCE,
    now_s: float | None = None,
) -> str:
    """Sign a token with the demo key. Raises: ValueError for a claim that has its own argument."""
    for name in claims:
        if name in _RESERVED:
            raise ValueError(f"the claim {name} cannot be set freely")
    issued_at = int(time.time() if now_s is None else now_s)
    payload: dict[str, Any] = {
        **claims,
        "iss": DEMO_ISSUER,
        "aud": audience,
        "sub": subject or "demo-" + ("-".join(roles) or "nobody"),
        "iat": issued_at,
        "exp": issued_at + int(lifetime_s),
        "roles": list(roles),
        "purposes": list(purposes),
    }
    if domain is not None:
        payload["domain"] = domain
    return jwt.encode(payload, key, algorithm="HS256")
