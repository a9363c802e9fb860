"""Who sees what: every row that is served to one caller, with what is seen of each of its cells; and one caller's answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cmp_to_key
from typing import Any

from graphql import DocumentNode

from contracts.fields import Kind, Scalar
from contracts.masks import Mask, MaskKind
from gateway.caller import Caller
from gateway.catalog.listing import Listing
from gateway.catalog.snapshot import Product, Relation
from gateway.governance.cursors import CursorCodec
from gateway.governance.masks import MaskKeys, fitting, mask_function
from gateway.governance.ruling import FieldRuling, Standing
from gateway.governance.views import View

from .. import rulings_specification as specification
from ..worlds import NOW
from .answers import Answering
from .conditions import Truth, all_of, any_of, compared, joined, not_
from .expected import Expected, Mesh, Place, Row, Seen
from .schemas import schema_of

__all__ = ["Oracle"]

Order = Iterable[tuple[str, str]]
"""Columns and their directions."""


class Oracle:
    """Answers for one caller."""

    def __init__(self, mesh: Mesh, view: View, caller: Caller) -> None:
        self.mesh = mesh
        self.caller = caller
        self.rulings = {id_: view.ruling(product.contract) for id_, product in mesh.snapshot.products.items()}
        self.schema = schema_of(mesh.snapshot, self.rulings)
        rulings, cursors = self.rulings, CursorCodec(mesh.secret)
        self.listing = Listing(mesh.snapshot, lambda it: rulings[it.id], lambda it: rulings[it.id].standing, cursors, b"oracle", 1_000)
        self._sights: dict[str, list[Seen]] = {}
        self._keys = MaskKeys(mesh.secret)
        self._masks: dict[tuple[str, str, Mask], Callable[[Any], Any]] = {}

    def answer(
        self, document: DocumentNode, name: str | None, variables: dict[str, Any], places: dict[str, Place], *, long_as_text: bool
    ) -> Expected:
        """Answer an operation. ``places``: what the cursors in ``variables`` stand for."""
        return Answering(self, document, name, variables, places, long_as_text).answer()

    def is_served(self, id_: str) -> bool:
        """Whether the caller has access to a product."""
        return self.rulings[id_].standing is Standing.SERVED

    def field(self, product: Product, column: str) -> FieldRuling:
        """Give the ruling on a column as a whole."""
        return self.rulings[product.id].field(column)

    def sights(self, product: Product) -> list[Seen]:
        """List every row that is served, in the order of the endpoint."""
        if product.id not in self._sights:
            found = []
            for row in self.mesh.world.rows[product.id]:
                cells = {
                    it.name: specification.cell(product.contract, self.mesh.world.policy, self.caller, NOW.date(), row, it.name)
                    for it in product.contract.fields
                }
                if any(cells.values()):
                    found.append((row, cells))
            self._sights[product.id] = found
        return self._sights[product.id]

    def sorted(self, product: Product, rows: list[Seen], order: Order, usable: Callable[[str], bool]) -> list[Seen]:
        """Sort rows; ties go by primary key, by its pseudonyms where it may not be used."""
        terms: list[tuple[Callable[[Row], Any], str]] = [(_getter(name), direction) for name, direction in order]
        terms += [(_getter(name) if usable(name) else self._pseudonym(product, name), "ASC") for name in product.primary_key]

        def compare(one: Seen, other: Seen) -> int:
            for cell, direction in terms:
                left, right = cell(one[0]), cell(other[0])
                if left == right:
                    continue
                if left is None or right is None:
                    return -1 if (left is None) == direction.endswith("FIRST") else 1
                return (1 if left > right else -1) * (-1 if direction.startswith("DESC") else 1)
            return 0

        return sorted(rows, key=cmp_to_key(compare))

    def partner(self, product: Product, columns: tuple[str, ...], key: tuple[Any, ...], usable: Callable[[str], bool]) -> Seen | None:
        """Find the one row that has a key; of several the first by primary key."""
        found = [it for it in self.sights(product) if tuple(it[0][name] for name in columns) == key]
        return self.sorted(product, found, (), usable)[0] if found else None

    def holds(self, product: Product, where: Any, row: Row) -> Truth:
        """Whether a row satisfies a ``where``. Whether there is a partner is never unknown."""
        results: list[Truth] = []
        for name, inner in (where or {}).items():
            match name:
                case "and":
                    results.extend(self.holds(product, it, row) for it in inner)
                case "or":
                    results.append(any_of([self.holds(product, it, row) for it in inner]))
                case "not":
                    results.append(not_(self.holds(product, inner, row)))
                case _ if (relation := product.relation_by_name.get(name)) is not None and not relation.many:
                    results.append(self._has_partner(relation, inner, row))
                case _ if relation is not None:
                    results.extend(self._has_partner(relation, it, row) is (word == "some") for word, it in inner.items())
                case _:
                    column = product.column_by_graphql_name[name]
                    results.extend(compared(column.type, row[column.name], test, value) for test, value in inner.items())
        return all_of(results)

    def _has_partner(self, relation: Relation, where: Any, row: Row) -> bool:
        key = tuple(row[name] for name in relation.own_columns)
        target = self.mesh.snapshot.products[relation.target]
        return None not in key and any(joined(it, relation, key) and self.holds(target, where, it) is True for it, _ in self.sights(target))

    def mask(self, product: Product, column: str, mask: Mask) -> Callable[[Any], Any]:
        """Give the function that masks a column's cells."""
        type_ = product.column_by_name[column].type
        key = (product.id, column, mask)
        if key not in self._masks:
            self._masks[key] = mask_function(fitting(mask, type_), type_, self._keys, product.contract.metadata.domain)
        return self._masks[key]

    def _pseudonym(self, product: Product, name: str) -> Callable[[Row], Any]:
        domain = product.contract.metadata.domain
        function = mask_function(Mask(MaskKind.PSEUDONYM), Scalar(Kind.STRING), self._keys, domain)
        return lambda row: None if row[name] is None else function(str(row[name]))


def _getter(name: str) -> Callable[[Row], Any]:
    return lambda row: row[name]
