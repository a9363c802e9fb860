"""The port over a mirror's copy: level 1, true to the contract, and honest about how old the copy is.

Before the first walk has ended there is nothing to answer from (`PortUnavailableError`, ``filling``). Source: SPEC B4.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from contracts.model import Contract
from contracts.policy import MeshPolicy
from domain_adapters.endpoint import Endpoint
from domain_adapters.errors import PortUnavailableError
from domain_adapters.kinds import Surroundings, open_remote
from domain_adapters.mirror.bounds import Bounds
from domain_adapters.mirror.fitness import output_of, refuse_unfit
from domain_adapters.mirror.folder import Folder
from domain_adapters.mirror.refresher import Erased, Progress, Refresher, Standing
from domain_adapters.mirror.replica import Replica
from domain_adapters.port import Call, Capabilities, Port, Read
from domain_adapters.sources import Attached
from domain_adapters.sql import SqlPort
from domain_adapters.values import canonical_instant

__all__ = ["MirrorPort", "open_mirror"]

_NAME = "mirror"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


async def open_mirror(
    contract: Contract,
    endpoint: Endpoint,
    root: Path,
    *,
    policy: MeshPolicy | None,
    around: Surroundings | None = None,
    bounds: Bounds | None = None,
    secret: bytes | None = None,
    erased: Erased = lambda: (),
    on_progress: Callable[[Progress], None] = lambda _: None,
    clock: Callable[[], dt.datetime] = _now,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> MirrorPort:
    """Open the mirror of a contract's level-0 endpoint, with what an earlier process left in ``root``; nothing is read yet.

    ``policy``: what the contract's tags mean; without one, tagged columns may not be kept. ``secret``: see `Bookmarks`.
    Raises: `SourceError`.
    """
    refuse_unfit(contract, policy)
    output = output_of(contract)
    bounds = bounds or Bounds()
    level_0 = Endpoint(endpoint.url, endpoint.auth, 0, endpoint.tls, endpoint.compressed)
    folder = await asyncio.to_thread(Folder, root, contract.key)
    try:
        origin = open_remote(contract, output, level_0, around or Surroundings())
        place = f"{level_0.origin}{level_0.path_of(output.path)}"
        replica = await asyncio.to_thread(Replica, contract, folder, place, origin.spelling, bounds)
    except BaseException:
        folder.close()
        raise
    port = MirrorPort(
        contract, origin, replica, folder, bounds=bounds, secret=secret, erased=erased, on_progress=on_progress, clock=clock, sleep=sleep
    )
    try:
        await port.refresher.begin()
    except BaseException:
        await port.aclose()
        raise
    return port


class MirrorPort:
    """A port that answers from a copy. ``refresher`` keeps the copy; ``start`` lets it do so in the background."""

    def __init__(
        self,
        contract: Contract,
        origin: Port,
        replica: Replica,
        folder: Folder,
        *,
        bounds: Bounds,
        secret: bytes | None,
        erased: Erased,
        on_progress: Callable[[Progress], None],
        clock: Callable[[], dt.datetime],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._origin = origin
        self._folder = folder
        self._clock = clock
        attached = Attached(replica.connection, replica.relation, owned=True)
        self._copy = SqlPort(contract, attached, name=_NAME, secret=secret, clock=clock, edition=replica.edition)
        self._task: asyncio.Task[None] | None = None
        self.refresher = Refresher(
            contract,
            origin,
            replica,
            folder,
            bounds=bounds,
            erased=erased,
            on_change=self._copy.remeasure,
            on_progress=on_progress,
            clock=clock,
            sleep=sleep,
        )

    @property
    def name(self) -> str:
        """What ``metadata.port`` says."""
        return _NAME

    @property
    def capabilities(self) -> Capabilities:
        """What it can do: what SQL can."""
        return self._copy.capabilities

    @property
    def spelling(self) -> dict[str, str]:
        """The contract's own names."""
        return self._copy.spelling

    @property
    def standing(self) -> Standing:
        """How the copy stands."""
        return self.refresher.standing

    async def read(self, read: Read, call: Call) -> bytes:
        """Answer one page from the copy. Raises: as `SqlPort.read`; `PortUnavailableError` while there is no copy."""
        return await self._copy.read(read, call)

    async def slo(self, call: Call) -> bytes:
        """Measure the copy: its newest update, how many rows and cells are there, as of when it is complete."""
        standing, facts = self.standing, self.standing.facts
        if facts.as_of is None:
            raise PortUnavailableError("the mirror's first walk has not ended yet", reason="filling")
        document: dict[str, Any] = msgspec.json.decode(await self._copy.slo(call))
        document["asOf"] = canonical_instant(facts.as_of)
        received = facts.rows + facts.left_out
        if received:
            # Rows that were left out are missing, and were wrong.
            share = facts.rows / received
            for name in ("completeness", "accuracy"):
                stated = document.get(name, {"ratio": 1.0, "sampleRows": facts.rows})
                document[name] = {**stated, "ratio": stated["ratio"] * share}
        document["mirror"] = {
            "rows": facts.rows,
            "leftOut": facts.left_out,
            "walkedAt": None if facts.walked_at is None else canonical_instant(facts.walked_at),
            "attemptedAt": None if standing.attempted_at is None else canonical_instant(standing.attempted_at),
            "failure": standing.failure,
        }
        return msgspec.json.encode(document)

    def start(self) -> None:
        """Keep the copy up to date in the background until closed. Call inside a running loop, once."""
        self._task = asyncio.get_running_loop().create_task(self.refresher.run())

    async def aclose(self) -> None:
        """Stop, close everything, and let another process have the folder."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self.refresher.aclose()
        await self._origin.aclose()
        await self._copy.aclose()
        self._folder.close()
