"""Generated contracts, policies, callers and rows; and what the rulings make of them, cell by cell."""

from __future__ import annotations

import datetime as dt
import os
import secrets
from operator import itemgetter
from typing import Any

from hypothesis import strategies as st

from contracts.fields import Field, Kind, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import Access as Grants
from contracts.model import Contract, FieldClassification, Grant, Level, Metadata, Restriction
from contracts.objectives import Objectives
from contracts.policy import MeshPolicy, RoleBound, TagPolicy, TagRule
from contracts.predicates import And, Claim, Compare, Not, Operator, Or, Predicate
from gateway.caller import Caller
from gateway.governance.rows import bind_all, cell_tests, row_test
from gateway.governance.ruling import Access, FieldRuling, ProductRuling, Standing
from gateway.governance.views import Views

_GIVEN = os.environ.get("MESHGATE_TEST_SEED") or "1160056963"
SEED = secrets.randbelow(2**32) if _GIVEN == "fresh" else int(_GIVEN)
"""The same cases for everybody; ``MESHGATE_TEST_SEED=fresh`` draws others, a number that a failure printed shows those again."""

TODAY = dt.date(2026, 11, 23)
NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
ROLES = ("analyst", "fraud", "owner", "stranger")
MOST_ROLES = (*ROLES[:3], *ROLES[:3], "stranger")
TEXTS = ("a", "b", "c")
COLUMNS = {"a": Kind.STRING, "b": Kind.STRING, "c": Kind.STRING, "d": Kind.DATE, "n": Kind.LONG}
TAGS = ("pii", "pci", "health")
ANY_TAGS = (*TAGS, *TAGS, "unheard-of")
PURPOSES = ("audit", "fraud")
VALUES = ("x", "y", "z")
SIGHTS = {Access.DENIED: 0, Access.MASKED: 1, Access.CLEAR: 2}


def some(values: tuple[str, ...], most: int = 2) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=most, unique=True).map(tuple)


MASKS = st.sampled_from(
    [
        Mask(MaskKind.REDACT),
        Mask(MaskKind.NULLIFY),
        Mask(MaskKind.EMAIL),
        Mask(MaskKind.PARTIAL, last=4),
        Mask(MaskKind.TRUNCATE, to="year"),
        Mask(MaskKind.ROUND, to="10"),
    ]
)
CLAIMS = st.sampled_from(("c1", "c2"))
CONSTANT = st.sampled_from(VALUES)
ONE = st.builds(Compare, st.sampled_from(TEXTS), st.sampled_from([Operator.EQ, Operator.NE]), st.one_of(CONSTANT, CLAIMS.map(Claim)))
MANY = st.builds(
    Compare,
    st.sampled_from(TEXTS),
    st.sampled_from([Operator.IN, Operator.NOT_IN]),
    st.one_of(st.lists(CONSTANT, min_size=1, max_size=2).map(tuple), CLAIMS.map(Claim)),
)
RULES: st.SearchStrategy[Predicate] = st.recursive(
    st.one_of(ONE, MANY),
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: And(tuple(parts))),
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: Or(tuple(parts))),
    ),
    max_leaves=3,
)
# A small stock of rules makes equal ones likely, as they are in real contracts.
STOCK = (None, None, Compare("a", Operator.IN, Claim("c1")), Compare("b", Operator.EQ, "x"))
FIELDS = st.sampled_from([("*",), ("*",), (), ("a", "b"), ("c", "d", "nowhere")])
GRANTS = st.builds(
    Grant,
    role=st.sampled_from(MOST_ROLES),
    fields=FIELDS,
    clear=st.sampled_from([(), ("*",), ("*",), ("a",), ("c", "n")]),
    row_filter=st.one_of(st.sampled_from(STOCK), RULES),
    purposes=st.sampled_from([(), (), (), ("audit",), PURPOSES]),
    until=st.sampled_from([None, None, None, TODAY, TODAY - dt.timedelta(days=1), TODAY + dt.timedelta(days=1)]),
    claims=st.sampled_from([(), (), (), (), (("c1", "present"),), (("c2", "x"),)]),
    predicates=st.booleans(),
)
RESTRICTIONS = st.builds(
    Restriction,
    name=st.just("restriction"),
    effect=st.sampled_from(["mask", "deny"]),
    roles=st.sampled_from([(), ("analyst",), ("fraud", "owner")]),
    products=st.sampled_from([(), ("order/*",), ("payment/*",)]),
    fields=st.sampled_from([(), ("a",), ("[bd]",)]),
    tags=some(TAGS[:2]),
    unless_purpose=some(PURPOSES, 1),
)
CLASSIFICATIONS = st.builds(
    FieldClassification,
    level=st.sampled_from([None, None, *Level]),
    tags=some(ANY_TAGS),
    mask=st.one_of(st.none(), MASKS),
)
TAG_RULES = st.builds(TagRule, type=st.sampled_from([None, "string", "date"]), name=st.sampled_from([None, "a*", "[cd]"]), mask=MASKS)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    return Contract(
        metadata=Metadata(name="orders", domain="order", owner="o@company.com", version="1.0.0"),
        fields=tuple(Field(name, Scalar(kind)) for name, kind in COLUMNS.items()),
        objectives=Objectives(),
        classification=tuple(draw(st.dictionaries(st.sampled_from(sorted(COLUMNS)), CLASSIFICATIONS, min_size=1, max_size=4)).items()),
        access=Grants(grants=tuple(draw(st.lists(GRANTS, min_size=2, max_size=5)))),
        restrictions=tuple(draw(st.lists(RESTRICTIONS, max_size=1))),
    )


POLICIES = st.builds(
    MeshPolicy,
    roles=st.just(ROLES[:3]),
    grants=st.lists(GRANTS, max_size=2).map(tuple),
    tags=st.tuples(
        *(
            st.builds(TagPolicy, tag=st.just(tag), rules=st.lists(TAG_RULES, max_size=2).map(tuple), never_clear=st.booleans())
            for tag in TAGS
        )
    ),
    bounds=st.lists(
        st.builds(RoleBound, role=st.sampled_from(ROLES[:3]), clear_tags=st.one_of(st.just(("*",)), some(TAGS, 1))), max_size=2
    ).map(tuple),
    grantable_roles=st.sampled_from([None, None, None, ("analyst", "fraud")]),
    restrictions=st.lists(RESTRICTIONS, max_size=1).map(tuple),
)
CLAIM_VALUES = st.one_of(st.sampled_from(["x", "y", ["x"], ["y", "z"], ["x", "y"]]), st.sampled_from([None, "", 5, [], ["x", 5], {"x": 1}]))
CALLERS = st.builds(
    Caller,
    subject=st.just("someone"),
    roles=st.frozensets(st.sampled_from(ROLES), min_size=2, max_size=3),
    purpose=st.sampled_from([None, *PURPOSES]),
    claims=st.fixed_dictionaries({"c1": CLAIM_VALUES, "c2": CLAIM_VALUES}),
)
ROWS = st.lists(st.fixed_dictionaries({column: st.sampled_from([None, *VALUES, *VALUES]) for column in TEXTS}), min_size=1, max_size=4)


def ruled(contract: Contract, policy: MeshPolicy, caller: Caller) -> ProductRuling:
    return Views(policy, [contract]).of(caller, NOW).ruling(contract)


def served(contract: Contract, policy: MeshPolicy, caller: Caller, rows: list[dict[str, Any]]) -> list[bool]:
    """Which rows exist for the caller at all."""
    ruling = ruled(contract, policy, caller)
    test = row_test(ruling, bind_all(ruling, caller, contract), itemgetter)
    return [ruling.standing is Standing.SERVED and (test is None or test(row)) for row in rows]


def cells(contract: Contract, policy: MeshPolicy, caller: Caller, rows: list[dict[str, Any]]) -> list[dict[str, int]]:
    """What the rulings show, per row and column, as `SIGHTS`; a row that is not served shows nothing of any column."""
    ruling = ruled(contract, policy, caller)
    rules = bind_all(ruling, caller, contract)
    nothing = dict.fromkeys(COLUMNS, 0)
    return [
        {field.column: sight(field, rules, row) for field in ruling.fields} if is_served else nothing
        for row, is_served in zip(rows, served(contract, policy, caller, rows), strict=True)
    ]


def sight(field: FieldRuling, rules: tuple[Predicate, ...], row: dict[str, Any]) -> int:
    if not field.varies:
        return SIGHTS[field.access]
    clear, masked = cell_tests(field, rules, itemgetter)
    return 2 if clear(row) else 1 if masked(row) else 0
