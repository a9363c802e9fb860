"""Every golden case comes to what its folder says. ``python -m tests.golden --refresh`` writes anew what they come to."""

from __future__ import annotations

import pytest

from .golden import case_names, expected, outcome


@pytest.mark.parametrize("name", case_names())
async def test_the_case_comes_to_what_its_folder_says(name: str) -> None:
    found, wanted = await outcome(name), expected(name)
    assert found.answer == wanted.answer
    assert found.plan == wanted.plan
    assert found.calls == wanted.calls
