"""What went wrong in one answer: errors with their paths, cells that did not keep their type, rows that were dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from msgspec import structs

from gateway.catalog.snapshot import Product
from gateway.compiler.executable import RowShape, row_attribute
from gateway.engine.asking.asked import Fetched
from gateway.engine.tasks import in_turns
from gateway.errors import GatewayError

__all__ = ["Findings", "Locate", "list_locator"]

Locate = Callable[[int], tuple[str | int, ...]]
"""Place of a row in the list that is shaped -> its response path."""

_BAD_CELLS_SHOWN = 10
_BAD_CELLS_KEPT = 1_000
_DRIFTED_MAX = 1_000
_AT_ONCE = 500


@dataclass(slots=True)
class Findings:
    """Collects over one answer. ``errors``: entries as they are answered; ``dropped``: product id -> rows a port should not have sent.

    Reads end in any order. What is shown of them, and in which order, is settled by `close`, so that equal data gives equal bytes.
    """

    errors: list[dict[str, Any]] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    drifted: dict[str, list[int]] = field(default_factory=dict)
    """Product id -> hashes of (key, version) of rows with cells that did not keep their type."""
    _bad_cells: int = 0
    _bad: list[dict[str, Any]] = field(default_factory=list)

    def fail(self, error: GatewayError, path: tuple[str | int, ...]) -> None:
        """Note the failure of the part at ``path``. **Raises** OVERLOADED, which is the request's: what it holds is given back at once."""
        if error.code.name == "OVERLOADED":
            raise error
        if error.path is None:
            error.path = path
        self.errors.append(error.entry())

    def note(self, product: Product, fetched: Fetched) -> None:
        """Note what a read dropped, and which of its rows have bad cells."""
        if fetched.dropped:
            self.dropped[product.id] = self.dropped.get(product.id, 0) + fetched.dropped
        if fetched.bad:
            met = self.drifted.setdefault(product.id, [])
            met.extend(_identity(product, row) for row, _ in islice(fetched.bad.values(), max(0, _DRIFTED_MAX - len(met))))

    async def bad_cells(self, shapes: Sequence[RowShape], rows: list[Any], fetched: Fetched, locate: Sequence[Locate]) -> None:
        """Report cells that are shown null because they did not keep their type."""
        left, start = _BAD_CELLS_SHOWN, 0
        async for some in in_turns(rows, _AT_ONCE):
            for index, row in enumerate(some, start):
                if (found := fetched.bad.get(id(row))) is None:
                    continue
                for shape, place in zip(shapes, locate, strict=True):
                    for key, column in shape.cell_paths:
                        if column in found[1]:
                            self._bad_cells += 1
                            left -= 1
                            if left >= 0:
                                self._bad.append(_bad_cell(shape.product, column, (*place(index), key)))
            start += len(some)
        if len(self._bad) > _BAD_CELLS_KEPT:
            self._bad = sorted(self._bad, key=_place)[:_BAD_CELLS_SHOWN]

    @property
    def problems(self) -> list[dict[str, Any]]:
        """What went wrong so far."""
        return [*self.errors, *self._bad]

    def close(self) -> None:
        """Put errors in the order of their paths; show the first bad cells and count the others.

        What failed below something that failed as a whole, and is null, is not told: it may or may not have come so far.
        """
        if not self.errors and not self._bad:
            return
        failed = {tuple(error["path"]) for error in self.errors if error.get("path")}
        told = [*self.errors, *sorted(self._bad, key=_place)[:_BAD_CELLS_SHOWN]]
        self.errors[:] = sorted((error for error in told if not _is_below(error, failed)), key=_place)
        if self._bad_cells > _BAD_CELLS_SHOWN:
            more = self._bad_cells - _BAD_CELLS_SHOWN
            self.errors.append(GatewayError("UPSTREAM_INVALID", f"{more} more cells did not keep their contract.", count=more).entry())


def _bad_cell(product: Product, column: int, path: tuple[str | int, ...]) -> dict[str, Any]:
    name, owner = product.columns[column].graphql_name, product.contract.metadata.owner
    message = f"{name} of {product.id} does not keep its type in this row."
    return GatewayError("UPSTREAM_INVALID", message, path=path, field=name, product=product.id, owner=owner).entry()


def _is_below(entry: dict[str, Any], failed: set[tuple[str | int, ...]]) -> bool:
    path = tuple(entry.get("path", ()))
    return any(path[:size] in failed for size in range(1, len(path)))


def _place(entry: dict[str, Any]) -> list[tuple[int, str]]:
    return [(it, "") if isinstance(it, int) else (-1, it) for it in entry.get("path", ())]


def _identity(product: Product, row: Any) -> int:
    """Hash a row's key and version, where both were read; else all that was."""
    updated = product.contract.times.updated
    names = (*product.primary_key, updated) if product.primary_key and updated is not None else ()
    cells = [getattr(row, row_attribute(product.index_by_name[name]), None) for name in names]
    return hash(repr(cells if cells and None not in cells else structs.astuple(row)))


def list_locator(shape: RowShape, path: tuple[str, ...], base: tuple[str | int, ...] | None = None) -> Locate:
    """Give the paths of a list's rows: ``nodes.0``, or ``edges.0.node``. ``base``: the list's own path with indices, if it has any."""
    inside = shape.path[len(path) :]
    start = path if base is None else base
    return lambda index: (*start, inside[0], index, *inside[1:])
