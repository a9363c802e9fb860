"""Settings: environment and TOML in, one frozen value out; nothing else in the gateway reads the environment.

Environment variables are ``MESHGATE_`` and the path, joined by two underscores: ``MESHGATE_HTTP__PORT=8001``. The TOML file is
named by ``MESHGATE_CONFIG`` or ``--config``; what the environment says wins. An unknown key is refused with the nearest name.
Touches: environment, one file. May reject with `SettingsError`, which names every problem and never quotes a secret.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationError

from gateway.settings_sections import (
    AlertSettings,
    AuthSettings,
    CacheSettings,
    CostSettings,
    HttpSettings,
    Limits,
    ObserveSettings,
    PortSettings,
    ProductSettings,
    SloSettings,
    StoreSettings,
    TimeoutSettings,
    UpstreamSettings,
)
from gateway.settings_source import SettingsError, merged_trees, read_file, tree_of
from gateway.settings_values import Secret, Section

__all__ = ["DEMO_KEY", "Settings", "load"]

DEMO_KEY = "meshgate-demo-key-published-and-good-for-loopback-only"
"""The key of the demo on one's own machine. Everybody knows it, so it is refused on any other address."""

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Settings(Section):
    """All settings of a gateway process."""

    catalog_dir: Path = Field(Path("contracts/catalog"), description="Folder of contracts, `<domain>/*.yaml`.")
    policy_file: Path = Field(Path("contracts/policies/mesh.yaml"), description="The mesh-wide policy.")
    names: Literal["camel", "contract"] = Field("camel", description="Field names in GraphQL: camelCase, or spelled as in the contract.")
    secret: Secret = Field(
        default_factory=lambda: SecretStr(secrets.token_hex(32)),
        description="Secret from which the keys of cursors, pseudonyms and logs derive. Random per process unless set; replicas need one.",
    )
    products: dict[str, ProductSettings] = Field({}, description='Endpoints by product: `[products."order/orders-daily"]`.')
    auth: AuthSettings = Field(AuthSettings(), description="Who is believed.")
    http: HttpSettings = Field(HttpSettings(), description="The listener and GraphQL over HTTP.")
    limits: Limits = Field(Limits(), description="Bounds on one operation.")
    timeouts: TimeoutSettings = Field(TimeoutSettings(), description="How long things may take.")
    upstream: UpstreamSettings = Field(UpstreamSettings(), description="The domains' endpoints.")
    slo: SloSettings = Field(SloSettings(), description="How products are measured.")
    alerts: AlertSettings = Field(AlertSettings(), description="Who is told of changes of state.")
    cost: CostSettings = Field(CostSettings(), description="What one operation may cost.")
    store: StoreSettings = Field(StoreSettings(), description="The shared store.")
    cache: CacheSettings = Field(CacheSettings(), description="How much is kept.")
    observe: ObserveSettings = Field(ObserveSettings(), description="Logs, traces, metrics.")

    def key(self, purpose: str, *, length: int = 32) -> bytes:
        """Derive the key for one purpose from ``secret``; different purposes give independent keys. Units: ``length`` bytes, <= 64."""
        material = self.secret.get_secret_value().encode()
        return hashlib.blake2b(purpose.encode(), key=hashlib.blake2b(material).digest(), digest_size=length).digest()


def load(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the TOML file, if any, and the environment, which wins.

    Relative paths in the file count from its folder, those in the environment from where the process was started.
    Raises: `SettingsError` with every problem.
    """
    found = dict(os.environ if environment is None else environment)
    if path is None and found.get("MESHGATE_CONFIG"):
        path = Path(found["MESHGATE_CONFIG"])
    from_file = read_file(path) if path is not None else {}
    merged = merged_trees(from_file, tree_of(found))
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise SettingsError([_problem(entry) for entry in error.errors(include_url=False, include_input=False)]) from None
    _check(settings)
    return settings


def _problem(entry: Any) -> str:
    path = [str(part) for part in entry["loc"]]
    name = ".".join(path)
    if entry["type"] != "extra_forbidden":
        return f"{name}: {entry['msg'].removeprefix('Value error, ')}"
    near = difflib.get_close_matches(path[-1], list(_fields_at(path[:-1])), n=1)
    return f"{name}: there is no such setting" + (f"; did you mean {'.'.join([*path[:-1], near[0]])}?" if near else "")


def _fields_at(path: list[str]) -> Iterator[str]:
    if path[:1] == ["products"]:
        return iter((PortSettings if path[2:3] == ["ports"] else ProductSettings).model_fields)
    section: type[BaseModel] = Settings
    for part in path:
        annotation = section.model_fields[part].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            section = annotation
    return iter(section.model_fields)


def _check(settings: Settings) -> None:
    problems = []
    if settings.auth.jwks_url and not settings.auth.issuer:
        problems.append("auth.issuer: must be set together with auth.jwks_url")
    if settings.auth.demo_key is not None and settings.auth.demo_key.get_secret_value() == DEMO_KEY and settings.http.host not in _LOOPBACK:
        problems.append("auth.demo_key: the published demo key is good for loopback only; choose another, or http.host 127.0.0.1")
    if settings.limits.rows_default > settings.limits.rows_max:
        problems.append("limits.rows_default: must not be larger than limits.rows_max")
    if settings.limits.rows_max > settings.limits.stream_rows_max:
        problems.append("limits.rows_max: must not be larger than limits.stream_rows_max")
    upstream = settings.upstream
    if upstream.process_max_bytes < (least := upstream.request_max_bytes + upstream.page_max_bytes):
        problems.append(f"upstream.process_max_bytes: must be at least request_max_bytes and page_max_bytes together, {least}")
    if settings.alerts.webhook_url is not None and settings.alerts.webhook_secret is None:
        problems.append("alerts.webhook_secret: must be set together with alerts.webhook_url")
    if problems:
        raise SettingsError(problems)
