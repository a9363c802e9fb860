"""Equivalent data sets have equal answers: nothing that a caller sees masked, or not at all, decides anything the caller can see.

SPEC A10, over generated contracts, rulings, data, callers and operations, on both levels of port. Equal means: the same status, the
same bytes once pseudonyms are renamed, the same upstream calls but for the values in them.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from contracts.predicates import And, Compare, Not, Or, Predicate
from domain_adapters.port import Call, Port, Read
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from gateway.caller import Caller
from gateway.catalog.snapshot import snapshot_of
from gateway.engine.budget import Bounds
from gateway.exchange import Frame, Question, Reply

from ..differential.operations import Operation, operation_of
from ..differential.plain_port import PlainPort
from ..differential.ruling_cases import SEED
from ..differential.running import SECRET, Asked, engine_of
from ..differential.worlds import NOW, World, callers_of, world_of
from .equivalent import equivalent_of

WORLDS = int(os.environ.get("MESHGATE_WORLDS") or 40)
CALLERS = 3
OPERATIONS = 5
_PSEUDONYM = re.compile(rb"v1:[0-9a-f]{32}")
_CURSOR = re.compile(rb'"(?=[A-Za-z0-9_-]{64})(?:[A-Za-z0-9_-]{64})+"')


class _Recorded:
    """A port that notes the form of what it is asked."""

    def __init__(self, port: Port, product: str, log: list[str]) -> None:
        self._port = port
        self._product = product
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    async def read(self, read: Read, call: Call) -> bytes:
        self._log.append(f"{self._product}: {_form(read)}")
        return await self._port.read(read, call)


def _form(read: Read) -> str:
    keys = None if read.keys is None else (read.keys.columns, len(read.keys.values))
    where = None if read.where is None else _condition(read.where)
    rest = (read.select, read.order_by, read.limit, read.cursor is None, read.since, read.limit_per_key, read.aggregates, read.group_by)
    return repr((where, keys, *rest, read.count))


def _condition(predicate: Predicate) -> object:
    match predicate:
        case Compare(column=column, operator=operator, value=value):
            return column, operator.value, len(value) if isinstance(value, tuple) else 1
        case And(parts=parts) | Or(parts=parts):
            return type(predicate).__name__, [_condition(part) for part in parts]
        case Not(part=part):
            return "not", _condition(part)


@asynccontextmanager
async def _opened(world: World, rows: dict[str, list[dict[str, Any]]], level: int) -> AsyncIterator[tuple[Asked, list[str]]]:
    log: list[str] = []
    ports: dict[str, tuple[Port, ...]] = {}
    for contract in world.contracts:
        if contract.key in world.absent:
            continue
        port: Port
        if level:
            port = await open_sql(
                contract, Rows(rows[contract.key]), clock=lambda: NOW, cursors=1, secret=SECRET
            )  # equal pages, equal cursors
        else:
            port = PlainPort(contract, rows[contract.key], world.lookups.get(contract.key, frozenset()), world.seed)
        ports[contract.key] = (_Recorded(port, contract.key, log),)
    asked = engine_of(snapshot_of(world.contracts, ports), world, bounds=Bounds(rows_default=4))
    for product in asked.mesh.snapshot.products.values():
        for port in product.ports:
            asked.engine.note_proof(product, port, proved=len(world.seed) % 2 == 0)
    try:
        yield asked, log
    finally:
        for (port,) in ports.values():
            await port.aclose()


async def _ask(
    opened: tuple[Asked, list[str]], caller: Caller, operation: Operation, cursors: dict[str, str]
) -> tuple[Reply, Counter[str]]:
    asked, log = opened
    log.clear()
    frame = Frame(caller, asyncio.get_running_loop().time() + 60, "r")
    reply = await asked.engine.answer(Question(operation.text, operation.name, operation.variables | cursors), frame)
    assert not asked.failures
    return reply, Counter(log)


def _renamed(pattern: re.Pattern[bytes], body: bytes) -> bytes:
    names: dict[bytes, bytes] = {}
    return pattern.sub(lambda found: names.setdefault(found[0], b"<%d>" % len(names)), body)


def _cursors(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    match value:
        case dict():
            for name, inner in value.items():
                yield from _cursors(inner, f"{path}.{name}")
        case list():
            for at, inner in enumerate(value):
                yield from _cursors(inner, f"{path}.{at}")
        case str() if len(value) % 64 == 0 and re.fullmatch(r"[A-Za-z0-9_-]+", value):
            yield path, value


def _check(one: tuple[Reply, Counter[str]], other: tuple[Reply, Counter[str]], *, tied: bool) -> None:
    (reply, calls), (twin, twin_calls) = one, other
    assert (reply.refusal, reply.headers, reply.products) == (twin.refusal, twin.headers, twin.products)
    left, right = (_renamed(_PSEUDONYM, it.body) for it in (reply, twin))
    if tied:  # places of rows whose order a pseudonym completes hold that pseudonym
        left, right = (_renamed(_CURSOR, it) for it in (left, right))
    assert left == right
    assert calls == twin_calls


def _is_tied(asked: Asked, caller: Caller) -> bool:
    view = asked.view(caller)
    found = [(product, view.ruling(product.contract)) for product in asked.mesh.snapshot.products.values()]
    masked = {(product.id, it.column) for product, ruling in found for it in ruling.fields if not it.usable}
    keys = {(product.id, name) for product, _ in found for name in product.primary_key}
    # A cursor belongs to its parent's key, and a list's to the order that its own key completes.
    keys |= {end for p, _ in found for r in p.relations for own, other in r.pairs for end in ((p.id, own), (r.target, other))}
    return bool(keys & masked)


@pytest.mark.parametrize("number", range(WORLDS))
async def test_data_sets_that_look_the_same_are_answered_the_same(number: int) -> None:
    world = world_of(f"{SEED}-alike-{number}")
    for level in (1, 0):
        async with _opened(world, world.rows, level) as first:
            for place, caller in enumerate(callers_of(world, CALLERS)):
                asked = first[0]
                random = Random(f"{world.seed} {level} {place}")
                twin = equivalent_of(world, asked.mesh.snapshot, asked.view(caller), caller, random, secret=SECRET, rows_may_go=level == 1)
                _PAIRS[level] += OPERATIONS if twin.changed else 0
                async with _opened(world, twin.rows, level) as second:
                    for case in range(OPERATIONS):
                        operation = operation_of(asked.oracle(caller).schema, world, asked.mesh.snapshot, random)
                        try:
                            await _check_pair(first, second, caller, operation, random)
                        except AssertionError as error:
                            error.add_note(f"MESHGATE_TEST_SEED={SEED} world {world.seed!r} level {level} caller {place} case {case}")
                            error.add_note(f"{caller}\n{operation.text}\n{operation.name} {operation.variables}")
                            raise


async def _check_pair(
    first: tuple[Asked, list[str]], second: tuple[Asked, list[str]], caller: Caller, operation: Operation, random: Random
) -> None:
    tied = _is_tied(first[0], caller)
    one, other = await _ask(first, caller, operation, {}), await _ask(second, caller, operation, {})
    _check(one, other, tied=tied)
    places = [dict(_cursors(json.loads(reply.body).get("data"))) for reply, _ in (one, other)]
    if operation.cursors and (shared := sorted(places[0].keys() & places[1].keys())):
        path = random.choice(shared)
        follow = [dict.fromkeys(operation.cursors, it[path]) for it in places]
        _check(await _ask(first, caller, operation, follow[0]), await _ask(second, caller, operation, follow[1]), tied=tied)


_PAIRS: Counter[int] = Counter()


def test_enough_pairs_differed_for_this_to_mean_something() -> None:
    if not _PAIRS or WORLDS < 40:
        pytest.skip("only part of the pairs ran")
    assert min(_PAIRS[0], _PAIRS[1]) >= 150, _PAIRS
    assert sum(_PAIRS.values()) >= 300, _PAIRS
