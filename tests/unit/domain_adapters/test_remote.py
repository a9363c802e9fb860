"""The remote port against real sockets: both levels, probing, credentials, errors and the circuit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest

from contracts.fields import Field, Kind, Scalar
from contracts.model import Contract, Metadata, OutputPort, Times, Use
from contracts.objectives import Objectives
from contracts.predicates import Compare, Operator
from domain_adapters.addresses import AddressPolicy
from domain_adapters.breaker import Breaker, Circuit
from domain_adapters.endpoint import Endpoint, bearer
from domain_adapters.errors import PortBrokenPromiseError, PortCannotError, PortError, PortRefusedError, PortUnavailableError
from domain_adapters.kinds import Surroundings, is_served, open_port, open_remote
from domain_adapters.port import Call, Capabilities, Keys, Order, Read, calls_of
from domain_adapters.remote import RemotePort
from domain_adapters.transport import PooledClient
from domain_adapters.wire import encode_capabilities

from .crooked import PAGE, CrookedServer, Visit, crooked

AROUND = Surroundings(policy=AddressPolicy(loopback=True))
CALL = Call(timeout_s=5.0)
TEXT = Scalar(Kind.STRING)
LEVEL1 = Capabilities(
    level=1, select=True, operators=frozenset(Operator), boolean=True, order_by=True, since=True, keys=True, keys_max=2, count=True
)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def contract(path: str = "/orders", level: Literal[0, 1] | None = None) -> Contract:
    output = OutputPort(type="rest-api", path=path, naming="camelCase", level=level, lookup=(("order_id", "orderId=in:({keys})"),))
    return Contract(
        metadata=Metadata(name="orders", domain="order", owner="o@example.com", version="1.0.0"),
        fields=(Field("order_id", TEXT),),
        objectives=Objectives(),
        times=Times(updated="updated_at"),
        output_ports=(output, OutputPort(type="iceberg-table", catalog="orders")),
    )


def opened(server: CrookedServer, path: str = "/orders", level: Literal[0, 1] | None = 0, **endpoint: Any) -> RemotePort:
    found = contract(path)
    return open_remote(found, found.output_ports[0], Endpoint(server.origin, level=level, **endpoint), AROUND)


async def honest(visit: Visit) -> None:
    if visit.path.endswith("/capabilities"):
        await visit.answer(encode_capabilities(LEVEL1))
    else:
        await visit.answer(PAGE)


@pytest.fixture
async def server() -> AsyncIterator[CrookedServer]:
    async with CrookedServer(crooked) as server:
        yield server


@pytest.fixture
async def level1() -> AsyncIterator[CrookedServer]:
    async with CrookedServer(honest) as server:
        yield server


async def test_level_0_is_asked_by_url_and_answers_its_own_bytes(server: CrookedServer) -> None:
    port = opened(server)
    assert await port.read(Read(limit=2), CALL) == PAGE
    assert server.targets == ["/orders?since=1970-01-01T00:00:00Z&limit=2"]
    assert port.spelling == {"order_id": "orderId"}
    await port.aclose()


async def test_level_1_is_asked_by_post_so_that_no_value_lands_in_a_url(level1: CrookedServer) -> None:
    port = opened(level1, level=None)
    read = Read(where=Compare("order_id", Operator.EQ, "O1"), order_by=(Order("order_id"),), limit=2)
    assert await port.read(read, CALL) == PAGE
    assert level1.targets == ["/orders/capabilities", "/orders/query"]
    assert json.loads(level1.visits[1].body)["where"] == {"col": "order_id", "op": "eq", "value": "O1"}
    assert (port.capabilities, port.spelling) == (LEVEL1, {"order_id": "order_id"})
    await port.aclose()


async def test_keys_are_split_as_the_level_needs(server: CrookedServer, level1: CrookedServer) -> None:
    keys = Keys(("order_id",), (("a",), ("b,c",), ("d",)))
    port0, port1 = opened(server), opened(level1, level=None)
    await port1.probe(CALL)
    assert [read.keys.values for read in calls_of(port0, Read(keys=keys)) if read.keys] == [(("a",), ("d",)), (("b,c",),)]
    assert [read.keys.values for read in calls_of(port1, Read(keys=keys)) if read.keys] == [(("a",), ("b,c",)), (("d",),)]
    await port0.aclose()
    await port1.aclose()


@pytest.mark.parametrize("status", ["404 Not Found", "405 Method Not Allowed", "400 Bad Request", "501 Not Implemented"])
async def test_an_endpoint_without_capabilities_speaks_level_0(status: str) -> None:
    async def old(visit: Visit) -> None:
        await (visit.answer(b"no", status) if visit.path.endswith("/capabilities") else visit.answer(PAGE))

    async with CrookedServer(old) as server:
        port = opened(server, level=None)
        assert await port.read(Read(limit=1), CALL) == PAGE
        assert await port.read(Read(limit=1), CALL) == PAGE
        assert [target.partition("?")[0] for target in server.targets] == ["/orders/capabilities", "/orders", "/orders"]
        await port.aclose()


@pytest.mark.parametrize("body", [b"<html>", PAGE, b'{"level": 7, "capabilities": {}}'])
async def test_an_endpoint_that_answers_every_path_alike_speaks_level_0(body: bytes) -> None:
    async def alike(visit: Visit) -> None:
        await visit.answer(body)

    async with CrookedServer(alike) as server:
        port = opened(server, level=None)
        assert (await port.probe(CALL)).level == 0
        await port.aclose()
        sworn = opened(server, level=1)
        with pytest.raises(PortBrokenPromiseError):
            await sworn.probe(CALL)
        await sworn.aclose()


async def test_an_endpoint_that_says_level_0_itself_is_asked_by_the_contract() -> None:
    async def modest(visit: Visit) -> None:
        await visit.answer(encode_capabilities(Capabilities(level=0, order_by=True)))

    async with CrookedServer(modest) as server:
        port = opened(server, level=None)
        assert not (await port.probe(CALL)).order_by
        await port.aclose()


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "503 Service Unavailable"])
async def test_a_refused_or_failing_probe_decides_nothing(status: str) -> None:
    async def shut(visit: Visit) -> None:
        await visit.answer(b"", status)

    async with CrookedServer(shut) as server:
        port = opened(server, level=None)
        with pytest.raises(PortError):
            await port.read(Read(), CALL)
        assert server.targets == ["/orders/capabilities"]
        await port.aclose()


async def test_the_last_good_probe_is_kept(level1: CrookedServer) -> None:
    port = opened(level1, level=None)
    known_at = [port.probed]
    await port.probe(CALL)
    assert [*known_at, port.probed] == [False, True]
    level1.handler = crooked
    assert await port.probe(CALL) == LEVEL1
    await port.aclose()


async def test_a_known_level_0_is_never_probed(server: CrookedServer) -> None:
    port = opened(server)
    assert (await port.probe(CALL)).level == 0
    assert server.visits == []
    await port.aclose()


async def test_what_a_later_probe_finds_takes_the_place_of_what_was_known(level1: CrookedServer) -> None:
    port = opened(level1, level=None)
    assert await port.probe(CALL) == LEVEL1

    async def shrunk(visit: Visit) -> None:
        await visit.answer(encode_capabilities(Capabilities(level=1, keys=True)))

    level1.handler = shrunk
    assert not (await port.probe(CALL)).order_by
    assert not port.capabilities.order_by
    await port.aclose()


async def test_slo_and_schema_are_handed_on_as_they_stand(server: CrookedServer) -> None:
    port = opened(server)
    assert await port.slo(CALL) == PAGE
    assert await port.schema(CALL) == PAGE
    assert server.targets == ["/orders/slo", "/orders/schema"]
    await port.aclose()


async def test_a_byte_order_mark_and_blanks_before_the_json_are_tolerated() -> None:
    async def marked(visit: Visit) -> None:
        await visit.answer(b"\xef\xbb\xbf \r\n{}")

    async with CrookedServer(marked) as server:
        port = opened(server)
        assert (await port.read(Read(), CALL)).strip() == b"{}"
        await port.aclose()


@pytest.mark.parametrize(
    ("path", "kind", "reason"),
    [
        ("/html", PortBrokenPromiseError, "not_json"),
        ("/redirect", PortBrokenPromiseError, "redirected"),
        ("/huge", PortBrokenPromiseError, "too_large"),
        ("/error", PortUnavailableError, "http_500"),
        ("/busy", PortUnavailableError, "http_429"),
        ("/away", PortUnavailableError, "http_503"),
        ("/reset", PortUnavailableError, "reset"),
    ],
)
async def test_each_failure_is_the_kind_that_says_who_must_act(
    server: CrookedServer, path: str, kind: type[PortError], reason: str
) -> None:
    port = opened(server, path)
    with pytest.raises(kind) as caught:
        await port.read(Read(), Call(timeout_s=5, body_max_bytes=100_000))
    assert caught.value.reason == reason
    assert "It works" not in str(caught.value)
    await port.aclose()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422, 501])
async def test_a_refusal_is_refused_and_quotes_nothing(status: int) -> None:
    async def refuse(visit: Visit) -> None:
        await visit.answer(b"secret value O1", f"{status} No")

    async with CrookedServer(refuse) as server:
        port = opened(server)
        with pytest.raises(PortRefusedError) as caught:
            await port.read(Read(keys=Keys(("order_id",), (("O1",),))), CALL)
        assert caught.value.status == status
        assert "O1" not in str(caught.value)
        await port.aclose()


async def test_trace_headers_and_credentials_are_sent(server: CrookedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ORDER_TOKEN", "first\n")
    port = opened(server, auth="env:ORDER_TOKEN")
    call = Call(timeout_s=5, headers=(("traceparent", "00-aa-bb-01"),))
    await port.read(Read(), call)
    monkeypatch.setenv("ORDER_TOKEN", "second")
    await port.read(Read(), call)
    assert [visit.headers["authorization"] for visit in server.visits] == ["Bearer first", "Bearer second"]
    assert server.visits[0].headers["traceparent"] == "00-aa-bb-01"
    await port.aclose()
    secret = tmp_path / "token"
    secret.write_text("from-file\n")
    assert bearer(f"file:{secret}") == (("Authorization", "Bearer from-file"),)


@pytest.mark.parametrize("content", [b"", b"two words", b"bad\x00", b"\xff\xfe", "schlüssel".encode()])
def test_what_is_no_token_is_not_sent_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    secret = tmp_path / "token"
    secret.write_bytes(content)
    with pytest.raises(PortUnavailableError) as caught:
        bearer(f"file:{secret}")
    assert caught.value.reason == "credential"
    assert "words" not in str(caught.value)


def test_a_missing_credential_is_unavailable() -> None:
    for reference in ("env:MESHGATE_TEST_NO_SUCH_NAME", "file:/no/such/file"):
        with pytest.raises(PortUnavailableError, match="cannot be read"):
            bearer(reference)


@pytest.mark.parametrize(
    "options",
    [
        {"url": "ftp://host"},
        {"url": "http://"},
        {"url": "http://user:secret@host"},
        {"url": "http://host:99999"},
        {"url": "http://host:0"},
        {"url": "http://[::1"},
        {"url": "http://host/?x=1"},
        {"url": "http://host/a b"},
        {"url": "http://höst"},
        {"url": "http://host", "auth": "secret-token"},
        {"url": "http://host", "auth": "env:"},
    ],
    ids=str,
)
def test_endpoints_that_cannot_be_meant_are_refused_without_quoting(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="endpoint") as caught:
        Endpoint(**options)
    assert "secret" not in str(caught.value)


def test_a_ports_path_is_appended_to_the_endpoint() -> None:
    endpoint = Endpoint("https://mesh.example:8443/base/")
    assert endpoint.origin == "https://mesh.example:8443"
    assert [endpoint.path_of("/data/orders/"), endpoint.path_of(None)] == ["/base/data/orders", "/base"]
    assert Endpoint("http://host").path_of("") == "/"


def test_only_known_kinds_of_port_are_opened() -> None:
    found = contract()
    assert [is_served(output) for output in found.output_ports] == [True, False]
    with pytest.raises(PortCannotError, match="iceberg-table"):
        open_port(found, found.output_ports[1], Endpoint("http://127.0.0.1:1"))


async def test_by_default_loopback_is_not_connected_to(server: CrookedServer) -> None:
    found = contract(level=0)
    port = open_port(found, found.output_ports[0], Endpoint(server.origin))
    with pytest.raises(PortUnavailableError) as caught:
        await port.read(Read(), CALL)
    assert caught.value.reason == "address_denied"
    await port.aclose()


# -- the circuit


def circuit(of: Breaker | RemotePort) -> Circuit:
    return of.circuit


def failing(clock: Clock, **options: Any) -> tuple[Breaker, Any]:
    breaker = Breaker(clock, **options)

    def fail(times: int = 1, retry_after_s: float | None = None) -> None:
        for _ in range(times):
            breaker.enter()
            breaker.failed(retry_after_s)

    return breaker, fail


def test_failures_in_a_row_open_the_circuit_and_a_success_between_them_does_not() -> None:
    breaker, fail = failing(Clock(), failures_max=3)
    fail(2)
    breaker.enter()
    breaker.succeeded()
    fail(2)
    assert circuit(breaker) is Circuit.CLOSED
    fail()
    assert circuit(breaker) is Circuit.OPEN
    with pytest.raises(PortUnavailableError) as caught:
        breaker.enter()
    assert caught.value.reason == "circuit_open"


def test_after_a_rest_one_request_tries_and_decides() -> None:
    clock = Clock()
    breaker, fail = failing(clock, failures_max=1, rest_s=2.0, rest_max_s=5.0)
    fail()
    clock.now_s += 2.0
    assert circuit(breaker) is Circuit.HALF_OPEN
    breaker.enter()
    with pytest.raises(PortUnavailableError):
        breaker.enter()
    breaker.abandoned()
    fail()
    clock.now_s += 3.9
    assert circuit(breaker) is Circuit.OPEN
    clock.now_s += 0.2
    fail()
    clock.now_s += 5.0
    breaker.enter()
    breaker.succeeded()
    assert circuit(breaker) is Circuit.CLOSED
    fail()
    clock.now_s += 2.0
    assert circuit(breaker) is Circuit.HALF_OPEN


def test_an_endpoint_that_asks_to_be_left_alone_rests_longer_but_not_for_ever() -> None:
    clock = Clock()
    breaker, fail = failing(clock, failures_max=2, rest_max_s=30.0)
    fail(retry_after_s=7.0)
    assert circuit(breaker) is Circuit.CLOSED
    fail(retry_after_s=7.0)
    clock.now_s += 6.9
    assert circuit(breaker) is Circuit.OPEN
    clock.now_s += 0.1
    assert circuit(breaker) is Circuit.HALF_OPEN
    breaker.enter()
    breaker.failed(1e9)
    clock.now_s += 30.0
    assert circuit(breaker) is Circuit.HALF_OPEN


def with_breaker(server: CrookedServer, path: str, breaker: Breaker) -> RemotePort:
    found = contract(path, level=0)
    client = PooledClient(server.origin, policy=AROUND.policy)
    return RemotePort(found, found.output_ports[0], Endpoint(server.origin), client, breaker=breaker)


async def test_an_open_circuit_spares_the_endpoint(server: CrookedServer) -> None:
    port = with_breaker(server, "/error", Breaker(Clock(), failures_max=2))
    for _ in range(4):
        with pytest.raises(PortUnavailableError):
            await port.read(Read(), CALL)
    assert len(server.visits) == 2
    assert circuit(port) is Circuit.OPEN
    await port.aclose()


async def test_how_long_to_wait_is_told(server: CrookedServer) -> None:
    port = opened(server, "/busy")
    with pytest.raises(PortUnavailableError) as caught:
        await port.read(Read(), CALL)
    assert (caught.value.retry_after_s, port.circuit) == (7.0, Circuit.CLOSED)
    await port.aclose()


async def test_broken_promises_impatience_and_cancelling_do_not_open_the_circuit(server: CrookedServer) -> None:
    breaker = Breaker(Clock(), failures_max=1)
    html = with_breaker(server, "/html", breaker)
    redirect = with_breaker(server, "/redirect", breaker)
    slow = with_breaker(server, "/slow-head", breaker)
    for port in (html, redirect):
        with pytest.raises(PortBrokenPromiseError):
            await port.read(Read(), CALL)
    with pytest.raises(PortUnavailableError):
        await slow.read(Read(), Call(timeout_s=0.05))
    server.arrived.clear()
    task = asyncio.create_task(slow.read(Read(), CALL))
    await server.arrived.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert circuit(breaker) is Circuit.CLOSED
    for port in (html, redirect, slow):
        await port.aclose()


async def test_a_cancelled_trial_lets_the_next_one_try(server: CrookedServer) -> None:
    clock = Clock()
    breaker = Breaker(clock, failures_max=1, rest_s=1.0)
    breaker.failed()
    clock.now_s += 1.0
    slow = with_breaker(server, "/slow-head", breaker)
    task = asyncio.create_task(slow.read(Read(), CALL))
    await server.arrived.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    good = with_breaker(server, "/orders", breaker)
    assert await good.read(Read(), CALL) == PAGE
    assert circuit(breaker) is Circuit.CLOSED
    await slow.aclose()
    await good.aclose()


async def test_a_port_goes_by_its_name_in_the_contract_and_says_what_it_serves() -> None:
    outputs = (
        OutputPort(type="rest-api", path="/a"),
        OutputPort(type="rest-api", path="/b", serves=(Use.LOOKUP,)),
        OutputPort(type="rest-api", path="/c", name="mirror"),
    )
    made = contract().model_copy(update={"output_ports": outputs})
    ports = [open_remote(made, it, Endpoint("http://127.0.0.1:9", level=0), AROUND) for it in outputs]
    assert [(port.name, port.serves) for port in ports] == [
        ("rest-api", frozenset()),
        ("rest-api-2", frozenset({Use.LOOKUP})),
        ("mirror", frozenset()),
    ]
    for port in ports:
        await port.aclose()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"code": "BAD_CURSOR", "detail": "..."}', "bad_cursor"),
        (b'{"code": "UNFIT_TOTAL"}', "unfit_total"),
        (b'{"code": "INVALID_READ"}', "http_400"),
        (b'{"code": 7}', "http_400"),
        (b"BAD_CURSOR", "http_400"),
    ],
)
async def test_a_cursor_that_the_endpoint_does_not_know_is_told_from_other_refusals(body: bytes, reason: str) -> None:
    async def answer(visit: Visit) -> None:
        await visit.answer(body, "400 Bad Request", headers=("Content-Type: application/problem+json",))

    async with CrookedServer(answer) as server:
        port = opened(server)
        with pytest.raises(PortRefusedError) as caught:
            await port.read(Read(cursor="x"), CALL)
        assert (caught.value.reason, caught.value.status) == (reason, 400)
        await port.aclose()
