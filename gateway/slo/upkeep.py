"""What keeps the board true while the gateway runs: instruments for the products of the snapshot, measured in the background.

Touches ports through the instruments. `run` ends when cancelled.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from contracts.model import Contract
from domain_adapters.allowance import Allowance
from domain_adapters.port import Port
from gateway.slo.board import Board
from gateway.slo.cadence import Cadence
from gateway.slo.calls import Calls
from gateway.slo.drift import Drift
from gateway.slo.gauge import Gauge
from gateway.slo.keeping import Keeping
from gateway.slo.measurer import Measurer, Target
from gateway.slo.reading import Reading
from gateway.store.errors import StoreError
from gateway.store.store import Store

__all__ = ["Measurable", "Upkeep"]


class Measurable(Protocol):
    """A product that can be measured."""

    @property
    def id(self) -> str:
        """Its name on the board."""

    @property
    def contract(self) -> Contract:
        """What it promises."""

    @property
    def ports(self) -> Sequence[Port]:
        """Where it can be read."""


class Upkeep:
    """Measures the products that ``products`` gives; another mapping is followed.

    ``calls``: told of every read made for callers; ``drift``: of rows in them that do not keep the contract. ``allowance``: what all ports
    together may hold.
    """

    def __init__(
        self,
        board: Board,
        products: Callable[[], Mapping[str, Measurable]],
        *,
        clock: Callable[[], dt.datetime],
        cadence: Cadence,
        timeout_s: float = 5.0,
        concurrency: int = 16,
        store: Store | None = None,
        failed: Callable[[str, StoreError], None] = lambda _what, _error: None,
        allowance: Allowance | None = None,
    ) -> None:
        self.calls = Calls()
        self.drift = Drift(self._drifted, time.monotonic)
        self._board = board
        self._products = products
        self._clock = clock
        self._cadence = cadence
        self._timeout_s = timeout_s
        self._allowance = allowance or Allowance()
        self._seen: Mapping[str, Measurable] | None = None
        self._targets: dict[str, Target] = {}
        self._made: dict[str, tuple[Contract, tuple[Port, ...]]] = {}
        self._kept = None if store is None else Keeping(store, board, clock=clock, failed=failed)
        self.measurer = Measurer(board, self._current, concurrency=concurrency, owns=self._owns, measured=self._measured)

    @property
    def first_round_done(self) -> asyncio.Event:
        """Whether every product that can be reached was measured once."""
        return self.measurer.first_round_done

    def _drifted(self, product: str, finding: str) -> None:
        self._board.drifts(product, finding)
        self.measurer.hasten(product)

    async def run(self) -> None:
        """Measure until cancelled."""
        if self._kept is None:
            await self.measurer.run()
            return
        await self._kept.begin()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.measurer.run())
            group.create_task(self._kept.run())

    async def aclose(self) -> None:
        """Write what waits to be written, and close the store."""
        if self._kept is not None:
            await self._kept.aclose()

    def _owns(self, product: str) -> bool:
        return self._kept is None or self._kept.owns(product)

    def _measured(self, product: str, readings: Sequence[Reading]) -> None:
        if self._kept is not None:
            self._kept.measured(product, readings)

    def _current(self) -> Mapping[str, Target]:
        products = self._products()
        if products is not self._seen:
            self._seen = products
            self._targets = self._renewed(products.values())
        return self._targets

    def _renewed(self, products: Iterable[Measurable]) -> dict[str, Target]:
        found: dict[str, Target] = {}
        made: dict[str, tuple[Contract, tuple[Port, ...]]] = {}
        for product in products:
            if not product.ports:
                continue
            made[product.id] = (product.contract, tuple(product.ports))
            known = self._targets.get(product.id)
            if known is not None and _is_same(self._made[product.id], made[product.id]):
                found[product.id] = known
                continue
            cadence = self._cadence.of(product.contract)
            gauge = Gauge(
                product.contract,
                product.ports,
                cadence,
                clock=self._clock,
                calls=self.calls,
                product=product.id,
                timeout_s=self._timeout_s,
                allowance=self._allowance,
            )
            found[product.id] = Target(gauge, cadence)
        self._made = made
        return found


def _is_same(known: tuple[Contract, tuple[Port, ...]], now: tuple[Contract, tuple[Port, ...]]) -> bool:
    return known[0] is now[0] and len(known[1]) == len(now[1]) and all(one is other for one, other in zip(known[1], now[1], strict=True))
