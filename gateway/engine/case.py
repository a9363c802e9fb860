"""One request, compiled and bound: all that is known of it before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from contracts.predicates import Predicate
from gateway.catalog.snapshot import Product
from gateway.compiler.executable import Executable
from gateway.compiler.flat import FlatList
from gateway.compiler.prepared import Prepared
from gateway.engine.demanding import Demanded, without
from gateway.exchange import Frame, Question
from gateway.governance.ruling import ProductRuling, Standing
from gateway.governance.views import View

__all__ = ["Case"]


class Case(msgspec.Struct):
    """A request on its way. ``rules``: product id -> bound row rules; ``bound``: step's path -> what is asked there, in values.

    ``flat``: what is answered in another form than JSON. ``cost``, ``rows``: what it was reckoned to take.
    """

    question: Question
    frame: Frame
    view: View
    prepared: Prepared
    executable: Executable
    rules: Mapping[str, tuple[Predicate, ...]]
    bound: Mapping[tuple[str, ...], Any]
    demanded: Demanded
    flat: FlatList | None = None
    cost: float = 0.0
    rows: int = 0

    def ruling_of(self, product: Product) -> ProductRuling:
        """Give the caller's ruling on a product."""
        return self.view.ruling(product.contract)

    def standing_of(self, product: Product) -> Standing:
        """Tell how a product stands to the caller."""
        return self.view.standing(product.contract)

    def read_products(self) -> list[str]:
        """Name the products that this will read."""
        if not self.demanded.nulled:
            return list(self.executable.rulings)
        dropped = {id_ for id_, _ in self.executable.products} - {id_ for id_, _ in without(self.executable.products, self.demanded)}
        return [id_ for id_ in self.executable.rulings if id_ not in dropped]
