"""Views: callers reduced to what they may see, so that those who may see the same share all work (DESIGN D1, SPEC A5).

Turns a `Caller` into a `View`, and a view with a contract into a `ProductRuling`, decided when first asked for. Rulings of equal
content are one object. Everything kept is bounded or held only as long as somebody uses it.
"""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import weakref
from collections.abc import Iterable

from contracts.model import Contract
from contracts.policy import MeshPolicy
from gateway.caller import Caller
from gateway.governance.decide import decide, standing_without_grants
from gateway.governance.facts import Facts, Reading
from gateway.governance.recent import Recent
from gateway.governance.ruling import ProductRuling, Standing

__all__ = ["Rulings", "View", "Views"]

_FOR_EVER = dt.datetime.max.replace(tzinfo=dt.UTC)
_RULINGS_PER_VIEW = 32  # of 1.5 KiB each, measured for products of thirty columns
_NUMBERS = itertools.count()


class Rulings:
    """One object for all rulings of equal content, for as long as anybody holds it."""

    __slots__ = ("_known", "_lock")

    def __init__(self) -> None:
        self._known: weakref.WeakKeyDictionary[ProductRuling, weakref.ref[ProductRuling]] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def one(self, ruling: ProductRuling) -> ProductRuling:
        """Give the object that stands for this content."""
        with self._lock:
            found = self._known.setdefault(ruling, weakref.ref(ruling))()
            if found is None:
                self._known[ruling] = weakref.ref(ruling)
                return ruling
            return found

    def __len__(self) -> int:
        return len(self._known)


class View:
    """What one kind of caller may see, until ``valid_until``.

    ``key``: equal for callers with equal facts, in equal times; ``digest``: the same as bytes, equal in every process.
    """

    __slots__ = ("_decided", "_number", "_policy", "_rulings", "digest", "key", "valid_until")

    def __init__(
        self,
        key: Facts,
        valid_until: dt.datetime,
        policy: MeshPolicy,
        *,
        rulings: Rulings,
        decided: Recent[tuple[int, int], tuple[Contract, ProductRuling]],
    ) -> None:
        self.key = key
        self.digest = key.digest()
        self.valid_until = valid_until
        self._policy = policy
        self._rulings = rulings
        self._decided = decided
        self._number = next(_NUMBERS)

    def ruling(self, contract: Contract) -> ProductRuling:
        """Rule on a contract, once."""
        place = (self._number, id(contract))
        known = self._decided.get(place)
        # INVARIANT: the entry holds its contract, so no other contract can come to have the same id while it is kept.
        if known is not None and known[0] is contract:
            return known[1]
        made = self._rulings.one(decide(contract, self._policy, self.key))
        self._decided.put(place, (contract, made))
        return made

    def standing(self, contract: Contract) -> Standing:
        """Tell how a product stands: what `ruling` says, at a tenth of its cost where no grant applies."""
        known = self._decided.get((self._number, id(contract)))
        if known is not None and known[0] is contract:
            return known[1].standing
        return standing_without_grants(contract, self._policy, self.key) or self.ruling(contract).standing


class Views:
    """The views of one policy over one catalog of contracts.

    ``capacity`` bounds callers and views that are remembered, and with them the rulings. A successor takes over ``rulings``, so that
    what did not change stays the same object.
    """

    def __init__(self, policy: MeshPolicy, contracts: Iterable[Contract], capacity: int = 1_024, *, rulings: Rulings | None = None) -> None:
        self._policy = policy
        self._capacity = capacity
        self._reading = Reading(policy, contracts)
        self._by_caller: Recent[Caller, View] = Recent(4 * capacity)
        self._by_facts: Recent[Facts, View] = Recent(capacity)
        self._decided: Recent[tuple[int, int], tuple[Contract, ProductRuling]] = Recent(_RULINGS_PER_VIEW * capacity)
        self.rulings = rulings if rulings is not None else Rulings()

    def successor(self, before: Iterable[Contract], after: Iterable[Contract], contracts: Iterable[Contract]) -> Views:
        """Give the views over another catalog: these very ones, unless what its policies read of callers is not the same.

        ``contracts``: all of it, with ``after`` in place of ``before``.
        """
        if Reading(self._policy, before).reads_as(Reading(self._policy, after)):
            return self  # whatever the others read
        other = Views(self._policy, contracts, self._capacity, rulings=self.rulings)
        return self if other._reading.reads_as(self._reading) else other

    def of(self, caller: Caller, now: dt.datetime) -> View:
        """Find the view of a caller. The same `Caller` object costs one look-up and a comparison."""
        view = self._by_caller.get(caller)
        if view is None or now >= view.valid_until:
            view = self._find(caller, now)
            self._by_caller.put(caller, view)
        return view

    def _find(self, caller: Caller, now: dt.datetime) -> View:
        today = now.astimezone(dt.UTC).date()
        facts = self._reading.facts(caller, today)
        view = self._by_facts.get(facts)
        if view is None:
            ends_at = self._reading.next_end_at(today) or _FOR_EVER
            view = View(facts, ends_at, self._policy, rulings=self.rulings, decided=self._decided)
            self._by_facts.put(facts, view)
        return view
