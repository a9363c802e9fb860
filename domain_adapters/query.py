"""Turns the body of ``POST {path}/query`` into a read that fits the contract: the server's gate.

Unknown members, unknown columns, values of the wrong type and absurd sizes are refused with `ReadInvalidError` (400) before
anything is read. Touches nothing. Source: SPEC B3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from contracts.fields import FieldType, Kind, Scalar
from contracts.model import Contract
from contracts.predicates import And, Compare, Not, Operator, Or, Predicate
from domain_adapters.algebra import AGGREGATES, TRUNCATIONS, aggregate_type, is_sortable, operators_of, truncations_of
from domain_adapters.errors import ReadInvalidError, ValueMismatchError
from domain_adapters.port import Aggregate, GroupBy, Keys, Nulls, Order, Read
from domain_adapters.values import canonical_instant, parser_of

__all__ = ["canonical_since", "decode_read"]

_DEPTH_MAX = 64
_TESTS_MAX = 2_000
_VALUES_MAX = 50_000
_TERMS_MAX = 256
_KEYS_MAX = 10_000
_CURSOR_CHARS_MAX = 16_384
_NAME_CHARS_MAX = 256
_INSTANT = parser_of(Scalar(Kind.INSTANT))


class _Condition(msgspec.Struct, forbid_unknown_fields=True):
    all_of: list[_Condition] | UnsetType = msgspec.field(default=UNSET, name="and")
    any_of: list[_Condition] | UnsetType = msgspec.field(default=UNSET, name="or")
    none_of: _Condition | UnsetType = msgspec.field(default=UNSET, name="not")
    col: str | UnsetType = UNSET
    op: Operator | UnsetType = UNSET
    value: Any = UNSET


class _Term(msgspec.Struct, forbid_unknown_fields=True):
    col: str
    dir: Literal["asc", "desc"] = "asc"
    nulls: Nulls = Nulls.LAST


class _Keys(msgspec.Struct, forbid_unknown_fields=True):
    columns: list[str]
    values: list[list[Any]]


class _Aggregate(msgspec.Struct, forbid_unknown_fields=True):
    fn: str
    name: str = msgspec.field(name="as")
    col: str | None = None


class _GroupBy(msgspec.Struct, forbid_unknown_fields=True):
    col: str
    truncate: str | None = None
    time_zone: str | None = msgspec.field(default=None, name="timeZone")


class _Query(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    select: list[str] | None = None
    where: _Condition | None = None
    order_by: list[_Term] = []
    limit: int | None = None
    cursor: str | None = None
    since: str | None = None
    keys: _Keys | None = None
    limit_per_key: int | None = None
    aggregates: list[_Aggregate] = []
    group_by: list[_GroupBy] = []
    having: _Condition | None = None
    count: bool = False


_QUERY = msgspec.json.Decoder(_Query, float_hook=Decimal)


def decode_read(body: bytes, contract: Contract) -> Read:
    """Read the body of a query against a contract: every name known, every value a Python value of its column's type.

    Raises: `ReadInvalidError`.
    """
    query = _decoded(body)
    types = {field.name: field.type for field in contract.fields}
    if max(len(query.order_by), len(query.aggregates), len(query.group_by)) > _TERMS_MAX:
        raise ReadInvalidError(f"orderBy, aggregates and groupBy take at most {_TERMS_MAX} entries each")
    if query.limit is not None and query.limit < 0:
        raise ReadInvalidError("limit must not be negative")
    if query.limit_per_key is not None and (query.limit_per_key < 1 or query.keys is None):
        raise ReadInvalidError("limitPerKey must be at least 1 and needs keys")
    if query.cursor is not None and len(query.cursor) > _CURSOR_CHARS_MAX:
        raise ReadInvalidError("the cursor is not one of this port's", reason="bad_cursor")
    aggregates = tuple(_aggregate(item, types) for item in query.aggregates)
    group_by = tuple(_group_by(item, types) for item in query.group_by)
    results = _result_types(aggregates, group_by, types)
    if query.having is not None and not results:
        raise ReadInvalidError("having needs aggregates or groupBy")
    budget = _Budget()
    return Read(
        select=None if query.select is None else _select(query.select, types),
        where=None if query.where is None else _predicate(query.where, types, budget, 1),
        order_by=tuple(_order(term, results or types) for term in query.order_by),
        limit=query.limit,
        cursor=query.cursor,
        since=None if query.since is None else canonical_since(query.since),
        keys=None if query.keys is None else _keys(query.keys, types),
        limit_per_key=query.limit_per_key,
        aggregates=aggregates,
        group_by=group_by,
        having=None if query.having is None else _predicate(query.having, results, budget, 1),
        count=query.count,
    )


def _decoded(body: bytes) -> _Query:
    try:
        return _QUERY.decode(body)
    except RecursionError:
        raise ReadInvalidError("the query is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise ReadInvalidError(f"not a query: {error}") from None
    except ValueError:
        raise ReadInvalidError("the body is not JSON", reason="not_json") from None


class _Budget:
    """How many tests and values one query may still hold."""

    __slots__ = ("tests", "values")

    def __init__(self) -> None:
        self.tests = _TESTS_MAX
        self.values = _VALUES_MAX

    def spend(self, values: int) -> None:
        self.tests -= 1
        self.values -= values
        if self.tests < 0 or self.values < 0:
            raise ReadInvalidError(f"a query holds at most {_TESTS_MAX} conditions and {_VALUES_MAX} values")


def _type_of(column: str, types: Mapping[str, FieldType]) -> FieldType:
    try:
        return types[column]
    except KeyError:
        raise ReadInvalidError(f"unknown column {column[:_NAME_CHARS_MAX]!r}") from None


def _select(columns: list[str], types: Mapping[str, FieldType]) -> tuple[str, ...]:
    if len(columns) > len(types):
        raise ReadInvalidError("select names more columns than there are")
    for column in columns:
        _type_of(column, types)
    return tuple(dict.fromkeys(columns))


def _order(term: _Term, types: Mapping[str, FieldType]) -> Order:
    if not is_sortable(_type_of(term.col, types)):
        raise ReadInvalidError(f"column {term.col!r} cannot be ordered by")
    return Order(term.col, term.dir == "desc", term.nulls)


def canonical_since(text: str) -> str:
    """Check a ``since`` and write it in UTC. Raises: `ReadInvalidError`."""
    try:
        return canonical_instant(_INSTANT(text))
    except ValueMismatchError:
        raise ReadInvalidError("since must be an RFC 3339 instant with a zone") from None


def _predicate(node: _Condition, types: Mapping[str, FieldType], budget: _Budget, depth: int) -> Predicate:
    if depth > _DEPTH_MAX:
        raise ReadInvalidError(f"conditions nest at most {_DEPTH_MAX} deep")
    members = [name for name in ("all_of", "any_of", "none_of", "col") if getattr(node, name) is not UNSET]
    compares = node.col is not UNSET and node.op is not UNSET and node.value is not UNSET
    if len(members) != 1 or (not compares and (node.col is not UNSET or node.op is not UNSET or node.value is not UNSET)):
        raise ReadInvalidError('a condition is {"and": [..]}, {"or": [..]}, {"not": {..}} or {"col", "op", "value"}')
    if node.all_of is not UNSET:
        budget.spend(0)
        return And(tuple(_predicate(part, types, budget, depth + 1) for part in node.all_of))
    if node.any_of is not UNSET:
        budget.spend(0)
        return Or(tuple(_predicate(part, types, budget, depth + 1) for part in node.any_of))
    if node.none_of is not UNSET:
        budget.spend(0)
        return Not(_predicate(node.none_of, types, budget, depth + 1))
    return _compare(node, types, budget)


def _compare(node: _Condition, types: Mapping[str, FieldType], budget: _Budget) -> Compare:
    column, op, raw = str(node.col), Operator(str(node.op)), node.value
    type_ = _type_of(column, types)
    if op not in operators_of(type_):
        raise ReadInvalidError(f"column {column!r} cannot be compared with {op.value}")
    if op is Operator.IS_NULL:
        budget.spend(1)
        if not isinstance(raw, bool):
            raise ReadInvalidError(f"{op.value} of column {column!r} takes true or false")
        return Compare(column, op, raw)
    if op in (Operator.IN, Operator.NOT_IN):
        if not isinstance(raw, list):
            raise ReadInvalidError(f"{op.value} of column {column!r} takes an array")
        budget.spend(len(raw))
        return Compare(column, op, _values(raw, column, type_))
    budget.spend(1)
    return Compare(column, op, _values((raw,), column, type_)[0])


def _values(raws: Sequence[Any], column: str, type_: FieldType) -> tuple[Any, ...]:
    parse = parser_of(type_)
    try:
        values = tuple(map(parse, raws))
    except ValueMismatchError as error:
        raise ReadInvalidError(f"a value for column {column!r} does not fit: {error}", reason="unfit_value") from None
    if None in values:
        raise ReadInvalidError(f"null cannot be compared with column {column!r}: use isNull", reason="unfit_value")
    return values


def _keys(keys: _Keys, types: Mapping[str, FieldType]) -> Keys:
    columns = tuple(keys.columns)
    if not columns or len(set(columns)) != len(columns):
        raise ReadInvalidError("keys.columns must name columns, each once")
    if len(keys.values) > _KEYS_MAX:
        raise ReadInvalidError(f"at most {_KEYS_MAX} keys", reason="too_many_keys")
    for column in columns:
        if not is_sortable(_type_of(column, types)):
            raise ReadInvalidError(f"column {column!r} cannot be a key")
    if any(len(values) != len(columns) for values in keys.values):
        raise ReadInvalidError("every key has one value per key column")
    parsed = [_values([key[at] for key in keys.values], column, types[column]) for at, column in enumerate(columns)]
    return Keys(columns, tuple(zip(*parsed, strict=True)))


def _aggregate(item: _Aggregate, types: Mapping[str, FieldType]) -> Aggregate:
    if item.fn not in AGGREGATES:
        raise ReadInvalidError(f"aggregates are {', '.join(AGGREGATES)}")
    if not item.name or len(item.name) > _NAME_CHARS_MAX:
        raise ReadInvalidError("every aggregate needs a name of at most 256 characters under 'as'")
    type_ = None if item.col is None else _type_of(item.col, types)
    if aggregate_type(item.fn, type_) is None:
        raise ReadInvalidError(f"{item.fn} needs a column that it can be taken of")
    return Aggregate(item.fn, item.col, item.name)


def _group_by(item: _GroupBy, types: Mapping[str, FieldType]) -> GroupBy:
    type_ = _type_of(item.col, types)
    if not is_sortable(type_):
        raise ReadInvalidError(f"column {item.col!r} cannot be grouped by")
    if item.truncate is not None and item.truncate not in truncations_of(type_):
        raise ReadInvalidError(f"column {item.col!r} cannot be cut; dates and instants can, to {', '.join(TRUNCATIONS)}")
    if item.time_zone is not None and (item.truncate is None or len(item.time_zone) > 64):
        raise ReadInvalidError("timeZone goes with truncate and is an IANA name")
    return GroupBy(item.col, item.truncate, item.time_zone)


def _result_types(aggregates: Sequence[Aggregate], group_by: Sequence[GroupBy], types: Mapping[str, FieldType]) -> dict[str, FieldType]:
    """Name what ``having`` and ``orderBy`` of a grouped read may use: grouping columns and aggregates."""
    results = {item.column: types[item.column] for item in group_by}
    for item in aggregates:
        if item.name in results:
            raise ReadInvalidError(f"two results are called {item.name!r}")
        type_ = aggregate_type(item.function, None if item.column is None else types[item.column])
        if type_ is not None:
            results[item.name] = type_
    return results
