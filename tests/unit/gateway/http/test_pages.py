"""The small endpoints, GraphiQL, and the application around them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from importlib import resources
from typing import Any

import httpx
import pytest

from gateway.app import build
from gateway.http.graphiql import page
from gateway.settings import load
from tests.unit.gateway.http.asking import KEY, asked, refusal, token
from tests.unit.gateway.http.core_answerer import CoreAnswerer
from tests.unit.gateway.http.served import served
from tests.unit.gateway.http.test_callers import RSA, jwk

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


async def test_the_schema_of_the_callers_view_is_text() -> None:
    async with asked() as gateway:
        response = await gateway.client.get("/schema.graphql", headers={"mesh-scope": "order/*"})
        assert response.status_code == 200
        assert "type Query" in response.text
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert gateway.answerer.frames[0].scope == ("order/*",)


async def test_the_schema_can_be_scoped_by_its_address() -> None:
    async with asked() as gateway:
        await gateway.client.get("/schema.graphql", params={"products": "order/*,customer/customers"})
        assert gateway.answerer.frames[0].scope == ("order/*", "customer/customers")
        response = await gateway.client.get("/schema.graphql", params={"products": "too/large"})
        assert response.status_code == 400
        assert refusal(response)["code"] == "LIMIT_EXCEEDED"


async def test_the_schema_needs_a_token() -> None:
    async with asked() as gateway:
        response = await gateway.client.get("/schema.graphql", headers={"authorization": "Bearer x"})
    assert response.status_code == 401
    assert "www-authenticate" in response.headers
    assert refusal(response)["code"] == "UNAUTHENTICATED"


async def test_a_schema_that_breaks_is_500_with_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_frame: object) -> str:
        raise ZeroDivisionError("customer@example.com")

    async with asked() as gateway:
        monkeypatch.setattr(gateway.answerer, "sdl", broken)
        response = await gateway.client.get("/schema.graphql")
    assert response.status_code == 500
    assert refusal(response)["code"] == "INTERNAL"
    assert "customer@" not in response.text


async def test_health_needs_no_token() -> None:
    async with asked() as gateway:
        del gateway.client.headers["authorization"]
        assert (await gateway.client.get("/healthz")).json() == {"status": "ok"}


async def test_readiness_names_what_is_missing() -> None:
    missing = {"ports": "not asked yet"}
    async with asked(readiness=lambda: missing) as gateway:
        del gateway.client.headers["authorization"]
        response = await gateway.client.get("/readyz")
        assert response.status_code == 503
        assert response.json() == {"status": "not ready", "missing": {"ports": "not asked yet"}}
        missing.clear()
        assert (await gateway.client.get("/readyz")).json() == {"status": "ready"}


async def test_readiness_waits_for_the_identity_providers_keys() -> None:
    environment = {"MESHGATE_AUTH__JWKS_URL": "http://127.0.0.1:9/keys", "MESHGATE_AUTH__ISSUER": "x"}
    async with asked(environment) as gateway:
        assert "callers" in (await gateway.client.get("/readyz")).json()["missing"]


async def test_metrics_need_the_role_that_the_settings_name() -> None:
    async with asked() as gateway:
        response = await gateway.client.get("/metrics")
        assert response.status_code == 403
        assert refusal(response)["code"] == "FORBIDDEN"
        response = await gateway.client.get("/metrics", headers={"authorization": f"Bearer {token('operator')}"})
        assert response.status_code == 200
        assert "meshgate_requests_in_flight" in response.text


async def test_metrics_are_open_when_the_settings_say_so() -> None:
    async with asked({"MESHGATE_HTTP__METRICS_OPEN": "true"}) as gateway:
        del gateway.client.headers["authorization"]
        response = await gateway.client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "path", ["/", "/graphql/", "/registry", "/graphql/assets/none.js", "/graphql/assets/../settings", "/%00", "/schema.graphql/"]
)
async def test_all_other_addresses_are_404(path: str) -> None:
    async with asked() as gateway:
        response = await gateway.client.get(path)
    assert response.status_code == 404
    assert refusal(response)["code"] == "NOT_FOUND"


@pytest.mark.parametrize("path", ["/schema.graphql", "/healthz", "/metrics"])
async def test_the_small_endpoints_are_only_read(path: str) -> None:
    async with asked() as gateway:
        response = await gateway.client.post(path)
    assert response.status_code == 405
    assert "GET" in response.headers["allow"]
    assert refusal(response)["code"] == "METHOD_NOT_ALLOWED"


async def test_a_browser_gets_graphiql_without_a_token_and_without_other_addresses() -> None:
    async with asked() as gateway:
        del gateway.client.headers["authorization"]
        response = await gateway.client.get("/graphql", headers=BROWSER)
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", response.text)
        assert "isHeadersEditorEnabled: true" in response.text
        policy = response.headers["content-security-policy"]
        for part in ("default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert part in policy
        assert "unsafe-inline" not in policy.split("style-src")[0]
        assert "unsafe-eval" not in policy
        (script,) = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)
        assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
        for address in re.findall(r'(?:src|href)="(/[^"]+)"', response.text):
            for encoding in ("gzip", "identity"):
                asset = await gateway.client.get(address, headers={"accept-encoding": encoding})
                assert asset.status_code == 200
                assert hashlib.sha256(asset.content).hexdigest()[:20] in address
                assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
                assert asset.headers["x-content-type-options"] == "nosniff"
                assert asset.headers["content-type"].startswith(("text/javascript", "text/css"))
            assert (await gateway.client.head(address)).content == b""
            assert (await gateway.client.post(address)).status_code in {404, 405}


async def test_graphiql_can_be_turned_off() -> None:
    async with asked({"MESHGATE_HTTP__GRAPHIQL": "false"}) as gateway:
        response = await gateway.client.get("/graphql", headers={"accept": "text/html"})
        assert response.status_code == 406
        assert (await gateway.client.get(page().assets[0])).status_code == 404


def test_the_vendored_files_are_those_of_the_lock() -> None:
    vendor = resources.files("gateway.http") / "vendor"
    listed = json.loads((vendor / "assets.json").read_text())
    assert listed == {name: hashlib.sha256((vendor / name).read_bytes()).hexdigest() for name in listed}
    assert {path.name for path in vendor.iterdir() if path.name.endswith((".js", ".css"))} == set(listed)
    lock = json.loads((vendor / "package-lock.json").read_text())
    wanted = json.loads((vendor / "package.json").read_text())["dependencies"]
    for name, version in wanted.items():
        entry = lock["packages"][f"node_modules/{name}"]
        assert entry["version"] == version
        assert entry["integrity"].startswith("sha512-")
        assert f"{name} {version}" in (vendor / "LICENSES.txt").read_text()


async def test_no_origin_may_call_by_default() -> None:
    async with asked() as gateway:
        response = await gateway.post("{ hello }", headers={"origin": "https://evil.example"})
        assert not [name for name in response.headers if name.startswith("access-control")]
        preflight = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        assert (await gateway.client.options("/graphql", headers=preflight)).status_code == 405


async def test_listed_origins_may_call_without_cookies() -> None:
    async with asked({"MESHGATE_HTTP__CORS_ORIGINS": "https://bi.example"}) as gateway:
        preflight = {"access-control-request-method": "POST", "access-control-request-headers": "authorization, mesh-purpose"}
        allowed = await gateway.client.options("/graphql", headers={"origin": "https://bi.example", **preflight})
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://bi.example"
        assert "access-control-allow-credentials" not in allowed.headers
        other = await gateway.client.options("/graphql", headers={"origin": "https://evil.example", **preflight})
        assert other.status_code == 400
        response = await gateway.post("{ hello }", headers={"origin": "https://bi.example"})
        assert response.headers["access-control-allow-origin"] == "https://bi.example"


def test_start_and_stop_surround_the_requests_and_keys_are_fetched_before() -> None:
    done: list[str] = []

    async def start() -> None:
        done.append("start")

    async def stop() -> None:
        done.append("stop")

    async def provider(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        done.append("keys")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps({"keys": [jwk(RSA, "k")]}).encode()})

    with served(provider) as address:
        environment = {"MESHGATE_AUTH__JWKS_URL": f"{address}/keys", "MESHGATE_AUTH__ISSUER": "x", "MESHGATE_AUTH__DEMO_KEY": KEY}
        with served(build(CoreAnswerer(), load(environment=environment), start=start, stop=stop)) as gateway:
            assert httpx.get(f"{gateway}/readyz").json() == {"status": "ready"}
            assert done == ["keys", "start"]
    assert done == ["keys", "start", "stop"]


async def lifespan(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def test_the_clock_of_the_loop_gives_the_deadline() -> None:
    async with asked({"MESHGATE_TIMEOUTS__REQUEST_S": "7"}) as gateway:
        before_s = asyncio.get_running_loop().time()
        await gateway.post("{ hello }")
        assert before_s + 7 <= gateway.answerer.frames[0].deadline_s <= asyncio.get_running_loop().time() + 7
