"""The rulings, compiled and bound, against a specification that judges every cell by itself."""

from __future__ import annotations

import os
from itertools import product
from typing import Any

from hypothesis import HealthCheck, given, note, seed, settings
from hypothesis import strategies as st

from contracts.model import Contract
from contracts.policy import MeshPolicy
from gateway.caller import Caller
from gateway.governance.ruling import Standing

from . import figures
from . import rulings_specification as specification
from .ruling_cases import CALLERS, COLUMNS, POLICIES, ROWS, SEED, TODAY, cells, contracts, ruled, served

EXAMPLES = max(1, int(os.environ.get("MESHGATE_CASES") or 2_000) // 3)
"""Each is twelve rulings."""


@seed(SEED)
@settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    contracts=st.lists(contracts(), min_size=2, max_size=2),
    policies=st.lists(POLICIES, min_size=2, max_size=2),
    callers=st.lists(CALLERS, min_size=3, max_size=3),
    rows=ROWS,
)
def test_every_cell_is_shown_as_the_specification_says(
    contracts: list[Contract], policies: list[MeshPolicy], callers: list[Caller], rows: list[dict[str, Any]]
) -> None:
    note(f"MESHGATE_TEST_SEED={SEED}")
    # Drawing takes ten times as long as judging: what is drawn is judged in every combination.
    for contract, policy, caller in product(contracts, policies, callers):
        check(contract, policy, caller, rows)


def check(contract: Contract, policy: MeshPolicy, caller: Caller, rows: list[dict[str, Any]]) -> None:
    figures.note("rulings", "of all cells of a product")
    expected = [{column: specification.cell(contract, policy, caller, TODAY, row, column) for column in COLUMNS} for row in rows]
    assert cells(contract, policy, caller, rows) == expected
    # A row of which nothing is shown is not there: it is neither served nor counted.
    assert served(contract, policy, caller, rows) == [any(row.values()) for row in expected]
    ruling = ruled(contract, policy, caller)
    for field in ruling.fields:
        if field.mask is not None:
            assert field.mask == specification.mask(contract, policy, contract.field_by_name[field.column])
        assert (field.mask is not None) is (field.access == "masked" or bool(field.masked_rows))
    if ruling.standing is not Standing.SERVED:
        assert not any(sight for row in expected for sight in row.values())


def test_the_specification_stays_short_enough_to_read_aloud() -> None:
    with open(specification.__file__, encoding="utf-8") as file:  # noqa: PTH123  # a module's own file, as Python names it
        lines = [line.strip() for line in file]
    assert sum(bool(line) and not line.startswith(('"""', "#")) for line in lines) < 60
