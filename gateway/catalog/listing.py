"""What is asked of the catalogue -> the products that a view may know of, in the catalog's order, a page at a time.

A cursor is the place of a product in that order, sealed for its view and filter, so it holds however the mesh changes: whatever has
come or gone, the next page begins behind that place. Rejects with BAD_USER_INPUT, LIMIT_EXCEEDED. Touches nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from itertools import islice

from contracts.model import Visibility
from gateway.catalog.reach import RulingOf, StandingOf
from gateway.catalog.snapshot import Product, Snapshot, place_of
from gateway.errors import GatewayError
from gateway.governance.cursors import CursorCodec
from gateway.governance.ruling import ProductRuling, Standing

__all__ = ["PAGE_DEFAULT", "Filter", "Listing"]

PAGE_DEFAULT = 100
_SEARCH_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """Which products are wanted; None: all. ``search``: words that all occur in what the view may know of a product."""

    domain: str | None = None
    owner: str | None = None
    tag: str | None = None
    accessible: bool | None = None
    search: str | None = None

    def __post_init__(self) -> None:
        if self.search is not None and len(self.search) > _SEARCH_CHARACTERS_MAX:
            raise GatewayError(
                "LIMIT_EXCEEDED", f"search is longer than {_SEARCH_CHARACTERS_MAX} characters.", hint="Search by fewer words."
            )

    def words(self) -> tuple[str, ...]:
        """List the words searched for."""
        return tuple(dict.fromkeys((self.search or "").casefold().split()))


@dataclass(frozen=True, slots=True)
class Listing:
    """The catalogue as one view may know it. ``decision``: digest of the caller's decision key; ``rows_max``: of one page."""

    snapshot: Snapshot
    ruling_of: RulingOf
    standing_of: StandingOf
    cursors: CursorCodec
    decision: bytes
    rows_max: int

    def page(self, wanted: Filter, first: int | None, after: str | None) -> list[tuple[Product, ProductRuling]]:
        """List the next products and their rulings. **Raises** BAD_USER_INPUT, LIMIT_EXCEEDED."""
        first = min(PAGE_DEFAULT, self.rows_max) if first is None else first
        if first < 0:
            raise GatewayError("BAD_USER_INPUT", "first of mesh.products is negative.", hint="Ask for 0 products or more.")
        if first > self.rows_max:
            raise GatewayError("LIMIT_EXCEEDED", f"first of mesh.products is over {self.rows_max}.", hint="Page with after.")
        behind = None if after is None else self.cursors.open(after, self._bound(wanted)).decode()
        return [(product, self.ruling_of(product)) for product in islice(self._matching(wanted, behind), first)]

    def count(self, wanted: Filter) -> int:
        """Count all that match, pages aside."""
        return sum(1 for _ in self._matching(wanted, None))

    def find(self, id_: str) -> tuple[Product, ProductRuling] | None:
        """Find one product, if the view may know of it."""
        product = self.snapshot.products.get(id_)
        return None if product is None or self._is_hidden(product) else (product, self.ruling_of(product))

    def knows(self, id_: str) -> bool:
        """Tell whether the view may know of a product that is in the catalog."""
        return not self._is_hidden(self.snapshot.products[id_])

    def cursor(self, product: Product, wanted: Filter) -> str:
        """Give the cursor of a product's place."""
        return self.cursors.seal(product.id.encode(), self._bound(wanted))

    def _bound(self, wanted: Filter) -> bytes:
        return repr(("mesh.products", self.decision, astuple(wanted))).encode("utf-8", "surrogatepass")

    def _is_hidden(self, product: Product) -> bool:
        # Nobody needs a ruling to know of what is listed: thousands are counted by this.
        return product.contract.metadata.visibility is Visibility.HIDDEN and self.standing_of(product) is Standing.HIDDEN

    def _matching(self, wanted: Filter, behind: str | None) -> Iterator[Product]:
        ids = list(self.snapshot.products)
        start = 0 if behind is None else bisect_right(ids, place_of(behind), key=place_of)
        words = wanted.words()
        for id_ in islice(ids, start, None):
            product = self.snapshot.products[id_]
            metadata = product.contract.metadata
            if wanted.domain not in (None, metadata.domain) or wanted.owner not in (None, metadata.owner):
                continue
            if wanted.tag is not None and wanted.tag not in metadata.tags:
                continue
            # INVARIANT: what is hidden is left out before its texts are looked at.
            if self._is_hidden(product):
                continue
            if wanted.accessible is not None and wanted.accessible is not (self.standing_of(product) is Standing.SERVED):
                continue
            if not words or _holds(words, product, self.ruling_of(product)):
                yield product


def _holds(words: tuple[str, ...], product: Product, ruling: ProductRuling) -> bool:
    """Whether every word occurs in what the view may know of a product: itself, and its fields that are not hidden."""
    metadata = product.contract.metadata
    texts = [product.id, metadata.owner, metadata.description or "", metadata.team or "", *metadata.tags]
    for column, field in zip(product.columns, ruling.fields, strict=True):
        if not field.hidden:
            texts += (column.name, column.graphql_name, column.field.description or "")
    whole = "\n".join(texts).casefold()
    return all(word in whole for word in words)
