"""A read that was cancelled costs nobody after it anything."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

from domain_adapters.errors import PortUnavailableError
from domain_adapters.port import Call, Read
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql

from ..differential.ruling_cases import SEED
from .office import office


async def test_reads_go_on_after_one_whose_transaction_was_never_ended() -> None:
    world = office(5)
    (contract,) = world.contracts
    port = await open_sql(contract, Rows(world.rows[contract.key]), cursors=1)
    # What an interrupt leaves behind that hits a read while it ends its transaction.
    await port._cursors.run(lambda cursor: cursor.begin(), 5.0)
    assert b"S004" in await port.read(Read(), Call())
    await port.aclose()


async def test_reads_go_on_after_reads_cancelled_at_any_moment() -> None:
    world = office(1_000)
    (contract,) = world.contracts
    port = await open_sql(contract, Rows(world.rows[contract.key]), cursors=1)
    random = Random(SEED)
    for _ in range(60):
        task = asyncio.create_task(port.read(Read(limit=1_000, count=True), Call()))
        for _ in range(random.randrange(200)):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, PortUnavailableError):
            await task
        assert b"S001" in await port.read(Read(limit=2), Call())
    await port.aclose()
