"""Row rules for one caller: claims take the place of their names, and rows are tested by what results (SPEC A1, A6).

`bind` turns a rule with `Claim`s into one with values of the column's own type. Whatever does not fit makes the *whole* rule false:
under a ``not``, a false part would be true. Nothing here raises for what a token holds.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from contracts.fields import Enumeration, FieldType, Kind, Scalar, Unit
from contracts.model import Contract
from contracts.predicates import FALSE, TRUE, And, Claim, Compare, Not, Operator, Or, Predicate, compile_test, disjunction
from gateway.caller import Caller
from gateway.governance.facts import CLAIM_ITEMS_MAX, claim_at, claims_of
from gateway.governance.ruling import FieldRuling, ProductRuling

__all__ = ["CellOf", "RowTest", "bind", "bind_all", "cell_tests", "row_test"]

RowTest = Callable[[Any], bool]
CellOf = Callable[[str], Callable[[Any], Any]]

_MANY = (Operator.IN, Operator.NOT_IN)
_TEXTUAL = (Operator.CONTAINS, Operator.STARTS_WITH)
_WHOLE = re.compile(r"(?:0|-?[1-9]\d{0,18})", re.ASCII).fullmatch
_NUMBER = re.compile(r"-?\d{1,60}(?:\.\d{1,60})?", re.ASCII).fullmatch
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch
_INT_BITS = {Kind.INT: 31, Kind.LONG: 63}


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
    try:
        found = _coerced(value, type_)
    except (ValueError, OverflowError, InvalidOperation):
        found = None
    if found is None:
        raise _MisfitError
    return found


def _coerced(value: Any, type_: FieldType) -> Any:
    match type_:
        case Enumeration(symbols=symbols):
            return value if isinstance(value, str) and value in symbols else None
        case Scalar(kind=Kind.STRING):
            return value if isinstance(value, str) else None
        case Scalar(kind=Kind.BOOLEAN):
            return value if isinstance(value, bool) else {"true": True, "false": False}.get(value) if isinstance(value, str) else None
        case Scalar(kind=Kind.INT | Kind.LONG as kind):
            return _whole(value, _INT_BITS[kind])
        case Scalar(kind=Kind.FLOAT):
            number = _decimal(value)
            found = None if number is None else float(number)
            return found if found is not None and math.isfinite(found) else None
        case Scalar(kind=Kind.DECIMAL):
            return _decimal(value)
        case Scalar(kind=Kind.UUID):
            return str(UUID(value)) if isinstance(value, str) and len(value) == 36 else None
        case Scalar(kind=Kind.DATE):
            return dt.date.fromisoformat(value) if isinstance(value, str) and _DATE(value) else None
        case Scalar(kind=Kind.INSTANT, unit=unit) if unit is not Unit.NANOS:
            moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
            return moment.astimezone(dt.UTC) if moment is not None and moment.tzinfo is not None else None
        case _:
            return None


def _whole(value: Any, bits: int) -> int | None:
    number = int(value) if isinstance(value, str) and _WHOLE(value) else value
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    return number if -(1 << bits) <= number < (1 << bits) else None


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, str):
        return Decimal(value) if _NUMBER(value) else None
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value) if value.bit_length() <= 200 else None
    return Decimal(repr(value)) if isinstance(value, float) and math.isfinite(value) else None
