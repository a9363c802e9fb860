"""Runs a mirror as a process: serves at once, fills and keeps the copy behind it, until interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from contracts.load import load_contract
from contracts.policy import MeshPolicy
from domain_adapters.addresses import AddressPolicy
from domain_adapters.endpoint import Endpoint
from domain_adapters.errors import SourceError
from domain_adapters.kinds import Surroundings
from domain_adapters.mirror.bounds import Bounds
from domain_adapters.mirror.port import open_mirror
from domain_adapters.mirror.refresher import Progress
from domain_adapters.serve import app, listen

__all__ = ["run"]


def run(
    contract_path: Path | str,
    url: str,
    *,
    folder: Path,
    policy: MeshPolicy | None,
    auth: str | None = None,
    bounds: Bounds | None = None,
    host: str = "127.0.0.1",
    port: int = 9001,
    token: str | None = None,
    levels: frozenset[int] = frozenset({0, 1}),
    secret: bytes | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> None:
    """Mirror the level-0 endpoint at ``url`` into ``folder`` and serve the contract from there until interrupted.

    Raises: `ContractInvalidError`, `SourceError`.
    """
    contract = load_contract(contract_path)
    try:
        endpoint = Endpoint(url, auth)
    except ValueError as error:
        raise SourceError(str(error)) from None
    # Whoever runs the command chose the address; what the gateway's policy guards against is addresses that others register.
    around = Surroundings(policy=AddressPolicy(loopback=True, private=True))

    async def serve() -> None:
        opened = await open_mirror(
            contract, endpoint, folder, policy=policy, around=around, bounds=bounds, secret=secret, on_progress=on_progress
        )
        opened.start()
        await listen(app(contract, opened, levels=levels, token=token), host=host, port=port)

    # Whatever is written meanwhile is a copy of the product's rows.
    mask = os.umask(0o077)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve())
    finally:
        os.umask(mask)
