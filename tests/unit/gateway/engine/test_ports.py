"""Which port answers when some are away, refuse, break off or have not been heard from."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from contracts.model import Use
from domain_adapters.breaker import Circuit
from domain_adapters.errors import PortBrokenPromiseError, PortCannotError, PortError, PortUnavailableError
from domain_adapters.port import Call, Capabilities, Read
from domain_adapters.sql import capabilities_for
from gateway.catalog.snapshot import snapshot_of
from gateway.engine.tasks import together
from gateway.exchange import Form, Frame, Question, Reply
from tests.differential.running import Asked, engine_of
from tests.differential.shop import ANALYST, shop
from tests.property.several_ports import Named, named

LIST = "{order{orders(first:2){nodes{orderId} metadata{port}}}}"
ROWS = "{order{orders(first:60){nodes{orderId}}}}"


class Failing(Named):
    """Fails from the read of this number on, in its own way."""

    def __init__(self, port: Named, name: str, error: Callable[[], PortError], *, at: int = 0) -> None:
        super().__init__(port, name)
        self.error, self.at = error, at

    async def read(self, read: Read, call: Call) -> bytes:
        if len(self.reads) >= self.at:
            self.attempts += 1
            raise self.error()
        return await super().read(read, call)


class Silent(Named):
    """Has not said yet what it can do; says it, or fails to, when it is probed."""

    def __init__(self, port: Named, name: str, *, answers: bool) -> None:
        super().__init__(port, name)
        self.probed, self.answers, self.probes = False, answers, 0

    @property
    def capabilities(self) -> Capabilities:
        return self.port.capabilities if self.probed else Capabilities()

    async def probe(self, call: Call) -> Capabilities:
        self.probes += 1
        if not self.answers:
            raise gone()
        self.probed = True
        return self.capabilities

    async def read(self, read: Read, call: Call) -> bytes:
        if not self.answers:
            raise gone()
        return await super().read(read, call)


def gone() -> PortError:
    return PortUnavailableError("nobody is there", reason="refused")


def late() -> PortError:
    return PortUnavailableError("no answer in time", reason="timeout")


def cannot() -> PortError:
    return PortCannotError("not this", reason="filter")


async def opened(*made: Callable[[Named], Named], **less: Any) -> tuple[Asked, list[Named]]:
    """Open the shop, with these ports for orders."""
    world = shop()
    ports: dict[str, tuple[Any, ...]] = {}
    for contract in world.contracts:
        able = capabilities_for(contract)
        if contract.key != "order/orders":
            ports[contract.key] = (await named(contract, world, "port", able),)
            continue
        ports[contract.key] = tuple([make(await named(contract, world, "inner", replace(able, **less))) for make in made])
    return engine_of(snapshot_of(world.contracts, ports), world), list(ports["order/orders"])


async def closed(asked: Asked) -> None:
    for port in asked.ports:
        await port.aclose()


def plain(name: str) -> Callable[[Named], Named]:
    return lambda port: Named(port, name)


@pytest.mark.parametrize("error", [gone, late, cannot])
async def test_a_port_that_is_away_or_cannot_after_all_is_passed_over(error: Callable[[], PortError]) -> None:
    asked, (first, _) = await opened(lambda port: Failing(port, "a", error), plain("b"))
    answer = await asked.ask(ANALYST, LIST)
    assert (answer.errors, answer.data["order"]["orders"]["metadata"]["port"], first.attempts) == ([], "b", 1)
    await closed(asked)


async def test_a_port_that_breaks_its_promise_is_not_covered_up_for() -> None:
    broken = lambda: PortBrokenPromiseError("no JSON", reason="not_json")  # noqa: E731  # a factory, of a fresh error each
    asked, (_, second) = await opened(lambda port: Failing(port, "a", broken), plain("b"))
    answer = await asked.ask(ANALYST, LIST)
    assert [error["extensions"]["code"] for error in answer.errors] == ["UPSTREAM_INVALID"]
    assert second.attempts == 0
    await closed(asked)


async def test_where_all_are_away_the_port_that_suits_best_is_told_of() -> None:
    asked, ports = await opened(lambda port: Failing(port, "a", gone), lambda port: Failing(port, "b", gone))
    answer = await asked.ask(ANALYST, LIST)
    (error,) = answer.errors
    assert (error["extensions"]["code"], error["message"]) == ("UPSTREAM_UNAVAILABLE", "The port a of order/orders is not available.")
    assert [port.attempts for port in ports] == [1, 1]
    await closed(asked)


async def test_a_count_that_fails_because_its_port_went_away_is_asked_of_the_next() -> None:
    asked, _ = await opened(lambda port: Failing(port, "a", gone, at=1), plain("b"))
    text = '{order{orders(first:2,after:"%s"){totalCount nodes{orderId} metadata{port}}}}'
    start = (await asked.ask(ANALYST, "{order{orders(first:1){pageInfo{endCursor}}}}")).data["order"]["orders"]["pageInfo"]["endCursor"]
    answer = await asked.ask(ANALYST, text % start)
    assert answer.errors == []
    assert (answer.data["order"]["orders"]["totalCount"], answer.data["order"]["orders"]["metadata"]["port"]) == (60, "b")
    await closed(asked)


async def test_a_count_that_nobody_can_make_leaves_the_rows() -> None:
    asked, ports = await opened(lambda port: Failing(port, "a", gone, at=2), lambda port: Failing(port, "b", gone))
    start = (await asked.ask(ANALYST, "{order{orders(first:1){pageInfo{endCursor}}}}")).data["order"]["orders"]["pageInfo"]["endCursor"]
    answer = await asked.ask(ANALYST, f'{{order{{orders(first:2,after:"{start}"){{totalCount nodes{{orderId}}}}}}}}')
    assert [(error["path"][-1], error["extensions"]["code"]) for error in answer.errors] == [("totalCount", "UPSTREAM_UNAVAILABLE")]
    assert len(answer.data["order"]["orders"]["nodes"]) == 2
    assert ports[1].attempts == 1
    await closed(asked)


async def test_an_answer_in_the_place_of_a_port_that_suits_better_is_told() -> None:
    for made, expected in (
        ((lambda port: Failing(port, "a", gone), plain("b")), [("order/orders", "b", 1)]),
        ((lambda port: Failing(port, "a", cannot), plain("b")), [("order/orders", "b", 1)]),
        ((plain("a"), lambda port: Failing(port, "b", gone)), []),
    ):
        asked, ports = await opened(*made)
        told: list[tuple[str, str, int]] = []
        asked.engine.readers._on_failover = lambda *what, told=told: told.append(what)  # type: ignore[misc]  # mypy infers no lambda's defaults
        await asked.ask(ANALYST, LIST)
        assert told == expected
        await streamed(asked)
        assert told == 2 * expected
        if not expected:
            # The one that suits as well and stands first is away: the other is asked at once.
            ports[0].circuit, ports[1].error, ports[1].at = Circuit.OPEN, gone, 99
            await asked.ask(ANALYST, LIST)
            assert told == [("order/orders", "b", 1)]
        await closed(asked)


async def test_one_port_known_is_enough_to_begin_with() -> None:
    asked, (silent, known) = await opened(lambda port: Silent(port, "a", answers=True), plain("b"))
    answer = await asked.ask(ANALYST, LIST)
    assert (answer.data["order"]["orders"]["metadata"]["port"], silent.probes) == ("b", 0)  # type: ignore[attr-defined]  # a Silent
    known.is_dead = True
    answer = await asked.ask(ANALYST, LIST)
    assert (answer.data["order"]["orders"]["metadata"]["port"], silent.probes) == ("a", 1)  # type: ignore[attr-defined]  # a Silent
    await closed(asked)


async def test_a_port_that_never_answers_is_tried_last_and_told_of_where_it_is_the_best() -> None:
    asked, (silent, other) = await opened(lambda port: Silent(port, "a", answers=False), plain("b"))
    other.circuit = Circuit.OPEN
    answer = await asked.ask(ANALYST, LIST)
    assert [error["extensions"]["code"] for error in answer.errors] == ["UPSTREAM_UNAVAILABLE"]
    assert silent.probes == 1  # type: ignore[attr-defined]  # a Silent
    await closed(asked)


async def streamed(asked: Asked) -> Reply | tuple[int, str | None]:
    """Stream all orders: rows that came, and the code of what broke the stream off."""
    frame = Frame(ANALYST, asyncio.get_running_loop().time() + 30, "r")
    stream = await asked.engine.stream(Question(ROWS), frame, Form.JSONL)
    if isinstance(stream, Reply):
        return stream
    body, code = stream.first, None
    try:
        async for piece in stream.rest:
            body += piece
    except Exception as error:
        code = error.code.name  # type: ignore[attr-defined]  # a GatewayError, or this fails
    return sum("orderId" in json.loads(line) for line in body.splitlines()), code


async def test_a_stream_falls_over_before_its_first_rows_and_not_after_them() -> None:
    asked, (_, second) = await opened(lambda port: Failing(port, "a", gone), plain("b"), page_max=20)
    assert await streamed(asked) == (60, None)
    await closed(asked)
    asked, (_, second) = await opened(lambda port: Failing(port, "a", gone, at=1), plain("b"), page_max=20)
    assert await streamed(asked) == (20, "UPSTREAM_UNAVAILABLE")
    assert second.attempts == 0
    await closed(asked)
    asked, _ = await opened(lambda port: Failing(port, "a", gone), lambda port: Failing(port, "b", gone))
    refused = await streamed(asked)
    assert isinstance(refused, Reply)
    assert refused.refusal is not None
    assert refused.refusal.name == "UPSTREAM_UNAVAILABLE"
    await closed(asked)


async def test_a_list_that_is_restricted_to_look_ups_is_refused_as_a_stream_too() -> None:
    asked, (port,) = await opened(lambda port: Named(port, "a", serves=frozenset({Use.LIST})))
    refused = await streamed(asked)
    assert isinstance(refused, Reply)
    assert json.loads(refused.body)["errors"][0]["extensions"]["missing"] == ["export"]
    assert port.attempts == 0
    await closed(asked)


async def test_a_cursor_of_a_port_that_is_no_longer_there_has_expired() -> None:
    paged = {"order_by": False}
    asked, (first, second) = await opened(plain("a"), plain("b"), **paged)
    text = "{order{orders(first:2%s){nodes{orderId} pageInfo{endCursor}}}}"
    first.circuit = Circuit.OPEN
    cursor = (await asked.ask(ANALYST, text % "")).data["order"]["orders"]["pageInfo"]["endCursor"]
    second.name = "c"
    answer = await asked.ask(ANALYST, text % f', after: "{cursor}"')
    assert [error["extensions"]["code"] for error in answer.errors] == ["CURSOR_EXPIRED"]
    second.name = "b"
    answer = await asked.ask(ANALYST, text % f', after: "{cursor}"')
    assert [node["orderId"] for node in answer.data["order"]["orders"]["nodes"]] == ["O02", "O03"]
    await closed(asked)


async def test_nothing_to_do_together_is_done() -> None:
    assert await together([]) == []
