"""What a soak asks: the five questions, deep and wide shapes, cold operations, forms, the catalogue, mistakes, and clients who go.

`Mix` draws what comes next, `Client` asks it over one connection. What is not answered as it must be is kept as an example.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.bench.load import request_of
from tests.bench.shapes_mesh import SHAPES

__all__ = ["Ask", "Client", "Mix", "Tally", "distinct"]

_EXAMPLES_MAX = 5
_WEIGHTS = {"question": 40, "shape": 10, "cold": 20, "catalogue": 6, "form": 4, "mistake": 12, "aborted": 8}
_COLUMNS = ("id", "nextId", "name", "amount", "count", "at")
_LARGE = "{ shape { item0(first: 10000) { nodes { id nextId name amount count at } } } }"


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing to do. ``statuses``: what may come back; ``leaves_after``: bytes of the answer after which the client goes away."""

    kind: str
    request: bytes
    statuses: frozenset[int] = frozenset({200})
    leaves_after: int | None = None


@dataclass(slots=True)
class Tally:
    """What was done, by kind; ``wrong``: what was answered otherwise than it must be."""

    done: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    examples: list[str] = field(default_factory=list)

    def note_wrong(self, what: str) -> None:
        """Count it, and keep the first ones."""
        self.wrong += 1
        if len(self.examples) < _EXAMPLES_MAX:
            self.examples.append(what)


def distinct(number: int) -> str:
    """Write an operation of everyday size that is like no other: its columns, their order and their names, a condition, a partner."""
    chance = Random(number)
    columns = chance.sample(_COLUMNS, chance.randint(2, 6))
    named = " ".join(f"v{number}_{it}: {it}" if chance.random() < 0.3 else it for it in columns)
    partner = f" next {{ {' '.join(chance.sample(_COLUMNS, 3))} }}" if chance.random() < 0.5 else ""
    return f"query Q{number} {{ shape {{ item{chance.randrange(9)}(first: {chance.randint(1, 20)}) {{ nodes {{ {named}{partner} }} }} }} }}"


class Mix:
    """Draws what comes next. ``questions``: whole requests of each of the five; ``headers``: those of a caller who may see the shapes."""

    def __init__(self, port: int, questions: Mapping[str, Sequence[bytes]], headers: dict[str, str], *, seed: int = 1) -> None:
        self._port = port
        self._questions = list(questions.values())
        self._headers = headers
        self._chance = Random(seed)
        self._numbers = itertools.count(10_000)
        self._again: list[bytes] = []
        self._kinds: dict[str, Callable[[], Ask]] = {
            "question": self.question,
            "shape": self._shape,
            "cold": self._cold,
            "catalogue": self._catalogue,
            "form": lambda: Ask("form", self._form()),
            "mistake": self._mistake,
            "aborted": self._aborted,
        }

    def next(self) -> Ask:
        """Draw."""
        (kind,) = self._chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        return self._kinds[kind]()

    def graphql(self, text: str, **members: object) -> bytes:
        """Write the request for an operation."""
        return request_of(self._port, json.dumps({"query": text, **members}).encode(), self._headers)

    def question(self) -> Ask:
        """Draw one of the five."""
        return Ask("question", self._chance.choice(self._chance.choice(self._questions)))

    def _shape(self) -> Ask:
        return Ask("shape", self.graphql(self._chance.choice(SHAPES[:-1]).texts[0]))

    def _cold(self) -> Ask:
        # A third comes back once, so that it is kept: what is kept must be bounded as well.
        if self._again and self._chance.random() < 0.25:
            return Ask("cold", self._again.pop())
        request = self.graphql(distinct(next(self._numbers)))
        if self._chance.random() < 1 / 3:
            self._again.append(request)
        return Ask("cold", request)

    def _catalogue(self) -> Ask:
        texts = (
            "{ mesh { products { id name domain owner } } }",
            "{ mesh { products { id slo { status } fields { name } } } }",
            "{ __schema { types { name fields { name } } } }",
            '{ __type(name: "ShapeItem0") { fields { name type { name } } } }',
        )
        place = self._chance.randrange(len(texts) + 2)
        if place < len(texts):
            return Ask("catalogue", self.graphql(texts[place]))
        return Ask("catalogue", self._get("/schema.graphql" if place == len(texts) else "/metrics"), frozenset({200, 403}))

    def _form(self, text: str = "{ shape { item1(first: 1000) { nodes { id name amount at } } } }") -> bytes:
        accepted = self._chance.choice(("text/csv", "application/jsonl", "application/vnd.apache.arrow.stream"))
        return request_of(self._port, json.dumps({"query": text}).encode(), self._headers | {"accept": accepted})

    def _mistake(self) -> Ask:
        number = next(self._numbers)
        made: tuple[tuple[str, dict[str, object], set[int]], ...] = (
            (f"{{ shape {{ item0(first: 1) {{ nodes {{ idd{number} }} }} }} }}", {}, {200, 400}),
            (f"{{ shape {{ itm0 {{ nodes {{ id{number % 7} }} }} }} }}", {}, {200, 400}),
            ("{ shape { item0(first: 1) { nodes { id ", {}, {200, 400}),
            ("query($first: Int!) { shape { item0(first: $first) { nodes { id } } } }", {"variables": {"first": "many"}}, {200, 400}),
            (f'{{ shape {{ item0(after: "made up {number}") {{ nodes {{ id }} }} }} }}', {}, {200, 400}),
            (f"{{ shape {{ item0(first: {10_001 + number}) {{ nodes {{ id }} }} }} }}", {}, {200, 400}),
            ("{ " + "a { " * 400 + "b" + " }" * 401, {}, {200, 400}),
        )
        place = self._chance.randrange(len(made) + 3)
        if place < len(made):
            text, members, statuses = made[place]
            return Ask("mistake", self.graphql(text, **members), frozenset(statuses))
        if place == len(made):
            return Ask("mistake", request_of(self._port, b'{"query": "{ __typename', self._headers), frozenset({400}))
        if place == len(made) + 1:
            forged = {"authorization": f"Bearer eyJhbGciOiJIUzI1NiJ9.e30.forged{number}"}
            return Ask("mistake", request_of(self._port, b'{"query": "{ __typename }"}', forged), frozenset({401}))
        return Ask("mistake", self._get(f"/nothing/{number}"), frozenset({404}))

    def _aborted(self) -> Ask:
        text = self._chance.choice((_LARGE, SHAPES[0].texts[0], distinct(next(self._numbers))))
        match self._chance.randrange(4):
            case 0:
                return Ask("aborted", self.graphql(text)[: self._chance.randrange(20, 300)], leaves_after=0)
            case 1:
                return Ask("aborted", self.graphql(text), leaves_after=0)
            case 2:
                return Ask("aborted", self._form(_LARGE), leaves_after=self._chance.randrange(1, 40_000))
        return Ask("aborted", self.graphql(text), leaves_after=1)

    def _get(self, path: str) -> bytes:
        lines = [f"GET {path} HTTP/1.1", f"host: 127.0.0.1:{self._port}", *(f"{name}: {it}" for name, it in self._headers.items())]
        return "\r\n".join([*lines, "", ""]).encode()


class Client:
    """One client: a connection that is opened anew after the client has gone, or the server has closed it."""

    def __init__(self, port: int, tally: Tally) -> None:
        self._port = port
        self._tally = tally
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def do(self, ask: Ask) -> None:
        """Ask, and count what becomes of it."""
        try:
            status = await asyncio.wait_for(self._asked(ask), 60)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self._tally.note_wrong(f"{ask.kind}: {type(error).__name__} {error}: {ask.request[-300:]!r}")
            await self.aclose()
            return
        self._tally.done[ask.kind] += 1
        if status is not None and status not in ask.statuses:
            self._tally.note_wrong(f"{ask.kind}: status {status}: {ask.request[-300:]!r}")

    async def aclose(self) -> None:
        """Go away."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            with contextlib.suppress(OSError):
                await self._streams[1].wait_closed()
            self._streams = None

    async def _asked(self, ask: Ask) -> int | None:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        reader, writer = self._streams
        writer.write(ask.request)
        if ask.leaves_after is not None:
            await writer.drain()
            if ask.leaves_after:
                await reader.read(ask.leaves_after)
            await self.aclose()
            return None
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"\r\ntransfer-encoding: chunked" in head:
            while size := int(await reader.readline(), 16):
                await reader.readexactly(size + 2)
            await reader.readexactly(2)
        else:
            length = int(head.partition(b"\r\ncontent-length:")[2].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
        if b"\r\nconnection: close" in head:
            await self.aclose()
        return int(head.split(b" ", 2)[1])
