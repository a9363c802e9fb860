"""Every golden case comes to what its folder says. ``python -m tests.golden --refresh`` writes anew what they come to."""

from __future__ import annotations

import pytest

from .golden import CASES, HERE, case_names, expected, outcome


@pytest.mark.parametrize("name", case_names())
async def test_the_case_comes_to_what_its_folder_says(name: str) -> None:
    found, wanted = await outcome(name), expected(name)
    assert found.answer == wanted.answer
    assert found.plan == wanted.plan
    assert found.calls == wanted.calls


def test_the_plan_that_the_page_on_ports_shows_is_that_of_a_case() -> None:
    page = (HERE.parents[1] / "gateway/docs/ports.md").read_text(encoding="utf-8")
    operation = (CASES / "71-port-away" / "operation.graphql").read_text(encoding="utf-8")
    assert operation in page
    assert expected("71-port-away").plan in page
