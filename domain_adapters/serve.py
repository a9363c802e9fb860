"""Serves any port over both levels of the protocol, as an ASGI app: pages, queries, schema, SLO and capabilities.

Rejects, as problem documents (RFC 9457) that never quote a value: requests without the token, bodies that are too large or not
JSON, reads that do not fit the contract, and what the port cannot do. Source: SPEC B2, B3.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.load import load_contract
from contracts.model import Contract
from domain_adapters.errors import PortCannotError, PortError, PortRefusedError, PortUnavailableError, ReadInvalidError, SourceError
from domain_adapters.level0 import spelling_of
from domain_adapters.mock import mock_rows
from domain_adapters.port import Call, Capabilities, Port, Read
from domain_adapters.query import canonical_since, decode_read
from domain_adapters.refusals import refuse_beyond
from domain_adapters.schema_document import schema_document
from domain_adapters.sources import Rows, source_of
from domain_adapters.sql import open_sql
from domain_adapters.wire import encode_capabilities

__all__ = ["Limits", "Served", "app", "listen", "path_of", "run", "site"]

Answer = Callable[[Request], Awaitable[Response]]
_BEGINNING = "1970-01-01T00:00:00Z"
_PARAMETERS = frozenset({"since", "limit", "cursor"})
_LIMIT_DEFAULT = 100
_CURSOR_CHARS_MAX = 16_384


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may ask for. ``requests_max``: in flight at once; more are told to come back."""

    body_max_bytes: int = 8 * 1024 * 1024
    timeout_s: float = 30.0
    requests_max: int = 256


@dataclass(frozen=True, slots=True)
class Served:
    """One product on a site; ``levels`` (0, 1) of the protocol that it is served over."""

    contract: Contract
    port: Port
    path: str | None = None
    levels: frozenset[int] = frozenset({0, 1})


def path_of(contract: Contract) -> str:
    """Give the path that the contract's first REST port states, else ``/data-products/{name}``."""
    stated = next((output.path for output in contract.output_ports if output.type == "rest-api" and output.path), None)
    return "/" + (stated or f"data-products/{contract.metadata.name}").strip("/")


def app(
    contract: Contract,
    port: Port,
    *,
    path: str | None = None,
    levels: frozenset[int] = frozenset({0, 1}),
    token: str | None = None,
    limits: Limits | None = None,
) -> Starlette:
    """Serve one product; see `site`."""
    return site((Served(contract, port, path, levels),), token=token, limits=limits)


def site(products: Sequence[Served], *, token: str | None = None, limits: Limits | None = None) -> Starlette:
    """Serve several products; ``token``: the bearer token that every request but ``/healthz`` needs. Closes the ports when it ends."""
    limits = limits or Limits()
    gate = _Gate(token, limits.requests_max)
    routes = [Route("/healthz", _healthy, methods=["GET"])]
    for product in products:
        routes += _routes(product, limits, gate)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            for product in products:
                await product.port.aclose()

    handlers: Mapping[type[Exception], Callable[[Request, Exception], Response]] = {
        PortError: _on_port_error,
        HTTPException: _on_http_error,
        Exception: _on_mistake,
    }
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers=dict(handlers))


async def listen(served: Starlette, *, host: str, port: int) -> None:
    """Serve an app until told to stop by a signal."""
    config = uvicorn.Config(served, host=host, port=port, access_log=False, log_level="warning", server_header=False)
    await uvicorn.Server(config).serve()


def run(
    contract_path: Path | str,
    data: str | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 9001,
    mock: bool = False,
    rows: int = 1_000,
    seed: int = 1,
    token: str | None = None,
    levels: frozenset[int] = frozenset({0, 1}),
    secret: bytes | None = None,
) -> None:
    """Serve a contract from ``data`` (see `sources.source_of`) or from made-up rows until interrupted.

    Raises: `ContractInvalidError`, `SourceError`.
    """
    contract = load_contract(contract_path)
    if mock == (data is not None):
        raise SourceError("serve a contract either from data or with mock rows")
    source = Rows(mock_rows(contract, rows=rows, seed=seed)) if data is None else source_of(data)

    async def serve() -> None:
        opened = await open_sql(contract, source, secret=secret)
        await listen(app(contract, opened, levels=levels, token=token), host=host, port=port)

    # Ctrl-C has closed everything in order by then; it is how this ends.
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


class _Gate:
    """Who may come in, and how many at once."""

    def __init__(self, token: str | None, requests_max: int) -> None:
        self._expected = None if token is None else b"Bearer " + token.encode()
        self._free = requests_max

    def guarded(self, answer: Answer) -> Answer:
        async def guarded_answer(request: Request) -> Response:
            given = request.headers.get("authorization", "").encode("latin-1")
            if self._expected is not None and not hmac.compare_digest(given, self._expected):
                raise HTTPException(401, "this endpoint needs a bearer token", {"WWW-Authenticate": "Bearer"})
            if self._free <= 0:
                raise HTTPException(503, "too many requests are in flight", {"Retry-After": "1"})
            self._free -= 1
            try:
                return await answer(request)
            finally:
                self._free += 1

        return guarded_answer


def _routes(product: Served, limits: Limits, gate: _Gate) -> list[Route]:
    contract, port = product.contract, product.port
    path = product.path or path_of(contract)
    call = Call(timeout_s=limits.timeout_s)
    schema = msgspec.json.encode(schema_document(contract))

    spelling = _spelling(contract, path)

    async def page(request: Request) -> Response:
        body = await port.read(_page_read(request, port.capabilities), call)
        return _json(_respelt(body, spelling) if spelling else body)

    async def query(request: Request) -> Response:
        read = decode_read(await _body(request, limits.body_max_bytes), contract)
        refuse_beyond(read, port.capabilities)
        return _json(await port.read(read, call))

    async def schema_answer(_: Request) -> Response:
        return Response(schema, media_type="application/schema+json")

    async def slo(_: Request) -> Response:
        return _json(await port.slo(call))

    async def capabilities(_: Request) -> Response:
        return _json(encode_capabilities(replace(port.capabilities, level=1)))

    answers: list[tuple[str, str, Answer]] = []
    if 0 in product.levels:
        answers.append((path, "GET", page))
    answers += [(f"{path}/schema", "GET", schema_answer), (f"{path}/slo", "GET", slo)]
    if 1 in product.levels:
        answers += [(f"{path}/query", "POST", query), (f"{path}/capabilities", "GET", capabilities)]
    return [Route(at, gate.guarded(answer), methods=[method]) for at, method, answer in answers]


class _Rows(msgspec.Struct, forbid_unknown_fields=False):
    data: list[dict[str, msgspec.Raw]]
    nextCursor: msgspec.Raw = msgspec.Raw(b"null")  # noqa: N815  # the wire's spelling
    metadata: msgspec.Raw = msgspec.Raw(b"null")


def _spelling(contract: Contract, path: str) -> dict[str, str]:
    """Say which columns level 0 spells otherwise here than the contract does; level 1 always speaks the contract's names."""
    for output in contract.output_ports:
        if output.type == "rest-api" and (output.path or "").strip("/") == path.strip("/"):
            return {name: spelt for name, spelt in spelling_of(contract, output).items() if name != spelt}
    return {}


def _respelt(body: bytes, spelling: Mapping[str, str]) -> bytes:
    page = msgspec.json.decode(body, type=_Rows)
    page.data = [{spelling.get(name, name): value for name, value in row.items()} for row in page.data]
    return msgspec.json.encode(page)


def _page_read(request: Request, can: Capabilities) -> Read:
    given = request.query_params
    names = [name for name, _ in given.multi_items()]
    unknown = next((name for name in names if name not in _PARAMETERS), None)
    if unknown is not None:
        raise ReadInvalidError("this endpoint knows since, limit and cursor only")
    if len(set(names)) != len(names):
        raise ReadInvalidError("a parameter stands twice")
    text = given.get("limit", str(_LIMIT_DEFAULT))
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise ReadInvalidError("limit must be a whole number above 0")
    cursor = given.get("cursor") or None
    if cursor is not None and len(cursor) > _CURSOR_CHARS_MAX:
        raise ReadInvalidError("the cursor does not belong to this read", reason="bad_cursor")
    since = canonical_since(given["since"]) if given.get("since") else None
    # Clients of level 0 always send since, and mean "all" by the beginning of time: rows that were never updated too.
    since = None if since == _BEGINNING else since
    if since is not None and not can.since:
        raise PortCannotError("the contract names no column that says when a row was updated", reason="since", status=400)
    return Read(limit=int(text), cursor=cursor, since=since)


async def _body(request: Request, body_max_bytes: int) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "send the query as application/json")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "send the query without content encoding")
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > body_max_bytes:
            raise HTTPException(413, f"a query has at most {body_max_bytes} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


async def _healthy(_: Request) -> Response:
    return _json(b'{"status":"ok"}')


def _problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": detail}
    return Response(msgspec.json.encode(body), status, headers, "application/problem+json")


def _on_port_error(_: Request, error: Exception) -> Response:
    match error:
        case PortCannotError():
            return _problem(400, "PORT_CANNOT", str(error))
        case PortRefusedError(reason=reason):
            return _problem(400, reason.upper(), str(error))
        case PortUnavailableError(reason="timeout"):
            return _problem(504, "TIMEOUT", str(error))
        case PortUnavailableError(reason=reason):
            return _problem(503, reason.upper(), str(error), {"Retry-After": "1"})
    return _problem(500, "SOURCE_INVALID", str(error))


def _on_http_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return _on_mistake(_, error)
    code = HTTPStatus(error.status_code).name
    return _problem(error.status_code, code, error.detail, error.headers)


def _on_mistake(_: Request, __: Exception) -> Response:
    return _problem(500, "INTERNAL", "this is a mistake of the endpoint's; its log says more")
