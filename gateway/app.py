"""The application: an `Answerer` and settings in, an ASGI application out.

``/graphql`` is asked far more often than all else, so it is found before any routing is done.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import GatewayError
from gateway.exchange import Answerer
from gateway.http.callers import Callers
from gateway.http.endpoint import GraphQLEndpoint
from gateway.http.graphiql import Page, page
from gateway.http.keys import JwksKeys
from gateway.http.pages import Pages, refused
from gateway.observe import logs
from gateway.observe.logs import Pseudonym
from gateway.observe.metrics import Metrics
from gateway.settings import Settings
from gateway.settings_sections import AuthSettings

__all__ = ["build"]

_HEADERS = ["authorization", "content-type", "mesh-denied", "mesh-long", "mesh-purpose", "mesh-scope", "traceparent", "tracestate"]
_EXPOSED = ["mesh-denied", "mesh-first", "mesh-masked", "mesh-slo-status", "mesh-slo-unmet", "retry-after", "x-request-id"]


async def _nothing() -> None:
    """Do nothing."""


def build(
    answerer: Answerer,
    settings: Settings,
    *,
    metrics: Metrics | None = None,
    readiness: Callable[[], Mapping[str, str]] = dict,
    start: Callable[[], Awaitable[None]] = _nothing,
    stop: Callable[[], Awaitable[None]] = _nothing,
    anonymous_role: str | None = None,
    routes: tuple[Route, ...] = (),
) -> ASGIApp:
    """Build the application.

    ``start`` and ``stop`` are awaited as the server starts and ends, with the identity provider's keys between them and the
    requests. ``readiness``: what is missing, by part of the gateway. ``routes``: further endpoints, such as the registry.
    """
    metrics = metrics if metrics is not None else Metrics(products_max=settings.observe.products_max)
    client = httpx.AsyncClient(trust_env=False, timeout=settings.timeouts.connect_s) if settings.auth.jwks_url else None
    keys = _keys(settings.auth, client) if client is not None else None
    callers = Callers(settings.auth, keys=keys, anonymous_role=anonymous_role)
    metrics.gauge("tokens_remembered", "Verified tokens remembered.", lambda: callers.remembered_count)
    if keys is not None:
        metrics.gauge("jwks_age_seconds", "Age of the identity provider's keys.", lambda: keys.age_s or 0.0)
    shown = page() if settings.http.graphiql else None
    graphql = GraphQLEndpoint(answerer, callers, settings, metrics=metrics, pseudonym=Pseudonym(settings.key("log")), page=shown)
    pages = Pages(answerer, callers, settings, metrics=metrics, readiness=readiness)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as open_:
            open_.push_async_callback(stop)
            if client is not None and keys is not None:
                await open_.enter_async_context(client)
                open_.push_async_callback(keys.aclose)
                await keys.start()
            try:
                await start()
            except Exception as error:
                # The server writes the message of what it gets; ours may quote a value.
                logs.fault("start_failed", error)
                raise RuntimeError("the gateway could not start; see start_failed") from None
            yield

    rest = Starlette(
        routes=[
            Route("/schema.graphql", pages.schema, methods=["GET"]),
            Route("/healthz", pages.health, methods=["GET"]),
            Route("/readyz", pages.ready, methods=["GET"]),
            Route("/metrics", pages.metrics, methods=["GET"]),
            *routes,
        ],
        exception_handlers={HTTPException: refused, GatewayError: refused, Exception: refused},
        lifespan=lifespan,
    )
    rest.router.redirect_slashes = False
    front = _Front(graphql, rest, shown)
    origins = list(settings.http.cors_origins)
    if not origins:
        return front
    return CORSMiddleware(front, allow_origins=origins, allow_methods=["GET", "POST"], allow_headers=_HEADERS, expose_headers=_EXPOSED)


class _Front:
    def __init__(self, graphql: ASGIApp, rest: ASGIApp, shown: Page | None) -> None:
        self._graphql = graphql
        self._rest = rest
        self._page = shown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if scope["path"] == "/graphql":
                await self._graphql(scope, receive, send)
                return
            if self._page is not None and self._page.holds(scope["path"]) and scope["method"] in {"GET", "HEAD"}:
                await self._page.asset(scope, receive, send)
                return
        await self._rest(scope, receive, send)


def _keys(auth: AuthSettings, client: httpx.AsyncClient) -> JwksKeys:
    return JwksKeys(
        auth.jwks_url or "",
        client,
        refresh_s=auth.jwks_refresh_s,
        cooldown_s=auth.jwks_cooldown_s,
        stale_max_s=auth.jwks_stale_max_s,
    )
