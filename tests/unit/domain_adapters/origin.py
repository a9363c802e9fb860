"""A level-0 endpoint whose rows a test changes and that misbehaves on demand, and a mirror of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.model import Contract
from domain_adapters.addresses import AddressPolicy
from domain_adapters.endpoint import Endpoint
from domain_adapters.kinds import Surroundings
from domain_adapters.mirror import Bounds, MirrorPort, open_mirror
from domain_adapters.port import Call, Read
from tests.conformance.serving import serving

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
CALL = Call()
AROUND = Surroundings(policy=AddressPolicy(loopback=True))
Answer = Callable[[dict[str, str]], Awaitable[Response | None]]


def ago(**by: float) -> str:
    return (NOW - dt.timedelta(**by)).isoformat().replace("+00:00", "Z")


def page_of(rows: list[Any], cursor: Any = None, **more: Any) -> Response:
    return Response(msgspec.json.encode({"data": rows, "nextCursor": cursor, **more}), media_type="application/json")


@dataclass
class Origin:
    """Serves ``rows``, oldest update first; ``answer`` may take a request over."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    path: str = "/things"
    updated: str = "updated"
    page_max: int = 1_000
    asked: list[dict[str, str]] = field(default_factory=list)
    answer: Answer | None = None

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route(self.path, self._page)])

    async def _page(self, request: Request) -> Response:
        given = dict(request.query_params)
        self.asked.append(given)
        if self.answer is not None and (answer := await self.answer(given)) is not None:
            return answer
        since = given["since"]
        rows = [row for row in self.rows if since.startswith("1970") or str(row.get(self.updated)) >= since]
        rows.sort(key=lambda row: str(row.get(self.updated)))
        at, size = int(given.get("cursor", 0)), min(int(given["limit"]), self.page_max)
        following = str(at + size) if at + size < len(rows) else None
        return page_of(rows[at : at + size], following, metadata={"totalRecords": len(self.rows)})


@dataclass
class Clock:
    now: dt.datetime = NOW

    def __call__(self) -> dt.datetime:
        return self.now

    def pass_by(self, **by: float) -> None:
        self.now += dt.timedelta(**by)


async def at_once(_: float) -> None:
    """Instead of sleeping."""


@asynccontextmanager
async def mirroring(contract: Contract, url: str, folder: Path, **options: Any) -> AsyncIterator[MirrorPort]:
    given: dict[str, Any] = {"policy": None, "around": AROUND, "bounds": Bounds(), "clock": Clock(), "sleep": at_once, **options}
    port = await open_mirror(contract, Endpoint(url), folder, **given)
    try:
        yield port
    finally:
        await port.aclose()


@asynccontextmanager
async def mirror_of(origin: Origin, contract: Contract, folder: Path, **options: Any) -> AsyncIterator[MirrorPort]:
    async with serving(origin.app) as url, mirroring(contract, url, folder, **options) as port:
        yield port


async def held(port: MirrorPort, **read: Any) -> dict[Any, dict[str, Any]]:
    """Read everything that a mirror serves, by key."""
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = msgspec.json.decode(await port.read(Read(cursor=cursor, **read), CALL))
        rows += page["data"]
        if (cursor := page["nextCursor"]) is None:
            return {row["id"]: row for row in rows}


async def slo_of(port: MirrorPort) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(await port.slo(CALL))
    return document
