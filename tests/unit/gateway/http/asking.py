"""Asking the application without a network: ASGI called as a server calls it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.types import ASGIApp

from gateway.app import build
from gateway.http.tokens import sign
from gateway.observe.metrics import Metrics
from gateway.settings import load
from tests.unit.gateway.http.core_answerer import CoreAnswerer

KEY = "a shared key for tests only, of some length"
RESPONSE_JSON = "application/graphql-response+json"


def token(*roles: str, purposes: tuple[str, ...] = ("fraud-prevention", "reporting")) -> str:
    return sign(roles or ("analyst",), {}, purposes=purposes, domain=None, key=KEY, lifetime_s=600)


@dataclass
class Asked:
    """An application, its parts, and a client that holds a token."""

    application: ASGIApp
    answerer: CoreAnswerer
    metrics: Metrics
    client: httpx.AsyncClient

    async def post(self, query: str, *, accept: str = RESPONSE_JSON, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        return await self.raw(json.dumps({"query": query, **more}).encode(), accept=accept, headers=headers)

    async def raw(self, body: bytes, *, accept: str = RESPONSE_JSON, headers: dict[str, str] | None = None) -> httpx.Response:
        given = {"content-type": "application/json", "accept": accept, **(headers or {})}
        return await self.client.post("/graphql", content=body, headers=given)


@contextlib.asynccontextmanager
async def asked(environment: dict[str, str] | None = None, **options: Any) -> AsyncIterator[Asked]:
    """Build an application over `CoreAnswerer`; its lifespan does not run."""
    answerer, metrics = CoreAnswerer(), Metrics()
    settings = load(environment={"MESHGATE_AUTH__DEMO_KEY": KEY, **(environment or {})})
    application = build(answerer, settings, metrics=metrics, **options)
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {token()}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        yield Asked(application, answerer, metrics, client)


def refusal(response: httpx.Response) -> dict[str, Any]:
    """Check the shape that every refusal has and give its extensions."""
    found = response.json()
    assert set(found) == {"errors"}
    (entry,) = found["errors"]
    assert entry["message"]
    assert entry["extensions"]["hint"]
    assert entry["extensions"]["requestId"] == response.headers["x-request-id"]
    assert response.headers["x-content-type-options"] == "nosniff"
    extensions: dict[str, Any] = entry["extensions"]
    return extensions
