"""The written types of products, kept while there is room: each by its product, the rulings around it, and what was asked.

A product's types depend on its own ruling and on what is linked to it as far as groups reach; nothing further away changes them, so
that one text serves every scope and every view in which those are the same. Touches nothing; safe to use from several threads.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from gateway.catalog.measures import HOPS_MAX
from gateway.catalog.reach import RulingOf
from gateway.catalog.scope import Scope
from gateway.catalog.snapshot import Product
from gateway.governance.ruling import ProductRuling

__all__ = ["Circle", "Fragments", "Written", "circle_of"]

Written = Mapping[str, tuple[bytes, tuple[str, ...]]]
"""Types by name: the text of each, and the names of the types that it leads to."""

_ENTRY_BYTES = 1_000
_TYPE_BYTES = 200
_REACH = HOPS_MAX + 1


@dataclass(frozen=True, slots=True, eq=False)
class Circle:
    """A product and all that its types depend on. ``key`` is by identity, so that whoever keeps it must keep the circle."""

    members: tuple[tuple[Product, ProductRuling], ...]
    key: tuple[int, ...]


def circle_of(product: Product, scope: Scope, ruling_of: RulingOf) -> Circle:
    """Find the circle of a product within a scope."""
    found = {product.id: product}
    last = [product]
    for _ in range(_REACH):
        last = [it for one in last for it in scope.neighbours(one) if it.id not in found and not found.update({it.id: it})]
        if not last:
            break
    others = sorted(it for it in found if it != product.id)
    members = tuple((found[id_], ruling_of(found[id_])) for id_ in (product.id, *others))
    return Circle(members, tuple(id(it) for member in members for it in member))


class Fragments:
    """At most ``max_bytes`` of fragments; the one used longest ago goes first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[tuple[Hashable, tuple[int, ...]], tuple[Circle, Written, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def get(self, what: Hashable, circle: Circle) -> Written | None:
        """Find the types of a circle's product, written as ``what`` says, by name."""
        with self._lock:
            found = self._kept.get((what, circle.key))
            if found is None:
                return None
            self._kept.move_to_end((what, circle.key))
            return found[1]

    def put(self, what: Hashable, circle: Circle, written: Written) -> None:
        """Keep them."""
        weight = (
            _ENTRY_BYTES
            + 32 * len(circle.members)
            + _TYPE_BYTES * len(written)
            + sum(len(text) + 8 * len(names) for text, names in written.values())
        )
        key = (what, circle.key)
        with self._lock:
            if (known := self._kept.pop(key, None)) is not None:
                self.bytes -= known[2]
            self._kept[key] = (circle, written, weight)
            self.bytes += weight
            while self.bytes > self._max_bytes and self._kept:
                _, (_, _, gone) = self._kept.popitem(last=False)
                self.bytes -= gone

    def __len__(self) -> int:
        return len(self._kept)
