"""SPEC A1 read aloud: every cell of every row judged by itself, grant by grant. Slow, short, and shares no code with the rulings."""

from fnmatch import fnmatchcase

from contracts.masks import Mask, MaskKind, fits, strictest

CLEAR, MASKED, DENIED = 2, 1, 0


def cell(contract, policy, caller, today, row, column):
    """How much the caller sees of one cell: the most that one single grant shows."""
    grants = [(grant, False) for grant in policy.grants] + [(grant, True) for grant in contract.access.grants]
    return max((shown(contract, policy, caller, today, row, column, *one) for one in grants), default=DENIED)


def shown(contract, policy, caller, today, row, column, grant, by_contract):
    kind = dict(contract.classification).get(column)
    tags, clears = kind.tags if kind else (), {column, "*"} & set(grant.clear)
    held = grant.role in caller.roles and grant.role in policy.roles and (grant.until is None or today <= grant.until)
    granted = not by_contract or policy.grantable_roles is None or grant.role in policy.grantable_roles
    stated = not grant.purposes or caller.purpose in grant.purposes
    given = [(text, caller.claims.get(path)) for path, text in grant.claims]
    proven = all(have and (text in ("present", have) or (isinstance(have, list) and text in have)) for text, have in given)
    rule = grant.row_filter
    if not (held and granted and stated and proven) or not (clears or {column, "*"} & set(grant.fields)):
        return DENIED
    if rule is not None and (not resolved(rule, caller.claims) or holds(rule, row, caller.claims) is not True):
        return DENIED
    limits = [CLEAR if clears or not kind or not (tags or kind.mask or kind.level in ("confidential", "restricted")) else MASKED]
    for tag in tags:
        limits += [MASKED if one.never_clear else CLEAR for one in policy.tags if one.tag == tag] or [DENIED]
        limits += [MASKED for one in policy.bounds if by_contract and one.role == grant.role and not {tag, "*"} & set(one.clear_tags)]
    for one in (*policy.restrictions, *contract.restrictions):
        named = all(
            not globs or any(map(fnmatchcase, [n] * len(globs), globs)) for n, globs in ((contract.key, one.products), (column, one.fields))
        )
        tagged = not one.tags or set(one.tags) & set(tags)
        if named and tagged and (not one.roles or grant.role in one.roles) and caller.purpose not in one.unless_purpose:
            limits.append(DENIED if one.effect == "deny" else MASKED)
    return min(limits)


def resolved(rule, claims):
    """Whether every claim of a rule is text or, for lists, texts: all columns that rules read here hold text."""
    if not hasattr(rule, "column"):
        return all(resolved(part, claims) for part in getattr(rule, "parts", None) or [rule.part])
    value = claims.get(rule.value.path) if hasattr(rule.value, "path") else "constant"
    texts = value if isinstance(value, list) and rule.operator in ("in", "notIn") else [value]
    return texts != [] and all(isinstance(one, str) and one for one in texts)


def holds(rule, row, claims):
    """Three-valued, as SQL: True, False or None."""
    if hasattr(rule, "column"):
        have, want = row[rule.column], claims[rule.value.path] if hasattr(rule.value, "path") else rule.value
        found = {"eq": have == want, "in": have in (want if isinstance(want, (list, tuple)) else [want])}
        found |= {"ne": not found["eq"], "notIn": not found["in"]}
        return None if have is None else found[rule.operator]
    parts = [holds(part, row, claims) for part in getattr(rule, "parts", None) or [rule.part]]
    if hasattr(rule, "part"):
        return None if parts[0] is None else not parts[0]
    decisive = type(rule).__name__ == "Or"
    return decisive if decisive in parts else None if None in parts else not decisive


def mask(contract, policy, field):
    """The contract's own mask, nullify if that does not fit; else the strictest of the tags' masks; at last redact or nullify."""
    kind = dict(contract.classification).get(field.name)
    last = [Mask(MaskKind.REDACT), Mask(MaskKind.NULLIFY)]
    own = [kind.mask if fits(kind.mask, field.type) else last[1]] if kind and kind.mask else []
    for tag in policy.tags if kind and not own else ():
        rules = [one.mask for one in tag.rules if one.type in (None, field.type.kind) and fnmatchcase(field.name, one.name or "*")]
        own += [next(one for one in rules + last if fits(one, field.type))] if tag.tag in kind.tags else []
    return strictest(own) if own else next(one for one in last if fits(one, field.type))
