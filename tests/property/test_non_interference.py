"""Equivalent data sets have equal answers: nothing that a caller sees masked, or not at all, decides anything the caller can see.

SPEC A10, over generated contracts, rulings, data, callers and operations, on both levels of port, over HTTP as a client sees it: lists,
pages and their ends, metadata, totals of own and of partners' columns, filters along relationships, every form, errors, refusals of what
is masked or too dear, and what `explain` says. Where a grant lifts a mask for conditions, what no condition names stays as hidden.
Equal means: the same status, the same headers, the same bytes in the same pieces once pseudonyms are renamed, the same plan, the
same upstream calls but for the values in them. ``python -m tests.property`` prints how many pairs of which kind were compared.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from contracts.masks import Mask, MaskKind, fits
from gateway.caller import Caller
from gateway.exchange import Form

from ..differential.operations import Operation, operation_of
from ..differential.oracle import schema_of
from ..differential.ruling_cases import SEED
from ..differential.running import SECRET, Asked
from ..differential.test_forms_against_json import flat_groups, flat_operation
from ..differential.worlds import World, callers_of, world_of
from .asking_both import Asking, Seen, Side, Sides, differences_of, opened
from .equivalent import Equivalent, equivalent_of
from .wages import CLERK, other_wages, question, wages

WORLDS = int(os.environ.get("MESHGATE_WORLDS") or 30)
CALLERS = 3
OPERATIONS = 5
TWINS = 6
PAGES = 3
ENOUGH = 2_000
COST_MAX = 20_000
KINDS = {
    "list": 400,
    "list of a row": 100,
    "partner": 100,
    "one row by key": 100,
    "page walked to": 100,
    "aggregate": 100,
    "groups": 100,
    "filter through a relationship": 80,
    "groups by partners' columns": 120,
    "totals of partners' columns": 100,
    "totals of a row's list": 50,
    "lifted mask that was used": 20,
    "lifted mask that was not used": 20,
    "page with more to come": 100,
    "metadata": 300,
    "masked key renamed": 100,
    "pseudonym": 50,
    "for totals only": 200,
    "error": 100,
    "variables": 100,
    "GET": 100,
    "level 0": 600,
    "level 1": 600,
    **dict.fromkeys((f"as {form}" for form in Form), 15),
}
"""Kinds of pairs -> how many there are at least, among those whose ports answered differently."""

ALIKE = {"too dear": 40, "plan": 50}
"""The same, of pairs that reach no port."""

COMPARED: Counter[str] = Counter()


@pytest.mark.parametrize("number", range(WORLDS))
async def test_data_sets_that_look_the_same_are_answered_the_same(number: int) -> None:
    world = world_of(f"{SEED}-alike-{number}")
    if number % 3 == 0:
        _show_pseudonyms(world)
    if number % 3 == 1:
        _lift_masks(world)
    for level in (1, 0):
        async with opened(world, level, cost_max=COST_MAX if number % 4 == 0 else None) as sides:
            for place, caller in enumerate(callers_of(world, CALLERS)):
                await _compare(sides, caller, Random(f"{world.seed} {level} {place}"))


def _show_pseudonyms(world: World) -> None:
    """Mask by pseudonym what is masked at all, where that fits."""
    for at, contract in enumerate(world.contracts):
        mask = Mask(MaskKind.PSEUDONYM, scope="mesh" if at % 2 else "domain")
        shown = {
            name: it.model_copy(update={"mask": mask}) if fits(mask, contract.field_by_name[name].type) else it
            for name, it in contract.classification
        }
        world.contracts[at] = contract.model_copy(update={"classification": tuple(shown.items())})


def _lift_masks(world: World) -> None:
    """Let every grant use what it masks."""
    for at, contract in enumerate(world.contracts):
        grants = tuple(it.model_copy(update={"predicates": True}) for it in contract.access.grants)
        world.contracts[at] = contract.model_copy(update={"access": contract.access.model_copy(update={"grants": grants})})


async def _compare(sides: Sides, caller: Caller, random: Random) -> None:
    asked = sides.first.asked
    view = asked.view(caller)
    tested = sides.tested
    given = {"secret": SECRET, "tested": tested}
    made = [equivalent_of(sides.world, sides.snapshot, view, caller, random, lifts=at % 2 == 1, **given) for at in range(TWINS)]
    twins = [(twin, await sides.side(twin.rows)) for twin in made if twin.changed]
    if not twins:
        return
    rulings = {id_: view.ruling(product.contract) for id_, product in sides.snapshot.products.items()}
    usable, known = (schema_of(sides.snapshot, rulings, wide=wide) for wide in (False, True))
    for case in range(OPERATIONS):
        asking, cursors = _asking(sides, known if random.random() < 0.06 else usable, random)
        try:
            await _compare_all(sides, caller, asking, cursors, twins, random)
        except AssertionError as error:
            error.add_note(f"MESHGATE_TEST_SEED={SEED} world {sides.world.seed!r} level {sides.level} case {case}, {caller}\n{asking}")
            raise


def _asking(sides: Sides, schema: Any, random: Random) -> tuple[Asking, tuple[str, ...]]:
    form = random.choice(tuple(Form)) if random.random() < 0.2 else None
    flat = flat_groups if random.random() < 0.3 else flat_operation
    drawn = flat(schema, sides.world, sides.snapshot, random) if form else None
    operation: Operation = drawn[0] if drawn else operation_of(schema, sides.world, sides.snapshot, random)
    headers = [it for it in ((b"mesh-long", b"string"), (b"mesh-denied", b"null")) if random.random() < 0.1]
    if random.random() < 0.2:
        headers.append((b"accept", b"application/json"))
    method = "GET" if random.random() < 0.2 else "POST"
    form = form if drawn else None
    asking = Asking(operation.text, operation.name, operation.variables, method, form, tuple(it for it in headers if form is None))
    return asking, operation.cursors


async def _compare_all(
    sides: Sides, caller: Caller, asking: Asking, cursors: tuple[str, ...], twins: list[tuple[Equivalent, Side]], random: Random
) -> None:
    # Engines that have seen nothing: what one data set taught an engine must not decide either.
    own = Side(sides.first.rows, sides.first.ports, sides.engine())
    pages = [(await sides.ask(own, caller, asking), dict[str, str]())]
    while cursors and len(pages) < PAGES and (found := _cursors_of(pages[-1][0])):
        given = dict.fromkeys(cursors, found[random.choice(sorted(found))])
        pages.append((await sides.ask(own, caller, asking, given), given))
    read = {call.partition(":")[0] for seen, _ in pages for call in seen.calls}
    tied = _is_tied(sides.first.asked, caller)
    for at, (twin, side) in enumerate(twins):
        if (at and not read & twin.changed.keys()) or any(seen.disclosed & twin.lifted for seen, _ in pages):
            continue  # nothing was read that differs, or what differs was asked for
        if not at and random.random() < 0.15:
            assert sides.plan(own, caller, asking) == sides.plan(side, caller, asking)
            COMPARED["plan"] += 1
        given: dict[str, str] = {}
        for page, (seen, _) in enumerate(pages):
            other = await sides.ask(side, caller, asking, given)
            assert (said := differences_of(seen, other, tied=tied)) is None, said
            for kind in _kinds(sides.level, asking, seen, twin, page) if seen.answers != other.answers else ("alike",):
                COMPARED[kind] += 1
            if b'"COST_EXCEEDED"' in seen.body:
                COMPARED["too dear"] += 1
            if page + 1 < len(pages):
                # The same place of the other answer, whose bytes may hold another pseudonym.
                places, others = _cursors_of(seen), _cursors_of(other)
                path = next(path for path, cursor in sorted(places.items()) if cursor in pages[page + 1][1].values())
                given = dict.fromkeys(cursors, others[path])


def _kinds(level: int, asking: Asking, seen: Seen, twin: Equivalent, page: int) -> Iterator[str]:
    yield "differed"
    yield f"level {level}"
    text = asking.text
    for kind, is_so in {
        "list": re.search(r"\b(nodes|edges)\b", text),
        "one row by key": "ByKey" in text,
        "aggregate": "aggregate" in text,
        "groups": "groups(" in text,
        "variables": asking.variables,
        "GET": asking.method == "GET",
        "page walked to": page,
        "error": seen.form_is_json and b'"errors":[' in seen.body,
        "refused": seen.status != 200,
        "pseudonym": b"v1:" in seen.body,
        "filter through a relationship": re.search(r"where: \{[^)]*\b((to|back)[A-Z]\w*\d|some|none): ", text),
        "groups by partners' columns": "path: [" in text,
        "totals of partners' columns": re.search(r"\b(countDistinct|sum|avg|min|max) \{[^}]*\b(to|back)[A-Z]\w*\d ?\{", text),
        "totals of a row's list": re.search(r"\bback[A-Z]\w*\d(\([^)]*\))? \{[^}]*\b(aggregate|groups)\b", text),
        "page with more to come": b'"hasNextPage":true' in seen.body,
        "metadata": "metadata" in text,
        "lifted mask that was used": seen.disclosed,
        "lifted mask that was not used": any(call.partition(":")[0] in {id_ for id_, _ in twin.lifted} for call in seen.calls),
        "masked key renamed": any(call.partition(":")[0] in twin.renamed for call in seen.calls),
        "partner": re.search(r"\bto[A-Z]\w*\d\b", text),
        "list of a row": re.search(r"\bback[A-Z]\w*\d\b", text),
        f"as {asking.form}": asking.form,
    }.items():
        if is_so:
            yield kind


def _cursors_of(seen: Seen) -> dict[str, str]:
    return dict(_cursors(json.loads(seen.body).get("data"))) if seen.form_is_json else {}


def _cursors(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    match value:
        case dict():
            for name, inner in value.items():
                yield from _cursors(inner, f"{path}.{name}")
        case list():
            for at, inner in enumerate(value):
                yield from _cursors(inner, f"{path}.{at}")
        case str() if value and len(value) % 64 == 0 and re.fullmatch(r"[A-Za-z0-9_-]+", value):
            yield path, value


def _is_tied(asked: Asked, caller: Caller) -> bool:
    view = asked.view(caller)
    found = [(product, view.ruling(product.contract)) for product in asked.mesh.snapshot.products.values()]
    masked = {(product.id, it.column) for product, ruling in found for it in ruling.fields if not it.usable}
    keys = {(product.id, name) for product, _ in found for name in product.primary_key}
    # A cursor belongs to its parent's key, and a list's to the order that its own key completes.
    keys |= {end for p, _ in found for r in p.relations for own, other in r.pairs for end in ((p.id, own), (r.target, other))}
    return bool(keys & masked)


@pytest.mark.parametrize("number", range(6))
async def test_what_is_for_totals_only_shows_in_its_totals_alone(number: int) -> None:
    world = wages(f"{SEED}-wages-{number}")
    ((id_, rows),) = world.rows.items()
    for level in (1, 0):
        random = Random(f"{world.seed} {level}")
        async with opened(world, level) as sides:
            for _ in range(8):
                asked = question(random)
                asking = Asking(asked.text, None, {})
                own = Side(sides.first.rows, sides.first.ports, sides.engine())
                seen = await sides.ask(own, CLERK, asking)
                whole = await sides.ask(own, CLERK, Asking(asked.whole, None, {}))
                labels = asked.labels(rows, json.loads(whole.body)["data"])
                for _ in range(3):
                    other = await sides.ask(await sides.side({id_: other_wages(rows, labels, random)}), CLERK, asking)
                    assert (said := differences_of(seen, other, tied=False)) is None, (said, asked.text)
                    for kind in ("differed", f"level {level}", "for totals only") if seen.answers != other.answers else ("alike",):
                        COMPARED[kind] += 1


def test_enough_pairs_differed_for_this_to_mean_something() -> None:
    if not COMPARED or WORLDS < 30:
        pytest.skip("only part of the pairs ran")
    print("\n" + report())  # noqa: T201 - shown by pytest -s, and by python -m tests.property
    assert COMPARED["differed"] >= ENOUGH, COMPARED
    assert not {kind: COMPARED[kind] for kind, least in (KINDS | ALIKE).items() if COMPARED[kind] < least}, COMPARED


def report() -> str:
    """Say how many pairs of which kind were compared."""
    lines = [f"{COMPARED['differed']:6} pairs whose ports answered differently, compared byte for byte; of them"]
    lines += [f"{count:6} {kind}" for kind, count in sorted(COMPARED.items()) if kind not in ("differed", "alike", "plan", "too dear")]
    lines += [
        f"{COMPARED['alike']:6} more pairs whose ports answered alike or were not asked",
        f"{COMPARED['too dear']:6} pairs refused as too dear",
    ]
    lines += [f"{COMPARED['plan']:6} plans compared, costs estimated in them"]
    return "\n".join(lines)
