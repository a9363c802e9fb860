"""Turns a grouped read into SQL: aggregates over true values, exact where the type is, dates cut in the caller's time zone.

A total that no longer fits its type fails the statement; it never wraps or loses digits. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from contracts.fields import FieldType, Kind, Scalar
from domain_adapters.algebra import aggregate_type, truncations_of
from domain_adapters.columns import Column, digits_of, quoted, utc_sql, wire_sql
from domain_adapters.errors import ReadInvalidError
from domain_adapters.port import Aggregate, GroupBy, Read
from domain_adapters.statements import Relation, Statement, Terms, column_of, filters, order_sql, predicate_sql, sortable

__all__ = ["groups_statement"]

_DIGITS_MAX = 38


def groups_statement(read: Read, relation: Relation, *, limit: int, offset: int = 0) -> Statement:
    """Write one page of groups, each as a JSON object ``{key: [..], values: {..}}``, in the order asked, then by all keys."""
    keys = [_Key(item, sortable(relation.columns, item.column), f"g{at}") for at, item in enumerate(read.group_by)]
    results: dict[str, Column] = {}
    for key in keys:
        results.setdefault(key.item.column, Column(key.item.column, key.column.type, key.name))
    totals: list[tuple[str, Column]] = []
    for at, item in enumerate(read.aggregates):
        if item.name in results:
            raise ReadInvalidError(f"two results are called {item.name[:256]!r}")
        sql, type_ = _aggregate_sql(item, relation.columns)
        column = Column(item.name, type_, f"a{at}")
        results[item.name] = column
        totals.append((sql, column))
    terms = filters(read, relation)
    selected = [*(f"{key.cut_sql} AS {key.name}" for key in keys), *(f"{sql} AS {column.sql}" for sql, column in totals)]
    grouped = f"SELECT {', '.join(selected) or '1 AS one'} FROM ({relation.sql}) AS t{terms.where}"
    grouped += f" GROUP BY {', '.join(key.name for key in keys)}" if keys else ""
    having = Terms()
    if read.having is not None:
        having.parts.append(predicate_sql(read.having, {**results, **{key.item.column: key.whole for key in keys}}, having.params))
    order = order_sql(read.order_by, results)
    rest = "".join(f", {key.name} ASC NULLS LAST" for key in keys)
    order = order + rest if order else rest.replace(", ", " ORDER BY ", 1)
    place = ", ".join(wire_sql(key.column.type, key.instant_sql) for key in keys)
    values = ", ".join(f"{quoted(column.name)}, {column.wire}" for _, column in totals)
    page = f"SELECT * FROM ({grouped}) AS s{having.where}{order} LIMIT {limit} OFFSET {offset}"
    sql = f"SELECT json_object('key', json_array({place}), 'values', json_object({values})) FROM ({page}) AS p{order}"
    return Statement(sql, (*terms.params, *having.params))


class _Key:
    """A grouping column, cut to a date part: ``cut_sql`` is what rows are grouped by, ``instant_sql`` the first instant of the part."""

    __slots__ = ("column", "cut_sql", "instant_sql", "item", "name")

    def __init__(self, item: GroupBy, column: Column, name: str) -> None:
        self.item, self.column, self.name = item, column, name
        self.cut_sql, self.instant_sql = column.sql, name
        if item.truncate is None:
            return
        if item.truncate not in truncations_of(column.type):
            raise ReadInvalidError(f"column {item.column!r} cannot be cut to {item.truncate[:64]!r}")
        self._cut(item.truncate, _known_zone(item.time_zone or "UTC"))

    @property
    def whole(self) -> Column:
        """What ``having`` compares: the first instant of the part."""
        return Column(self.item.column, self.column.type, self.instant_sql)

    def _cut(self, part: str, zone: str) -> None:
        sql, storage = self.column.sql, self.column.storage
        if not (isinstance(self.column.type, Scalar) and self.column.type.kind is Kind.INSTANT):
            self.cut_sql = f"CAST(date_trunc('{part}', {sql}) AS {storage})"
            return
        utc = utc_sql(self.column)
        local = f"(({utc} AT TIME ZONE 'UTC') AT TIME ZONE {quoted(zone)})"
        if part in ("hour", "minute", "second"):
            # By the offset that holds at the row: an hour that a clock strikes twice stays two groups.
            self.cut_sql = f"CAST(((date_trunc('{part}', {local}) - ({local} - {utc})) AT TIME ZONE 'UTC') AS {storage})"
            return
        self.cut_sql = f"date_trunc('{part}', {local})"
        first = f"({self.name} AT TIME ZONE {quoted(zone)})"
        # Where midnight comes twice, DuckDB takes the later one.
        earlier = f"({first} - INTERVAL 1 HOUR)"
        again = f"(({earlier} AT TIME ZONE {quoted(zone)}) = {self.name})"
        self.instant_sql = f"CAST((CASE WHEN {again} THEN {earlier} ELSE {first} END) AS {storage})"


@lru_cache(maxsize=1024)
def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ReadInvalidError("timeZone is no IANA name") from None
    return name


def _aggregate_sql(item: Aggregate, columns: Mapping[str, Column]) -> tuple[str, FieldType]:
    column = None if item.column is None else column_of(columns, item.column)
    type_ = aggregate_type(item.function, None if column is None else column.type)
    if type_ is None:
        raise ReadInvalidError(f"{item.function[:64]} cannot be taken of {(item.column or 'rows')[:256]!r}")
    if column is None:
        return "count(*)", type_
    sql = column.sql
    match item.function:
        case "count":
            return f"count({sql})", type_
        case "countDistinct":
            return f"count(DISTINCT {sql})", type_
        case "sum":
            return _sum_sql(sql, column.type, type_), type_
        case "avg":
            return _average_sql(sql, column.type, type_), type_
    return f"{item.function}({sql})", type_


def _sum_sql(sql: str, of: FieldType, type_: FieldType) -> str:
    if isinstance(of, Scalar) and of.kind is Kind.DECIMAL:
        return _bounded(f"sum({sql})", digits_of(of)[1])
    if isinstance(of, Scalar) and of.kind is Kind.FLOAT:
        total = f"fsum({sql})"
        return f"(CASE WHEN {total} IS NULL OR isfinite({total}) THEN {total} ELSE error('overflow') END)"
    return f"CAST(sum({sql}) AS {'BIGINT' if isinstance(type_, Scalar) and type_.kind is Kind.LONG else 'DECIMAL(38,0)'})"


def _bounded(sql: str, scale: int) -> str:
    # The accumulator holds a little more than the 38 digits that the type promises.
    most = "9" * (_DIGITS_MAX - scale) + ("." + "9" * scale if scale else "")
    return f"(CASE WHEN abs({sql}) > CAST('{most}' AS DECIMAL({_DIGITS_MAX},{scale})) THEN error('overflow') ELSE {sql} END)"


def _average_sql(sql: str, of: FieldType, type_: FieldType) -> str:
    if not (isinstance(of, Scalar) and of.kind is Kind.DECIMAL and isinstance(type_, Scalar)):
        # Whole numbers are summed as such: as doubles, large ones of both signs would swallow what is left of them.
        is_whole = isinstance(of, Scalar) and of.kind in (Kind.INT, Kind.LONG)
        total = f"CAST(sum({sql}) AS DOUBLE)" if is_whole else f"fsum({sql})"
        mean = f"({total} / count({sql}))"
        return f"(CASE WHEN count({sql}) = 0 THEN NULL WHEN isfinite({mean}) THEN {mean} ELSE error('overflow') END)"
    # Integers all the way, as DuckDB divides decimals as doubles: unscaled sum, then half up away from zero.
    scale = digits_of(of)[1]
    places = scale if type_.scale is None else type_.scale
    if places >= _DIGITS_MAX:
        raise ReadInvalidError("decimals with 38 digits after the point have no exact average")
    unscaled = f"CAST(replace(CAST(sum({sql}) AS VARCHAR), '.', '') AS HUGEINT)"
    wide = f"({unscaled} * {10 ** (places - scale)})"
    count = f"count({sql})"
    rounded = f"(sign({wide}) * ((2 * abs({wide}) + {count}) // (2 * {count})))"
    exact = f"(CAST({rounded} AS DECIMAL({_DIGITS_MAX},0)) * CAST('{_step(places)}' AS DECIMAL({places + 1},{places})))"
    return f"(CASE WHEN {count} = 0 THEN NULL ELSE {exact} END)"


def _step(places: int) -> str:
    return "0." + "0" * (places - 1) + "1" if places else "1"
