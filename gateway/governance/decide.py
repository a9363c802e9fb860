"""The ruling itself: a contract, the mesh policy and the facts about a caller become one `ProductRuling` (SPEC A1, A2, A8).

Pure. Every grant is judged cell by cell on its own and then joined, so that several roles give exactly the union of each alone;
a restriction that names roles takes from what those roles grant, one that names none takes from everything.
Rejects nothing: what is unknown (role, tag, claim) is denied.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from fnmatch import fnmatchcase

from contracts.fields import Enumeration, Field, FieldType, List, Map, Record, Scalar
from contracts.masks import Mask, MaskKind, fits, strictest
from contracts.model import Contract, FieldClassification, Grant, Restriction, Visibility
from contracts.policy import MeshPolicy, TagPolicy
from contracts.predicates import FALSE, TRUE, Predicate
from gateway.governance.facts import Facts, grant_holds
from gateway.governance.ruling import Access, FieldRuling, ProductRuling, Reason, Standing

__all__ = ["decide", "label", "mask_choice"]

POLICY_SOURCE = "policy"
NO_GRANT = "no grant"
_PAN_TAG = "pci.pan"
_PAN_FIRST_MAX = 6
_PAN_LAST_MAX = 4


class _Sight(IntEnum):
    NONE = 0
    MASKED = 1
    CLEAR = 2


@dataclass(frozen=True, slots=True)
class _Held:
    """A grant that applies to the caller. ``by_contract``: the policy's bounds limit what it clears."""

    grant: Grant
    rule: Predicate
    by_contract: bool


@dataclass(frozen=True, slots=True)
class _Cap:
    """The most that may be seen of a field, and why."""

    most: _Sight
    reason: Reason


def decide(contract: Contract, policy: MeshPolicy, facts: Facts) -> ProductRuling:
    """Rule on one product for all callers with these facts.

    Source: SPEC A1 (grants, restrictions, union), A2 (standing), A8 (``usable``).
    """
    source = label(contract)
    missing = NO_GRANT
    held: list[_Held] = []
    for grant, by_contract in _grants(contract, policy):
        failed = grant_holds(grant, facts, contract.metadata.domain)
        if failed is None:
            held.append(_Held(grant, TRUE if grant.row_filter is None else grant.row_filter, by_contract))
        elif failed != "role":
            missing = failed
    columns = [_Column(field, contract, policy, facts) for field in contract.fields]
    seeing = [one for one in held if one.rule != FALSE and any(column.sight(one)[0] for column in columns)]
    if not seeing:
        return _without_access(contract, columns, Reason(missing, source))
    rules = sorted({one.rule for one in seeing}, key=_rule_order)
    row_rules, fields = _compact(rules, tuple(column.ruling(seeing, rules) for column in columns))
    ends = [one.grant.until for one in seeing if one.grant.until is not None and one.grant.until < dt.date.max]
    return ProductRuling(
        product=contract.key,
        contract=source,
        owner=contract.metadata.owner,
        standing=Standing.SERVED,
        row_rules=row_rules,
        fields=fields,
        valid_until=dt.datetime.combine(min(ends) + dt.timedelta(days=1), dt.time(), dt.UTC) if ends else None,
    )


def label(contract: Contract) -> str:
    """Spell ``domain/name@version``, as receipts print it."""
    return f"{contract.key}@{contract.metadata.version}"


def mask_choice(field: Field, classification: FieldClassification, policy: MeshPolicy) -> tuple[Mask, str]:
    """Choose the mask of a field, and the tag, level or word that calls for it (SPEC A9)."""
    because = classification.tags[0] if classification.tags else classification.level or "classified"
    declared = classification.mask
    if declared is not None and fits(declared, field.type):
        return _bounded(declared, classification), str(because)
    known = {tag.tag: tag for tag in policy.tags}
    by_tag = [(_mask_of_tag(field, known[tag]), tag) for tag in classification.tags if tag in known]
    if not by_tag:
        return _default(field.type), str(because)
    chosen = strictest([mask for mask, _ in by_tag])
    return _bounded(chosen, classification), next(tag for mask, tag in by_tag if mask == chosen)


def _grants(contract: Contract, policy: MeshPolicy) -> Iterator[tuple[Grant, bool]]:
    grantable = policy.grantable_roles
    known = frozenset(policy.roles)
    for grant in policy.grants:
        if grant.role in known:
            yield grant, False
    for grant in contract.access.grants:
        if grant.role in known and (grantable is None or grant.role in grantable):
            yield grant, True


class _Column:
    """One column before the grants are joined: how it is classified and which caps lie on it."""

    __slots__ = ("_bounds", "_caps", "_classification", "_field", "_policy", "_roled", "_source")

    def __init__(self, field: Field, contract: Contract, policy: MeshPolicy, facts: Facts) -> None:
        classification = contract.classification_by_name[field.name]
        self._field = field
        self._classification = classification
        self._policy = policy
        self._source = label(contract)
        self._bounds = policy.bounds
        self._caps: list[_Cap] = []
        self._roled: list[tuple[frozenset[str], _Cap]] = []
        known = {tag.tag: tag for tag in policy.tags}
        for tag in classification.tags:
            if tag not in known:
                self._caps.append(_Cap(_Sight.NONE, Reason(tag, POLICY_SOURCE)))
            elif known[tag].never_clear:
                self._caps.append(_Cap(_Sight.MASKED, Reason(tag, self._source)))
        for restriction, source in (
            *((one, POLICY_SOURCE) for one in policy.restrictions),
            *((one, self._source) for one in contract.restrictions),
        ):
            if _matches(restriction, contract.key, field.name, classification, facts):
                cap = _Cap(_Sight.NONE if restriction.effect == "deny" else _Sight.MASKED, Reason(restriction.name, source))
                if restriction.roles:
                    self._roled.append((frozenset(restriction.roles), cap))
                else:
                    self._caps.append(cap)

    def sight(self, held: _Held) -> tuple[_Sight, bool, Reason | None]:
        """Judge one grant alone: what it shows, whether predicates may use it, and what limits it."""
        grant, name = held.grant, self._field.name
        clears = name in grant.clear or "*" in grant.clear
        if not (clears or name in grant.fields or "*" in grant.fields):
            return _Sight.NONE, False, None
        classified = self._classification.is_classified
        sight = _Sight.CLEAR if clears or not classified else _Sight.MASKED
        limits = [*self._caps, *(cap for roles, cap in self._roled if grant.role in roles)]
        if held.by_contract:
            limits.extend(self._bound(grant.role))
        if not limits:
            return sight, sight is _Sight.CLEAR or grant.predicates, None
        # What a restriction masks, ``predicates`` does not lift: asking often enough would show the value.
        cap = min(limits, key=lambda limit: limit.most)
        return min(cap.most, sight), False, cap.reason if cap.most < sight else None

    def _bound(self, role: str) -> Iterator[_Cap]:
        for bound in self._bounds:
            if bound.role == role and "*" not in bound.clear_tags:
                for tag in self._classification.tags:
                    if tag not in bound.clear_tags:
                        yield _Cap(_Sight.MASKED, Reason(tag, self._source))

    def ruling(self, seeing: list[_Held], rules: list[Predicate]) -> FieldRuling:
        """Join what each grant shows, row rule by row rule."""
        seen: set[int] = set()
        clear: set[int] = set()
        usable: set[int] = set()
        masked_by: list[Reason | None] = []
        denied_by: list[Reason] = []
        for held in seeing:
            sight, lifts, limit = self.sight(held)
            if sight is _Sight.NONE:
                denied_by.extend([limit] if limit else [])
                continue
            index = rules.index(held.rule)
            seen.add(index)
            if sight is _Sight.CLEAR:
                clear.add(index)
            else:
                masked_by.append(limit)
            if lifts:
                usable.add(index)
        if _everywhere(clear, rules):
            return FieldRuling(self._field.name, Access.CLEAR)
        if not seen:
            return self.denied(denied_by[0] if denied_by else None)
        return self._partly(seen, clear, rules, usable=_everywhere(usable, rules), masked_by=masked_by)

    def _partly(
        self, seen: set[int], clear: set[int], rules: list[Predicate], *, usable: bool, masked_by: list[Reason | None]
    ) -> FieldRuling:
        access = Access.MASKED if _everywhere(seen, rules) else Access.DENIED
        masked = seen - clear
        mask, reason = None, Reason(NO_GRANT, self._source)
        if masked:
            mask, because = mask_choice(self._field, self._classification, self._policy)
            reason = Reason(because, self._source) if None in masked_by else masked_by[0] or reason
        if access is Access.MASKED and not clear:
            return FieldRuling(self._field.name, access, mask, reason, usable=usable)
        masked_rows = (0,) if rules[0] == TRUE and 0 in masked else tuple(sorted(masked))
        return FieldRuling(self._field.name, access, mask, reason, usable=usable, clear_rows=tuple(sorted(clear)), masked_rows=masked_rows)

    def denied(self, reason: Reason | None) -> FieldRuling:
        """Rule on the column where no grant shows it."""
        hidden = self._classification.visibility is Visibility.HIDDEN
        return FieldRuling(self._field.name, Access.DENIED, None, reason or Reason(NO_GRANT, self._source), hidden=hidden, usable=False)


def _rule_order(rule: Predicate) -> tuple[bool, str]:
    return rule != TRUE, repr(rule)


def _everywhere(indices: set[int], rules: list[Predicate]) -> bool:
    return len(indices) == len(rules) or (0 in indices and rules[0] == TRUE)


def _compact(rules: list[Predicate], fields: tuple[FieldRuling, ...]) -> tuple[tuple[Predicate, ...], tuple[FieldRuling, ...]]:
    """Drop the rules that decide nothing: under "every row", those that no field varies by."""
    if rules[0] != TRUE:
        return tuple(rules), fields
    used = sorted({index for field in fields for index in (*field.clear_rows, *field.masked_rows)})
    if not used:
        return (), fields
    used = sorted({0, *used})
    place = {index: at for at, index in enumerate(used)}
    moved = tuple(
        replace(
            field,
            clear_rows=tuple(place[index] for index in field.clear_rows),
            masked_rows=tuple(place[index] for index in field.masked_rows),
        )
        if field.varies
        else field
        for field in fields
    )
    return tuple(rules[index] for index in used), moved


def _without_access(contract: Contract, columns: list[_Column], reason: Reason) -> ProductRuling:
    # The rule that no row satisfies stands in for the standing, should anybody forget to look at it.
    return ProductRuling(
        product=contract.key,
        contract=label(contract),
        owner=contract.metadata.owner,
        standing=Standing.LISTED if contract.metadata.visibility is Visibility.LISTED else Standing.HIDDEN,
        row_rules=(FALSE,),
        fields=tuple(column.denied(None) for column in columns),
        reason=reason,
    )


def _matches(restriction: Restriction, product: str, column: str, classification: FieldClassification, facts: Facts) -> bool:
    if facts.purpose is not None and facts.purpose in restriction.unless_purpose:
        return False
    if restriction.tags and not set(restriction.tags) & set(classification.tags):
        return False
    return _globbed(product, restriction.products) and _globbed(column, restriction.fields)


def _globbed(name: str, globs: tuple[str, ...]) -> bool:
    return not globs or any(fnmatchcase(name, glob) for glob in globs)


def _mask_of_tag(field: Field, tag: TagPolicy) -> Mask:
    kind = _kind(field.type)
    for rule in tag.rules:
        if rule.type in (None, kind) and (rule.name is None or fnmatchcase(field.name, rule.name)) and fits(rule.mask, field.type):
            return rule.mask
    return _default(field.type)


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


def _default(type_: FieldType) -> Mask:
    redact = Mask(MaskKind.REDACT)
    return redact if fits(redact, type_) else Mask(MaskKind.NULLIFY)


def _bounded(mask: Mask, classification: FieldClassification) -> Mask:
    if mask.kind is MaskKind.PARTIAL and _PAN_TAG in classification.tags:
        return Mask(mask.kind, first=min(mask.first, _PAN_FIRST_MAX), last=min(mask.last, _PAN_LAST_MAX))
    return mask
