"""One mesh over two data sets, asked over the same ASGI endpoint: what each answers, byte for byte, and what it asked its ports.

Both sides share what is compiled, which knows no data, and nothing else: decoders, proofs and ports are each side's own.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from random import Random
from typing import Any
from urllib.parse import urlencode

from contracts.predicates import And, Compare, Not, Or, Predicate
from domain_adapters.port import Call, Port, Read
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from gateway.caller import Caller
from gateway.catalog.snapshot import Snapshot, snapshot_of
from gateway.engine.budget import Bounds
from gateway.engine.explaining.cost import Tariff
from gateway.engine.explaining.explain import explain
from gateway.errors import GatewayError, RefusedError
from gateway.exchange import Form, Frame, Question, Reply, Stream
from gateway.http.endpoint import GraphQLEndpoint
from gateway.http.negotiation import FORMS
from gateway.observe import traces
from gateway.observe.metrics import Metrics
from gateway.settings import load

from ..differential.plain_port import PlainPort
from ..differential.running import SECRET, Asked, engine_of
from ..differential.worlds import NOW, World
from .equivalent import SPOILT

__all__ = ["Asking", "Seen", "Side", "Sides", "differences_of", "opened"]

Data = dict[str, list[dict[str, Any]]]
_PSEUDONYM = re.compile(rb"v1:[0-9a-f]{32}")
_CURSOR = re.compile(rb'"(?=[A-Za-z0-9_-]{64})(?:[A-Za-z0-9_-]{64})+"')
_BOUNDS = Bounds(rows_default=4)


@dataclass(frozen=True, slots=True)
class Asking:
    """One request. ``headers``: beside those that every request has."""

    text: str
    name: str | None
    variables: dict[str, Any]
    method: str = "POST"
    form: Form | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a request. ``pieces``: sizes of the body's; ``calls``: forms of upstream reads; ``answers``: digests of theirs.

    ``disclosed``: (product id, column) of what is masked and was used all the same, as a grant lets it.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    pieces: list[int]
    calls: Counter[str]
    answers: Counter[bytes]
    disclosed: frozenset[tuple[str, str]] = frozenset()

    @property
    def form_is_json(self) -> bool:
        """Whether this is no CSV, JSON lines or Arrow."""
        return any(name == b"content-type" and b"json;" in value and b"jsonl" not in value for name, value in self.headers)


@dataclass(slots=True)
class Side:
    """One data set behind the ports, and the engine that reads it."""

    rows: Data
    ports: dict[str, Port]
    asked: Asked


@dataclass(slots=True)
class Sides:
    """A mesh whose data can be exchanged. ``log``: (product, form of a read, what it answered)."""

    world: World
    level: int
    snapshot: Snapshot
    turns: dict[str, _Turned]
    endpoint: GraphQLEndpoint
    answerer: _Answerer
    log: list[tuple[str, bytes]]
    first: Side
    tariff: Tariff
    opened: list[Port] = field(default_factory=list)

    async def side(self, rows: Data) -> Side:
        """Open the ports that another data set needs; those of the products that are alike are shared."""
        ports = dict(self.first.ports)
        for id_, port in ports.items():
            if rows[id_] != self.world.rows[id_]:
                ports[id_] = await _port(self.world, self.level, id_, rows[id_])
                self.opened.append(ports[id_])
                assert port.capabilities == ports[id_].capabilities
        return Side(rows, ports, self.engine())

    @property
    def tested(self) -> dict[str, frozenset[str]] | None:
        """Which columns endpoints test, None where none does so with rows that are not served."""
        if self.level:
            return None
        found = {}
        for id_, port in self.first.ports.items():
            able = port.capabilities
            updated = self.snapshot.products[id_].contract.times.updated
            names = {*able.filter_columns, *(name for names in able.key_columns or () for name in names), *([updated] if updated else ())}
            found[id_] = frozenset(names)
        return found

    def engine(self) -> Asked:
        """Make an engine that has seen no data, over what is compiled already."""
        asked = _engine(self.snapshot, self.world, self.tariff)
        asked.engine._operations = self.first.asked.engine._operations
        asked.engine._views = self.first.asked.engine._views
        return asked

    def plan(self, side: Side, caller: Caller, asking: Asking) -> str:
        """Explain a request on a mesh of its own, compiled from nothing."""
        snapshot = snapshot_of(self.world.contracts, {id_: (port,) for id_, port in side.ports.items()})
        asked = _engine(snapshot, self.world, self.tariff)
        question = Question(asking.text, asking.name, asking.variables)
        try:
            return explain(asked.engine.explained(question, Frame(caller, 0.0, "r")), snapshot)
        except GatewayError as error:
            return repr([it.entry() for it in (error.errors if isinstance(error, RefusedError) else (error,))])

    async def ask(self, side: Side, caller: Caller, asking: Asking, cursors: dict[str, str] | None = None) -> Seen:
        """Send a request to the mesh over one of its data sets."""
        for id_, turned in self.turns.items():
            turned.port = side.ports[id_]
        self.answerer.asked, self.answerer.caller = side.asked, caller
        self.log.clear()
        used: set[tuple[str, str]] = set()
        noted = replace(side.asked.engine.signals, disclosed=lambda id_, columns, _: used.update((id_, it) for it in columns))
        side.asked.engine.signals = noted
        ids, traces._ids = traces._ids, Random(0).getrandbits
        try:
            sent = await _sent(self.endpoint, asking, cursors or {})
        finally:
            traces._ids = ids
        assert not side.asked.failures, side.asked.failures
        body = [message.get("body", b"") for message in sent[1:]]
        calls, answers = Counter(what for what, _ in self.log), Counter(answer for _, answer in self.log)
        return Seen(sent[0]["status"], sent[0]["headers"], b"".join(body), [len(it) for it in body], calls, answers, frozenset(used))


def differences_of(one: Seen, other: Seen, *, tied: bool) -> str | None:
    """Say where two answers that must be equal differ. ``tied``: places of rows hold a pseudonym, as it completes their order."""
    if (one.status, one.headers) != (other.status, other.headers):
        return f"heads: {one.status} {one.headers} and {other.status} {other.headers}"
    left, right = (_renamed(_PSEUDONYM, it.body) for it in (one, other))
    if tied:
        left, right = _renamed(_CURSOR, left), _renamed(_CURSOR, right)
    if left != right:
        at = max(0, next((at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))) - 200)
        return f"bodies, from {at} on: {left[at : at + 500]!r}\n\n{right[at : at + 500]!r}"
    if one.pieces != other.pieces:
        return f"pieces: {one.pieces} and {other.pieces}"
    return None if one.calls == other.calls else f"calls: {one.calls - other.calls} and {other.calls - one.calls}"


def _renamed(pattern: re.Pattern[bytes], body: bytes) -> bytes:
    names: dict[bytes, bytes] = {}
    return pattern.sub(lambda found: names.setdefault(found[0], b"<%d>" % len(names)), body)


@asynccontextmanager
async def opened(world: World, level: int, *, cost_max: int | None = None) -> AsyncIterator[Sides]:
    """Open a mesh over its own data. ``cost_max``: what may cost more is refused."""
    tariff = Tariff() if cost_max is None else Tariff(is_enforced=True, cost_max=cost_max)
    ids = [contract.key for contract in world.contracts if contract.key not in world.absent]
    ports = {id_: await _port(world, level, id_, world.rows[id_]) for id_ in ids}
    log: list[tuple[str, bytes]] = []
    turns = {id_: _Turned(port, id_, log) for id_, port in ports.items()}
    snapshot = snapshot_of(world.contracts, {id_: (turned,) for id_, turned in turns.items()})
    asked = _engine(snapshot, world, tariff)
    answerer = _Answerer(asked)
    settings = load(environment={"MESHGATE_AUTH__DEMO_KEY": "a shared key for tests only, of some length"})
    endpoint = GraphQLEndpoint(answerer, answerer, settings, metrics=Metrics(), pseudonym=lambda it: it)  # type: ignore[arg-type]  # two engines in one answerer's place
    sides = Sides(world, level, snapshot, turns, endpoint, answerer, log, Side(world.rows, ports, asked), tariff, list(ports.values()))
    try:
        yield sides
    finally:
        for port in sides.opened:
            await port.aclose()


def _engine(snapshot: Snapshot, world: World, tariff: Tariff) -> Asked:
    asked = engine_of(snapshot, world, bounds=_BOUNDS, tariff=tariff)
    for product in snapshot.products.values():
        for port in product.ports:
            asked.engine.note_proof(product, port, proved=len(world.seed) % 2 == 0)
    return asked


async def _port(world: World, level: int, id_: str, rows: list[dict[str, Any]]) -> Port:
    contract = next(it for it in world.contracts if it.key == id_)
    if level:
        # One secret: equal pages have equal cursors.
        return await open_sql(contract, Rows(rows), clock=lambda: NOW, cursors=1, secret=SECRET)
    return _Spoiling(contract, rows, world.lookups.get(id_, frozenset()), world.seed)


class _Spoiling(PlainPort):
    """An endpoint some of whose rows hold a cell of no type."""

    def _written(self, row: dict[str, Any]) -> dict[str, Any]:
        found = super()._written(row)
        if (column := row.get(SPOILT)) is not None:
            found[self.spelling[column]] = {"no": ["value"]}
        return found


class _Turned:
    """A port that reads one data set or another, and notes what it is asked."""

    def __init__(self, port: Port, product: str, log: list[tuple[str, bytes]]) -> None:
        self.port = port
        self._product = product
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)

    async def read(self, read: Read, call: Call) -> bytes:
        what = f"{self._product}: {_form(read)}"
        body = await self.port.read(read, call)
        self._log.append((what, blake2b(body, digest_size=8).digest()))
        return body


def _form(read: Read) -> str:
    keys = None if read.keys is None else (read.keys.columns, len(read.keys.values))
    where = None if read.where is None else _condition(read.where)
    having = None if read.having is None else _condition(read.having)
    rest = (read.select, read.order_by, read.limit, read.cursor is None, read.since, read.limit_per_key, read.aggregates, read.group_by)
    return repr((where, keys, having, *rest, read.count))


def _condition(predicate: Predicate) -> object:
    match predicate:
        case Compare(column=column, operator=operator, value=value):
            return column, operator.value, len(value) if isinstance(value, tuple) else 1
        case And(parts=parts) | Or(parts=parts):
            return type(predicate).__name__, [_condition(part) for part in parts]
        case Not(part=part):
            return "not", _condition(part)


class _Answerer:
    """Stands where the endpoint finds callers and answers: the caller is given, the engine exchanged."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.caller = Caller("nobody", frozenset())

    def remembered(self, _authorization: bytes | None, _purpose: bytes | None) -> Caller:
        return self.caller

    async def answer(self, question: Question, frame: Frame) -> Reply:
        return await self.asked.engine.answer(question, frame)

    async def stream(self, question: Question, frame: Frame, form: Form) -> Stream | Reply:
        return await self.asked.engine.stream(question, frame, form)

    def sdl(self, frame: Frame) -> str:
        return self.asked.engine.sdl(frame)


async def _sent(endpoint: GraphQLEndpoint, asking: Asking, cursors: dict[str, str]) -> list[Any]:
    members = {"query": asking.text, "operationName": asking.name, "variables": asking.variables | cursors}
    headers = [(b"content-type", b"application/json"), *asking.headers]
    if asking.form is not None and asking.form is not Form.CSV_EXACT:
        headers.append((b"accept", FORMS[asking.form].name.encode()))
    query, body = b"", json.dumps(members).encode()
    if asking.method == "GET":
        given = {name: value if isinstance(value, str) else json.dumps(value) for name, value in members.items() if value is not None}
        query, body = urlencode(given).encode(), b""
    if asking.form is Form.CSV_EXACT:
        query = (query + b"&" if query else b"") + b"format=csv-exact"
    scope = {"type": "http", "method": asking.method, "path": "/graphql", "query_string": query, "headers": headers}
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])
    sent: list[Any] = []

    async def receive() -> Any:
        found = next(messages, None)
        return found if found is not None else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await endpoint(scope, receive, send)
    return sent
