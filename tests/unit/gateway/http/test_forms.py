"""CSV, JSON lines and Arrow over HTTP: which form, its headers, refusals, and ends that show."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import urllib.request
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pyarrow as pa
import pytest

from gateway.app import build
from gateway.errors import CODES, GatewayError
from gateway.exchange import Form, Frame, Question, Reply, Stream
from gateway.http.forms import asked_media
from gateway.http.negotiation import FORMS, JSON, RESPONSE_JSON, Media, negotiate
from gateway.http.refusals import RefusalError
from gateway.settings import load

from .asking import KEY, refusal, token
from .core_answerer import CoreAnswerer
from .served import served


class Streaming(CoreAnswerer):
    """Streams pieces that are set by the question: ``pieces 3``, ``fails``, ``endless``, ``refused``."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 0
        self.forms: list[Form] = []
        self.closed = asyncio.Event()

    async def stream(self, question: Question, frame: Frame, form: Form) -> Stream | Reply:
        self.frames.append(frame)
        self.forms.append(form)
        if "refused" in question.query:
            body = json.dumps({"errors": [{"message": "no", "extensions": {"code": "PORT_CANNOT", "hint": "ask less"}}]}).encode()
            return Reply(body, has_data=False, refusal=CODES["PORT_CANNOT"], has_errors=True)
        if "slow" in question.query:
            await self._wait()
        words = (lambda error: b'{"error":"' + error.code.name.encode() + b'"}\n') if form is Form.JSONL else (lambda _: None)
        rest = self._rest(question.query)
        return Stream("orders", (("Mesh-Slo-Status", "MET"), ("Mesh-Masked", "a.b:email")), await anext(rest), rest, words, ("a/b",))

    async def _rest(self, query: str) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                self.made += 1
                yield b"x" * 65_536 + b"\n"
                if "endless" not in query and self.made == 3:
                    if "fails" in query:
                        raise GatewayError("UPSTREAM_UNAVAILABLE", "gone")
                    return
                await asyncio.sleep(0)
        finally:
            self.closed.set()


def application(answerer: Streaming, **environment: str) -> Any:
    return build(answerer, load(environment={"MESHGATE_AUTH__DEMO_KEY": KEY, **environment}))


HEADERS = {"authorization": f"Bearer {token()}", "content-type": "application/json", "accept": "text/csv"}


async def ask(app: Any, query: str = "{ hello }", method: str = "POST", path: str = "/graphql", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://gateway") as client:
        if method == "GET":
            return await client.get(path, params={"query": query}, headers={**HEADERS, **headers})
        return await client.post(path, json={"query": query}, headers={**HEADERS, **headers})


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (b"text/csv", FORMS[Form.CSV]),
        (b"application/jsonl", FORMS[Form.JSONL]),
        (b"application/vnd.apache.arrow.stream", FORMS[Form.ARROW]),
        (b"text/csv, application/json;q=0.5", FORMS[Form.CSV]),
        (b"text/csv;q=0.5, application/json", JSON),
        (b"text/csv, application/json", JSON),
        (b"text/csv, */*", FORMS[Form.CSV]),
        (b"text/*", None),
        (b"*/*", JSON),
        (b"application/*", JSON),
        (b"text/csv, application/graphql-response+json", RESPONSE_JSON),
    ],
)
def test_a_form_is_answered_only_where_it_is_named_and_nothing_whole_is_named_alike(accept: bytes, media: Media | None) -> None:
    assert negotiate(accept) == media


def test_json_lines_are_known_under_both_their_names() -> None:
    found = negotiate(b"application/x-ndjson")
    assert found is not None
    assert found.form is Form.JSONL
    assert found.content_type.startswith(b"application/x-ndjson")


@pytest.mark.parametrize("form", list(Form))
def test_the_parameter_names_every_form(form: Form) -> None:
    assert asked_media(f"query=%7Ba%7D&format={form}".encode()) is FORMS[form]


def test_the_parameter_can_ask_for_json_and_be_left_out() -> None:
    assert asked_media(b"format=json") is JSON
    assert asked_media(b"query=%7Ba%7D") is None
    assert asked_media(b"query=format=") is None


@pytest.mark.parametrize("text", [b"format=xlsx", b"format=csv&format=csv", b"format=", b"format=%FF", b"format=CSV"])
def test_an_unknown_format_is_refused_with_the_known_ones(text: bytes) -> None:
    with pytest.raises(RefusalError, match="json, csv, csv-exact, jsonl, arrow"):
        asked_media(text)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_stream_leaves_with_its_type_receipts_and_name(method: str) -> None:
    answerer = Streaming()
    answer = await ask(application(answerer), method=method)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"] == 'attachment; filename="orders.csv"'
    assert answer.headers["mesh-slo-status"] == "MET"
    assert answer.headers["mesh-masked"] == "a.b:email"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"] == answerer.frames[0].request_id
    assert len(answer.content) == 3 * 65_537
    assert answerer.frames[0].queries_only is (method == "GET")
    assert answerer.closed.is_set()


async def test_the_parameter_wins_over_accept() -> None:
    answerer = Streaming()
    answer = await ask(application(answerer), path="/graphql?format=csv-exact", accept="application/json")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answerer.forms == [Form.CSV_EXACT]


async def test_a_wrong_parameter_is_a_refusal() -> None:
    answer = await ask(application(Streaming()), path="/graphql?format=xml", accept="application/json")
    assert answer.status_code == 400
    assert refusal(answer)["code"] == "BAD_USER_INPUT"


async def test_a_refusal_before_the_first_byte_is_json_under_its_status() -> None:
    answer = await ask(application(Streaming()), "{ refused }")
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/graphql-response+json")
    assert answer.json()["errors"][0]["extensions"]["code"] == "PORT_CANNOT"


@pytest.mark.parametrize(("headers", "status"), [({"authorization": "Bearer x"}, 401), ({"content-type": "text/plain"}, 415)])
async def test_refusals_of_the_rim_are_json_too(headers: dict[str, str], status: int) -> None:
    app = application(Streaming())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.post("/graphql", content=b"{}", headers={**HEADERS, **headers})
    assert answer.status_code == status
    assert refusal(answer)["code"]


async def test_a_failure_on_the_way_ends_json_lines_with_a_line_that_tells_it() -> None:
    answer = await ask(application(Streaming()), "{ fails }", accept="application/jsonl")
    assert answer.content.splitlines()[-1] == b'{"error":"UPSTREAM_UNAVAILABLE"}'


@pytest.mark.parametrize("accept", ["text/csv", "application/vnd.apache.arrow.stream"])
def test_a_failure_on_the_way_breaks_other_forms_off(accept: str) -> None:
    answerer = Streaming()
    with (
        served(application(answerer)) as url,
        httpx.Client() as client,
        pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"),
    ):
        client.post(f"{url}/graphql", json={"query": "{ fails }"}, headers={**HEADERS, "accept": accept})
    assert answerer.closed.is_set()


def test_a_broken_off_arrow_stream_cannot_be_read_as_a_shorter_one() -> None:
    schema = pa.schema([("n", pa.int32())])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.record_batch([pa.array([1], pa.int32())], schema=schema))
        whole_batches = sink.getvalue()

    class Arrow(Streaming):
        async def _rest(self, query: str) -> AsyncGenerator[bytes, None]:
            yield whole_batches
            raise GatewayError("UPSTREAM_UNAVAILABLE", "gone")

    with served(application(Arrow())) as url:
        headers = {**HEADERS, "accept": "application/vnd.apache.arrow.stream"}
        request = urllib.request.Request(f"{url}/graphql", b'{"query": "{ fails }"}', headers)  # noqa: S310  # a server of this test's own
        with urllib.request.urlopen(request) as answer, pytest.raises(http.client.IncompleteRead):  # noqa: S310  # a server of this test's own
            pa.ipc.open_stream(answer).read_all()


def test_a_slow_reader_is_waited_for_and_one_that_leaves_ends_the_stream() -> None:
    answerer = Streaming()
    with served(application(answerer)) as url, httpx.Client(timeout=10) as client:
        with client.stream("POST", f"{url}/graphql", json={"query": "{ endless }"}, headers=HEADERS) as answer:
            body = answer.iter_raw()
            next(body)
            made = -1
            while made != answerer.made:  # until nothing more is made: what is not taken is not asked for
                made = answerer.made
                _settle()
            assert made < 500
            assert not answerer.closed.is_set()
            for _ in range(200):  # the rest comes as it is taken
                next(body)
            assert answerer.made > made
            body.close()
        for _ in range(500):
            if answerer.closed.is_set():
                break
            _settle(0.01)
        assert answerer.closed.is_set()


def _settle(seconds: float = 0.3) -> None:
    import threading

    threading.Event().wait(seconds)


def test_a_client_that_takes_nothing_for_too_long_is_broken_off() -> None:
    answerer = Streaming()
    with (
        served(application(answerer, MESHGATE_TIMEOUTS__STALL_S="0.2")) as url,
        httpx.Client(timeout=10) as client,
        client.stream(
            "POST", f"{url}/graphql", json={"query": "{ endless }"}, headers={**HEADERS, "accept": "application/jsonl"}
        ) as answer,
    ):
        for _ in range(500):
            if answerer.closed.is_set():
                break
            _settle(0.01)
        assert answerer.closed.is_set()
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            answer.read()


def test_a_stream_ends_at_its_own_deadline() -> None:
    answerer = Streaming()
    with served(application(answerer, MESHGATE_TIMEOUTS__STREAM_S="0.1")) as url, httpx.Client(timeout=10) as client:
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            client.post(f"{url}/graphql", json={"query": "{ endless }"}, headers=HEADERS)
        assert answerer.closed.is_set()


async def test_a_deadline_before_the_first_byte_is_an_ordinary_refusal() -> None:
    answerer = Streaming()
    answer = await ask(application(answerer, MESHGATE_TIMEOUTS__STREAM_S="0.1"), "{ slow }")
    assert answer.status_code == 504
    assert refusal(answer)["code"] == "DEADLINE_EXCEEDED"


async def test_more_streams_than_may_be_are_refused_and_places_are_given_back() -> None:
    answerer = Streaming()
    app = application(answerer, MESHGATE_HTTP__STREAMS_MAX="1")
    waiting = asyncio.create_task(ask(app, "{ slow }"))
    await answerer.began.wait()
    answer = await ask(app)
    assert answer.status_code == 503
    assert refusal(answer)["code"] == "OVERLOADED"
    assert answer.headers["retry-after"] == "5"
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await ask(app)).status_code == 200
