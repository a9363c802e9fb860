"""No stage holds the event loop long: a family of large and hostile operations, each measured by the longest turn of the loop.

A turn is what a callback or a step of a task computes: CPU time of the loop's thread, so that a loaded machine does not show in it. What
other threads do while they hold the interpreter is measured by how much the process computes while the loop is to sleep for a moment.
What is in the code is in every run: the shortest of some runs counts.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Callable, Iterator

import pytest

from gateway.exchange import Form, Frame, Question, Stream
from gateway.http.server import SWITCH_S
from tests.conftest import within

from .lying import analyst
from .shapes import CASES, Case, a_page_of_far_more_rows_than_asked_for, names, ten_thousand_rows, thirty_megabytes_in_one_page, wide_rows
from .ticks import Held, held

HELD_S = 0.010
APART_S = 0.020
"""Two threads beside the loop, and what the loop itself does meanwhile, add up; none of them keeps the interpreter for long."""
RUNS = 4


@pytest.fixture(autouse=True)
def _as_served() -> Iterator[None]:
    # The tests' own heap is no concern of the gateway's; its server keeps the collector's pauses apart.
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    gc.disable()
    yield
    gc.enable()
    sys.setswitchinterval(before)


def is_settled(found: list[Held]) -> bool:
    """Whether more runs would tell nothing."""
    return min(it.loop_s for it in found) < HELD_S / 2 and min(it.apart_s for it in found) < APART_S / 2


def check(found: list[Held]) -> None:
    """Hold the runs to their bounds."""
    assert min(it.loop_s for it in found) < within(HELD_S), found
    assert min(it.apart_s for it in found) < within(APART_S), found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
async def test_no_stage_holds_the_loop_long(case: Callable[[], Case]) -> None:
    mesh, text, variables = case()
    question, frame = Question(text, None, variables), Frame(analyst(), asyncio.get_running_loop().time() + 600, "r")
    found: list[Held] = []
    while len(found) < RUNS and not (found and is_settled(found)):
        async with held() as measured:
            reply = await mesh.engine.answer(question, frame)
        found.append(measured)
    assert not mesh.failures
    assert reply.has_data, reply.body[:1_000]
    errors = json.loads(b"".join(reply.pieces)).get("errors", ())
    assert not any(error["extensions"]["code"] in ("PORT_CANNOT", "LIMIT_EXCEEDED") for error in errors)
    check(found)


@pytest.mark.parametrize("form", [Form.CSV, Form.JSONL, Form.ARROW])
@pytest.mark.parametrize("case", [ten_thousand_rows, thirty_megabytes_in_one_page, a_page_of_far_more_rows_than_asked_for])
async def test_no_piece_of_a_stream_holds_the_loop_long(case: Callable[[], Case], form: Form) -> None:
    mesh, text, variables = case()
    text = text.replace("edges { cursor node {", "nodes {").replace("} } } } }", "} } } }").replace("first: 100)", "first: 60000)")
    text = text.replace("first: 1000)", "first: 60000)")
    found: list[Held] = []
    while len(found) < RUNS and not (found and is_settled(found)):
        async with held() as measured:
            begun = await mesh.engine.stream(
                Question(text, None, variables), Frame(analyst(), asyncio.get_running_loop().time() + 600, "r"), form
            )
            assert isinstance(begun, Stream), begun
            size = len(begun.first)
            async for piece in begun.rest:
                size += len(piece)
        found.append(measured)
    assert not mesh.failures
    assert size > 100_000
    check(found)


@pytest.mark.parametrize("columns", [20, 199])
async def test_an_operation_that_was_never_seen_does_not_hold_the_loop_long(columns: int) -> None:
    mesh, _, _ = wide_rows()
    found: list[Held] = []
    while len(found) < RUNS and not (found and is_settled(found)):
        text = f"{{ shop {{ orders(first: 1) {{ nodes {{ new{len(found)}: id {' '.join(names(columns))} }} }} }} }}"
        async with held() as measured:
            reply = await mesh.engine.answer(Question(text), Frame(analyst(), asyncio.get_running_loop().time() + 600, "r"))
        assert reply.has_data, reply.body
        found.append(measured)
    check(found)
