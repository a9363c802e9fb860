"""Facts about every condition: laws of three-valued logic, and row filters against a naive reading of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.masks import Mask, MaskKind, strictest
from contracts.predicates import And, Compare, Not, Operator, Or, Predicate, columns_of, compile_test, conjunction, disjunction
from tests.unit.contracts.written import contract

COLUMNS = ("count", "country")
ROWS = st.fixed_dictionaries({"count": st.none() | st.integers(-3, 3), "country": st.none() | st.sampled_from(["", "DE", "FR", "é"])})
ORDER = [Operator.EQ, Operator.NE, Operator.LT, Operator.LTE, Operator.GT, Operator.GTE]
NUMBERS = st.builds(Compare, st.just("count"), st.sampled_from(ORDER), st.integers(-3, 3))
LISTS = st.builds(
    Compare,
    st.just("country"),
    st.sampled_from([Operator.IN, Operator.NOT_IN]),
    st.lists(st.sampled_from(["DE", "FR", "é"]), max_size=3).map(tuple),
)
NULLS = st.builds(Compare, st.sampled_from(COLUMNS), st.just(Operator.IS_NULL), st.booleans())
PREDICATES: st.SearchStrategy[Predicate] = st.recursive(
    NUMBERS | LISTS | NULLS,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(And, st.lists(inner, max_size=3).map(tuple))
        | st.builds(Or, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=8,
)


def cell_of(column: str) -> Callable[[Any], Any]:
    return lambda row: row[column]


def known(predicate: Predicate, row: dict[str, Any]) -> bool | None:
    return compile_test(predicate, cell_of)(row)


@given(PREDICATES, PREDICATES, ROWS)
@settings(max_examples=300)
def test_de_morgan_holds_with_unknown(one: Predicate, other: Predicate, row: dict[str, Any]) -> None:
    assert known(Not(And((one, other))), row) == known(Or((Not(one), Not(other))), row)
    assert known(Not(Or((one, other))), row) == known(And((Not(one), Not(other))), row)
    assert known(Not(Not(one)), row) == known(one, row)


@given(st.lists(PREDICATES, max_size=4), ROWS)
@settings(max_examples=300)
def test_joining_means_the_same_as_nesting(parts: list[Predicate], row: dict[str, Any]) -> None:
    assert known(conjunction(*parts), row) == known(And(tuple(parts)), row)
    assert known(disjunction(*parts), row) == known(Or(tuple(parts)), row)
    assert columns_of(conjunction(*parts)) <= columns_of(And(tuple(parts)))


CONDITIONS = st.one_of(
    st.fixed_dictionaries({}, optional={operator.value: st.integers(-3, 3) for operator in ORDER})
    .filter(bool)
    .map(lambda ops: {"count": ops}),
    st.lists(st.sampled_from(["DE", "FR", "é"]), min_size=1, max_size=3).map(lambda values: {"country": {"in": values}}),
    st.booleans().map(lambda value: {"country": {"isNull": value}}),
)
FILTERS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"or": parts}),
        st.tuples(st.lists(inner, min_size=1, max_size=3), CONDITIONS).map(lambda pair: {"and": pair[0], **pair[1]}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=6,
)


def naive(written: dict[str, Any], row: dict[str, Any]) -> bool | None:
    """What a row filter says, read straight from its text."""
    results: list[bool | None] = []
    for key, value in written.items():
        if key == "or":
            parts = [naive(part, row) for part in value]
            results.append(True if True in parts else None if None in parts else False)
        elif key == "and":
            results += [naive(part, row) for part in value]
        elif key == "not":
            inner = naive(value, row)
            results.append(None if inner is None else not inner)
        else:
            results += [compared(operator, row[key], operand) for operator, operand in value.items()]
    return False if False in results else None if None in results else True


def compared(operator: str, cell: Any, operand: Any) -> bool | None:
    if operator == "isNull":
        return (cell is None) == operand
    if cell is None:
        return None
    match operator:
        case "eq":
            return bool(cell == operand)
        case "ne":
            return bool(cell != operand)
        case "lt":
            return bool(cell < operand)
        case "lte":
            return bool(cell <= operand)
        case "gt":
            return bool(cell > operand)
        case "gte":
            return bool(cell >= operand)
        case _:
            return cell in operand


@given(FILTERS, st.lists(ROWS, min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_row_filters_mean_what_they_say(written: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    (grant,) = contract(f"  access: [{{role: a, fields: [id], rowFilter: {json.dumps(written)}}}]\n").access.grants
    assert grant.row_filter is not None
    assert [known(grant.row_filter, row) for row in rows] == [naive(written, row) for row in rows]


MASKS = st.one_of(
    st.sampled_from([MaskKind.NULLIFY, MaskKind.REDACT, MaskKind.EMAIL]).map(Mask),
    st.builds(Mask, st.just(MaskKind.PARTIAL), first=st.integers(0, 3), last=st.integers(1, 3)),
    st.builds(Mask, st.just(MaskKind.TRUNCATE), to=st.sampled_from(["year", "month", "day"])),
    st.builds(Mask, st.just(MaskKind.ROUND), to=st.sampled_from(["5", "10", "0.5"])),
)


@given(st.lists(MASKS, min_size=1, max_size=5), MASKS)
def test_another_tag_never_loosens_a_mask(masks: list[Mask], another: Mask) -> None:
    chosen = strictest([*masks, another])
    assert chosen in (strictest(masks), another)
    assert strictest([chosen, strictest(masks)]) == chosen
