"""A whole gateway in this process, HTTP included, over contracts and endpoints that a test supplies."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from gateway import app
from gateway.http.tokens import sign
from gateway.service import Service, build
from gateway.settings import load

DEMO_KEY = "a key for tests that is long enough to be one"
POLICY = """
apiVersion: datamesh/v1
kind: MeshPolicy
spec:
  roles: [analyst, investigator, outsider]
  tags:
    pii:
      rules:
        - {type: string, name: "*email*", mask: email}
        - {type: string, mask: redact}
"""


@dataclass
class Mesh:
    """The gateway's front door."""

    client: httpx.AsyncClient
    service: Service

    async def ask(self, query: str, *, roles: tuple[str, ...] = ("analyst",), headers: Mapping[str, str] | None = None, **more: Any) -> Any:
        answer = await self.post(query, roles=roles, headers=headers, **more)
        return answer.json()

    async def post(
        self, query: str, *, roles: tuple[str, ...] = ("analyst",), headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        return await self.client.post("/graphql", json={"query": query, **more}, headers={**bearer(*roles), **(headers or {})})


def bearer(*roles: str, **claims: Any) -> dict[str, str]:
    token = sign(roles, claims, purposes=(), domain=None, key=DEMO_KEY, lifetime_s=600, now_s=time.time())
    return {"authorization": f"Bearer {token}"}


@asynccontextmanager
async def mesh(
    folder: Path, contracts: Mapping[str, str], endpoints: Mapping[str, str], *, policy: str = POLICY, **settings: str
) -> AsyncIterator[Mesh]:
    """Run a gateway. ``contracts``: file name -> text; ``endpoints``: product -> URL; ``settings``: MESHGATE_ variables without prefix."""
    for name, text in contracts.items():
        path = folder / "catalog" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "catalog").mkdir(exist_ok=True)
    (folder / "policy.yaml").write_text(policy)
    environment = {
        "MESHGATE_CATALOG_DIR": str(folder / "catalog"),
        "MESHGATE_POLICY_FILE": str(folder / "policy.yaml"),
        "MESHGATE_AUTH__DEMO_KEY": DEMO_KEY,
        **{f"MESHGATE_PRODUCTS__{product}__ENDPOINT": url for product, url in endpoints.items()},
        **{f"MESHGATE_{name}": value for name, value in settings.items()},
    }
    service = build(load(None, environment))
    application = app.build(service.answerer, service.settings, metrics=service.metrics, readiness=service.readiness)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://gateway", timeout=30) as client:
        try:
            yield Mesh(client, service)
        finally:
            await service.aclose()
