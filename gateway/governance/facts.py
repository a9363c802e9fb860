"""What policies may know of a caller: the decision key, cut down to what some grant really reads.

Turns a `Caller` into `Facts`: equal facts, equal rulings. Claims reach a ruling only as "this condition holds" and "this claim can
be bound", so callers who differ in claim *values* still share their view. Rejects nothing: what it cannot read counts as absent.
"""

from __future__ import annotations

import datetime as dt
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from contracts.model import Contract, Grant
from contracts.policy import MeshPolicy
from contracts.predicates import Among, And, Claim, Compare, Not, Or, Predicate
from gateway.caller import Caller

__all__ = ["CLAIM_ITEMS_MAX", "OWN_DOMAIN", "Facts", "Reading", "claim_at", "claims_of", "grant_holds"]

OWN_DOMAIN = "$product.domain"
"""As a grant's required text for the claim ``domain``: the caller's domain is the product's own."""

PRESENT = "present"
CLAIM_ITEMS_MAX = 1_000
_NEVER = dt.date.min


@dataclass(frozen=True, slots=True)
class Facts:
    """The decision key (SPEC A5).

    ``held``: the conditions (claim path, required text) that hold; ``bindable``: claim paths that row filters can use.
    ``today``: any day of the stretch in which no grant begins or ends; `Reading` gives the stretch's first.
    """

    roles: frozenset[str]
    purpose: str | None = None
    domain: str | None = None
    client: str | None = None
    today: dt.date = _NEVER
    held: frozenset[tuple[str, str]] = frozenset()
    bindable: frozenset[str] = frozenset()

    def digest(self) -> bytes:
        """Digest the key, equal in every process: sets have no order that one could print."""
        members = (
            sorted(self.roles),
            self.purpose,
            self.domain,
            self.client,
            self.today.isoformat(),
            sorted(self.held),
            sorted(self.bindable),
        )
        return blake2b(repr(members).encode("utf-8", "surrogatepass"), digest_size=16, person=b"meshgate facts").digest()


@dataclass(frozen=True, slots=True)
class _RoleReading:
    conditions: frozenset[tuple[str, str]]
    paths: frozenset[str]
    domain: bool


class Reading:
    """What all policies together read of a caller, collected once per catalog: conditions and claims by role, and every last day."""

    def __init__(self, policy: MeshPolicy, contracts: Iterable[Contract]) -> None:
        conditions: dict[str, set[tuple[str, str]]] = {role: set() for role in policy.roles}
        paths: dict[str, set[str]] = {role: set() for role in policy.roles}
        ends: set[dt.date] = set()
        for grants in (policy.grants, *(contract.access.grants for contract in contracts)):
            for grant in grants:
                if grant.role not in conditions:
                    continue
                conditions[grant.role].update(grant.claims)
                if grant.row_filter is not None:
                    paths[grant.role] |= claims_of(grant.row_filter)
                if grant.until is not None and grant.until < dt.date.max:
                    ends.add(grant.until + dt.timedelta(days=1))
        self._ends = sorted(ends)
        self._roles = {
            role: _RoleReading(
                frozenset(pair for pair in conditions[role] if pair[1] != OWN_DOMAIN),
                frozenset(paths[role]),
                any(required == OWN_DOMAIN for _, required in conditions[role]),
            )
            for role in conditions
        }

    def reads_as(self, other: Reading) -> bool:
        """Tell whether both cut every caller down to the same facts, at all times."""
        return self._ends == other._ends and self._roles == other._roles

    def facts(self, caller: Caller, today: dt.date) -> Facts:
        """Cut a caller down to what policies read; roles that the mesh does not know are left out."""
        known = [(role, self._roles[role]) for role in caller.roles if role in self._roles]
        passed = bisect_right(self._ends, today)
        return Facts(
            roles=frozenset(role for role, _ in known),
            purpose=caller.purpose,
            domain=caller.domain if any(reading.domain for _, reading in known) else None,
            today=self._ends[passed - 1] if passed else _NEVER,
            held=frozenset(pair for _, reading in known for pair in reading.conditions if _holds(claim_at(caller, pair[0]), pair[1])),
            bindable=frozenset(path for _, reading in known for path in reading.paths if _can_bind(claim_at(caller, path))),
        )

    def next_end_at(self, today: dt.date) -> dt.datetime | None:
        """Find the instant at which a grant next ends, None if none does."""
        passed = bisect_right(self._ends, today)
        return dt.datetime.combine(self._ends[passed], dt.time(), dt.UTC) if passed < len(self._ends) else None


def claims_of(predicate: Predicate) -> frozenset[str]:
    """Name every claim path that a row filter reads."""
    match predicate:
        case Compare(value=Claim(path=path)):
            return frozenset((path,))
        case Compare(value=tuple() as items):
            return frozenset(item.path for item in items if isinstance(item, Claim))
        case Compare() | Among():
            return frozenset()
        case And(parts=parts) | Or(parts=parts):
            return frozenset().union(*map(claims_of, parts))
        case Not(part=part):
            return claims_of(part)


def claim_at(caller: Caller, path: str) -> Any:
    """Look a claim up: by its whole name first (names may hold dots), else dots descend. None where there is nothing.

    ``domain`` is the caller's domain, wherever the token keeps it.
    """
    if path == "domain" and caller.domain is not None:
        return caller.domain
    claims = caller.claims
    if path in claims:
        return claims[path]
    found: Any = claims
    for step in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(step)
    return found


def _holds(value: Any, required: str) -> bool:
    if required == PRESENT:
        return bool(value.strip()) if isinstance(value, str) else bool(value)
    if isinstance(value, (list, tuple)):
        return len(value) <= CLAIM_ITEMS_MAX and any(_is_text(item, required) for item in value)
    return _is_text(value, required)


def _is_text(value: Any, required: str) -> bool:
    if isinstance(value, bool):
        return required == ("true" if value else "false")
    if isinstance(value, int):
        return value.bit_length() <= 64 and str(value) == required
    return isinstance(value, str) and value == required


def _can_bind(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return 0 < len(value) <= CLAIM_ITEMS_MAX and all(map(_is_scalar, value))
    return _is_scalar(value)


def _is_scalar(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value)
    return isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value))


def grant_holds(grant: Grant, facts: Facts, domain: str) -> str | None:
    """Judge a grant's conditions for a product of ``domain``: None when all hold, else the word for the first that fails."""
    if grant.role not in facts.roles:
        return "role"
    if grant.until is not None and facts.today > grant.until:
        return "expired"
    if grant.purposes and facts.purpose not in grant.purposes:
        return "purpose"
    for path, required in grant.claims:
        if required == OWN_DOMAIN:
            if path != "domain" or facts.domain != domain:
                return "claim"
        elif (path, required) not in facts.held:
            return "claim"
    if grant.row_filter is not None and not claims_of(grant.row_filter) <= facts.bindable:
        return "claim"
    return None
