"""Serves an app on a free loopback port while a test runs, and opens our own client on it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette

from contracts.model import Contract
from domain_adapters.addresses import AddressPolicy
from domain_adapters.endpoint import Endpoint
from domain_adapters.kinds import Surroundings, open_remote
from domain_adapters.port import Call
from domain_adapters.remote import RemotePort


@contextlib.asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[str]:
    """Yield the base URL of the app."""
    # asyncio switches Nagle's algorithm off only on sockets that say they are TCP; else every answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, ws="none", lifespan="on"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            await asyncio.sleep(0)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


async def remote(contract: Contract, url: str) -> RemotePort:
    """Open our client on a served contract, probed."""
    port = open_remote(contract, contract.output_ports[0], Endpoint(url), Surroundings(policy=AddressPolicy(loopback=True)))
    await port.probe(Call())
    return port
