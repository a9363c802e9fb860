"""The engine over both levels of port and mirrors against graphql-core with plain resolvers: same data, same errors, for any operation.

``MESHGATE_CASES`` says how many operations; ``MESHGATE_TEST_SEED`` with the number that a failure printed replays it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from graphql import parse, validate

from gateway.caller import Caller

from . import figures
from .operations import Operation, operation_of
from .oracle import Expected, Place
from .ruling_cases import SEED
from .running import Asked, differences, over_http, over_mirrors, running
from .worlds import World, callers_of, world_of

CASES = int(os.environ.get("MESHGATE_CASES") or 2_000)
PER_WORLD = 40
_WORLDS = max(1, CASES // PER_WORLD)


class DifferenceError(AssertionError):
    """The engine and the oracle do not agree."""


@pytest.mark.parametrize("number", range(_WORLDS))
async def test_every_operation_is_answered_as_graphql_core_with_plain_resolvers_answers_it(number: int) -> None:
    world = world_of(f"{SEED}-{number}", totalled_only=number % 2 == 1)
    ready = await running(world)
    try:
        await check_cases(world, range(PER_WORLD), {"level 1": ready.level1, "level 0": ready.level0})
    finally:
        await ready.aclose()


@pytest.mark.parametrize("level", [0, 1])
async def test_every_operation_is_answered_alike_over_the_wire(level: int) -> None:
    for number in range(max(1, CASES // 1_000)):
        world = world_of(f"{SEED}-http-{number}")
        async with over_http(world, level) as asked:
            await check_cases(world, range(PER_WORLD // 2), {f"level {level} over HTTP": asked})


async def test_every_operation_is_answered_alike_over_mirrors_of_endpoints_that_only_page(tmp_path: Path) -> None:
    for number in range(max(1, CASES // 400)):
        world = world_of(f"{SEED}-mirror-{number}", totalled_only=number % 2 == 1)
        async with over_mirrors(world, tmp_path / str(number)) as asked:
            await check_cases(world, range(PER_WORLD // 2), {"mirrors": asked})


async def check_cases(world: World, cases: Iterable[int], engines: Mapping[str, Asked]) -> None:
    """Draw operations and callers for a world, and check what each engine answers them."""
    callers = callers_of(world, 4)
    drawing = next(iter(engines.values()))
    for case in cases:
        random = Random(f"{world.seed} {case}")
        caller = random.choice(callers)
        operation = operation_of(drawing.oracle(caller).schema, world, drawing.mesh.snapshot, random, exact=True)
        long_as_text = random.random() < 0.1
        for name, asked in engines.items():
            for one in variants(operation, random):
                try:
                    await check(asked, caller, one, random, long_as_text=long_as_text, over=name)
                except Exception as error:
                    error.add_note(f"MESHGATE_TEST_SEED={SEED} world {world.seed!r} case {case} over {name}, {caller}")
                    error.add_note(f"{one.text}\n{one.name} {one.variables}")
                    raise


def variants(operation: Operation, random: Random) -> Iterator[Operation]:
    """Give the operation; some again and again, so that what is kept of it serves, and at last with other literals."""
    yield operation
    if random.random() < 0.1:
        yield operation
        yield operation
        for more in (1, 2):
            text = re.sub(r"first: (\d+)", lambda found: f"first: {(int(found.group(1)) + more) % 7}", operation.text)  # noqa: B023  # called before the loop goes on
            yield replace(operation, text=text)


async def check(asked: Asked, caller: Caller, operation: Operation, random: Random, *, long_as_text: bool, over: str) -> None:
    """Ask an operation, and once more from some of the cursors that it answered."""
    oracle = asked.oracle(caller)
    document = parse(operation.text)
    variables = dict(operation.variables)
    places: dict[str, Place] = {}
    cursors: dict[str, str] = {}
    for _ in range(2):
        expected = oracle.answer(document, operation.name, variables, dict(places), long_as_text=long_as_text)
        sent = {name: cursors[value] if name in operation.cursors else value for name, value in variables.items()}
        found = await asked.ask(caller, operation.text, operation.name, sent, long_as_text=long_as_text)
        if found.refusal == "GRAPHQL_VALIDATION_FAILED":
            # The generator makes valid documents; validating each of them here, too, would take a fifth of the time.
            assert not validate(oracle.schema, document), found.body
        seen = compare(found, expected)
        figures.note("graphql-core", over, operation.text, errors=len(found.errors), refused=found.refusal is not None)
        if not operation.cursors or not seen:
            return
        places, cursors = dict(expected.places), seen
        usable = {it.after for text, it in expected.places.items() if text in seen} & set(operation.cursors)
        for variable in sorted(usable):
            variables[variable] = random.choice([text for text, place in places.items() if text in seen and place.after == variable])
        if not usable:
            return


def compare(found: Any, expected: Expected) -> dict[str, str]:
    """Compare an answer with what is expected; gives the engine's cursor for each of the oracle's."""
    if expected.refusals or found.refusal:
        if found.refusal not in expected.refusals:
            raise DifferenceError(f"refused with {found.refusal}, expected {sorted(expected.refusals)}: {found.body}")
        return {}
    seen: dict[str, str] = {}
    what = differences(found.data, expected.data, expected.places, seen)
    if what:
        raise DifferenceError(f"{what}\nerrors: {found.errors}, expected {expected.errors}")
    errors = Counter(_errors(found.errors))
    if errors != Counter(expected.errors):
        raise DifferenceError(f"errors {dict(errors)}, expected {dict(Counter(expected.errors))}")
    return seen


def _errors(errors: list[dict[str, Any]]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for error in errors:
        code = error["extensions"]["code"]
        yield (f"{code} {error['extensions']['field']}" if code == "FIELD_DENIED" else code), tuple(error["path"])
