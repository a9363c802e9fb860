"""What is asked of totals, bound to one request: the values between binding, reading and shaping.

A group, once made, is a list: its keys (slots ``k0..kn``), its totals (``m0..mn``), and whether it is the remainder of groups that
were too small to show (``r``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from contracts.fields import FieldType, Kind, Scalar
from contracts.predicates import TRUE, Predicate
from domain_adapters.port import Order
from gateway.catalog.snapshot import Column, Product, Relation
from gateway.engine.asking.asked import Asked

__all__ = ["Group", "Grouping", "Measure", "Path", "Term", "names_of"]

Group = list[Any]
Path = tuple[tuple[Relation, Product], ...]


def names_of(path: Path) -> tuple[str, ...]:
    """Name the relationships of a path."""
    return tuple(relation.graphql_name for relation, _ in path)


@dataclass(frozen=True, slots=True)
class Term:
    """What groups are formed by: a column at the end of ``path``, cut to ``part`` (in ``zone``, if it is an instant)."""

    path: Path
    column: Column
    part: str | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A total of ``type``: ``function`` over a column at the end of ``path`` (None: over rows)."""

    function: str
    column: Column | None
    type: FieldType
    path: Path = ()


@dataclass(frozen=True, slots=True)
class Grouping:
    """One question for totals.

    ``asked``: which rows; ``having`` and ``order`` speak of slots; ``order`` ends with all keys. ``write``: (group, cursor) -> the
    object that stands for it in the answer. ``protected``: column -> subjects that a total of it needs; ``has_subjects``: rows are
    about somebody, else each is a subject; ``withheld``: another total of the operation would give by subtraction what this hides.
    """

    asked: Asked
    write: Callable[[Sequence[Any], str | None], Any]
    by: tuple[Term, ...] = ()
    measures: tuple[Measure, ...] = ()
    having: Predicate = TRUE
    order: tuple[Order, ...] = ()
    first: int = 0
    after: str | None = None
    bound_to: bytes = b""
    places: bool = False
    protected: Mapping[str, int] = field(default_factory=dict)
    withheld: bool = False
    has_subjects: bool = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths that keys and totals lie at the end of, each once."""
        return tuple({names_of(it.path): it.path for it in self.ends if it.path}.values())

    @property
    def ends(self) -> tuple[Term | Measure, ...]:
        """What keys and totals are of."""
        return (*self.by, *self.measures)

    @property
    def foreign(self) -> tuple[str, ...]:
        """Own columns that paths begin with: foreign keys."""
        return tuple(dict.fromkeys(name for path in self.paths for name in path[0][0].own_columns))

    def index(self, slot: str) -> int:
        """Give the place of a slot in a group."""
        if slot == "r":
            return len(self.by) + len(self.measures)
        return int(slot[1:]) + (len(self.by) if slot[0] == "m" else 0)

    def cell(self, slot: str) -> Callable[[Group], Any]:
        """Give the reader of a slot."""
        return itemgetter(self.index(slot))

    def type_of(self, slot: str) -> FieldType:
        """Give the type of a slot's values."""
        if slot == "r":
            return Scalar(Kind.BOOLEAN)
        place = int(slot[1:])
        return self.measures[place].type if slot[0] == "m" else self.by[place].column.type
