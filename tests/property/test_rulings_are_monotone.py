"""SPEC A1 for all contracts, policies and callers: restrictions only take away, grants and roles only give, several roles are a union."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, assume, given, note, seed, settings
from hypothesis import strategies as st

from contracts.model import Access, Contract, FieldClassification, Grant, Restriction
from contracts.policy import MeshPolicy
from gateway.caller import Caller
from gateway.governance.ruling import FieldRuling, ProductRuling, Standing
from gateway.governance.views import Views
from tests.differential.ruling_cases import (
    CALLERS,
    COLUMNS,
    GRANTS,
    NOW,
    POLICIES,
    RESTRICTIONS,
    ROLES,
    ROWS,
    SEED,
    cells,
    contracts,
    ruled,
)

CASES = settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
Rows = list[dict[str, Any]]


def shows_no_more(less: list[dict[str, int]], more: list[dict[str, int]]) -> bool:
    note(f"MESHGATE_TEST_SEED={SEED}")
    return all(one[column] <= other[column] for one, other in zip(less, more, strict=True) for column in COLUMNS)


@seed(SEED)
@CASES
@given(contract=contracts(), policy=POLICIES, caller=CALLERS, rows=ROWS, added=RESTRICTIONS, by_contract=st.booleans())
def test_adding_a_restriction_never_adds_a_visible_cell(
    contract: Contract, policy: MeshPolicy, caller: Caller, rows: Rows, added: Restriction, by_contract: bool
) -> None:
    stricter_policy, stricter_contract = policy, contract
    if by_contract:
        stricter_contract = contract.model_copy(update={"restrictions": (*contract.restrictions, added)})
    else:
        stricter_policy = policy.model_copy(update={"restrictions": (*policy.restrictions, added)})
    assert shows_no_more(cells(stricter_contract, stricter_policy, caller, rows), cells(contract, policy, caller, rows))
    before, after = ruled(contract, policy, caller), ruled(stricter_contract, stricter_policy, caller)
    if after.standing is Standing.SERVED:
        assert before.standing is Standing.SERVED
        assert all(
            not later.usable or earlier.usable for earlier, later in zip(before.fields, after.fields, strict=True) if not earlier.varies
        )


@seed(SEED)
@CASES
@given(contract=contracts(), policy=POLICIES, caller=CALLERS, rows=ROWS, added=GRANTS, by_contract=st.booleans(), first=st.booleans())
def test_adding_a_grant_never_removes_a_visible_cell(
    contract: Contract, policy: MeshPolicy, caller: Caller, rows: Rows, added: Grant, by_contract: bool, first: bool
) -> None:
    def joined(grants: tuple[Grant, ...]) -> tuple[Grant, ...]:
        return (added, *grants) if first else (*grants, added)

    wider_policy, wider_contract = policy, contract
    if by_contract:
        wider_contract = contract.model_copy(update={"access": Access(grants=joined(contract.access.grants))})
    else:
        wider_policy = policy.model_copy(update={"grants": joined(policy.grants)})
    assert shows_no_more(cells(contract, policy, caller, rows), cells(wider_contract, wider_policy, caller, rows))


@seed(SEED)
@CASES
@given(contract=contracts(), policy=POLICIES, caller=CALLERS, rows=ROWS)
def test_several_roles_see_exactly_the_union_of_each_alone(contract: Contract, policy: MeshPolicy, caller: Caller, rows: Rows) -> None:
    alone = [cells(contract, policy, replace(caller, roles=frozenset({role})), rows) for role in sorted(caller.roles)]
    union = [{column: max(one[at][column] for one in alone) for column in COLUMNS} for at in range(len(rows))]
    note(f"MESHGATE_TEST_SEED={SEED}")
    assert cells(contract, policy, caller, rows) == union


@seed(SEED)
@CASES
@given(contract=contracts(), policy=POLICIES, caller=CALLERS, rows=ROWS, role=st.sampled_from(ROLES))
def test_adding_a_role_never_removes_a_visible_cell(contract: Contract, policy: MeshPolicy, caller: Caller, rows: Rows, role: str) -> None:
    more = replace(caller, roles=caller.roles | {role})
    assert shows_no_more(cells(contract, policy, caller, rows), cells(contract, policy, more, rows))


@seed(SEED)
@CASES
@given(contract=contracts(), policy=POLICIES, caller=CALLERS, rows=ROWS, column=st.sampled_from(sorted(COLUMNS)))
def test_an_unknown_tag_hides_its_field_from_everybody(
    contract: Contract, policy: MeshPolicy, caller: Caller, rows: Rows, column: str
) -> None:
    given_before = dict(contract.classification)
    known = given_before.get(column, FieldClassification())
    unknown = {**given_before, column: known.model_copy(update={"tags": (*known.tags, "unheard-of")})}
    strict = contract.model_copy(update={"classification": tuple(unknown.items())})
    strict.__dict__.pop("classification_by_name", None)
    assert all(row[column] == 0 for row in cells(strict, policy, caller, rows))
    assert shows_no_more(cells(strict, policy, caller, rows), cells(contract, policy, caller, rows))


@seed(SEED)
@CASES
@given(contract=contracts(), policy=POLICIES, caller=CALLERS)
def test_a_role_that_the_mesh_does_not_know_changes_nothing(contract: Contract, policy: MeshPolicy, caller: Caller) -> None:
    plain = replace(caller, roles=caller.roles - {"stranger"})
    assert ruled(contract, policy, replace(caller, roles=caller.roles | {"stranger"})) == ruled(contract, policy, plain)


@seed(SEED)
@CASES
@given(contract=contracts(), policy=POLICIES, one=CALLERS, other=CALLERS)
def test_callers_ruled_alike_hold_one_ruling(contract: Contract, policy: MeshPolicy, one: Caller, other: Caller) -> None:
    views = Views(policy, [contract])
    mine, yours = views.of(one, NOW).ruling(contract), views.of(other, NOW).ruling(contract)
    assert (mine is yours) is (mine == yours)
    assert (views.of(one, NOW) is views.of(other, NOW)) is (views.of(one, NOW).key == views.of(other, NOW).key)


@seed(SEED)
@CASES
@given(contract=contracts(), policy=POLICIES, caller=CALLERS)
def test_a_field_varies_only_where_rows_really_differ(contract: Contract, policy: MeshPolicy, caller: Caller) -> None:
    ruling = ruled(contract, policy, caller)
    assume(ruling.standing is Standing.SERVED)
    for field in ruling.fields:
        if field.varies:
            assert len({_shown_under(ruling, field, index) for index in range(len(ruling.row_rules))}) > 1
    used = {index for field in ruling.fields for index in (*field.clear_rows, *field.masked_rows)}
    assert used <= set(range(len(ruling.row_rules)))


def _shown_under(ruling: ProductRuling, field: FieldRuling, index: int) -> int:
    assert index < len(ruling.row_rules)
    return 2 if index in field.clear_rows else 1 if index in field.masked_rows else 0
