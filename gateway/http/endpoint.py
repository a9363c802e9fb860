"""The GraphQL endpoint: one HTTP request in, one answer out. Plain ASGI, as every request passes here.

The stages in order: head, negotiation, caller, body, question, answer, status. Each may refuse; a refusal is a GraphQL-shaped
body with code, hint and request id. Source: GraphQL over HTTP, as SPEC C6 narrows it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable
from typing import Any, Final

from starlette.types import Message, Receive, Scope, Send

from gateway.caller import Caller
from gateway.collector import collector
from gateway.errors import GatewayError
from gateway.exchange import Answerer, Question, Reply, Stream
from gateway.http import body as bodies
from gateway.http import parameters
from gateway.http.callers import Callers
from gateway.http.forms import Streams, asked_media
from gateway.http.graphiql import Page
from gateway.http.heads import Head, caller_of, frame_of, pick
from gateway.http.negotiation import HTML, JSON, RESPONSE_JSON, Media, is_json, negotiate
from gateway.http.refusals import RefusalError, body_of
from gateway.http.watch import Watches
from gateway.observe import logs, traces
from gateway.observe.metrics import Metrics
from gateway.settings import Settings

__all__ = ["GraphQLEndpoint", "status_of"]

Header = tuple[bytes, bytes]

_ALLOW: Final = (b"allow", b"GET, POST")
_ALWAYS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_EVERYWHERE: Final = frozenset({401, 403, 405, 408, 413, 415, 429})
"""Statuses that do not depend on the media type, together with all of 500 and above."""
_DRAFT_422: Final = frozenset({"GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT", "MASKED_FIELD_IN_PREDICATE"})


class GraphQLEndpoint:
    """``/graphql`` as an ASGI application."""

    def __init__(
        self,
        answerer: Answerer,
        callers: Callers,
        settings: Settings,
        *,
        metrics: Metrics,
        pseudonym: logs.Pseudonym,
        page: Page | None = None,
    ) -> None:
        self._answerer = answerer
        self._callers = callers
        self._settings = settings.http
        self._timeouts = settings.timeouts
        self._watches = Watches()
        self._streams = Streams(settings.http.streams_max, settings.timeouts.stall_s, self._watches)
        self._log_all = settings.observe.log_requests == "all"
        self._slow_s = settings.observe.slow_s
        self._metrics = metrics
        self._pseudonym = pseudonym
        self._page = page
        self._in_flight = 0
        metrics.in_flight(lambda: self._in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started_s = time.perf_counter()
        head = pick(scope["headers"])
        trace = traces.begin(head.get(b"traceparent"), head.get(b"tracestate"))
        media = negotiate(head.get(b"accept"), html=self._page is not None and scope["method"] == "GET")
        code, status = "CLIENT_GONE", 499
        reply: Reply | Stream | None = None
        caller: Caller | None = None
        self._in_flight += 1
        try:
            if media is HTML and self._page is not None:
                code, status = "OK", 200
                await self._page.send(send)
                return
            if scope["query_string"]:
                media = asked_media(scope["query_string"]) or media
            if self._in_flight > self._settings.concurrent_max:
                raise RefusalError("OVERLOADED", "The gateway is answering as many requests as it may.", headers=((b"retry-after", b"1"),))
            if media is None:
                raise RefusalError("NOT_ACCEPTABLE", "None of the media types in Accept can be answered.")
            _check_form(scope["method"], head)
            # Before the body: who may not ask sends nothing that is kept.
            caller = await caller_of(head, self._callers)
            if media.form is not None:
                form, media = media, RESPONSE_JSON  # what refusals leave as
                reply, failure = await self._form(scope, receive, send, form, head, caller, trace)
                if isinstance(reply, Stream):
                    code, status = "OK" if failure is None else failure.code.name, 200
                    return
            else:
                reply = await self._reply(scope, receive, head, caller, trace)
            code = reply.refusal.name if reply.refusal is not None else "PARTIAL" if reply.has_errors else "OK"
            status = status_of(reply, media, draft=self._settings.draft_statuses)
            await self._sent(send, status, media, reply, trace.request_id)
        except GatewayError as refusal:
            code = refusal.code.name
            status = _refusal_status(refusal, media)
            headers = list(refusal.headers) if isinstance(refusal, RefusalError) else []
            if status == 405:
                headers.append(_ALLOW)
            await _refuse(send, refusal, status, media=media, request_id=trace.request_id, headers=headers)
        except bodies.ClientGoneError:
            code, status = "CLIENT_GONE", 499
        except Exception as error:
            code, status = "INTERNAL", 500
            logs.fault("request_failed", error, request_id=trace.request_id)
            internal = GatewayError("INTERNAL", f"Something went wrong; quote {trace.request_id}.")
            await _refuse(send, internal, status, media=media, request_id=trace.request_id)
        finally:
            self._note(code, status, time.perf_counter() - started_s, trace, caller=caller, reply=reply)
            self._leave()

    def _leave(self) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            collector.rest()

    async def _reply(self, scope: Scope, receive: Receive, head: Head, caller: Caller, trace: traces.RequestTrace) -> Reply:
        question = await self._question(scope, receive, head)
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._timeouts.request_s
        frame = frame_of(head, caller, trace, deadline_s=deadline_s, queries_only=scope["method"] == "GET")
        return await self._watches.over(self._answerer.answer(question, frame), receive, loop, deadline_s)

    async def _form(
        self, scope: Scope, receive: Receive, send: Send, media: Media, head: Head, caller: Caller, trace: traces.RequestTrace
    ) -> tuple[Reply | Stream, GatewayError | None]:
        assert media.form is not None
        with self._streams.place():
            question = await self._question(scope, receive, head)
            deadline_s = asyncio.get_running_loop().time() + self._timeouts.stream_s
            frame = frame_of(head, caller, trace, deadline_s=deadline_s, queries_only=scope["method"] == "GET")
            asking = self._answerer.stream(question, frame, media.form)
            headers = [(b"x-request-id", trace.request_id.encode()), *_ALWAYS]
            return await self._streams.answer(asking, receive, send, media=media, headers=headers, deadline_s=deadline_s)

    def _sent(self, send: Send, status: int, media: Media, reply: Reply, request_id: str) -> Coroutine[Any, Any, None]:
        headers = _reply_headers(reply, status)
        if reply.rest:
            return _send_pieces(send, status, media, reply, request_id=request_id, headers=headers, stall_s=self._timeouts.stall_s)
        return _send(send, status, media, body=reply.body, request_id=request_id, headers=headers)

    async def _question(self, scope: Scope, receive: Receive, head: Head) -> Question:
        if scope["method"] == "GET":
            return parameters.from_query_string(scope["query_string"])
        return parameters.from_body(await bodies.read(receive, head, self._settings.body_max_bytes, self._timeouts.body_s))

    def _note(
        self, code: str, status: int, duration_s: float, trace: traces.RequestTrace, *, caller: Caller | None, reply: Reply | Stream | None
    ) -> None:
        trace.end(code, status)
        self._metrics.request(code, duration_s)
        if code == "OK" and duration_s < self._slow_s and not self._log_all:
            return
        logs.event(
            "request",
            level=logging.WARNING if status >= 500 else logging.INFO,
            request_id=trace.request_id,
            trace_id=trace.trace_id,
            code=code,
            status=status,
            duration_ms=round(duration_s * 1000, 2),
            products=reply.products if reply is not None else (),
            caller=self._pseudonym(caller.subject) if caller is not None else None,
        )


def _check_form(method: str, head: Head) -> None:
    if method not in {"GET", "POST"}:
        raise RefusalError("METHOD_NOT_ALLOWED", "GraphQL is asked with GET or POST.")
    if method == "POST" and not is_json(head.get(b"content-type", b"")):
        raise RefusalError("UNSUPPORTED_MEDIA_TYPE", "The Content-Type must be application/json, in UTF-8.")


def status_of(reply: Reply, media: Media, *, draft: bool) -> int:
    """Choose the HTTP status of an answer (SPEC C6). ``draft``: 294 and 422, for the new media type only."""
    if reply.has_data:
        return 294 if draft and reply.has_errors and media is RESPONSE_JSON else 200
    status = reply.refusal.status if reply.refusal is not None else 400
    if status in _EVERYWHERE or status >= 500:
        return status
    if media is JSON:
        return 200
    if draft and reply.refusal is not None and reply.refusal.name in _DRAFT_422:
        return 422
    return max(status, 400)


def _refusal_status(refusal: GatewayError, media: Media | None) -> int:
    status = refusal.status if isinstance(refusal, RefusalError) else refusal.code.status
    if status < 400:
        # An answer by convention (persisted queries), which the new media type does not know.
        return 200 if media is JSON else 400
    return status


def _reply_headers(reply: Reply, status: int) -> list[Header]:
    headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers] if reply.headers else []
    if status == 405:
        headers.append((b"allow", b"POST"))
    return headers


async def _refuse(
    send: Send, refusal: GatewayError, status: int, *, media: Media | None, request_id: str, headers: Iterable[Header] = ()
) -> None:
    await _send(send, status, media or JSON, body=body_of(refusal, request_id), request_id=request_id, headers=headers)


async def _send(send: Send, status: int, media: Media, *, body: bytes, request_id: str, headers: Iterable[Header] = ()) -> None:
    await send(_start(status, media, len(body), request_id, headers))
    await send({"type": "http.response.body", "body": body})


async def _send_pieces(
    send: Send, status: int, media: Media, reply: Reply, *, request_id: str, headers: Iterable[Header], stall_s: float
) -> None:
    """Send a long answer as fast as the client takes it. Raises: ClientGoneError."""
    await send(_start(status, media, sum(map(len, reply.pieces)), request_id, headers))
    try:
        for place, piece in enumerate(reply.pieces):
            async with asyncio.timeout(stall_s):
                await send({"type": "http.response.body", "body": piece, "more_body": place < len(reply.rest)})
    except TimeoutError:
        raise bodies.ClientGoneError from None


def _start(status: int, media: Media, size: int, request_id: str, headers: Iterable[Header]) -> Message:
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", media.content_type),
            (b"content-length", str(size).encode()),
            (b"x-request-id", request_id.encode()),
            *_ALWAYS,
            *headers,
        ],
    }
