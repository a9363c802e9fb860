"""Turns a read into SQL over one relation: conditions, keyset pages, counts and groups.

Every value is a bound parameter in wire form and cast to its column's type; no name of a contract reaches the text but as a quoted
JSON member. Rejects columns that do not exist and values that do not fit (`ReadInvalidError`). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.fields import Kind, Scalar, Unit
from contracts.predicates import Among, And, Compare, Not, Operator, Or, Predicate
from domain_adapters.algebra import is_sortable, operators_of
from domain_adapters.columns import Column, quoted
from domain_adapters.errors import ReadInvalidError
from domain_adapters.port import Nulls, Order, Read

__all__ = ["Relation", "Statement", "Terms", "complete_order", "count_statement", "filters", "rows_statement"]

_DEPTH_MAX = 100
_COMPARISONS = {
    Operator.EQ: "=",
    Operator.NE: "<>",
    Operator.LT: "<",
    Operator.LTE: "<=",
    Operator.GT: ">",
    Operator.GTE: ">=",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text with its parameters, in order."""

    sql: str
    params: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """What is read: a SELECT that gives the contract's columns as ``c0..cn``, and what the contract says of them."""

    sql: str
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...]
    updated: str | None


class Terms:
    """SQL fragments with the parameters they need, gathered in the order of the text."""

    __slots__ = ("params", "parts")

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.params: list[Any] = []

    def add(self, sql: str, *params: Any) -> None:
        """Take one more condition."""
        self.parts.append(sql)
        self.params.extend(params)

    @property
    def where(self) -> str:
        """The conditions as a WHERE clause, empty if there are none."""
        return f" WHERE {' AND '.join(self.parts)}" if self.parts else ""


def column_of(columns: Mapping[str, Column], name: str) -> Column:
    """Look a column up. Raises: `ReadInvalidError`."""
    try:
        return columns[name]
    except KeyError:
        raise ReadInvalidError(f"unknown column {name[:256]!r}") from None


def sortable(columns: Mapping[str, Column], name: str) -> Column:
    """Look up a column that rows can be ordered, grouped or found by. Raises: `ReadInvalidError`."""
    column = column_of(columns, name)
    if not is_sortable(column.type):
        raise ReadInvalidError(f"column {name!r} holds nested values; it cannot be ordered, grouped or looked up by")
    return column


def complete_order(read: Read, relation: Relation) -> tuple[Order, ...]:
    """Give the order of the rows: as asked, each column once, ended by the primary key."""
    given = {term.column: term for term in reversed(read.order_by)}
    terms = [given.pop(term.column) for term in read.order_by if term.column in given]
    named = {term.column for term in terms}
    return (*terms, *(Order(name) for name in relation.primary_key if name not in named))


def order_sql(order: Sequence[Order], columns: Mapping[str, Column]) -> str:
    """Write an ORDER BY clause with explicit places for nulls; empty for no order."""
    terms = [f"{sortable(columns, term.column).sql} {_direction(term)}" for term in order]
    return f" ORDER BY {', '.join(terms)}" if terms else ""


def _direction(term: Order) -> str:
    return f"{'DESC' if term.descending else 'ASC'} NULLS {'FIRST' if term.nulls is Nulls.FIRST else 'LAST'}"


def filters(read: Read, relation: Relation) -> Terms:
    """Gather ``where``, ``since`` and ``keys``."""
    terms = Terms()
    if read.where is not None:
        terms.parts.append(predicate_sql(read.where, relation.columns, terms.params))
    if read.since is not None:
        _since(read.since, relation, terms)
    if read.keys is not None:
        _keys(read, relation, terms)
    return terms


def predicate_sql(predicate: Predicate, columns: Mapping[str, Column], params: list[Any], depth: int = 1) -> str:
    """Write a condition, appending its values to ``params``. SQL's own logic is three-valued already."""
    if depth > _DEPTH_MAX:
        raise ReadInvalidError(f"conditions nest at most {_DEPTH_MAX} deep")
    match predicate:
        case Compare():
            return _compare_sql(predicate, columns, params)
        case Among():
            raise ReadInvalidError("keys of several columns are asked for by keys, not by a condition")
        case Not(part=part):
            return f"(NOT {predicate_sql(part, columns, params, depth + 1)})"
        case And(parts=()):
            return "TRUE"
        case Or(parts=()):
            return "FALSE"
        case And(parts=parts):
            return f"({' AND '.join([predicate_sql(part, columns, params, depth + 1) for part in parts])})"
        case Or(parts=parts):
            return f"({' OR '.join([predicate_sql(part, columns, params, depth + 1) for part in parts])})"


def _compare_sql(test: Compare, columns: Mapping[str, Column], params: list[Any]) -> str:
    column = column_of(columns, test.column)
    if test.operator not in operators_of(column.type):
        raise ReadInvalidError(f"column {test.column!r} cannot be compared with {test.operator.value}")
    match test.operator:
        case Operator.IS_NULL:
            return f"({column.sql} IS {'NULL' if test.value else 'NOT NULL'})"
        case Operator.IN | Operator.NOT_IN:
            negated = test.operator is Operator.NOT_IN
            if not test.value:
                return "TRUE" if negated else "FALSE"
            if len(test.value) == 1:
                params.append(column.bound(next(iter(test.value))))
                return f"({column.sql} {'<>' if negated else '='} CAST(? AS {column.storage}))"
            params.append([column.bound(value) for value in test.value])
            return f"({column.sql} {'NOT IN' if negated else 'IN'} (SELECT unnest(CAST(? AS {column.storage}[]))))"
        case Operator.CONTAINS | Operator.STARTS_WITH:
            params.append(column.bound(test.value))
            return f"{'contains' if test.operator is Operator.CONTAINS else 'starts_with'}({column.sql}, CAST(? AS VARCHAR))"
    params.append(column.bound(test.value))
    return f"({column.sql} {_COMPARISONS[test.operator]} CAST(? AS {column.storage}))"


def _since(since: str, relation: Relation, terms: Terms) -> None:
    if relation.updated is None:
        raise ReadInvalidError("the contract names no column that says when a row was updated", reason="since")
    column = relation.columns[relation.updated]
    match column.type:
        case Scalar(kind=Kind.DATE):
            since = since[:10]
        case Scalar(kind=Kind.LOCAL_DATETIME) | Scalar(kind=Kind.INSTANT, unit=Unit.NANOS):
            since = since.rstrip("Zz")
    terms.add(f"({column.sql} >= CAST(? AS {column.storage}))", since)


def _keys(read: Read, relation: Relation, terms: Terms) -> None:
    if read.keys is None or not read.keys.values:
        terms.add("FALSE")
        return
    columns = [sortable(relation.columns, name) for name in read.keys.columns]
    lists = [[column.bound(value[at]) for value in read.keys.values] for at, column in enumerate(columns)]
    left = ", ".join(column.sql for column in columns)
    right = ", ".join(f"unnest(CAST(? AS {column.storage}[]))" for column in columns)
    terms.add(f"(({left}) IN (SELECT {right}))" if len(columns) > 1 else f"({left} IN (SELECT {right}))", *lists)


def rows_statement(read: Read, relation: Relation, *, limit: int, after: Sequence[Any] | None = None, offset: int = 0) -> Statement:
    """Write one page of rows: ``limit`` rows after a keyset (or an offset), each as (JSON object, JSON array of its order values).

    The page is cut before anything is written as JSON, so that only its own rows are.
    """
    order = complete_order(read, relation)
    selected = [column_of(relation.columns, name) for name in (relation.columns if read.select is None else read.select)]
    keys = [sortable(relation.columns, term.column) for term in order]
    needed = {column.sql: None for column in (*selected, *keys)} or {"1 AS one": None}
    terms = filters(read, relation)
    source = f"({relation.sql})"
    if read.keys is not None and read.limit_per_key is not None:
        # One row more than asked, so that whoever asks can tell that there are more.
        by = ", ".join(relation.columns[name].sql for name in read.keys.columns)
        best = f"QUALIFY row_number() OVER (PARTITION BY {by}{order_sql(order, relation.columns)}) <= {read.limit_per_key + 1}"
        inner = f"(SELECT * FROM {source} AS t{terms.where} {best})"
        terms, inner_params = Terms(), terms.params
    else:
        inner, inner_params = source, []
    if after is not None:
        _after(order, keys, after, terms)
    page = f"SELECT {', '.join(needed)} FROM {inner} AS t{terms.where}{order_sql(order, relation.columns)} LIMIT {limit} OFFSET {offset}"
    members = ", ".join(f"{quoted(column.name)}, {column.wire}" for column in selected)
    place = ", ".join(column.wire for column in keys)
    sql = f"SELECT json_object({members}), json_array({place}) FROM ({page}) AS p{order_sql(order, relation.columns)}"
    return Statement(sql, (*inner_params, *terms.params))


def count_statement(read: Read, relation: Relation) -> Statement:
    """Write the count of all rows that match, page and ``limit_per_key`` aside."""
    terms = filters(read, relation)
    return Statement(f"SELECT count(*) FROM ({relation.sql}) AS t{terms.where}", tuple(terms.params))


def _after(order: Sequence[Order], columns: Sequence[Column], values: Sequence[Any], terms: Terms) -> None:
    """Add "comes after these values": equal up to some term and beyond it there."""
    ways: list[str] = []
    equal: list[str] = []
    equal_params: list[Any] = []
    for term, column, value in zip(order, columns, values, strict=True):
        cast = f"CAST(? AS {column.storage})"
        beyond = _beyond(term, column, value is None, cast)
        if beyond is not None:
            ways.append(f"({' AND '.join([*equal, beyond])})")
            terms.params.extend(equal_params)
            if value is not None:
                terms.params.append(value)
        if value is None:
            equal.append(f"{column.sql} IS NULL")
        else:
            equal.append(f"{column.sql} = {cast}")
            equal_params.append(value)
    terms.parts.append(f"({' OR '.join(ways)})" if ways else "FALSE")


def _beyond(term: Order, column: Column, null: bool, cast: str) -> str | None:
    if null:
        return f"{column.sql} IS NOT NULL" if term.nulls is Nulls.FIRST else None
    further = f"{column.sql} {'<' if term.descending else '>'} {cast}"
    return further if term.nulls is Nulls.FIRST else f"({further} OR {column.sql} IS NULL)"
