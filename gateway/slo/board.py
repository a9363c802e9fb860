"""The board: how good every product is right now, and the encoded block that every answer carries (DESIGN section 3, SPEC C4).

Turns measurements into ``extensions.mesh.slo``. States that change by themselves (data growing old) move at their instant, found by one
comparison per use. A block is encoded once per change of what is in it, never per request, and kept within a bound. Rejects nothing: of an
unknown product all is UNKNOWN.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from contracts.model import Contract
from gateway.slo.cadence import Cadence
from gateway.slo.changes import Listener, Sequences, changes_between
from gateway.slo.measured import ObjectiveName, ProductSlo
from gateway.slo.product import ProductState
from gateway.slo.promises import promises_of
from gateway.slo.reading import Reading
from gateway.slo.status import SloStatus, worst

__all__ = ["Board", "PathsByProduct"]

PathsByProduct = tuple[tuple[str, tuple[str, ...]], ...]

T = TypeVar("T")


class Events(Protocol):
    """Who counts events."""

    def __call__(self, product: str, version: str, /, *, bad: float, total: float) -> None:
        """Count them."""


_FOR_EVER = dt.datetime.max.replace(tzinfo=dt.UTC)
_UNKNOWN = ProductSlo(product="", owner=None, version=None, status=SloStatus.UNKNOWN)
_BLOCKS_KEPT = 2_048
_PIECES_KEPT = 64
_MOVED_AT_ONCE = 10
_LOOKED_AT_ONCE = 500
"""When all products grow old at once, those are moved first that somebody asks for; the others in turns of two milliseconds."""


def _version_order(contract: Contract) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else -1 for part in contract.metadata.version.split("."))


class Board:
    """The states of all products. Of several versions the newest stands under ``domain/name``, others under ``domain/name@version``.

    ``cadence``: how often products are measured whose contract does not say. ``on_events``: told of the probes and calls that count for
    availability: product, version, how many were bad and how many there were. ``on_finding``: told of what is newly odd about a product,
    for its owner: product, owner, finding.
    """

    def __init__(
        self,
        contracts: Iterable[Contract],
        clock: Callable[[], dt.datetime],
        *,
        cadence: Cadence | None = None,
        on_events: Events = lambda _product, _version, *, bad, total: None,
        on_finding: Callable[[str, str, str], None] = lambda _product, _owner, _finding: None,
    ) -> None:
        self._clock = clock
        self._cadence = cadence or Cadence()
        self._on_events = on_events
        self._on_finding = on_finding
        self._states: dict[str, ProductState] = {}
        self._revision = 0
        self._listeners: list[Listener] = []
        self._sequences = Sequences()
        self._changes_at = _FOR_EVER
        # When products may change by themselves, soonest first; outdated instants are dropped when they come.
        self._due: list[tuple[dt.datetime, str]] = []
        self._due_at: dict[str, dt.datetime] = {}
        self._blocks: dict[PathsByProduct, tuple[bytes, str]] = {}
        # Product -> the kept blocks that it stands in.
        self._blocks_of: dict[str, set[PathsByProduct]] = {}
        self._pieces: dict[str, dict[Hashable, Any]] = {}
        self._unknown = msgspec.json.encode(_UNKNOWN.members())[:-1]
        self.replace(contracts)

    def replace(self, contracts: Iterable[Contract]) -> None:
        """Take over another catalog; products whose contract did not change keep their state."""
        kept, self._states = self._states, {}
        self._due, self._due_at = [], {}
        self._admit(contracts, kept)

    def change(self, product: str, contracts: Iterable[Contract]) -> None:
        """Take over the versions of one product (``domain/name``); all others stay as they are."""
        kept = {key: state for key, state in self._states.items() if key.partition("@")[0] == product}
        for key in kept:
            del self._states[key]
            self._due_at.pop(key, None)
        self._admit(contracts, kept)

    def _admit(self, contracts: Iterable[Contract], kept: Mapping[str, ProductState]) -> None:
        newest: dict[str, Contract] = {}
        others: list[Contract] = []
        for contract in sorted(contracts, key=_version_order):
            older = newest.get(contract.key)
            if older is not None:
                others.append(older)
            newest[contract.key] = contract
        for key, contract in {**newest, **{f"{one.key}@{one.metadata.version}": one for one in others}}.items():
            promises = promises_of(contract, measured_every_s=self._cadence.of(contract).freshness_s)
            known = kept.get(key)
            if known is None or not known.is_for(contract, promises):
                known = ProductState(key, contract, promises)
                self._tell_findings(known, ())
            self._states[key] = known
            self._await(key, known)
        self._forget_blocks()
        self._revision += 1

    @property
    def revision(self) -> int:
        """A number that changes whenever anything on the board visibly does."""
        self.pass_time()
        return self._revision

    def listen(self, listener: Listener) -> None:
        """Tell this one of every change of state from now on."""
        self._listeners.append(listener)

    def take(self, product: str, readings: Sequence[Reading]) -> None:
        """Take in what was measured. Of a product that is no longer known, or older than what is known, nothing is kept."""
        state = self._states.get(product)
        if state is not None:
            self.pass_time()
            now = self._clock()
            self._move(product, now)
            before = state.slo
            measured_at = max((it.measured_at for it in readings if not it.failed), default=now)
            self._noted(product, state, before, min(now, measured_at), changed=state.take(readings, now))
            self._tell_findings(state, before.findings)
            for it in readings:
                if it.objective is ObjectiveName.AVAILABILITY and it.total:
                    self._on_events(product, state.contract.metadata.version, bad=it.bad, total=it.total)

    def remember(self, product: str, state_of: Callable[[ProductState], None]) -> None:
        """Let history be taken over into a product's state."""
        state = self._states.get(product)
        if state is not None:
            state_of(state)
            self._noted(product, state, state.slo, self._clock(), changed=state.move(self._clock()))

    def drifts(self, product: str, finding: str) -> None:
        """Note what callers' queries met in a product's rows; it moves no state."""
        state = self._states.get(product)
        if state is not None:
            before = state.slo.findings
            state.drifts(finding)
            self._tell_findings(state, before)

    def looked(self, product: str) -> None:
        """Note that a probe has looked at a product's rows, so that what queries met before is settled."""
        state = self._states.get(product)
        if state is not None:
            state.drifts(None)

    def _tell_findings(self, state: ProductState, before: Sequence[str]) -> None:
        slo = state.slo
        for finding in slo.findings:
            if finding not in before:
                self._on_finding(slo.product, slo.owner or "", finding)

    def products(self) -> tuple[ProductSlo, ...]:
        """Tell how all products stand."""
        while self.pass_time():
            pass
        return tuple(state.slo for state in self._states.values())

    def product(self, key: str) -> ProductSlo:
        """Tell how a product stands; of an unknown one, that nothing is known."""
        self._move(key, self._clock())
        state = self._states.get(key)
        return _UNKNOWN if state is None else state.slo

    def contract(self, key: str) -> Contract | None:
        """Give a product's contract, None once it is gone."""
        state = self._states.get(key)
        return None if state is None else state.contract

    def status(self, products: Iterable[str]) -> str:
        """Tell the worst status of several products, as ``Mesh-Slo-Status`` says it."""
        return worst(self.product(key).status for key in products).value

    def block(self, paths_by_product: PathsByProduct) -> bytes:
        """Encode ``extensions.mesh.slo`` for an answer in which each product feeds these response paths."""
        return self.stamp(paths_by_product)[0]

    def stamp(self, paths_by_product: PathsByProduct) -> tuple[bytes, str]:
        """Give `block` and, as ``Mesh-Slo-Status`` says it, the worst status in it."""
        if (now := self._clock()) >= self._changes_at:
            for key, _ in paths_by_product:
                self._move(key, now)
        known = self._blocks.get(paths_by_product)
        if known is not None:
            return known
        made = self._encoded(paths_by_product)
        if len(self._blocks) >= _BLOCKS_KEPT:
            self._forget_blocks()
        self._blocks[paths_by_product] = made
        for key, _ in paths_by_product:
            self._blocks_of.setdefault(key, set()).add(paths_by_product)
        return made

    def piece(self, product: str, selected: Hashable, encode: Callable[[ProductSlo, Any], T]) -> T:
        """Give what ``encode`` makes of a product's standing for a selection: once per change of the product, never per request."""
        slo = self.product(product)
        pieces = self._pieces.setdefault(product, {})
        found: T | None = pieces.get(selected)
        if found is None:
            if len(pieces) >= _PIECES_KEPT:
                pieces.clear()
            found = pieces[selected] = encode(slo, selected)
        return found

    def pass_time(self) -> bool:
        """Move some of what changes by itself; tell whether there is more. What is asked for has always moved already."""
        now = self._clock()
        moved = looked = 0
        while self._due and self._due[0][0] <= now and moved < _MOVED_AT_ONCE and looked < _LOOKED_AT_ONCE:
            at, key = heapq.heappop(self._due)
            looked += 1
            if self._due_at.get(key) == at:
                del self._due_at[key]
                moved += self._move(key, now)
                self._await(key, self._states[key])
        self._changes_at = self._due[0][0] if self._due else _FOR_EVER
        return self._changes_at <= now

    def _move(self, key: str, now: dt.datetime) -> bool:
        """Let a product change by itself; tell whether it was due."""
        state = self._states.get(key)
        if state is None or state.changes_at is None or state.changes_at > now:
            return False
        # Step by step: each change is told with the instant that implies it.
        while (at := state.changes_at) is not None and at <= now:
            before = state.slo
            self._noted(key, state, before, at, changed=state.move(at))
        return True

    def _await(self, key: str, state: ProductState) -> None:
        at = state.changes_at
        if at is not None and at < self._due_at.get(key, _FOR_EVER):
            self._due_at[key] = at
            heapq.heappush(self._due, (at, key))
            self._changes_at = min(self._changes_at, at)

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

    def _forget_blocks(self) -> None:
        self._blocks.clear()
        self._blocks_of.clear()
        self._pieces.clear()

    def _noted(self, key: str, state: ProductState, before: ProductSlo, at: dt.datetime, *, changed: bool) -> None:
        # Only ever earlier here: a later instant is found when the earlier one has come.
        self._await(key, state)
        if not changed:
            return
        self._revision += 1
        self._pieces.pop(key, None)
        for paths in self._blocks_of.pop(key, ()):
            self._blocks.pop(paths, None)
        for change in changes_between(before, state.slo, at, self._sequences):
            for listener in self._listeners:
                listener.changed(change)
