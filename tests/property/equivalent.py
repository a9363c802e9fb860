"""Data sets that one caller must not be able to tell apart (SPEC A10), made from the rows of a generated world.

What is shown masked changes within its mask, what is denied changes freely, masked keys are renamed on both ends of their
relationships (pseudonyms keep their order, which breaks ties), rows that are not served change or go, products without access empty.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from contracts.fields import FieldType, Kind, Scalar, Unit
from contracts.masks import Mask, MaskKind
from contracts.predicates import TRUE, Predicate, columns_of, compile_test
from domain_adapters.values import ValueMismatchError, emit, parse
from gateway.caller import Caller
from gateway.catalog.snapshot import Product, Snapshot
from gateway.governance.masks import MaskKeys, mask_function
from gateway.governance.rows import bind_all
from gateway.governance.ruling import Access, FieldRuling, ProductRuling, Standing
from gateway.governance.views import View

from ..differential.worlds import World

__all__ = ["SPOILT", "Equivalent", "equivalent_of"]

SPOILT = "\0spoilt"
"""Where a row says which of its cells does not keep its type."""

_Cell = tuple[str, str]
_OPAQUE = frozenset({MaskKind.REDACT, MaskKind.NULLIFY, MaskKind.PSEUDONYM})
_TRIES = 12
_MAILBOX = "abcdefgh"


@dataclass(slots=True)
class Equivalent:
    """``rows``: by product id; ``changed``: how many cells and rows differ, by product; ``renamed``: products whose keys are new.

    ``lifted``: (product id, column) of changed cells whose masks are lifted: a request that uses these columns may tell the sets apart.
    """

    rows: dict[str, list[dict[str, Any]]]
    changed: Counter[str]
    renamed: set[str]
    lifted: frozenset[tuple[str, str]] = frozenset()


def equivalent_of(
    world: World,
    snapshot: Snapshot,
    view: View,
    caller: Caller,
    random: Random,
    *,
    secret: bytes,
    tested: Mapping[str, frozenset[str]] | None = None,
    lifts: bool = False,
) -> Equivalent:
    """Make another data set that looks the same to a caller. ``lifts``: but to requests that use what is masked, where a grant lets them.

    ``tested``: product id -> columns that an endpoint filters by and so fills its pages by; there, rows that are not served keep
    their number and these cells, and others of theirs may break their type. None: ports are not sent for such rows.
    """
    making = _Making(world, snapshot, view, caller, random, MaskKeys(secret), tested, lifts)
    making.rename_keys()
    for product in snapshot.products.values():
        making.product(product)
    return Equivalent(making.rows, +making.changed, making.renamed, frozenset(making.lifted))


@dataclass(slots=True)
class _Making:
    world: World
    snapshot: Snapshot
    view: View
    caller: Caller
    random: Random
    keys: MaskKeys
    tested: Mapping[str, frozenset[str]] | None
    lifts: bool
    rows: dict[str, list[dict[str, Any]]] = field(init=False)
    changed: Counter[str] = field(default_factory=Counter)
    renamed: set[str] = field(default_factory=set)
    lifted: set[_Cell] = field(default_factory=set)
    _joined: set[_Cell] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rows = {id_: [dict(row) for row in rows] for id_, rows in self.world.rows.items()}

    # -- one product -------------------------------------------------------------------------------------------------------

    def product(self, product: Product) -> None:
        ruling = self.view.ruling(product.contract)
        rows = self.rows.get(product.id, [])
        if ruling.standing is not Standing.SERVED:
            self.changed[product.id] += len(rows)
            self.rows[product.id] = []
            return
        rules = bind_all(ruling, self.caller, product.contract)
        tested = frozenset().union(*map(columns_of, rules))
        kept = []
        for row in rows:
            passed = [_holds(rule, row) for rule in rules]
            if rules and not any(passed):
                if self.tested is None and self.random.random() < 0.3:
                    self.changed[product.id] += 1
                    continue
                self._unserved(product, row, tested)
            else:
                for field_ruling in ruling.fields:
                    if field_ruling.column not in tested:
                        self._cell(product, row, field_ruling, passed)
            kept.append(row)
        self.rows[product.id] = kept

    def _unserved(self, product: Product, row: dict[str, Any], tested: frozenset[str]) -> None:
        kept = tested | (self.tested or {}).get(product.id, frozenset())
        for column in product.columns:
            if column.name not in kept and column.name not in product.primary_key and (product.id, column.name) not in self._joined:
                self._set(product.id, row, column.name, self._other(product, column.name))
        spoilable = [column.name for column in product.columns if column.name not in (self.tested or {}).get(product.id, frozenset())]
        if self.tested is not None and spoilable and self.random.random() < 0.3:
            row[SPOILT] = self.random.choice(spoilable)
            self.changed[product.id] += 1

    def _cell(self, product: Product, row: dict[str, Any], ruling: FieldRuling, passed: list[bool]) -> None:
        name = ruling.column
        if ruling.access is Access.CLEAR or name in product.primary_key or (product.id, name) in self._joined:
            return
        if ruling.usable and not self.lifts:
            return
        if any(passed[index] for index in ruling.clear_rows):
            return
        is_masked = any(passed[index] for index in ruling.masked_rows) if ruling.varies else ruling.access is Access.MASKED
        if ruling.usable:
            self.lifted.add((product.id, name))
        if not is_masked or ruling.mask is None or ruling.mask.kind is MaskKind.NULLIFY:
            self._set(product.id, row, name, self._other(product, name))
            return
        if ruling.mask.kind is MaskKind.PSEUDONYM:
            return  # renamed with all others under the same key
        type_ = product.column_by_name[name].type
        mask = mask_function(ruling.mask, type_, self.keys, product.contract.metadata.domain)
        shown = mask(row[name])
        for _ in range(_TRIES):
            candidate = self._near(row[name], self._other(product, name))
            if mask(candidate) == shown and _fits(type_, candidate):
                self._set(product.id, row, name, candidate)
                return

    def _other(self, product: Product, name: str) -> Any:
        return self.random.choice(self.world.rows[product.id])[name]

    def _near(self, value: Any, other: Any) -> Any:
        match value:
            case str() if "@" in value and self.random.random() < 0.8:
                local, _, domain = value.partition("@")
                return local[:1] + "".join(self.random.choices(_MAILBOX, k=self.random.randint(1, 6))) + "@" + domain
            case str() if self.random.random() < 0.7:
                return value[:1] + "".join(self.random.choices(_MAILBOX, k=max(0, len(value) - 2))) + value[-1:] if len(value) > 2 else "xy"
            case bool():
                return other
            case int():
                return value + self.random.randint(-4, 4)
            case Decimal():
                return value + self.random.choice((0, 1, -1)) * Decimal(1).scaleb(int(value.as_tuple().exponent))
            case dt.datetime() | dt.date():
                try:
                    return value + dt.timedelta(days=self.random.randint(-9, 9))
                except OverflowError:
                    return value
            case list():
                return [self._near(item, item) for item in value]
        return other

    def _set(self, id_: str, row: dict[str, Any], name: str, value: Any) -> None:
        if row[name] != value or type(row[name]) is not type(value):
            row[name] = value
            self.changed[id_] += 1

    # -- keys and pseudonyms -----------------------------------------------------------------------------------------------

    def rename_keys(self) -> None:
        """Rename the values of masked keys, primary keys and pseudonyms, alike wherever they meet."""
        for cells in self._classes():
            self._joined.update(cells)
            if all(self._is_opaque(*cell) for cell in cells):
                self._rename(sorted(cells))

    def _classes(self) -> list[set[_Cell]]:
        found: list[set[_Cell]] = []

        def join(*cells: _Cell) -> None:
            met = [known for known in found if not known.isdisjoint(cells)]
            for known in met:
                found.remove(known)
            found.append(set(cells).union(*met))

        pseudonyms: dict[bytes, _Cell] = {}
        for product in self.snapshot.products.values():
            ruling = self.view.ruling(product.contract)
            if ruling.standing is not Standing.SERVED:
                continue
            for name in product.primary_key:
                join((product.id, name))
            for relation in product.relations:
                for own, other in relation.pairs:
                    if self._ruling(relation.target).standing is Standing.SERVED:
                        join((product.id, own), (relation.target, other))
            for it in ruling.fields:
                if it.mask is not None and it.mask.kind is MaskKind.PSEUDONYM:
                    key = self.keys.key(product.contract.metadata.domain, it.mask.scope)
                    join((product.id, it.column), pseudonyms.setdefault(key, (product.id, it.column)))
        return found

    def _ruling(self, id_: str) -> ProductRuling:
        return self.view.ruling(self.snapshot.products[id_].contract)

    def _is_opaque(self, id_: str, name: str) -> bool:
        ruling = self._ruling(id_)
        rules = bind_all(ruling, self.caller, self.snapshot.products[id_].contract)
        it = ruling.field(name)
        if it.usable or it.clear_rows or name in frozenset().union(*map(columns_of, rules)):
            return False
        return (it.access is Access.DENIED and not it.varies) or (it.mask is not None and it.mask.kind in _OPAQUE)

    def _rename(self, cells: list[_Cell]) -> None:
        types = {self.snapshot.products[id_].column_by_name[name].type for id_, name in cells}
        tied = {
            self.snapshot.products[id_].contract.metadata.domain for id_, name in cells if name in self.snapshot.products[id_].primary_key
        }
        if len(types) > 1 or len(tied) > 1:
            return
        (type_,) = types
        values = list(dict.fromkeys(row[name] for id_, name in cells for row in self.world.rows.get(id_, ()) if _is_plain(row[name])))
        fresh = _fresh(type_, self.random, len(values))
        if fresh is None:
            return
        if tied:
            tie = mask_function(Mask(MaskKind.PSEUDONYM), Scalar(Kind.STRING), self.keys, tied.pop())
            values.sort(key=lambda value: str(tie(str(value))))
            fresh.sort(key=lambda value: str(tie(str(value))))
        new = dict(zip(values, fresh, strict=True))
        for id_, name in cells:
            for row in self.rows.get(id_, ()):
                if _is_plain(row[name]):
                    self._set(id_, row, name, new[row[name]])
                    self.renamed.add(id_)


def _is_plain(value: Any) -> bool:
    return value is not None and not isinstance(value, (list, dict))


def _holds(rule: Predicate, row: dict[str, Any]) -> bool:
    return rule == TRUE or compile_test(rule, lambda name: lambda it: it[name])(row) is True


def _fits(type_: FieldType, value: Any) -> bool:
    try:
        parse(type_, emit(type_, value))
    except ValueMismatchError:
        return False
    return True


def _fresh(type_: FieldType, random: Random, count: int) -> list[Any] | None:
    if not isinstance(type_, Scalar):
        return None
    numbers = random.sample(range(100, 20_000), count)
    match type_.kind:
        case Kind.STRING:
            return [f"n{number}" for number in numbers]
        case Kind.INT | Kind.LONG:
            return list(numbers)
        case Kind.UUID:
            return [str(uuid.UUID(int=number << 100)) for number in numbers]
        case Kind.DATE:
            return [dt.date(1950, 1, 1) + dt.timedelta(days=number) for number in numbers]
        case Kind.INSTANT if type_.unit is not Unit.NANOS:
            return [dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=number) for number in numbers]
        case Kind.DECIMAL if type_.scale == 2:
            return [Decimal(number).scaleb(-2) for number in numbers]
    return None
