"""The endpoint: statuses, media types and refusals of GraphQL over HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import httpx
import pytest
from starlette.types import Message

from gateway.errors import CODES
from gateway.exchange import Reply
from gateway.http.endpoint import status_of
from gateway.http.negotiation import JSON, RESPONSE_JSON
from tests.unit.gateway.http.asking import Asked, asked, refusal, token

BOTH = ["application/json", "application/graphql-response+json"]


@pytest.mark.parametrize("accept", BOTH)
async def test_a_query_is_answered_in_the_type_accepted(accept: str) -> None:
    async with asked() as gateway:
        response = await gateway.post("{ hello }", accept=accept)
    assert response.status_code == 200
    assert response.json() == {"data": {"hello": "hello mesh"}}
    assert response.headers["content-type"] == f"{accept}; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert len(response.headers["x-request-id"]) == 16


async def test_variables_and_operation_names_arrive() -> None:
    async with asked() as gateway:
        response = await gateway.post(
            "query A($n: String) { hello(name: $n) } query B { who }", variables={"n": "you"}, operationName="A", extensions={"x": 1}
        )
        assert response.json() == {"data": {"hello": "hello you"}}
        assert gateway.answerer.questions[0].extensions == {"x": 1}


@pytest.mark.parametrize(
    ("query", "new", "old"),
    [
        ("{ hello", 400, 200),
        ("{ nothing }", 400, 200),
        ("query A { hello } query B { hello }", 400, 200),
        ("query ($n: Int!) { hello }", 400, 200),
        ("{ fails hello }", 200, 200),
        ("{" + "a:hello " * 1000 + "}", 400, 200),
    ],
)
async def test_statuses_follow_the_media_type(query: str, new: int, old: int) -> None:
    async with asked() as gateway:
        assert (await gateway.post(query)).status_code == new
        assert (await gateway.post(query, accept="application/json")).status_code == old


async def test_draft_statuses_tell_partial_and_invalid_apart() -> None:
    async with asked({"MESHGATE_HTTP__DRAFT_STATUSES": "true"}) as gateway:
        assert (await gateway.post("{ fails hello }")).status_code == 294
        assert (await gateway.post("{ hello }")).status_code == 200
        assert (await gateway.post("{ nothing }")).status_code == 422
        assert (await gateway.post("{ hello")).status_code == 400
        assert (await gateway.post("{ nothing }", accept="application/json")).status_code == 200


@pytest.mark.parametrize(
    ("code", "new", "old"),
    [
        ("UNAUTHENTICATED", 401, 401),
        ("FORBIDDEN", 403, 403),
        ("METHOD_NOT_ALLOWED", 405, 405),
        ("RATE_LIMITED", 429, 429),
        ("INTERNAL", 500, 500),
        ("DEADLINE_EXCEEDED", 504, 504),
        ("LIMIT_EXCEEDED", 400, 200),
        ("MASKED_FIELD_IN_PREDICATE", 400, 200),
        ("PERSISTED_QUERY_NOT_FOUND", 400, 200),
    ],
)
def test_the_status_of_a_refusal_follows_its_code(code: str, new: int, old: int) -> None:
    reply = Reply(b"{}", has_data=False, refusal=CODES[code])
    assert status_of(reply, RESPONSE_JSON, draft=False) == new
    assert status_of(reply, JSON, draft=False) == old


def test_an_execution_without_data_is_no_success_in_the_new_type() -> None:
    reply = Reply(b"{}", has_data=False)
    assert status_of(reply, RESPONSE_JSON, draft=False) == 400
    assert status_of(reply, JSON, draft=False) == 200


async def test_get_asks_queries() -> None:
    async with asked() as gateway:
        parameters = {"query": "query A($n: String) { hello(name: $n) }", "variables": '{"n": "you"}', "operationName": "A"}
        response = await gateway.client.get("/graphql", params=parameters)
        assert response.json() == {"data": {"hello": "hello you"}}
        assert gateway.answerer.frames[0].queries_only


@pytest.mark.parametrize("accept", BOTH)
async def test_a_mutation_by_get_is_405_and_by_post_is_not(accept: str) -> None:
    async with asked() as gateway:
        response = await gateway.client.get("/graphql", params={"query": "mutation { touch }"}, headers={"accept": accept})
        assert response.status_code == 405
        assert response.headers["allow"] == "POST"
        assert response.json()["errors"][0]["extensions"]["code"] == "METHOD_NOT_ALLOWED"
        assert (await gateway.post("mutation { touch }")).json() == {"data": {"touch": 1}}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_other_methods_are_405(method: str) -> None:
    async with asked() as gateway:
        response = await gateway.client.request(method, "/graphql")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"
    assert refusal(response)["code"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/graphql", "x-application/json-y", "application/json; charset=latin-1"]
)
async def test_other_content_types_are_415(content_type: str | None) -> None:
    async with asked() as gateway:
        headers = {"content-type": content_type} if content_type is not None else {}
        response = await gateway.client.post("/graphql", content=b'{"query": "{ hello }"}', headers=headers)
    assert response.status_code == 415
    assert refusal(response)["code"] == "UNSUPPORTED_MEDIA_TYPE"


async def test_forms_that_a_browser_sends_without_asking_are_415() -> None:
    async with asked() as gateway:
        assert (await gateway.client.post("/graphql", data={"query": "{ hello }"})).status_code == 415
        assert (await gateway.client.post("/graphql", files={"query": b"{ hello }"})).status_code == 415


async def test_types_that_cannot_be_answered_are_406() -> None:
    async with asked() as gateway:
        response = await gateway.post("{ hello }", accept="image/png")
    assert response.status_code == 406
    assert refusal(response)["code"] == "NOT_ACCEPTABLE"
    assert response.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("accept", BOTH)
async def test_without_a_token_it_is_401_before_the_body_is_read(accept: str) -> None:
    async with asked() as gateway:
        del gateway.client.headers["authorization"]
        response = await gateway.raw(b"x" * 2_000_000, accept=accept)
        assert gateway.answerer.questions == []
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="meshgate"'
    assert refusal(response)["code"] == "UNAUTHENTICATED"


async def test_tokens_in_addresses_and_cookies_are_not_credentials() -> None:
    async with asked() as gateway:
        del gateway.client.headers["authorization"]
        gateway.client.cookies.set("authorization", f"Bearer {token()}")
        response = await gateway.client.get("/graphql", params={"query": "{ hello }", "access_token": token(), "authorization": token()})
    assert response.status_code == 401


async def test_two_authorization_headers_are_401() -> None:
    async with asked() as gateway:
        bearer = f"Bearer {token()}"
        headers = [("authorization", bearer), ("authorization", bearer), ("content-type", "application/json")]
        request = httpx.Request("POST", "http://gateway/graphql", content=b'{"query": "{ hello }"}', headers=headers)
        response = await gateway.client.send(request)
    assert response.status_code == 401
    assert refusal(response)["code"] == "UNAUTHENTICATED"


async def test_other_headers_given_twice_are_400() -> None:
    async with asked() as gateway:
        bearer = f"Bearer {token()}"
        headers = [("authorization", bearer), ("mesh-purpose", "reporting"), ("mesh-purpose", "x"), ("content-type", "application/json")]
        response = await gateway.client.send(httpx.Request("POST", "http://gateway/graphql", content=b"{}", headers=headers))
    assert response.status_code == 400
    assert "mesh-purpose" in response.text


async def test_lists_given_in_several_lines_are_joined() -> None:
    async with asked() as gateway:
        headers = [("accept", "image/png"), ("accept", "application/json"), ("content-type", "application/json")]
        headers += [("authorization", f"Bearer {token()}"), ("mesh-scope", "a/*"), ("mesh-scope", "b/*")]
        response = await gateway.client.send(
            httpx.Request("POST", "http://gateway/graphql", content=b'{"query": "{ hello }"}', headers=headers)
        )
        assert response.status_code == 200
        assert gateway.answerer.frames[0].scope == ("a/*", "b/*")


async def test_a_purpose_of_the_token_reaches_the_frame_and_another_is_403() -> None:
    async with asked() as gateway:
        await gateway.post("{ hello }", headers={"mesh-purpose": "reporting"})
        await gateway.post("{ hello }")
        assert [frame.caller.purpose for frame in gateway.answerer.frames] == ["reporting", None]
        response = await gateway.post("{ hello }", headers={"mesh-purpose": "marketing"})
    assert response.status_code == 403
    assert refusal(response)["code"] == "FORBIDDEN"


async def test_headers_reach_the_frame() -> None:
    async with asked() as gateway:
        headers = {"mesh-scope": "order/*, customer/customers", "mesh-denied": "null", "mesh-long": "string"}
        headers["traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        response = await gateway.post("{ hello }", headers=headers)
        await gateway.post("{ hello }")
        told, untold = gateway.answerer.frames
    assert told.scope == ("order/*", "customer/customers")
    assert told.denied_silently
    assert told.long_as_text
    assert told.upstream_headers == (("traceparent", f"00-0af7651916cd43dd8448eb211c80319c-{told.request_id}-01"),)
    assert response.headers["x-request-id"] == told.request_id
    assert (untold.scope, untold.denied_silently, untold.long_as_text, untold.queries_only) == ((), False, False, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [("mesh-scope", "../x y"), ("mesh-scope", "a/b/c"), ("mesh-denied", "yes"), ("mesh-long", "int"), ("mesh-scope", "a," * 200)],
)
async def test_headers_that_mean_nothing_are_400(name: str, value: str) -> None:
    async with asked() as gateway:
        response = await gateway.post("{ hello }", headers={name: value})
    assert response.status_code == 400
    assert refusal(response)["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize("accept", BOTH)
async def test_a_body_too_large_is_413_also_when_it_only_grows(accept: str) -> None:
    async with asked({"MESHGATE_HTTP__BODY_MAX_BYTES": "1000"}) as gateway:
        response = await gateway.raw(b"x" * 1001, accept=accept)
        assert response.status_code == 413
        assert refusal(response)["code"] == "LIMIT_EXCEEDED"
        assert response.headers["connection"] == "close"
        bomb = gzip.compress(b" " * 1_000_000)
        assert (await gateway.raw(bomb, accept=accept, headers={"content-encoding": "gzip"})).status_code == 413


async def test_a_compressed_body_is_read() -> None:
    async with asked() as gateway:
        response = await gateway.raw(gzip.compress(b'{"query": "{ hello }"}'), headers={"content-encoding": "gzip"})
    assert response.json() == {"data": {"hello": "hello mesh"}}


@pytest.mark.parametrize("accept", BOTH)
async def test_a_body_that_is_no_request_is_400(accept: str) -> None:
    async with asked() as gateway:
        response = await gateway.raw(b"[]", accept=accept)
    assert response.status_code == 400
    assert refusal(response)["code"] == "BAD_USER_INPUT"


async def test_a_persisted_query_gets_the_answer_that_makes_clients_stop_trying() -> None:
    async with asked() as gateway:
        body = b'{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "00"}}}'
        old = await gateway.raw(body, accept="application/json")
        assert (old.status_code, old.json()["errors"][0]["message"]) == (200, "PersistedQueryNotSupported")
        assert (await gateway.raw(body)).status_code == 400


@pytest.mark.parametrize("accept", BOTH)
async def test_what_breaks_inside_is_500_with_an_id_and_nothing_else(accept: str, caplog: pytest.LogCaptureFixture) -> None:
    async with asked() as gateway:
        response = await gateway.post("{ breaks }", accept=accept)
    assert response.status_code == 500
    extensions = refusal(response)
    assert extensions["code"] == "INTERNAL"
    assert extensions["requestId"] in response.json()["errors"][0]["message"]
    assert "customer@" not in response.text
    assert any(record.message == "request_failed" for record in caplog.records)


async def test_more_requests_than_allowed_are_503_and_the_others_go_on() -> None:
    async with asked({"MESHGATE_HTTP__CONCURRENT_MAX": "1"}) as gateway:
        slow = asyncio.create_task(gateway.post("{ slow }"))
        await gateway.answerer.began.wait()
        response = await gateway.post("{ hello }")
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert refusal(response)["code"] == "OVERLOADED"
        assert b"meshgate_requests_in_flight 1.0" in gateway.metrics.render()
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert (await gateway.post("{ hello }")).status_code == 200


async def test_requests_are_counted_by_code() -> None:
    async with asked() as gateway:
        await gateway.post("{ hello }")
        await gateway.post("{ fails }")
        await gateway.post("{ nothing }")
        await gateway.raw(b"x")
        metrics = gateway.metrics.render().decode()
    for code in ("OK", "PARTIAL", "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"):
        assert f'meshgate_requests_total{{code="{code}"}} 1.0' in metrics


async def test_problems_are_logged_without_values_and_successes_only_when_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "meshgate")
    async with asked() as gateway:
        await gateway.post("{ hello }")
        assert caplog.records == []
        await gateway.post('{ nothing(secret: "customer@example.com") }')
    (record,) = caplog.records
    fields: dict[str, Any] = record.__dict__["fields"]
    assert fields["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert fields["status"] == 400
    assert len(fields["caller"]) == 16
    assert "customer@" not in str(fields)
    assert "demo-analyst" not in str(fields)
    caplog.clear()
    async with asked({"MESHGATE_OBSERVE__LOG_REQUESTS": "all"}) as gateway:
        await gateway.post("{ hello }")
    assert caplog.records[0].__dict__["fields"]["products"] == ("test/hello",)


async def conversation(gateway: Asked, messages: list[Message], *, gone: asyncio.Event) -> list[Message]:
    """Talk ASGI: the messages, then a disconnect once ``gone`` is set."""
    sent: list[Message] = []

    async def receive() -> Message:
        if messages:
            return messages.pop(0)
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {token()}".encode()), (b"content-type", b"application/json")],
    }
    await gateway.application(scope, receive, send)
    return sent


async def test_a_client_that_leaves_while_sending_is_answered_nothing() -> None:
    async with asked() as gateway:
        gone = asyncio.Event()
        gone.set()
        assert await conversation(gateway, [{"type": "http.request", "body": b"{", "more_body": True}], gone=gone) == []
        assert b'meshgate_requests_total{code="CLIENT_GONE"} 1.0' in gateway.metrics.render()


async def test_a_client_that_leaves_while_waiting_ends_the_work() -> None:
    async with asked() as gateway:
        gone = asyncio.Event()
        body = json.dumps({"query": "{ slow }"}).encode()
        late: Message = {"type": "http.request", "body": b""}
        talking = asyncio.create_task(conversation(gateway, [{"type": "http.request", "body": body}, late], gone=gone))
        await gateway.answerer.began.wait()
        gone.set()
        assert await asyncio.wait_for(talking, 10) == []
        assert gateway.answerer.cancelled


async def test_an_answer_long_past_its_deadline_is_504() -> None:
    async with asked({"MESHGATE_TIMEOUTS__REQUEST_S": "0.01"}) as gateway:
        body = json.dumps({"query": "{ slow }"}).encode()
        start, end = await asyncio.wait_for(
            conversation(gateway, [{"type": "http.request", "body": body}], gone=asyncio.Event()), timeout=20
        )
        assert start["status"] == 504
        assert json.loads(end["body"])["errors"][0]["extensions"]["code"] == "DEADLINE_EXCEEDED"
        assert gateway.answerer.cancelled


async def test_a_shutdown_that_cancels_the_request_is_passed_on() -> None:
    async with asked() as gateway:
        body = json.dumps({"query": "{ slow }"}).encode()
        talking = asyncio.create_task(conversation(gateway, [{"type": "http.request", "body": body}], gone=asyncio.Event()))
        await gateway.answerer.began.wait()
        talking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await talking
