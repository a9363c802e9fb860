"""Arguments of ``aggregate`` and ``groups`` with one request's values -> a `Grouping`, before any read.

Rejects what validation could not see: fields that are not where a path leads, cuts that a column does not have, time zones that
do not exist, keys that are not grouped by (BAD_USER_INPUT), what does not show in clear along the paths
(MASKED_FIELD_IN_PREDICATE), and too much of anything (LIMIT_EXCEEDED).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from msgspec import structs

from contracts.fields import Field, FieldType, Kind, Scalar
from contracts.predicates import TRUE, Not, Predicate, conjunction, disjunction
from domain_adapters.algebra import aggregate_type, truncations_of
from domain_adapters.port import Nulls, Order
from gateway.catalog.inputs import DIRECTIONS
from gateway.catalog.measures import FUNCTIONS, HOPS_MAX, column_symbols, relation_symbols
from gateway.catalog.snapshot import Column, Product
from gateway.compiler.executable import TotalsStep, steps_below
from gateway.compiler.structs import output_class
from gateway.compiler.totals import FunctionPick, GroupCursorPick, GroupsPick, KeyCellPick, KeyPick, MeasurePick
from gateway.engine.asking.asked import Asked
from gateway.engine.asking.conditions import check_usable, comparison, where_columns, where_predicate
from gateway.engine.asking.cuts import is_zone
from gateway.engine.asking.grouping import Grouping, Measure, Path, Term, names_of
from gateway.engine.budget import Bounds
from gateway.errors import GatewayError
from gateway.governance.ruling import ProductRuling
from gateway.governance.totals import masked, unclear_along

__all__ = ["bind_totals"]

_TERMS_MAX = 16
_Read = Callable[[Sequence[Any], str | None], Any]


def bind_totals(
    step: TotalsStep,
    given: Mapping[str, Any],
    asked: Asked,
    named: frozenset[str],
    *,
    bounds: Bounds,
    rulings: Mapping[str, ProductRuling],
    decision: bytes,
    rules: Mapping[str, tuple[Predicate, ...]],
    long_as_text: bool,
) -> Grouping:
    """Bind one ``aggregate`` or ``groups`` of a connection, which asks for ``asked`` and names the columns ``named``."""
    binding = _Binding(step, given, long_as_text=long_as_text)
    where = given.get("where")
    if where is not None:
        named |= where_columns(step.product, where)
        check_usable(step.product, where_columns(step.product, where), step.unusable)
        asked = structs.replace(asked, where=conjunction(asked.where, where_predicate(step.product, where, step.links)))
    having = binding.having(given.get("having"))
    order = binding.order(given.get("orderBy"))
    write = binding.writer()
    protected = binding.check(named, rulings)
    first = given.get("first")
    first = bounds.rows_default if first is None else first
    if first < 0:
        raise GatewayError("BAD_USER_INPUT", f"first of {'.'.join(step.path)} is negative.", hint="Ask for 0 groups or more.")
    if first > bounds.rows_max:
        raise GatewayError("LIMIT_EXCEEDED", f"first of {'.'.join(step.path)} is over {bounds.rows_max}.", hint="Page with after.")
    found = Grouping(
        structs.replace(asked, order=(), place=None),
        write,
        by=binding.by,
        measures=tuple(binding.measures),
        having=having,
        order=(Order("r"), *order) if protected else order,
        first=first,
        after=given.get("after"),
        places=any(isinstance(it, GroupCursorPick) for it in step.pick.picks),
        protected=protected,
        has_subjects=step.product.contract.subject is not None,
    )
    if not found.places and found.after is None:
        return found
    ends = [step.product, *(target for path in found.paths for _, target in path), *(it.product for it in steps_below(step.links))]
    ruled = [(it.id, it.contract.revision, rulings[it.id].fields, rulings[it.id].row_rules, rules[it.id]) for it in ends]
    by = [(names_of(term.path), term.column.name, term.part, term.zone) for term in binding.by]
    totals = [(it.function, names_of(it.path), it.column.name if it.column else None) for it in binding.measures]
    text = repr((ruled, by, totals, having, order, asked.where, asked.since, sorted(protected.items()))).encode()
    return replace(found, bound_to=blake2b(text + decision, digest_size=16).digest())


class _Binding:
    def __init__(self, step: TotalsStep, given: Mapping[str, Any], *, long_as_text: bool) -> None:
        self.step = step
        self.product = step.product
        self.long_as_text = long_as_text
        self.measures: list[Measure] = []
        zone = given.get("timeZone")
        if zone is not None and not is_zone(zone):
            raise GatewayError("BAD_USER_INPUT", "timeZone is no time zone.", hint='Use an IANA name, such as "Europe/Berlin".')
        entries = given.get("by", ())
        if isinstance(step.pick, GroupsPick) and not entries:
            raise _bad(f"by of {'.'.join(step.path)} names nothing.", "Name at least one column, or ask for aggregate.")
        if len(entries) > _TERMS_MAX:
            raise GatewayError("LIMIT_EXCEEDED", f"by of {'.'.join(step.path)} names more than {_TERMS_MAX} columns.")
        self.by = tuple(self._term(entry, zone) for entry in entries)
        self._place = {(names_of(term.path), term.column.name): f"k{at}" for at, term in enumerate(self.by)}
        if len(self._place) < len(self.by):
            raise _bad(f"by of {'.'.join(step.path)} names a column twice.", "Name each column once.")

    # -- by ----------------------------------------------------------------------------------------------------------------

    def _term(self, entry: Mapping[str, Any], zone: str | None) -> Term:
        at = self.product
        path: Path = ()
        partners = {it.id: it for it in self.step.partners}
        symbols = entry.get("path") or ()
        if len(symbols) > HOPS_MAX:
            raise GatewayError("LIMIT_EXCEEDED", f"A path of by follows more than {HOPS_MAX} relationships.")
        for symbol in symbols:
            relation = relation_symbols(at).get(symbol)
            if relation is None or relation.target not in partners:
                raise _bad(f"{symbol} leads nowhere from {at.id}.", "Follow its to-one relationships.")
            at = partners[relation.target]
            path = (*path, (relation, at))
        column = column_symbols(at).get(entry["field"])
        if column is None or self._is_hidden(at, column):
            raise _bad(f"{entry['field']} is no field of {at.id}.", "Give the path that leads to its product.")
        part = entry.get("truncate")
        if part is not None and part not in truncations_of(column.type):
            raise _bad(f"{column.graphql_name} of {at.id} cannot be cut to {part}.", "Dates and instants can.")
        is_instant = isinstance(column.type, Scalar) and column.type.kind is Kind.INSTANT
        return Term(path, column, part, (zone or "UTC") if part is not None and is_instant else None)

    def _is_hidden(self, product: Product, column: Column) -> bool:
        ruling = self.step.ruling if product is self.product else self.step.partner_rulings[product.id]
        return ruling.field(column.name).hidden

    def check(self, named: frozenset[str], rulings: Mapping[str, ProductRuling]) -> dict[str, int]:
        """Refuse what does not show; give the columns in use that are protected."""
        pick = self.step.pick
        unclear = unclear_along(self.product, pick, [*(it.path for it in self.by), *(it.path for it in self.measures)], rulings)
        for term in self.by:
            if term.column.name in unclear[names_of(term.path)]:
                raise masked(term.path[-1][1] if term.path else self.product, term.column.name)
        for it in self.measures:
            if it.path and it.column is not None and it.column.name in unclear[names_of(it.path)]:
                raise masked(it.path[-1][1], it.column.name)
        used = {(it.column.name, it.function) for it in self.measures if it.column is not None and not it.path}
        # The schema offers what the column allows by itself; where it is one value with others, they may allow less.
        barred = {name for name, function in used if name not in pick.protected or function not in pick.protected[name].functions}
        for name in sorted(barred & unclear[()] | named & (unclear[()] - pick.unclear)):
            raise masked(self.product, name)
        return {name: pick.protected[name].min_group for name in sorted({it for it, _ in used}) if name in pick.protected}

    # -- slots -------------------------------------------------------------------------------------------------------------

    def _measure(self, function: str, column: Column | None, path: Path = ()) -> str:
        type_ = aggregate_type(function, None if column is None else column.type)
        assert type_ is not None
        if len(path) > HOPS_MAX:
            raise GatewayError("LIMIT_EXCEEDED", f"A total is taken along more than {HOPS_MAX} relationships.")
        found = Measure(function, column, type_, path)
        if found not in self.measures:
            self.measures.append(found)
        return f"m{self.measures.index(found)}"

    def _key(self, path: tuple[str, ...], column: Column) -> str:
        slot = self._place.get((path, column.name))
        if slot is None:
            shown = ".".join((*path, column.graphql_name))
            raise _bad(f"key names {shown}, which {'.'.join(self.step.path)} is not grouped by.", "Name it in by as well.")
        return slot

    # -- having ------------------------------------------------------------------------------------------------------------

    def having(self, value: Mapping[str, Any] | None) -> Predicate:
        """Read a ``having`` argument; everything given must hold."""
        parts: list[Predicate] = []
        for name, inner in (value or {}).items():
            if inner is None:
                raise _bad(f"null is no condition for {name}.", "Leave the condition out.")
            match name:
                case "and":
                    parts.extend(self.having(it) for it in inner)
                case "or":
                    parts.append(disjunction(*(self.having(it) for it in inner)))
                case "not":
                    parts.append(Not(self.having(inner)))
                case "count":
                    parts.extend(_comparisons(self._measure("count", None), name, Scalar(Kind.LONG), inner))
                case "key":
                    parts.extend(self._key_conditions(self.product, (), inner))
                case _:
                    parts.extend(self._total_conditions(name, self.product, (), inner))
        return conjunction(*parts) if parts else TRUE

    def _total_conditions(self, function: str, product: Product, path: Path, value: Mapping[str, Any]) -> list[Predicate]:
        found: list[Predicate] = []
        for name, inner in value.items():
            if inner is None:
                raise _bad(f"null is no condition for {name}.", "Leave the condition out.")
            if (column := product.column_by_graphql_name.get(name)) is not None:
                slot = self._measure(function, column, path)
                found.extend(_comparisons(slot, name, self.measures[int(slot[1:])].type, inner))
            else:
                target = self._partner(product, name)
                found.extend(self._total_conditions(function, target, (*path, (product.relation_by_name[name], target)), inner))
        return found

    def _key_conditions(self, product: Product, path: tuple[str, ...], value: Mapping[str, Any]) -> list[Predicate]:
        found: list[Predicate] = []
        for name, inner in value.items():
            if inner is None:
                raise _bad(f"null is no condition for {name}.", "Leave the condition out.")
            if (column := product.column_by_graphql_name.get(name)) is not None:
                found.extend(_comparisons(self._key(path, column), name, column.type, inner))
            else:
                found.extend(self._key_conditions(self._partner(product, name), (*path, name), inner))
        return found

    def _partner(self, product: Product, name: str) -> Product:
        relation = product.relation_by_name.get(name)
        found = [it for it in self.step.partners if relation is not None and it.id == relation.target]
        if not found:
            raise _bad(f"{name} leads nowhere from {product.id}.", "Follow its to-one relationships.")
        return found[0]

    # -- order -------------------------------------------------------------------------------------------------------------

    def order(self, value: Sequence[Mapping[str, Any]] | None) -> tuple[Order, ...]:
        """Read an ``orderBy`` argument, and end it with all keys."""
        terms: dict[str, Order] = {}
        for term in value or ():
            slot, direction = self._sorted(term)
            descending, nulls = DIRECTIONS[direction]
            terms.setdefault(slot, Order(slot, descending, Nulls(nulls)))
        for at in range(len(self.by)):
            terms.setdefault(f"k{at}", Order(f"k{at}"))
        return tuple(terms.values())

    def _sorted(self, term: Mapping[str, Any]) -> tuple[str, str]:
        product = self.product
        path: tuple[str, ...] = ()
        name, inner = _only(term)
        if name == "count":
            return self._measure("count", None), inner
        function = name
        name, inner = _only(inner)
        if function in FUNCTIONS:
            along: Path = ()
            while (column := product.column_by_graphql_name.get(name)) is None:
                target = self._partner(product, name)
                product, along = target, (*along, (product.relation_by_name[name], target))
                name, inner = _only(inner)
            return self._measure(function, column, along), inner
        while (column := product.column_by_graphql_name.get(name)) is None:
            product, path = self._partner(product, name), (*path, name)
            name, inner = _only(inner)
        return self._key(path, column), inner

    # -- what is shown -----------------------------------------------------------------------------------------------------

    def writer(self) -> _Read:
        """Make the function that writes a group as the answer has it."""
        return self._object(self.step.pick.picks)

    def _object(self, picks: Sequence[Any], path: tuple[str, ...] = ()) -> _Read:
        made = output_class(tuple(pick.key for pick in picks))
        reads = [self._read(pick, path) for pick in picks]
        return lambda group, cursor: made(*(read(group, cursor) for read in reads))

    def _read(self, pick: Any, path: tuple[str, ...]) -> _Read:
        match pick:
            case MeasurePick(function=function, column=column, path=along):
                slot = self._measure(function, column, along)
                place = len(self.by) + int(slot[1:])
                whose = along[-1][1].id if along else ""
                mask = None if column is None or function not in ("min", "max") else self.step.masks.get((whose, column.name))
                return self._written(place, self.measures[int(slot[1:])].type, mask)
            case FunctionPick(picks=picks) | KeyPick(picks=picks):
                return self._object(picks, pick.path if isinstance(pick, KeyPick) else ())
            case KeyCellPick(column=column):
                mask = self.step.masks.get((self._at(path).id if path else "", column.name))
                return self._written(int(self._key(path, column)[1:]), column.type, mask)
            case GroupCursorPick():
                return lambda _group, cursor: cursor
        name = pick.type_name
        return lambda _group, _cursor: name

    def _at(self, path: tuple[str, ...]) -> Product:
        product = self.product
        for name in path:
            product = self._partner(product, name)
        return product

    def _written(self, place: int, type_: FieldType, mask: Callable[[Any], Any] | None = None) -> _Read:
        if mask is not None:
            shown = self._written(0, type_)
            return lambda group, _: None if (value := mask(group[place])) is None else shown((value,), None)
        kind = type_.kind if isinstance(type_, Scalar) else None
        if kind is Kind.DECIMAL:
            return lambda group, _: None if (value := group[place]) is None else format(value, "f")
        if kind is Kind.LONG and self.long_as_text:
            return lambda group, _: None if (value := group[place]) is None else str(value)
        return lambda group, _: group[place]


def _comparisons(slot: str, name: str, type_: FieldType, tests: Mapping[str, Any]) -> list[Predicate]:
    column = Column(slot, name, Field(slot, type_))
    return [comparison(column, operator, value) for operator, value in tests.items()]


def _only(term: Any) -> tuple[str, Any]:
    if not isinstance(term, Mapping) or len(term) != 1 or None in term.values():  # a variable that may be left out or null, and is
        raise _bad("A term of orderBy names nothing.", "Give each term one total or key and its direction.")
    ((name, inner),) = term.items()
    return name, inner


def _bad(message: str, hint: str) -> GatewayError:
    return GatewayError("BAD_USER_INPUT", message, hint=hint)
