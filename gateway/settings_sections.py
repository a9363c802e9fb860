"""The groups of settings, each with its defaults and what it means; the settings page is made from them. Nothing here reads or decides."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from gateway.settings_values import HttpUrl, Level, Names, Positive, Reference, Seconds, Secret, Section, Weight

__all__ = [
    "AlertSettings",
    "AuthSettings",
    "CacheSettings",
    "CostSettings",
    "HttpSettings",
    "Limits",
    "ObserveSettings",
    "PortSettings",
    "ProductSettings",
    "SloSettings",
    "StoreSettings",
    "TimeoutSettings",
    "UpstreamSettings",
]


class PortSettings(Section):
    """What differs for one output port of a product: a copy of the data elsewhere, a port that is dearer to read."""

    endpoint: HttpUrl | None = Field(None, description="Base address of this port, where it is not the product's.")
    level: Level | None = Field(None, description="Level of the wire protocol there.")
    auth: str | None = Field(
        None, description="Reference to the credentials sent there; those of the product go to the product's endpoint only."
    )
    weight: Weight | None = Field(None, description="What a cell costs there, in estimates; see `cost.weights`.")


class ProductSettings(Section):
    """Where one product is reached."""

    endpoint: HttpUrl = Field(description="Base address of the domain's endpoint; a port's `path` is appended.")
    level: Level | None = Field(None, description="Level of the wire protocol; asked from `/capabilities` when not set.")
    auth: str | None = Field(
        None, description="Reference to the credentials sent to the endpoint (`env:NAME` or `file:PATH`), never the credentials."
    )
    rows: Positive | None = Field(
        None, description="How many rows it has, for estimates; never measured, as costs must tell nothing of hidden rows."
    )
    ports: dict[str, PortSettings] = Field(
        {}, description='What differs for single ports, by their name (else type) in the contract: `[products."domain/name".ports.NAME]`.'
    )


class AuthSettings(Section):
    """Who is believed."""

    demo_key: Secret | None = Field(None, description="Shared key of demo tokens (HS256). Never set it where real data is served.")
    jwks_url: HttpUrl | None = Field(None, description="Where the identity provider publishes its keys (RS256, ES256, EdDSA).")
    issuer: str | None = Field(None, description="Required `iss` of tokens verified by JWKS; must be set with `jwks_url`.")
    audience: str = Field("meshgate", description="Required `aud`.")
    leeway_s: float = Field(30.0, ge=0, le=300, description="Tolerated difference of clocks for `exp`, `nbf` and `iat`.")
    token_max_bytes: Positive = Field(8192, description="Longer tokens are refused unread.")
    remembered_max: Positive = Field(10_000, description="Verified tokens remembered until they expire.")
    jwks_refresh_s: Seconds = Field(300.0, description="How often the keys are fetched again in the background.")
    jwks_cooldown_s: Seconds = Field(10.0, description="Pause between fetches caused by unknown key ids.")
    jwks_stale_max_s: Seconds = Field(86_400.0, description="How long the last good keys are believed while fetching fails.")
    roles_claim: str = Field("roles", description="Path of the claim with the roles, e.g. `realm_access.roles`.")
    purposes_claim: str = Field("purposes", description="Path of the claim with the purposes the caller may state.")
    domain_claim: str = Field("domain", description="Path of the claim with a domain team's domain.")
    client_claim: str = Field("client_id", description="Path of the claim with the client application.")


class HttpSettings(Section):
    """The listener and GraphQL over HTTP."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
    body_max_bytes: Positive = Field(1_048_576, description="Largest request body, also after decompression.")
    header_max_bytes: Positive = Field(32_768, description="Largest request head; more closes the connection.")
    concurrent_max: Positive = Field(1_000, description="Requests answered at the same time; more get 503 `OVERLOADED`.")
    streams_max: Positive = Field(16, description="CSV, JSON lines and Arrow answers sent at the same time; more get 503 `OVERLOADED`.")
    draft_statuses: bool = Field(False, description="Answer 294 for partial data and 422 for invalid operations, as the 2026 draft wants.")
    graphiql: bool = Field(True, description="Serve GraphiQL to browsers at `/graphql`.")
    cors_origins: Names = Field((), description="Origins whose pages may call the gateway. None by default.")
    metrics_open: bool = Field(False, description="Serve `/metrics` without a token. It names hidden products.")
    metrics_role: str = Field("operator", description="Role whose tokens may read `/metrics` while it is not open.")


class Limits(Section):
    """Bounds on what one operation may ask. Every refusal is `LIMIT_EXCEEDED` and names the limit as written here."""

    document_max_bytes: Positive = Field(100_000, description="Length of the document in UTF-8.")
    tokens_max: Positive = Field(5_000, description="Tokens of the document, counted before it is parsed.")
    depth_max: Positive = Field(20, description="Fields nested in fields, fragments resolved.")
    levels_max: Positive = Field(60, description="Fields, inline fragments and spreads nested in each other.")
    selections_max: Positive = Field(
        2_000, description="Fields, inline fragments and spreads, each fragment counted wherever it is spread."
    )
    aliases_max: Positive = Field(100, description="Aliased fields, each fragment counted wherever it is spread.")
    root_fields_max: Positive = Field(20, description="Fields at the root of one operation, fragments resolved.")
    directives_max: Positive = Field(100, description="Directives, each fragment counted wherever it is spread.")
    directives_per_place_max: Positive = Field(5, description="Directives on one field, fragment, operation or variable.")
    overlaps_max: Positive = Field(2_000, description="Pairs of fields in one place that answer under the same name.")
    operations_max: Positive = Field(20, description="Operations in one document.")
    fragments_max: Positive = Field(100, description="Fragment definitions in one document.")
    variables_max: Positive = Field(100, description="Variables defined by one operation.")
    values_max: Positive = Field(20_000, description="Values in all variables, or in all arguments, of one request.")
    list_items_max: Positive = Field(10_000, description="Items of one list in an argument or variable, e.g. of `in`.")
    value_depth_max: Positive = Field(20, description="Lists and input objects nested in one argument or variable.")
    rows_default: Positive = Field(20, description="Rows of a connection without `first`.")
    rows_max: Positive = Field(1_000, description="Largest `first`, in rows or groups.")
    stream_rows_max: Positive = Field(10_000_000, description="Largest `first` of a list asked for as CSV, JSON lines or Arrow.")
    scan_rows_max: Positive = Field(200_000, description="Rows the gateway may read to do what a port cannot.")
    introspection_products_max: Positive = Field(60, description="Products whose schema is told at once; more need a scope.")
    keys_max: Positive = Field(10_000, description="Keys passed from one product to the next in one operation.")
    links_max: Positive = Field(20, description="Conditions on related products in one operation.")
    link_depth_max: Positive = Field(4, description="Relationships that one condition follows one after another.")


class TimeoutSettings(Section):
    """How long things may take."""

    request_s: Seconds = Field(30.0, description="A whole request; what is not there by then is answered as `DEADLINE_EXCEEDED`.")
    stream_s: Seconds = Field(900.0, description="A whole answer as CSV, JSON lines or Arrow, until its last byte is taken.")
    stall_s: Seconds = Field(60.0, description="How long a client may take nothing of such an answer, or of a long one as JSON.")
    upstream_s: Seconds = Field(10.0, description="One upstream read.")
    connect_s: Seconds = Field(3.0, description="Connecting to an upstream.")
    head_s: Seconds = Field(10.0, description="Receiving a request's head.")
    body_s: Seconds = Field(10.0, description="Receiving a request's body.")
    idle_s: Seconds = Field(75.0, description="A kept connection without requests.")
    shutdown_s: float = Field(15.0, gt=0, le=15, description="Finishing what is in flight after SIGTERM.")


class UpstreamSettings(Section):
    """Where ports may be, and how much one may answer."""

    loopback: bool = Field(True, description="Endpoints may be on this machine.")
    private: bool = Field(True, description="Endpoints may be in private networks.")
    networks: Names = Field((), description="If any, endpoints must be inside these networks, e.g. `10.2.0.0/16`.")
    page_max_bytes: Positive = Field(64 * 1024 * 1024, description="Largest page of one port, unpacked.")
    request_max_bytes: Positive = Field(
        256 * 1024 * 1024, description="What all ports together may answer to one request, and a long answer may take up."
    )
    process_max_bytes: Positive = Field(
        1024 * 1024 * 1024,
        description="What answers of ports may take up in the process at a time, arriving or worked on; more get 503 `OVERLOADED`.",
    )
    probe_s: Seconds = Field(60.0, description="How often ports are asked for their capabilities and proofs of their counts are renewed.")


class SloSettings(Section):
    """How products are measured, unless their contract says. What that costs a domain is in the README of `gateway/slo`."""

    freshness_s: Seconds = Field(60.0, description="How often a product is asked for its `/slo`: freshness, and availability.")
    sample_s: Seconds = Field(300.0, description="How often rows are read to measure completeness and accuracy.")
    sample_rows: int = Field(500, ge=1, le=1_000_000, description="How many rows, the newest first where the port can sort.")
    timeout_s: Seconds = Field(5.0, description="One call made for measuring.")
    concurrent_max: Positive = Field(16, description="Products measured at the same time.")


class AlertSettings(Section):
    """Who is told of changes of state. Several may be; `gateway/docs/alerts.md` says what they get."""

    webhook_url: HttpUrl | None = Field(None, description="Address that signed JSON is posted to.")
    webhook_secret: Reference | None = Field(
        None, description="Reference to the secret it is signed with (`env:NAME` or `file:PATH`), at least 32 characters."
    )
    alertmanager_url: HttpUrl | None = Field(None, description="Base address of an Alertmanager; `/api/v2/alerts` is appended.")
    alertmanager_auth: Reference | None = Field(None, description="Reference to a bearer token for it.")
    resend_s: float = Field(
        60.0, ge=5, le=600, description="How often the Alertmanager is told what goes on; untold for 4 times that, it ends."
    )
    events: Literal["off", "console", "otlp"] = Field(
        "off", description="Where OpenTelemetry events go; `otlp` is set up by the OTEL_* variables."
    )
    timeout_s: Seconds = Field(10.0, description="How long one of them may take.")
    loopback: bool = Field(True, description="They may be on this machine.")
    private: bool = Field(True, description="They may be in private networks.")


class CostSettings(Section):
    """What one operation may cost: rows read x columns x weight of the port, estimated before anything is read."""

    mode: Literal["measure", "enforce"] = Field(
        "measure", description="Show estimates in metrics only, or refuse with `COST_EXCEEDED` too."
    )
    max: Positive = Field(10_000_000, description="Largest estimate of an operation.")
    stream_max: Positive = Field(1_000_000_000, description="Largest estimate of an answer as CSV, JSON lines or Arrow.")
    weights: dict[str, Weight] = Field({}, description="What a cell costs by type of port, e.g. `rest-api`; 1 unless said.")


class StoreSettings(Section):
    """What replicas share and what outlives a process: SLO history, leases, usage."""

    url: SecretStr | None = Field(
        None, description="`sqlite:PATH`, or `postgresql://...` for several replicas (extra `postgres`). None: kept in memory only."
    )


class CacheSettings(Section):
    """How much is kept."""

    executables_max_bytes: Positive = Field(64 * 1024 * 1024, description="Compiled operations, by measured size.")
    views_max: Positive = Field(1_000, description="Views, and ruling sets by decision key.")
    fragments_max_bytes: Positive = Field(32 * 1024 * 1024, description="Encoded parts of introspection and SDL.")
    contracts_dir: Path | Literal["off"] = Field(
        Path("~/.cache/meshgate"),
        description="Folder for a sealed copy of the contracts as judged, from 100 on, so that the next start judges only what changed. "
        "`off`, or without `secret`: none is kept.",
    )


class ObserveSettings(Section):
    """Logs, traces, metrics."""

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe line written.")
    log_requests: Literal["all", "problems"] = Field(
        "problems", description="Which requests get a line: all, or refused, failed and slow ones."
    )
    slow_s: Seconds = Field(1.0, description="A request that takes longer gets a line.")
    traces: Literal["off", "console", "otlp"] = Field("off", description="Where spans go; `otlp` is set up by the OTEL_* variables.")
    metrics: Literal["off", "console", "otlp"] = Field(
        "off", description="Where gauges about data products go beside `/metrics`; `otlp` is set up by the OTEL_* variables."
    )
    metrics_s: Seconds = Field(60.0, description="How often they go there.")
    usage_s: Seconds = Field(
        60.0, description="How often it is written to the store who uses what; a gateway that is killed loses so much."
    )
    products_max: Positive = Field(
        5_000, description="Products with metrics of their own; further ones count as `other`, or only in number."
    )
