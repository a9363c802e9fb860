"""Everything else that is served: the caller's schema as SDL, health, readiness, metrics; and refusals for all other addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import GatewayError
from gateway.exchange import Answerer
from gateway.http.callers import Callers
from gateway.http.heads import caller_of, frame_of, pick
from gateway.http.refusals import RefusalError, body_of, status_of
from gateway.observe import logs, traces
from gateway.observe.metrics import CONTENT_TYPE, Metrics
from gateway.settings import Settings

__all__ = ["Pages", "refused"]

_NOSNIFF = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_BY_STATUS = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}


class Pages:
    """The small endpoints. ``readiness``: what is missing, by part of the gateway; it is open, so it must not name products."""

    def __init__(
        self,
        answerer: Answerer,
        callers: Callers,
        settings: Settings,
        *,
        metrics: Metrics,
        readiness: Callable[[], Mapping[str, str]],
    ) -> None:
        self._answerer = answerer
        self._callers = callers
        self._settings = settings
        self._metrics = metrics
        self._readiness = readiness

    async def schema(self, request: Request) -> Response:
        """Print the schema of the caller's view; ``?products=order/*`` or Mesh-Scope bound it."""
        head = pick(request.scope["headers"])
        trace = traces.begin(head.get(b"traceparent"), head.get(b"tracestate"))
        request.state.request_id = trace.request_id
        code, status = "INTERNAL", 500
        try:
            caller = await caller_of(head, self._callers)
            if products := request.query_params.get("products"):
                head[b"mesh-scope"] = products.encode("utf-8", "surrogatepass")  # what is no name is refused below, not made a wildcard
            deadline_s = asyncio.get_running_loop().time() + self._settings.timeouts.request_s
            frame = frame_of(head, caller, trace, deadline_s=deadline_s, queries_only=True)
            # A schema of many products takes its time: not the loop's.
            text = await asyncio.to_thread(self._answerer.sdl, frame)
            code, status = "OK", 200
        except GatewayError as error:
            code, status = error.code.name, status_of(error)
            raise
        finally:
            trace.end(code, status)
        return Response(text, media_type="text/plain", headers=_NOSNIFF)

    async def health(self, _request: Request) -> Response:
        """Answer that the process lives."""
        return _json({"status": "ok"})

    async def ready(self, _request: Request) -> Response:
        """Answer whether requests are served, and what is missing if not."""
        missing = dict(self._readiness())
        if (unready := self._callers.unready()) is not None:
            missing["callers"] = unready
        if missing:
            return _json({"status": "not ready", "missing": missing}, status=503)
        return _json({"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        """Write the metrics, for everybody or for the role that the settings name: they hold names of hidden products."""
        if not self._settings.http.metrics_open:
            caller = await caller_of(pick(request.scope["headers"]), self._callers)
            if self._settings.http.metrics_role not in caller.roles:
                raise RefusalError("FORBIDDEN", "The metrics are not open to this token.", hint="Use a token of those who run the gateway.")
        text = await asyncio.to_thread(self._metrics.rendering())
        return Response(text, media_type=CONTENT_TYPE, headers=_NOSNIFF)


async def refused(request: Request, error: Exception) -> Response:
    """Answer an exception of any endpoint as a GraphQL-shaped refusal."""
    request_id = getattr(request.state, "request_id", None) or traces.new_id()
    headers = dict(_NOSNIFF)
    if isinstance(error, HTTPException):
        code = _BY_STATUS.get(error.status_code, "BAD_USER_INPUT")
        headers.update(error.headers or {})
        refusal: GatewayError = RefusalError(
            code,
            "There is nothing at this address." if error.status_code == 404 else "The address does not know this method.",
            status=error.status_code,
            hint="GraphQL is at /graphql, its schema at /schema.graphql." if error.status_code == 404 else None,
        )
    elif isinstance(error, GatewayError):
        refusal = error
    else:
        logs.fault("request_failed", error, request_id=request_id)
        refusal = GatewayError("INTERNAL", f"Something went wrong; quote {request_id}.")
    if isinstance(refusal, RefusalError):
        headers.update({name.decode(): value.decode() for name, value in refusal.headers})
    headers["x-request-id"] = request_id
    return Response(body_of(refusal, request_id), status_of(refusal), headers=headers, media_type="application/json")


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, headers=_NOSNIFF, media_type="application/json")
