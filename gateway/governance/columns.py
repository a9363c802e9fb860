"""One column before its grants are joined: how it is classified, which restrictions lie on it, what each grant alone shows of it.

Pure. Turns the grants that apply into one `FieldRuling`; unknown tags deny.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase
from functools import lru_cache

from contracts.fields import Field
from contracts.model import Aggregates, Contract, FieldClassification, Grant, Restriction, Visibility
from contracts.policy import MeshPolicy
from contracts.predicates import TRUE, Predicate
from gateway.governance.choice import mask_choice
from gateway.governance.facts import Facts
from gateway.governance.ruling import Access, FieldRuling, Reason

__all__ = ["NO_GRANT", "Column", "Held", "Sight", "agreed", "everywhere", "in_clear", "label", "not_at_all", "restrictions_on"]

NO_GRANT = "no grant"
_POLICY = "policy"


class Sight(IntEnum):
    """How much of a cell one grant shows."""

    NONE = 0
    MASKED = 1
    CLEAR = 2


@dataclass(frozen=True, slots=True)
class Held:
    """A grant that applies to the caller, and the rows it is for. ``by_contract``: the policy's bounds limit what it clears."""

    grant: Grant
    rule: Predicate
    by_contract: bool

    def covers(self, column: str) -> bool:
        """Whether the grant is about this column."""
        grant = self.grant
        return column in grant.fields or "*" in grant.fields or self.clears(column)

    def clears(self, column: str) -> bool:
        """Whether the grant would show the column as it is."""
        return column in self.grant.clear or "*" in self.grant.clear


@dataclass(frozen=True, slots=True)
class _Cap:
    """The most that may be seen of a field, and why. ``roles``: only of what these roles are granted; empty: of everything."""

    most: Sight
    reason: Reason
    roles: tuple[str, ...] = ()


def label(contract: Contract) -> str:
    """Spell ``domain/name@version``, as receipts print it."""
    return f"{contract.key}@{contract.metadata.version}"


def restrictions_on(contract: Contract, policy: MeshPolicy, facts: Facts) -> tuple[tuple[Restriction, str], ...]:
    """Find the restrictions that bear on this product for this purpose, each with who says so."""
    stated = (*((one, _POLICY) for one in policy.restrictions), *((one, label(contract)) for one in contract.restrictions))
    return tuple(
        (one, source)
        for one, source in stated
        if (facts.purpose is None or facts.purpose not in one.unless_purpose) and _globbed(contract.key, one.products)
    )


def everywhere(indices: set[int], rules: Sequence[Predicate]) -> bool:
    """Whether the rules at ``indices`` together hold for every row that is served."""
    return len(indices) == len(rules) or (0 in indices and rules[0] == TRUE)


class Column:
    """One column of one contract under one policy, for one purpose."""

    __slots__ = ("_aggregates", "_caps", "_classification", "_field", "_plain", "_policy", "_source")

    def __init__(self, field: Field, contract: Contract, policy: MeshPolicy, restrictions: tuple[tuple[Restriction, str], ...]) -> None:
        self._field = field
        self._classification = contract.classification_by_name[field.name]
        self._policy = policy
        self._source = label(contract)
        tags = self._classification.tags
        self._caps = (*self._tag_caps(tags), *_restriction_caps(restrictions, field.name, tags)) if tags or restrictions else ()
        # What a restriction masks, it masks in totals, too.
        is_restricted = any(_restriction_caps(restrictions, field.name, tags))
        self._aggregates = None if is_restricted else _aggregates(self._classification, policy)
        self._plain = not self._caps and not self._classification.is_classified

    def ruling(self, seeing: Sequence[Held], rules: Sequence[Predicate]) -> FieldRuling:
        """Join what each grant shows, row rule by row rule; ``rules`` are the different ones, "every row" first."""
        name = self._field.name
        if self._plain and all(held.covers(name) for held in seeing):
            return in_clear(name)
        seen, clear, usable = set[int](), set[int](), set[int]()
        masked_by: list[Reason | None] = []
        denied_by: list[Reason] = []
        for held in seeing:
            sight, lifts, limit = self._sight(held)
            if sight is Sight.NONE:
                denied_by.extend([limit] if limit else [])
                continue
            index = rules.index(held.rule)
            seen.add(index)
            if sight is Sight.CLEAR:
                clear.add(index)
            else:
                masked_by.append(limit)
            if lifts:
                usable.add(index)
        if everywhere(clear, rules):
            return in_clear(name)
        if not seen:
            return not_at_all(name, self._classification, denied_by[0] if denied_by else Reason(NO_GRANT, self._source))
        return self._partly(seen, clear, rules, usable=everywhere(usable, rules), masked_by=masked_by)

    def seen_by(self, held: Held) -> bool:
        """Whether the grant alone shows anything of the column."""
        return held.covers(self._field.name) if self._plain else self._sight(held)[0] is not Sight.NONE

    def _sight(self, held: Held) -> tuple[Sight, bool, Reason | None]:
        """Judge one grant alone: what it shows, whether predicates may use it, and what took something from it."""
        grant, name = held.grant, self._field.name
        if not held.covers(name):
            return Sight.NONE, False, None
        sight = Sight.CLEAR if not self._classification.is_classified or held.clears(name) else Sight.MASKED
        limits = [cap for cap in self._caps if not cap.roles or grant.role in cap.roles]
        if held.by_contract:
            limits.extend(self._bound(grant.role))
        if not limits:
            return sight, sight is Sight.CLEAR or grant.predicates, None
        # What a restriction masks, ``predicates`` does not lift: asking often enough would show the value.
        cap = min(limits, key=lambda limit: limit.most)
        return min(cap.most, sight), False, cap.reason if cap.most < sight else None

    def _partly(
        self, seen: set[int], clear: set[int], rules: Sequence[Predicate], *, usable: bool, masked_by: list[Reason | None]
    ) -> FieldRuling:
        access = Access.MASKED if everywhere(seen, rules) else Access.DENIED
        masked = seen - clear
        mask, reason = None, Reason(NO_GRANT, self._source)
        if masked:
            mask, because = mask_choice(self._field, self._classification, self._policy)
            reason = Reason(because, self._source) if None in masked_by else masked_by[0] or reason
        if access is Access.MASKED and not clear:
            return FieldRuling(self._field.name, access, mask, reason, usable=usable, aggregates=self._aggregates)
        masked_rows = (0,) if rules[0] == TRUE and 0 in masked else tuple(sorted(masked))
        return FieldRuling(self._field.name, access, mask, reason, usable=usable, clear_rows=tuple(sorted(clear)), masked_rows=masked_rows)

    def _tag_caps(self, tags: tuple[str, ...]) -> Iterator[_Cap]:
        known = {tag.tag: tag for tag in self._policy.tags}
        for tag in tags:
            if tag not in known:
                yield _Cap(Sight.NONE, Reason(tag, _POLICY))
            elif known[tag].never_clear:
                yield _Cap(Sight.MASKED, Reason(tag, self._source))

    def _bound(self, role: str) -> Iterator[_Cap]:
        for bound in self._policy.bounds:
            if bound.role == role and "*" not in bound.clear_tags:
                for tag in self._classification.tags:
                    if tag not in bound.clear_tags:
                        yield _Cap(Sight.MASKED, Reason(tag, self._source))


@lru_cache(65_536)
def in_clear(column: str) -> FieldRuling:
    """Rule that a column is seen as it is, by everybody alike."""
    return FieldRuling(column, Access.CLEAR)


def not_at_all(column: str, classification: FieldClassification, reason: Reason) -> FieldRuling:
    """Rule on a column of which nothing is shown."""
    hidden = classification.visibility is Visibility.HIDDEN
    return FieldRuling(column, Access.DENIED, None, reason, hidden=hidden, usable=False)


def _restriction_caps(restrictions: tuple[tuple[Restriction, str], ...], column: str, tags: tuple[str, ...]) -> Iterator[_Cap]:
    for one, source in restrictions:
        if (not one.tags or set(one.tags) & set(tags)) and _globbed(column, one.fields):
            yield _Cap(Sight.NONE if one.effect == "deny" else Sight.MASKED, Reason(one.name, source), one.roles)


def _aggregates(classification: FieldClassification, policy: MeshPolicy) -> Aggregates | None:
    """Find what totals may be taken of a masked field: as it says itself, else what all its tags allow."""
    if classification.aggregates is not None or not classification.tags:
        return classification.aggregates
    by_tag = {tag.tag: tag.aggregates for tag in policy.tags}
    allowed = [by_tag.get(tag) for tag in classification.tags]
    return agreed(allowed)


def agreed(allowed: Sequence[Aggregates | None]) -> Aggregates | None:
    """Find the totals that all allow: by their functions, of as many subjects as any of them wants."""
    found = [one for one in allowed if one is not None]
    if not found or len(found) < len(allowed):
        return None
    functions = tuple(it for it in found[0].functions if all(it in one.functions for one in found))
    return Aggregates(min_group=max(one.min_group for one in found), functions=functions)


def _globbed(name: str, globs: tuple[str, ...]) -> bool:
    return not globs or any(fnmatchcase(name, glob) for glob in globs)
