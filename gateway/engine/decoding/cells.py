"""A product's rows, cell by cell: where a column stands, and what stands in for a masked key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any

from contracts.fields import FieldType, Kind, Scalar
from contracts.predicates import TRUE, Predicate, compile_test
from gateway.catalog.snapshot import Product
from gateway.compiler.executable import row_attribute

__all__ = ["Cell", "Cells", "Tie"]

Cell = Callable[[Any], Any]
"""Row -> cell."""

Tie = Callable[[Any], Any]
"""Cell of a masked key column -> its keyed pseudonym, which breaks ties in its place."""


@cache
def _getter(index: int) -> Cell:
    return attrgetter(row_attribute(index))


@lru_cache(maxsize=1_024)
def _getters(indices: tuple[int, ...]) -> Cell:
    return attrgetter(*map(row_attribute, indices))


class Cells:
    """Reads cells of one product's decoded rows.

    ``ties``: masked key columns, each with its pseudonym; ``unusable``: all columns whose values must decide nothing.
    """

    __slots__ = ("product", "ties", "unusable")

    def __init__(self, product: Product, ties: Mapping[str, Tie] | None = None, unusable: frozenset[str] = frozenset()) -> None:
        self.product = product
        self.ties = ties or {}
        self.unusable = unusable

    def indices(self, names: Iterable[str]) -> frozenset[int]:
        """Return the places of columns in the contract."""
        return frozenset(map(self.product.index_by_name.__getitem__, names))

    def at(self, index: int) -> Cell:
        """Give the reader of the column at a place."""
        return _getter(index)

    def of(self, name: str) -> Cell:
        """Give the reader of a column."""
        return _getter(self.product.index_by_name[name])

    def together(self, names: Sequence[str]) -> Cell:
        """Give the reader of several columns at once, as a tuple; of one column alone its cell."""
        return _getters(tuple([self.product.index_by_name[name] for name in names]))

    def tied(self, name: str) -> Cell:
        """Give the reader of a column as orders and cursors see it: a masked key by its pseudonym."""
        cell = self.of(name)
        if (tie := self.ties.get(name)) is None:
            return cell
        return lambda row: tie(cell(row))

    def tied_type(self, name: str) -> FieldType:
        """Return the type of what `tied` reads."""
        return Scalar(Kind.STRING) if name in self.ties else self.product.column_by_name[name].type

    def passes(self, predicate: Predicate) -> Callable[[Any], bool] | None:
        """Compile a condition to a test of rows; None if every row passes. What cannot be compared does not pass."""
        if predicate is TRUE or predicate == TRUE:
            return None
        test = compile_test(predicate, self.of)

        def passes(row: Any) -> bool:
            try:
                return test(row) is True
            except TypeError:
                return False

        return passes
