"""Row rules for one caller: claims take the place of their names, and rows are tested by what results (SPEC A1, A6).

`bind` turns a rule with `Claim`s into one with values of the column's own type. Whatever does not fit makes the *whole* rule false:
under a ``not``, a false part would be true. Nothing here raises for what a token holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from contracts.fields import Enumeration, FieldType, Kind, Scalar
from contracts.model import Contract
from contracts.predicates import FALSE, TRUE, Among, And, Claim, Compare, Not, Operator, Or, Predicate, compile_test, disjunction
from domain_adapters.values import parse
from gateway.caller import Caller
from gateway.governance.facts import CLAIM_ITEMS_MAX, claim_at, claims_of
from gateway.governance.recent import Recent
from gateway.governance.ruling import FieldRuling, ProductRuling

__all__ = ["BoundRules", "CellOf", "RowTest", "bind", "bind_all", "cell_tests", "row_test"]

RowTest = Callable[[Any], bool]
CellOf = Callable[[str], Callable[[Any], Any]]

_MANY = (Operator.IN, Operator.NOT_IN)
_TEXTUAL = (Operator.CONTAINS, Operator.STARTS_WITH)
_NUMBER = re.compile(r"-?\d{1,60}(?:\.\d{1,60})?", re.ASCII).fullmatch
_BOOLEANS = {"true": True, "false": False}


class _MisfitError(Exception):
    """A claim does not fit the column it is compared with."""


def bind(rule: Predicate, caller: Caller, contract: Contract) -> Predicate:
    """Put the caller's claims into a row rule; a rule without claims is given back as it is, one that cannot be bound is `FALSE`."""
    if not claims_of(rule):
        return rule
    try:
        return _bind(rule, caller, contract)
    except _MisfitError:
        return FALSE


def bind_all(ruling: ProductRuling, caller: Caller, contract: Contract) -> tuple[Predicate, ...]:
    """Bind every row rule of a ruling, at the same indices."""
    return tuple(bind(rule, caller, contract) for rule in ruling.row_rules)


class BoundRules:
    """The bound row rules of callers seen lately: the same `Caller` object (remembered with its token) binds a ruling once."""

    __slots__ = ("_known",)

    def __init__(self, capacity: int = 4_096) -> None:
        self._known: Recent[tuple[Caller, int], tuple[ProductRuling, tuple[Predicate, ...]]] = Recent(capacity)

    def of(self, ruling: ProductRuling, caller: Caller, contract: Contract) -> tuple[Predicate, ...]:
        """Find or bind every row rule of a ruling on ``contract``, at the same indices."""
        if not ruling.row_rules:
            return ()
        # INVARIANT: the entry holds its ruling, so no other ruling can come to have the same id while it is kept.
        known = self._known.get((caller, id(ruling)))
        if known is None:
            known = (ruling, bind_all(ruling, caller, contract))
            self._known.put((caller, id(ruling)), known)
        return known[1]


def row_test(ruling: ProductRuling, bound_rules: Sequence[Predicate], cell_of: CellOf) -> RowTest | None:
    """Compile the test that a row must pass to be served; None where every row is.

    ``cell_of(column)`` gives the function that takes a row to its cell. A row whose cells cannot be compared is not served.
    """
    if not ruling.row_rules or TRUE in bound_rules:
        return None
    return _certain(disjunction(*bound_rules), cell_of)


def cell_tests(field: FieldRuling, bound_rules: Sequence[Predicate], cell_of: CellOf) -> tuple[RowTest, RowTest]:
    """Compile the tests of a field that varies by row: is this row's cell clear, and if not, is it shown masked."""
    clear, masked = (
        _certain(disjunction(*(bound_rules[index] for index in indices)), cell_of) for indices in (field.clear_rows, field.masked_rows)
    )
    return clear, masked


def _certain(rule: Predicate, cell_of: CellOf) -> RowTest:
    test = compile_test(rule, cell_of)

    def certain(row: Any) -> bool:
        try:
            return test(row) is True
        except (TypeError, AttributeError):
            return False

    return certain


def _bind(rule: Predicate, caller: Caller, contract: Contract) -> Predicate:
    match rule:
        case Compare(column=column, operator=op, value=value):
            return Compare(column, op, _value(op, value, caller, contract, column=column))
        case Among():
            return rule
        case And(parts=parts):
            return And(tuple(_bind(part, caller, contract) for part in parts))
        case Or(parts=parts):
            return Or(tuple(_bind(part, caller, contract) for part in parts))
        case Not(part=part):
            return Not(_bind(part, caller, contract))


def _value(op: Operator, value: Any, caller: Caller, contract: Contract, *, column: str) -> Any:
    if isinstance(value, tuple):
        if not any(isinstance(item, Claim) for item in value):
            return value
        items: list[Any] = []
        for item in value:
            items.extend(_items(item, caller, contract, column) if isinstance(item, Claim) else (item,))
        return _distinct(items)
    if not isinstance(value, Claim):
        return value
    if op in _MANY:
        return _distinct(_items(value, caller, contract, column))
    found = claim_at(caller, value.path)
    if op is Operator.IS_NULL:
        if not isinstance(found, bool):
            raise _MisfitError
        return found
    type_ = _type(contract, column)
    if op in _TEXTUAL and not (isinstance(type_, Scalar) and type_.kind is Kind.STRING and found):
        raise _MisfitError
    return _coerce(found, type_)


def _items(claim: Claim, caller: Caller, contract: Contract, column: str) -> list[Any]:
    found = claim_at(caller, claim.path)
    items = list(found) if isinstance(found, (list, tuple)) else [found]
    if not 0 < len(items) <= CLAIM_ITEMS_MAX:
        raise _MisfitError
    type_ = _type(contract, column)
    return [_coerce(item, type_) for item in items]


def _distinct(items: list[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(items))


def _type(contract: Contract, column: str) -> FieldType:
    field = contract.field_by_name.get(column)
    if field is None:
        raise _MisfitError
    return field.type


def _coerce(value: Any, type_: FieldType) -> Any:
    """Take a claim's value to the column's type, or raise."""
    match type_:
        case Enumeration():
            readable = isinstance(value, str)
        case Scalar(kind=Kind.BOOLEAN):
            value = _BOOLEANS.get(value, value) if isinstance(value, str) else value
            readable = isinstance(value, bool)
        case Scalar(kind=Kind.INT | Kind.LONG | Kind.FLOAT | Kind.DECIMAL as kind):
            # Tokens often carry numbers as text.
            if isinstance(value, str) and _NUMBER(value):
                value = float(value) if kind is Kind.FLOAT else value if kind is Kind.DECIMAL else Decimal(value)
            readable = not isinstance(value, bool)
        case Scalar(kind=Kind.JSON | Kind.BYTES):
            readable = False
        case Scalar():
            readable = isinstance(value, str)
        case _:
            readable = False
    if not readable or value is None:
        raise _MisfitError
    try:
        return parse(type_, value)
    except ValueError:
        raise _MisfitError from None
