"""Cells -> totals, a few at a time and in any order; partial totals can be put together.

Exact where the type is: integers and decimals never lose a digit, decimal averages are rounded once, half up. Nulls are left
out before. `value` raises `OverflowError` where a total does not fit its type. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import reduce
from typing import Any, Protocol

from contracts.fields import FieldType, Kind, Scalar

__all__ = ["State", "fits", "of_partial", "of_repeated", "state_of"]

_EXACT = Context(prec=400)
_DIGITS_MAX = 38
_SCALE_UNSTATED = 9
_LONG_MIN, _LONG_MAX = -(2**63), 2**63 - 1


class State(Protocol):
    """A total in the making."""

    def add(self, cells: list[Any]) -> None:
        """Take in cells, none of them null."""

    def merge(self, other: Any) -> None:
        """Take in another state of the same kind."""

    def value(self) -> Any:
        """Give the total so far."""

    def held(self) -> int:
        """Count the cells that it keeps."""

    def release(self) -> None:
        """Let go of them, bit by bit."""


class _Small:
    __slots__ = ()

    def held(self) -> int:
        return 1

    def release(self) -> None:
        pass


class _Count(_Small):
    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def add(self, cells: list[Any]) -> None:
        self.count += len(cells)

    def merge(self, other: _Count) -> None:
        self.count += other.count

    def value(self) -> int:
        return self.count


class _Distinct(_Small):
    __slots__ = ("cells",)

    def __init__(self) -> None:
        self.cells: set[Any] = set()

    def add(self, cells: list[Any]) -> None:
        self.cells.update(cells)

    def merge(self, other: _Distinct) -> None:
        self.cells |= other.cells

    def value(self) -> int:
        return len(self.cells)

    def held(self) -> int:
        return len(self.cells)

    def release(self) -> None:
        while self.cells:
            self.cells.pop()


class _Least(_Small):
    __slots__ = ("cell",)

    def __init__(self) -> None:
        self.cell: Any = None

    def add(self, cells: list[Any]) -> None:
        if cells:
            found = min(cells)
            self.cell = found if self.cell is None else min(self.cell, found)

    def merge(self, other: _Least) -> None:
        self.add([] if other.cell is None else [other.cell])

    def value(self) -> Any:
        return self.cell


class _Greatest(_Least):
    __slots__ = ()

    def add(self, cells: list[Any]) -> None:
        if cells:
            found = max(cells)
            self.cell = found if self.cell is None else max(self.cell, found)


class _Sum(_Small):
    """``total`` and ``count`` may be set from a port's partial totals."""

    __slots__ = ("count", "total", "type")

    def __init__(self, type_: Scalar) -> None:
        self.type = type_
        self.total: Any = 0
        self.count = 0

    def add(self, cells: list[Any]) -> None:
        if cells and isinstance(cells[0], Decimal):
            self.total = reduce(_EXACT.add, cells, self.total)
        else:
            self.total += sum(cells)
        self.count += len(cells)

    def merge(self, other: _Sum) -> None:
        # Python's own sum of decimals would be cut to 28 digits.
        exact = isinstance(self.total, Decimal) or isinstance(other.total, Decimal)
        self.total = _EXACT.add(self.total, other.total) if exact else self.total + other.total
        self.count += other.count

    def value(self) -> Any:
        if not self.count:
            return None
        return fits(Decimal(self.total) if self.type.kind is Kind.DECIMAL else self.total, self.type)


class _Average(_Sum):
    __slots__ = ()

    def value(self) -> Any:
        if not self.count:
            return None
        if self.type.kind is not Kind.DECIMAL:
            return int(self.total) / self.count
        places = _SCALE_UNSTATED if self.type.scale is None else self.type.scale
        mean = _EXACT.divide(Decimal(self.total), self.count)
        return fits(mean.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _EXACT), self.type)


class _FloatSum(_Small):
    """Keeps all that it sums, so that the order of rows does not show in the last digits."""

    __slots__ = ("cells", "count")

    def __init__(self) -> None:
        self.cells: list[float] = []
        self.count = 0

    def held(self) -> int:
        return len(self.cells)

    def release(self) -> None:
        while self.cells:
            self.cells.pop()

    def add(self, cells: list[Any]) -> None:
        self.cells.extend(cells)
        self.count += len(cells)

    def merge(self, other: _FloatSum) -> None:
        self.cells.extend(other.cells)
        self.count += other.count

    def value(self) -> float | None:
        return math.fsum(self.cells) if self.count else None


class _FloatAverage(_FloatSum):
    __slots__ = ()

    def value(self) -> float | None:
        return math.fsum(self.cells) / self.count if self.count else None


_SIMPLE: dict[str, Callable[[], State]] = {"count": _Count, "countDistinct": _Distinct, "min": _Least, "max": _Greatest}


def fits(value: Any, type_: FieldType) -> Any:
    """Give a total back if it fits its type; raises `OverflowError`. What was rounded to nothing has no sign, as in databases."""
    if isinstance(value, Decimal):
        if not value:
            return value.copy_abs()
        places = type_.scale or 0 if isinstance(type_, Scalar) else 0
        if value.adjusted() >= _DIGITS_MAX - places:
            raise OverflowError
    elif isinstance(value, int) and not _LONG_MIN <= value <= _LONG_MAX:
        raise OverflowError
    return value


def state_of(function: str, type_: FieldType, of: FieldType | None) -> State:
    """Begin a total of ``type_`` over cells of type ``of``; ``count`` counts what it is given."""
    if (simple := _SIMPLE.get(function)) is not None:
        return simple()
    if isinstance(of, Scalar) and of.kind is Kind.FLOAT:
        return _FloatSum() if function == "sum" else _FloatAverage()
    assert isinstance(type_, Scalar)
    return _Sum(type_) if function == "sum" else _Average(type_)


def of_repeated(function: str, type_: FieldType, of: FieldType | None, cell: Any, times: int) -> State:
    """Make the state that so many cells of one value come to; null cells come to nothing."""
    state: Any = state_of(function, type_, of)
    if cell is None or not times:
        return state  # type: ignore[no-any-return]  # states are of as many types as functions
    if isinstance(state, _FloatSum):
        state.cells, state.count = [cell * times], times
    elif isinstance(state, _Sum):
        state.total = _EXACT.multiply(cell, times) if isinstance(cell, Decimal) else cell * times
        state.count = times
    else:
        state.add([cell])
    return state  # type: ignore[no-any-return]  # as above


def of_partial(function: str, type_: FieldType, of: FieldType | None, total: Any, count: int) -> State:
    """Make the state that a port's partial total stands for: ``count`` cells that come to ``total`` (null: none)."""
    state: Any = state_of(function, type_, of)
    if isinstance(state, _Count):
        state.count = count
    elif isinstance(state, _FloatSum):
        state.cells = [] if total is None else [total]
        state.count = 0 if total is None else count
    elif isinstance(state, _Sum):
        state.total = 0 if total is None else total
        state.count = 0 if total is None else count
    elif total is not None:
        state.add([total])
    made: State = state
    return made
