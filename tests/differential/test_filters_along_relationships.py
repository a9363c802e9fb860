"""Lists, totals and groups filtered through relationships, against EXISTS over one database that holds all rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import duckdb
import pytest

from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from gateway.catalog.snapshot import snapshot_of
from gateway.engine.budget import Bounds

from ..property.office import Counted
from . import figures
from .plain_port import PlainPort
from .ruling_cases import SEED
from .running import Asked, engine_of
from .shop import ALL, ANALYST, database, shop
from .worlds import NOW

COLUMNS: dict[str, dict[str, tuple[str, tuple[Any, ...]]]] = {
    "orders": {
        "orderId": ("order_id", ("O03", "O30", "")),
        "customerId": ("customer_id", ("C1", "C77", "C2")),
        "status": ("status", ("PAID", "SHIPPED")),
        "total": ("total", ("1.50", "0.00", "3.5")),
    },
    "payments": {"method": ("method", ("CARD", "BANK")), "amount": ("amount", ("1.00", "2.5")), "number": ("number", (1, 2))},
    "customers": {"country": ("country", ("DE", "FR")), "name": ("name", ("Ann", "Zoë")), "customerId": ("customer_id", ("C1", "C9"))},
}
LINKS: dict[str, dict[str, tuple[str, bool, str]]] = {
    "orders": {
        "customer": ("customers", False, "{other}.customer_id = {own}.customer_id"),
        "payments": ("payments", True, "{other}.order_id = {own}.order_id"),
    },
    "payments": {"order": ("orders", False, "{other}.order_id = {own}.order_id")},
    "customers": {
        "orders": ("orders", True, "{other}.customer_id = {own}.customer_id"),
        "friend": ("customers", False, "{other}.customer_id = {own}.friend_id"),
        "friends": ("customers", True, "{other}.friend_id = {own}.customer_id"),
    },
}


class Drawing:
    """Draws conditions as GraphQL and as SQL have them."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.aliases = 0
        self.links = 0

    def condition(self, table: str, alias: str, depth: int = 0) -> tuple[dict[str, Any], str]:
        random = self.random
        match random.randrange(10):
            case 0 | 1 if depth < 4:
                inner, sql = self.condition(table, alias, depth + 1)
                return {"not": inner}, f"(NOT {sql})"
            case 2 | 3 if depth < 4:
                word = random.choice(("and", "or"))
                parts = [self.condition(table, alias, depth + 1) for _ in range(random.randint(1, 3))]
                return {word: [it[0] for it in parts]}, "(" + f" {word} ".join(it[1] for it in parts) + ")"
            case 4 | 5 | 6 | 7 if depth < 4 and self.links < 6:
                return self.link(table, alias, depth)
            case 8:
                return {}, "TRUE"
        name = random.choice(sorted(COLUMNS[table]))
        column, values = COLUMNS[table][name]
        if random.random() < 0.25:
            null = random.random() < 0.5
            return {name: {"isNull": null}}, f"({alias}.{column} IS {'' if null else 'NOT '}NULL)"
        value = random.choice(values)
        return {
            name: {"ne" if (negated := random.random() < 0.3) else "eq": value}
        }, f"({alias}.{column} {'<>' if negated else '='} '{value}')"

    def link(self, table: str, alias: str, depth: int) -> tuple[dict[str, Any], str]:
        name = self.random.choice(sorted(LINKS[table]))
        target, many, on = LINKS[table][name]
        parts: list[str] = []
        given: dict[str, Any] = {}
        for word in self.random.sample(("some", "none"), self.random.choice((1, 1, 2))) if many else ("",):
            self.aliases += 1
            self.links += 1
            other = f"t{self.aliases}"
            inner, sql = self.condition(target, other, depth + 1)
            exists = f"EXISTS (SELECT 1 FROM {target} {other} WHERE {on.format(own=alias, other=other)} AND {sql})"
            parts.append(f"NOT {exists}" if word == "none" else exists)
            given = given | {word: inner} if many else inner
        return {name: given}, f"({' AND '.join(parts)})"


@asynccontextmanager
async def _mesh(level0: frozenset[str], bounds: Bounds, page_max: int | None) -> AsyncIterator[tuple[Asked, duckdb.DuckDBPyConnection]]:
    world = shop()
    connection = database(world)
    ports: dict[str, Any] = {}
    for contract in world.contracts:
        if contract.key in level0:
            port: Any = PlainPort(contract, world.rows[contract.key], world.lookups.get(contract.key, frozenset()), "shop")
        else:
            port = await open_sql(contract, Rows(world.rows[contract.key]), clock=lambda: NOW, cursors=1)
        ports[contract.key] = (Counted(port, page_max=page_max if contract.key not in level0 else None),)
    asked = engine_of(snapshot_of(world.contracts, ports), world, bounds=bounds)
    try:
        yield asked, connection
    finally:
        for (port,) in ports.values():
            await port.aclose()
        connection.close()
        asked.engine.close()


WALK = """query($where: OrderOrdersWhere, $more: OrderOrdersWhere, $after: String) {
  order { orders(where: $where, orderBy: [{total: DESC}], first: 17, after: $after) {
    nodes { orderId } totalCount pageInfo { hasNextPage endCursor }
    aggregate { count sum { total } }
    groups(by: [{field: STATUS}], where: $more, first: 10) { key { status } count }
  } }
}"""
NESTED = """query($where: OrderOrdersWhere) {
  customer { customers(first: 1000) { nodes { customerId orders(where: $where, first: 1000) {
    nodes { orderId } totalCount aggregate { count }
  } } } }
}"""

FEW = """query($where: OrderOrdersWhere) {
  customer { customers(first: 4, orderBy: [{name: DESC}]) { nodes { customerId orders(where: $where, first: 2, orderBy: [{total: DESC}]) {
    nodes { orderId } pageInfo { hasNextPage }
  } } } }
}"""


def _orders(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return connection.execute(
        f"SELECT order_id, customer_id FROM orders t0 WHERE {sql} ORDER BY total DESC NULLS LAST, order_id"
    ).fetchall()


async def _check_list(asked: Asked, connection: duckdb.DuckDBPyConnection, drawing: Drawing) -> bool:
    where, sql = drawing.condition("orders", "t0")
    more, more_sql = drawing.condition("orders", "t0")
    expected = [it for it, _ in _orders(connection, sql)]
    sums = connection.execute(f"SELECT count(*), sum(total) FROM orders t0 WHERE {sql}").fetchone()
    groups = connection.execute(
        f"SELECT status, count(*) FROM orders t0 WHERE {sql} AND {more_sql} GROUP BY 1 ORDER BY 1 NULLS LAST"
    ).fetchall()
    variables: dict[str, Any] = {"where": where, "more": more}
    found: list[str] = []
    refused = False
    while True:
        answer = await asked.ask(ANALYST, WALK, None, variables)
        refused = refused or bool(answer.errors)
        assert {it["extensions"]["code"] for it in answer.errors} <= {"LIMIT_EXCEEDED", "PORT_CANNOT"}, answer.errors
        page = answer.data["order"]["orders"]
        if page is None:
            return False
        # Rows may be there where their number and totals are more than can be found.
        found += [it["orderId"] for it in page["nodes"]]
        assert page["totalCount"] == len(expected) or refused
        assert sums is not None
        if page["aggregate"] is not None:
            assert page["aggregate"]["count"] == len(expected)
            assert page["aggregate"]["sum"]["total"] == (None if sums[1] is None else str(sums[1]))
        if page["groups"] is not None:
            assert [(it["key"]["status"], it["count"]) for it in page["groups"]] == groups
        if not page["pageInfo"]["hasNextPage"]:
            break
        variables["after"] = page["pageInfo"]["endCursor"]
    assert found == expected
    return not refused


async def _check_nested(asked: Asked, connection: duckdb.DuckDBPyConnection, drawing: Drawing) -> bool:
    where, sql = drawing.condition("orders", "t0")
    answer = await asked.ask(ANALYST, NESTED, None, {"where": where})
    if answer.errors:
        assert {it["extensions"]["code"] for it in answer.errors} <= {"LIMIT_EXCEEDED", "PORT_CANNOT"}, answer.errors
        return False
    rows = _orders(connection, sql)
    for node in answer.data["customer"]["customers"]["nodes"]:
        expected = sorted(order for order, customer in rows if customer == node["customerId"])
        assert [it["orderId"] for it in node["orders"]["nodes"]] == expected
        assert node["orders"]["totalCount"] == node["orders"]["aggregate"]["count"] == len(expected)
    return True


async def _check_few(asked: Asked, connection: duckdb.DuckDBPyConnection, drawing: Drawing) -> bool:
    where, sql = drawing.condition("orders", "t0")
    answer = await asked.ask(ANALYST, FEW, None, {"where": where})
    if answer.errors:
        assert {it["extensions"]["code"] for it in answer.errors} <= {"LIMIT_EXCEEDED", "PORT_CANNOT"}, answer.errors
        return False
    rows = _orders(connection, sql)
    for node in answer.data["customer"]["customers"]["nodes"]:
        expected = [order for order, customer in rows if customer == node["customerId"]]
        assert [it["orderId"] for it in node["orders"]["nodes"]] == expected[:2]
        assert node["orders"]["pageInfo"]["hasNextPage"] == (len(expected) > 2)
    return True


CASES: list[tuple[frozenset[str], Bounds, int | None, int]] = [
    (frozenset(), Bounds(), None, 60),
    (frozenset({"payment/payments"}), Bounds(), None, 40),
    (frozenset(ALL), Bounds(), None, 40),
    # Pages of three rows: what is small is found out by reading one of each side.
    (frozenset(), Bounds(), 3, 25),
    (frozenset(), Bounds(keys_max=14), 3, 40),
    (frozenset({"payment/payments"}), Bounds(keys_max=14, scan_rows_max=70), 3, 40),
]


def _names() -> Iterator[str]:
    for level0, bounds, page_max, _ in CASES:
        yield f"{len(level0)} at level 0, keys {bounds.keys_max}, pages {page_max}"


@pytest.mark.parametrize(("level0", "bounds", "page_max", "number"), CASES, ids=list(_names()))
async def test_generated_conditions_on_related_products_are_exists_of_one_database(
    level0: frozenset[str], bounds: Bounds, page_max: int | None, number: int
) -> None:
    answered = dict.fromkeys((_check_list, _check_nested, _check_few), 0)
    async with _mesh(level0, bounds, page_max) as (asked, connection):
        for case in range(number):
            for check in answered:
                seed = f"{SEED} {case} {check.__name__}"
                try:
                    answered[check] += await check(asked, connection, Drawing(Random(seed)))
                    figures.note("one database", "filters along relationships")
                except AssertionError as error:
                    error.add_note(f"seed {seed!r}")
                    raise
    if bounds.scan_rows_max > 100:
        # However many keys are met: where every row may be read, every question is answered.
        assert set(answered.values()) == {number}
    else:
        assert number / 4 < answered[_check_list] < number
        assert answered[_check_few] > number / 4
