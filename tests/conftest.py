"""What all tests share: the rule for tools that only some tests need."""

from __future__ import annotations

import os
import shutil
import sys
from typing import NoReturn

import pytest
from hypothesis import settings

NO_SKIP = "MESHGATE_TESTS_NO_SKIP"

# The same examples for everybody, so that a red build is about the change at hand; MESHGATE_TEST_SEED=fresh draws others.
# No deadline for one example: on a busy machine it is the machine's.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("fresh", deadline=None)
settings.load_profile("fresh" if os.environ.get("MESHGATE_TEST_SEED") == "fresh" else "steady")


def needs(tool: str, *, what_for: str = "this test") -> str:
    """Find a tool, or skip the test with the reason; fail it where CI promises that every tool is there."""
    found = shutil.which(tool)
    if found is None:
        lacking(f"{tool} is not installed; {what_for} needs it")
    return found


def lacking(reason: str) -> NoReturn:
    """Skip the test for something that cannot be had here; fail it where CI promises that all of it is there."""
    if os.environ.get(NO_SKIP) == "1":
        pytest.fail(f"{reason}, and {NO_SKIP}=1 forbids skipping")
    pytest.skip(reason)


PATIENCE_S = 240.0
"""How long a test waits for what must come, on however slow a machine; it says nothing of how soon that ought to be."""


def within(seconds: float) -> float:
    """Give the time that something may take: as stated, and four times that while coverage is measured, which traces every line."""
    return seconds * (4.0 if sys.gettrace() is not None else 1.0)
