"""The board: how good every product is right now, and the encoded block that every answer carries (DESIGN section 3, SPEC C4).

Turns measurements into ``extensions.mesh.slo``. States that change by themselves (data growing old) move at their instant, found by one
comparison per use. Everything is memoised per revision and bounded. Rejects nothing: of an unknown product all is UNKNOWN.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable

import msgspec

from contracts.model import Contract
from gateway.slo.changes import Listener, Sequences, changes_between
from gateway.slo.figures import Figures
from gateway.slo.measured import ProductSlo
from gateway.slo.product import ProductState
from gateway.slo.status import SloStatus, worst

__all__ = ["Board", "PathsByProduct"]

PathsByProduct = tuple[tuple[str, tuple[str, ...]], ...]

_FOR_EVER = dt.datetime.max.replace(tzinfo=dt.UTC)
_UNKNOWN = ProductSlo(product="", owner=None, version=None, status=SloStatus.UNKNOWN)
_BLOCKS_KEPT = 2_048


def _version_order(contract: Contract) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else -1 for part in contract.metadata.version.split("."))


class Board:
    """The states of all products. Of several versions the newest stands under ``domain/name``, others under ``domain/name@version``.

    ``stale_after_s``: without a good measurement for that long, what was good is UNKNOWN. ``measured_max_s``: so too what a port itself
    measured longer ago than that.
    """

    def __init__(
        self,
        contracts: Iterable[Contract],
        clock: Callable[[], dt.datetime],
        *,
        stale_after_s: float = 300.0,
        measured_max_s: float = 86_400.0,
    ) -> None:
        self._clock = clock
        self._stale_after = dt.timedelta(seconds=stale_after_s)
        self._measured_max = dt.timedelta(seconds=measured_max_s)
        self._states: dict[str, ProductState] = {}
        self._revision = 0
        self._listeners: list[Listener] = []
        self._sequences = Sequences()
        self._changes_at = _FOR_EVER
        self._blocks: dict[PathsByProduct, tuple[int, tuple[bytes, str]]] = {}
        self._unknown = msgspec.json.encode(_UNKNOWN.members())[:-1]
        self.replace(contracts)

    def replace(self, contracts: Iterable[Contract]) -> None:
        """Take over another catalog; products whose contract did not change keep their state."""
        newest: dict[str, Contract] = {}
        others: list[Contract] = []
        for contract in sorted(contracts, key=_version_order):
            older = newest.get(contract.key)
            if older is not None:
                others.append(older)
            newest[contract.key] = contract
        wanted = {**newest, **{f"{one.key}@{one.metadata.version}": one for one in others}}
        kept = self._states
        self._states = {
            key: kept[key] if key in kept and kept[key].is_for(contract) else ProductState(contract) for key, contract in wanted.items()
        }
        self._revision += 1
        self._schedule()

    @property
    def revision(self) -> int:
        """A number that changes whenever anything on the board visibly does."""
        self._pass_time()
        return self._revision

    def listen(self, listener: Listener) -> None:
        """Tell this one of every change of state from now on."""
        self._listeners.append(listener)

    def record(self, product_key: str, figures: Figures) -> None:
        """Take in a measurement. Of a product that is no longer known, or older than what is known, nothing is kept."""
        state = self._states.get(product_key)
        if state is not None:
            now = self._clock()
            stale_at = min(now + self._stale_after, figures.measured_at + self._measured_max)
            before = state.slo
            self._noted(state, before, now, changed=state.record(figures, now, stale_at))

    def fail(self, product_key: str, finding: str, *, availability_ratio: float | None) -> None:
        """Take in that a measurement failed; it never improves anything."""
        state = self._states.get(product_key)
        if state is not None:
            before, now = state.slo, self._clock()
            self._noted(state, before, now, changed=state.fail(finding, availability_ratio, now))

    def products(self) -> tuple[ProductSlo, ...]:
        """Tell how all products stand."""
        self._pass_time()
        return tuple(state.slo for state in self._states.values())

    def product(self, key: str) -> ProductSlo:
        """Tell how a product stands; of an unknown one, that nothing is known."""
        self._pass_time()
        state = self._states.get(key)
        return _UNKNOWN if state is None else state.slo

    def status(self, products: Iterable[str]) -> str:
        """Tell the worst status of several products, as ``Mesh-Slo-Status`` says it."""
        return worst(self.product(key).status for key in products).value

    def block(self, paths_by_product: PathsByProduct) -> bytes:
        """Encode ``extensions.mesh.slo`` for an answer in which each product feeds these response paths."""
        return self.stamp(paths_by_product)[0]

    def stamp(self, paths_by_product: PathsByProduct) -> tuple[bytes, str]:
        """Give `block` and, as ``Mesh-Slo-Status`` says it, the worst status in it."""
        self._pass_time()
        known = self._blocks.get(paths_by_product)
        if known is not None and known[0] == self._revision:
            return known[1]
        made = self._encoded(paths_by_product)
        if len(self._blocks) >= _BLOCKS_KEPT:
            self._blocks.clear()
        self._blocks[paths_by_product] = (self._revision, made)
        return made

    def _encoded(self, paths_by_product: PathsByProduct) -> tuple[bytes, str]:
        entries: list[bytes] = []
        statuses: list[SloStatus] = []
        for key, paths in paths_by_product:
            state = self._states.get(key)
            statuses.append(SloStatus.UNKNOWN if state is None else state.slo.status)
            fragment = self._unknown if state is None else state.fragment
            entries.append(b'%b:%b,"paths":%b}' % (msgspec.json.encode(key), fragment, msgspec.json.encode(paths)))
        status = worst(statuses).value
        return b'{"status":"%b","products":{%b}}' % (status.encode(), b",".join(entries)), status

    def _pass_time(self) -> None:
        now = self._clock()
        if now < self._changes_at:
            return
        for state in self._states.values():
            before, at = state.slo, state.changes_at
            if at is not None and at <= now and state.move(now):
                self._revision += 1
                self._tell(before, state.slo, at)
        self._schedule()

    def _tell(self, before: ProductSlo, after: ProductSlo, at: dt.datetime) -> None:
        for change in changes_between(before, after, at, self._sequences):
            for listener in self._listeners:
                listener.changed(change)

    def _noted(self, state: ProductState, before: ProductSlo, at: dt.datetime, *, changed: bool) -> None:
        if changed:
            self._revision += 1
            self._tell(before, state.slo, at)
        # Only ever earlier here: a later instant is found when the earlier one has come.
        if state.changes_at is not None:
            self._changes_at = min(self._changes_at, state.changes_at)

    def _schedule(self) -> None:
        self._changes_at = min((state.changes_at for state in self._states.values() if state.changes_at is not None), default=_FOR_EVER)
