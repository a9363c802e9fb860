"""What compiled operations weigh, whose they are, and that an answer does not depend on what happens to be kept."""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from random import Random

import pytest

from gateway.caller import Caller
from gateway.compiler.operations import Operations

from ..differential.operations import operation_of
from ..differential.running import Asked, running
from ..differential.worlds import World, callers_of, world_of
from .office import CLERK, office, office_engine

COLUMNS = ("staffId", "name", "email", "team", "desk", "hiredAt")
OTHER = Caller("other clerk", frozenset({"clerk"}))


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    asked, port = await office_engine(office())
    yield asked
    await port.aclose()


def texts(random: Random) -> Iterator[str]:
    """Write operations that share nothing: ever other aliases, columns, parts and joins."""
    for number in itertools.count():
        columns = " ".join(f"a{number}x{place}: {name}" for place, name in enumerate(random.sample(COLUMNS, random.randint(1, 6))))
        first = random.randint(1, 9)
        yield (
            f"query Q{number} {{ people {{ staff(first: {first}) {{ nodes {{ {columns} }} totalCount }} }} }}",
            f"query Q{number} {{ people {{ staff {{ nodes {{ {columns} boss {{ name b{number}: boss {{ desk }} }} }} }} }} }}",
            f'query Q{number} {{ people {{ staff(where: {{team: {{in: ["red"]}}}}) {{ edges {{ cursor node {{ {columns} }} }} }} }} }}',
            f"query Q{number} {{ people {{ staff {{ nodes {{ {columns} reports(first: 2) {{ nodes {{ {columns} }} }} }} }} }} }}",
            f"query Q{number} {{ people {{ s{number}: staff {{ groups(by: [{{field: TEAM}}]) {{ key {{ team }} count }} }} }} }}",
        )[number % 5]


def emptied(asked: Asked, max_bytes: int) -> Operations:
    """Give an engine nothing kept yet, and so much room; documents read lately are no part of that."""
    old = asked.engine._operations
    asked.engine._operations = new = Operations(
        old._snapshot, old._slices, old._keys, old._limits, kept_max_bytes=max_bytes, read_max_bytes=500_000
    )
    return new


def prepare(asked: Asked, text: str, caller: Caller = CLERK) -> None:
    view = asked.engine._views.of(caller, asked.engine._clock())
    prepared = asked.engine._operations.prepare(text, None, view, long_as_text=False, owner=caller.subject)
    asked.engine._operations.executable(prepared, {})


def is_kept(asked: Asked, text: str, caller: Caller = CLERK) -> bool:
    view = asked.engine._views.of(caller, asked.engine._clock())
    return asked.engine._operations.find(text, None, view, long_as_text=False) is not None


async def test_kept_operations_weigh_what_they_are_reckoned_at(asked: Asked) -> None:
    operations = emptied(asked, 2**40)
    made = list(itertools.islice(texts(Random(3)), 260))
    for text in made[:60] * 2:
        prepare(asked, text)
    gc.collect()
    before = operations.kept_bytes
    tracemalloc.start()
    try:
        start, _ = tracemalloc.get_traced_memory()
        for text in made[60:]:
            for _ in range(3):
                prepare(asked, text)
        gc.collect()
        end, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    reckoned = operations.kept_bytes - before
    # Schemas and documents that are kept for a while are in the measure, and bounded by their number and bytes.
    assert 0.5 * (end - start) < reckoned < 1.5 * (end - start)
    # Every one has classes of its own here, as all its aliases are new; 1,500 of them are about 30 MB, and others are less.
    assert (end - start) / 200 < 22_000


async def test_operations_seen_once_are_run_and_not_kept(asked: Asked) -> None:
    operations = emptied(asked, 2**40)
    for text in itertools.islice(texts(Random(4)), 100):
        prepare(asked, text)
        assert not is_kept(asked, text)
    assert operations.kept_bytes == 0


async def test_a_caller_who_floods_the_gateway_with_operations_pushes_out_none_of_the_others(asked: Asked) -> None:
    operations = emptied(asked, 600_000)
    made = texts(Random(5))
    dashboard = list(itertools.islice(made, 10))
    for text in dashboard * 2:
        prepare(asked, text, OTHER)
    for text in itertools.islice(made, 200):
        prepare(asked, text)
        prepare(asked, text)
    assert operations.kept_bytes <= 600_000
    assert all(is_kept(asked, text, OTHER) for text in dashboard)


async def test_ever_other_vectors_of_conditions_stay_within_bounds_and_are_answered(asked: Asked) -> None:
    operations = emptied(asked, 2**40)
    names = [f"c{number}" for number in range(8)]
    declared = ", ".join(f"${name}: Boolean!" for name in names)
    wanted = " ".join(f"{name}: desk @include(if: ${name})" for name in names)
    text = f"query({declared}) {{ people {{ staff(first: 1) {{ nodes {{ name {wanted} }} }} }} }}"
    sizes = []
    for values in itertools.product((False, True), repeat=8):
        vector = dict(zip(names, values, strict=True))
        answer = await asked.ask(CLERK, text, None, vector)
        (node,) = answer.data["people"]["staff"]["nodes"]
        assert list(node) == ["name", *(name for name in names if vector[name])]
        sizes.append(operations.kept_bytes)
    assert max(sizes) < 450_000  # 32 executables at most, of the 256


async def test_an_answer_does_not_depend_on_what_is_kept() -> None:
    world: World = world_of("kept")
    run = await running(world)
    try:
        asked = run.level1
        caller = callers_of(world, 1)[0]
        random = Random(12)
        oracle = asked.oracle(caller)
        drawn = [operation_of(oracle.schema, world, asked.mesh.snapshot, random) for _ in range(25)]
        emptied(asked, 2**40)
        expected = [(await asked.ask(caller, it.text, it.name, it.variables)).body for it in drawn]
        for room in (2**40, 60_000, 5_000, 0):
            emptied(asked, room)
            for _ in range(3):
                for it, body in zip(drawn, expected, strict=True):
                    assert (await asked.ask(caller, it.text, it.name, it.variables)).body == body
            assert asked.engine._operations.kept_bytes <= room
    finally:
        await run.aclose()
