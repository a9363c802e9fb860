"""Rows of three domains joined, filtered, ordered and counted by the gateway, against SQL over one database that holds them all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any

import duckdb
import pytest

from . import figures
from .ruling_cases import SEED
from .running import Asked
from .shop import ANALYST, LEVELS, opened


@pytest.fixture(params=LEVELS.values(), ids=LEVELS.keys())
async def mesh(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Asked, duckdb.DuckDBPyConnection]]:
    async with opened(request.param) as found:
        yield found


def rows_of(data: Any, *path: str) -> Iterator[tuple[Any, ...]]:
    """Flatten an answer: along ``path`` to the rows, each leaf a cell; lists inside make a row per item, nulls and empty lists none."""
    for name in path:
        data = data[name]
    for node in data:
        yield from _flat(node)


def _flat(node: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = [()]
    for name, value in node.items():
        if value is None and name in PARTNERS:
            return []  # as an inner join has it
        if isinstance(value, dict):
            inner = [row for item in value["nodes"] for row in _flat(item)] if "nodes" in value else _flat(value)
            if "totalCount" in value:
                inner = [(value["totalCount"],)]
        else:
            inner = [(value,)]
        found = [one + other for one in found for other in inner]
    return found


PARTNERS = ("customer", "order", "friend")
ORDERS = ("order", "orders", "nodes")
PAYMENTS = ("payment", "payments", "nodes")
CUSTOMERS = ("customer", "customers", "nodes")
PAIRS: list[tuple[str, str, tuple[str, ...], str]] = [
    (
        "an order with its customer",
        "{order{orders(first:1000, where:{customerId:{isNull:false}}){nodes{orderId customer{name country}}}}}",
        ORDERS,
        "SELECT order_id, name, country FROM orders JOIN customers USING (customer_id) ORDER BY order_id",
    ),
    (
        "all payments of each order",
        "{order{orders(first:1000){nodes{orderId payments(first:1000){nodes{number amount}}}}}}",
        ORDERS,
        "SELECT order_id, number, amount FROM orders JOIN payments USING (order_id) ORDER BY order_id, number",
    ),
    (
        "the two largest payments of each order",
        "{order{orders(first:1000){nodes{orderId payments(first:2, orderBy:[{amount:DESC}]){nodes{amount number}}}}}}",
        ORDERS,
        (
            "SELECT order_id, amount, number FROM orders JOIN payments USING (order_id) "
            "QUALIFY row_number() OVER (PARTITION BY order_id ORDER BY amount DESC, number) <= 2 ORDER BY order_id, amount DESC, number"
        ),
    ),
    (
        "how many payments each order has",
        "{order{orders(first:1000){nodes{orderId payments(first:1){totalCount}}}}}",
        ORDERS,
        "SELECT order_id, (SELECT count(*) FROM payments p WHERE p.order_id = o.order_id) FROM orders o ORDER BY order_id",
    ),
    (
        "how many card payments over a euro each order has",
        '{order{orders(first:1000){nodes{orderId payments(where:{method:{eq:"CARD"}, amount:{gt:"1"}}){totalCount}}}}}',
        ORDERS,
        (
            "SELECT order_id, (SELECT count(*) FROM payments p WHERE p.order_id = o.order_id AND method = 'CARD' AND amount > 1) "
            "FROM orders o ORDER BY order_id"
        ),
    ),
    (
        "payments with their order's customer, three products deep",
        "{payment{payments(first:1000, orderBy:[{orderId:ASC},{number:ASC}]){nodes{orderId number order{customer{name}}}}}}",
        PAYMENTS,
        (
            "SELECT p.order_id, number, name FROM payments p JOIN orders o USING (order_id) JOIN customers c USING (customer_id) "
            "ORDER BY p.order_id, number"
        ),
    ),
    (
        "customers with their orders' payments, down twice",
        (
            "{customer{customers(first:1000, orderBy:[{customerId:ASC}])"
            "{nodes{customerId orders(first:1000){nodes{orderId payments(first:1000){nodes{number}}}}}}}}"
        ),
        CUSTOMERS,
        (
            "SELECT customer_id, order_id, number FROM customers JOIN orders USING (customer_id) JOIN payments USING (order_id) "
            "ORDER BY customer_id, order_id, number"
        ),
    ),
    (
        "the newest order of each customer",
        (
            "{customer{customers(first:1000, orderBy:[{customerId:ASC}])"
            "{nodes{customerId orders(first:1, orderBy:[{updatedAt:DESC}]){nodes{orderId}}}}}}"
        ),
        CUSTOMERS,
        (
            "SELECT customer_id, arg_max(order_id, o.updated_at) FROM customers JOIN orders o USING (customer_id) "
            "GROUP BY customer_id ORDER BY customer_id"
        ),
    ),
    (
        "friends of friends within one product",
        "{customer{customers(first:1000, orderBy:[{customerId:ASC}]){nodes{customerId friend{friend{customerId}}}}}}",
        CUSTOMERS,
        (
            "SELECT a.customer_id, c.customer_id FROM customers a JOIN customers b ON a.friend_id = b.customer_id "
            "JOIN customers c ON b.friend_id = c.customer_id ORDER BY 1"
        ),
    ),
    (
        "who names each customer a friend",
        "{customer{customers(first:1000, orderBy:[{customerId:ASC}]){nodes{customerId friends(first:1000){nodes{customerId}}}}}}",
        CUSTOMERS,
        "SELECT a.customer_id, b.customer_id FROM customers a JOIN customers b ON b.friend_id = a.customer_id ORDER BY 1, 2",
    ),
    (
        "orders by status, nulls first, then by total, descending",
        "{order{orders(first:1000, orderBy:[{status:ASC_NULLS_FIRST},{total:DESC}]){nodes{orderId status total}}}}",
        ORDERS,
        "SELECT order_id, status, total FROM orders ORDER BY status NULLS FIRST, total DESC, order_id",
    ),
    (
        "orders that are neither paid nor without status",
        "{order{orders(first:1000, where:{not:{status:{eq:PAID}}}){nodes{orderId status}}}}",
        ORDERS,
        "SELECT order_id, status FROM orders WHERE NOT status = 'PAID' ORDER BY order_id",
    ),
    (
        "orders updated since an instant",
        '{order{orders(first:1000, since:"2026-11-22T12:00:00Z"){nodes{orderId}}}}',
        ORDERS,
        "SELECT order_id FROM orders WHERE updated_at >= TIMESTAMPTZ '2026-11-22 12:00:00Z' ORDER BY order_id",
    ),
    (
        "orders of some days with one of some totals",
        '{order{orders(first:1000, where:{or:[{day:{gte:"2026-11-03", lt:"2026-11-05"}},{total:{in:["1.00"]}}]}){nodes{orderId day}}}}',
        ORDERS,
        "SELECT order_id, day FROM orders WHERE (day >= '2026-11-03' AND day < '2026-11-05') OR total IN (1) ORDER BY order_id",
    ),
]


@pytest.mark.parametrize(("operation", "path", "sql"), [it[1:] for it in PAIRS], ids=[it[0] for it in PAIRS])
async def test_joined_rows_are_those_of_one_database(
    mesh: tuple[Asked, duckdb.DuckDBPyConnection], operation: str, path: tuple[str, ...], sql: str
) -> None:
    asked, connection = mesh
    answer = await asked.ask(ANALYST, operation)
    assert answer.errors == []
    expected = [tuple(map(_wire, row)) for row in connection.execute(sql).fetchall()]
    found = list(rows_of(answer.data, *path))
    assert expected
    # A level 0 endpoint pages in its own order where none is asked for.
    ordered = "orderBy" in operation.split("nodes", 1)[0]
    assert (found if ordered else sorted(found, key=repr)) == (expected if ordered else sorted(expected, key=repr))


def _wire(cell: Any) -> Any:
    return cell if cell is None or isinstance(cell, int) else str(cell)


COLUMNS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "orderId": ("order_id", ("O03", "O30", "")),
    "customerId": ("customer_id", ("C1", "C77", "C2")),
    "status": ("status", ("PAID", "SHIPPED")),
    "total": ("total", ("1.50", "0.00", "3.5")),
    "day": ("day", ("2026-11-04", "2026-11-18")),
}
TESTS: dict[str, str] = {"eq": "=", "ne": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


def condition(random: Random, depth: int = 0) -> tuple[dict[str, Any], str]:
    """Draw a condition as GraphQL and as SQL have it."""
    match random.randrange(7 if depth < 3 else 4):
        case 4:
            inner, sql = condition(random, depth + 1)
            return {"not": inner}, f"(NOT {sql})"
        case 5 | 6:
            word = random.choice(("and", "or"))
            parts = [condition(random, depth + 1) for _ in range(random.randint(1, 3))]
            return {word: [it[0] for it in parts]}, "(" + f" {word} ".join(it[1] for it in parts) + ")"
    name = random.choice(sorted(COLUMNS))
    column, values = COLUMNS[name]
    match random.randrange(4):
        case 0:
            null = random.random() < 0.5
            return {name: {"isNull": null}}, f"({column} IS {'' if null else 'NOT '}NULL)"
        case 1:
            some = random.sample(values, 2)
            negated = random.random() < 0.5
            return {
                name: {"notIn" if negated else "in": some}
            }, f"({column} {'NOT ' if negated else ''}IN ({', '.join(map(_quoted, some))}))"
    operators = ("eq", "ne") if name == "status" else tuple(TESTS)
    operator, value = random.choice(operators), random.choice(values)
    return {name: {operator: value}}, f"({column} {TESTS[operator]} {_quoted(value)})"


def _quoted(value: str) -> str:
    return f"'{value}'"


def order(random: Random) -> tuple[list[dict[str, str]], str]:
    directions: dict[str, str] = {
        "ASC": "ASC NULLS LAST",
        "DESC": "DESC NULLS LAST",
        "ASC_NULLS_FIRST": "ASC NULLS FIRST",
        "DESC_NULLS_FIRST": "DESC NULLS FIRST",
    }
    names = random.sample(sorted(COLUMNS), random.randint(1, 3))
    terms = [(name, random.choice(sorted(directions))) for name in names]
    sql = ", ".join(f"{COLUMNS[name][0]} {directions[direction]}" for name, direction in terms)
    return [{name: direction} for name, direction in terms], f"{sql}, order_id"


WALK = """query($where: OrderOrdersWhere, $orderBy: [OrderOrdersOrderBy!], $first: Int, $after: String) {
  order { orders(where: $where, orderBy: $orderBy, first: $first, after: $after) {
    nodes { orderId } totalCount pageInfo { hasNextPage hasPreviousPage endCursor }
  } }
}"""


async def test_generated_filters_orders_and_pages_are_those_of_one_database(mesh: tuple[Asked, duckdb.DuckDBPyConnection]) -> None:
    asked, connection = mesh
    random = Random(f"{SEED} federation")
    for _ in range(60):
        where, where_sql = condition(random)
        order_by, order_sql = order(random)
        expected = [it for (it,) in connection.execute(f"SELECT order_id FROM orders WHERE {where_sql} ORDER BY {order_sql}").fetchall()]
        variables: dict[str, Any] = {"where": where, "orderBy": order_by, "first": random.choice((7, 9, 20, 1000))}
        found: list[str] = []
        while True:
            answer = await asked.ask(ANALYST, WALK, None, variables)
            assert answer.errors == [], (SEED, variables)
            page = answer.data["order"]["orders"]
            found += [it["orderId"] for it in page["nodes"]]
            assert page["totalCount"] == len(expected), (SEED, variables)
            assert page["pageInfo"]["hasPreviousPage"] is ("after" in variables)
            if not page["pageInfo"]["hasNextPage"]:
                break
            variables["after"] = page["pageInfo"]["endCursor"]
        assert found == expected, (SEED, variables)
        figures.note("one database", "lists walked to their ends")
