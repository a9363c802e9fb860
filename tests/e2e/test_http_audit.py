"""GraphQL over HTTP, as the public audit suite sees it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from gateway.app import build
from gateway.http.tokens import sign
from gateway.service import build as build_service
from gateway.settings import load
from tests.conftest import needs
from tests.unit.gateway.http.core_answerer import CoreAnswerer
from tests.unit.gateway.http.served import served

pytestmark = pytest.mark.e2e
KEY = "a key that only this test knows, long enough"
HERE = Path(__file__).parent / "audit"


def small() -> ASGIApp:
    return build(CoreAnswerer(), load(environment={"MESHGATE_AUTH__DEMO_KEY": KEY}))


def whole() -> ASGIApp:
    """The gateway itself over the demo's contracts; no endpoint is needed for what the audits ask."""
    contracts = Path(__file__).parents[2] / "contracts"
    places = {"MESHGATE_CATALOG_DIR": str(contracts / "catalog"), "MESHGATE_POLICY_FILE": str(contracts / "policies" / "mesh.yaml")}
    settings = load(environment={"MESHGATE_AUTH__DEMO_KEY": KEY, **places})
    service = build_service(settings)
    return build(service.answerer, settings, metrics=service.metrics, start=service.start, stop=service.aclose)


@pytest.mark.parametrize("application", [small, whole])
def test_every_audit_of_graphql_http_passes_without_a_warning(tmp_path: Path, application: Callable[[], ASGIApp]) -> None:
    node, npm = needs("node", what_for="the HTTP audit"), needs("npm", what_for="the HTTP audit")
    for name in ("package.json", "package-lock.json", "audit.mjs"):
        shutil.copy(HERE / name, tmp_path)
    subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=tmp_path, check=True, capture_output=True, timeout=300)
    token = sign(["analyst"], {}, purposes=[], domain=None, key=KEY, lifetime_s=600)
    with served(application()) as address:
        done = subprocess.run(
            [node, "audit.mjs", f"{address}/graphql", token], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=120
        )
    audits = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(audits) >= 60
    assert [audit for audit in audits if audit["status"] != "ok"] == []
