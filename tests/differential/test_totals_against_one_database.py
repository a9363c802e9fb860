"""Aggregates and groups of three domains by the gateway, against SQL over one database that holds all rows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import duckdb
import pytest

from contracts.model import OutputPort

from . import figures
from .ruling_cases import SEED
from .running import Asked, over_http
from .shop import ANALYST, LEVELS, database, opened, shop


@pytest.fixture(params=LEVELS.values(), ids=LEVELS.keys())
async def mesh(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Asked, duckdb.DuckDBPyConnection]]:
    async with opened(request.param) as found:
        yield found


def leaves(node: Any) -> tuple[Any, ...]:
    """List the leaves of one object, in order."""
    if isinstance(node, dict):
        return tuple(cell for value in node.values() for cell in leaves(value))
    return (node,)


def rows_of(data: Any) -> list[tuple[Any, ...]]:
    """Read an answer with one connection as rows: its groups, or its aggregate."""
    (domain,) = data.values()
    (connection,) = domain.values()
    (part,) = connection.values()
    return [leaves(group) for group in part] if isinstance(part, list) else [leaves(part)]


ORDERS = "{order{orders%s{%s}}}"
PAIRS: dict[str, tuple[str, str]] = {
    "revenue by month and customer's country, largest first": (
        ORDERS
        % (
            "",
            (
                "groups(first:1000, by:[{field:DAY, truncate:MONTH},{path:[CUSTOMER], field:COUNTRY}], orderBy:[{sum:{total:DESC}}])"
                "{key{day customer{country}} sum{total} count}"
            ),
        ),
        (
            "SELECT date_trunc('month', day)::DATE AS d, country, sum(total) AS s, count(*) FROM orders LEFT JOIN customers "
            "USING (customer_id) GROUP BY d, country ORDER BY s DESC NULLS LAST, d NULLS LAST, country NULLS LAST"
        ),
    ),
    "all totals of orders": (
        ORDERS
        % ("", "aggregate{count countDistinct{customerId status} sum{total} avg{total} min{total day status} max{total day orderId}}"),
        (
            "SELECT count(*), count(DISTINCT customer_id), count(DISTINCT status), sum(total), "
            "round(CAST(sum(total) AS DECIMAL(38,2)) / count(total), 6)::DECIMAL(18,6), "
            "min(total), min(day), min(status), max(total), max(day), max(order_id) FROM orders"
        ),
    ),
    "totals over nothing": (
        ORDERS % ('(where:{orderId:{eq:"none"}})', "aggregate{count sum{total} min{day} countDistinct{status}}"),
        "SELECT count(*), sum(total), min(day), count(DISTINCT status) FROM orders WHERE order_id = 'none'",
    ),
    "orders by status, those with many only": (
        ORDERS % ("", "groups(by:[{field:STATUS}], having:{count:{gt:12}}, orderBy:[{count:ASC}]){key{status} count}"),
        "SELECT status, count(*) AS n FROM orders GROUP BY status HAVING n > 12 ORDER BY n, status NULLS LAST",
    ),
    "statuses within a filter, and within another": (
        ORDERS
        % (
            '(where:{total:{gt:"1"}})',
            'groups(by:[{field:STATUS}], where:{day:{lt:"2026-11-12"}}){key{status} count sum{total}}',
        ),
        "SELECT status, count(*), sum(total) FROM orders WHERE total > 1 AND day < '2026-11-12' GROUP BY status ORDER BY status NULLS LAST",
    ),
    "payments by the country of their order's customer": (
        (
            "{payment{payments{groups(by:[{path:[ORDER, CUSTOMER], field:COUNTRY}]){key{order{customer{country}}} count sum{amount} "
            "min{amount} max{amount} countDistinct{orderId method}}}}}"
        ),
        (
            "SELECT country, count(*), sum(amount), min(amount), max(amount), count(DISTINCT p.order_id), count(DISTINCT method) "
            "FROM payments p LEFT JOIN orders o USING (order_id) LEFT JOIN customers c USING (customer_id) GROUP BY country "
            "ORDER BY country NULLS LAST"
        ),
    ),
    "average payment by its method and its order's status and its customer's name": (
        (
            "{payment{payments{groups(first:1000, by:[{field:METHOD},{path:[ORDER], field:STATUS},{path:[ORDER, CUSTOMER], field:NAME}])"
            "{key{method order{status customer{name}}} avg{amount}}}}}"
        ),
        (
            "SELECT method, status, name, round(CAST(sum(amount) AS DECIMAL(38,2)) / count(amount), 6)::DECIMAL(18,6) FROM payments "
            "LEFT JOIN orders USING (order_id) LEFT JOIN customers USING (customer_id) GROUP BY ALL "
            "ORDER BY method NULLS LAST, status NULLS LAST, name NULLS LAST"
        ),
    ),
    "updates by the hour of a zone": (
        ORDERS
        % (
            "",
            (
                'groups(first:1000, by:[{field:UPDATED_AT, truncate:DAY}], timeZone:"Asia/Seoul", orderBy:[{key:{updatedAt:DESC}}])'
                "{key{updatedAt} count}"
            ),
        ),
        (
            "SELECT strftime((date_trunc('day', updated_at AT TIME ZONE 'Asia/Seoul') AT TIME ZONE 'Asia/Seoul') AT TIME ZONE 'UTC', "
            "'%Y-%m-%dT%H:%M:%SZ') AS d, count(*) FROM orders GROUP BY d ORDER BY d DESC"
        ),
    ),
    "what was ordered and paid by method, each order as often as it was paid": (
        (
            "{payment{payments{groups(by:[{field:METHOD}], orderBy:[{sum:{order:{total:DESC}}}]){key{method} count"
            " sum{amount order{total}} avg{order{total}} min{order{day}} countDistinct{order{customer{country}}}}}}}"
        ),
        (
            "SELECT method, count(*), sum(amount), sum(total) AS t, CAST(sum(total) / count(total) AS DECIMAL(20,6)), min(day), "
            "count(DISTINCT country) FROM payments p LEFT JOIN orders o USING (order_id) LEFT JOIN customers c USING (customer_id) "
            "GROUP BY method ORDER BY t DESC"
        ),
    ),
    "one total of partners over everything that was paid by those from Germany": (
        (
            '{payment{payments(where:{order:{customer:{country:{eq:"DE"}}}})'
            "{aggregate{sum{order{total}} max{order{customer{name}}} count}}}}"
        ),
        (
            "SELECT sum(total), max(name), count(*) FROM payments p LEFT JOIN orders o USING (order_id) "
            "LEFT JOIN customers c USING (customer_id) WHERE country = 'DE'"
        ),
    ),
    "totals of partners over no rows": (
        '{payment{payments(where:{method:{eq:"GOLD"}}){aggregate{sum{order{total}} countDistinct{order{customer{name}}} count}}}}',
        "SELECT NULL, 0, 0",
    ),
    "friends by their friend's country, without those who are hidden by having": (
        (
            "{customer{customers{groups(by:[{path:[FRIEND], field:COUNTRY}], having:{not:{key:{friend:{country:{isNull:true}}}}},"
            " orderBy:[{key:{friend:{country:DESC}}}]){key{friend{country}} count}}}}"
        ),
        (
            "SELECT f.country, count(*) FROM customers c LEFT JOIN customers f ON c.friend_id = f.customer_id "
            "WHERE f.country IS NOT NULL GROUP BY f.country ORDER BY f.country DESC"
        ),
    ),
}


@pytest.mark.parametrize(("operation", "sql"), PAIRS.values(), ids=PAIRS)
async def test_totals_are_those_of_one_database(mesh: tuple[Asked, duckdb.DuckDBPyConnection], operation: str, sql: str) -> None:
    asked, connection = mesh
    answer = await asked.ask(ANALYST, operation)
    assert answer.errors == []
    expected = [tuple(map(_wire, row)) for row in connection.execute(sql).fetchall()]
    assert expected
    assert rows_of(answer.data) == expected


NESTED = """{customer{customers(first:1000, orderBy:[{customerId:ASC}]){nodes{customerId orders(where:{total:{gte:"0.5"}}, first:1){
  totalCount nodes{orderId} aggregate{count sum{total}} groups(by:[{field:STATUS}], orderBy:[{count:DESC}], first:2){key{status} count}
}}}}}"""


async def test_nested_totals_are_those_of_each_parent(mesh: tuple[Asked, duckdb.DuckDBPyConnection]) -> None:
    asked, connection = mesh
    answer = await asked.ask(ANALYST, NESTED)
    assert answer.errors == []
    for node in answer.data["customer"]["customers"]["nodes"]:
        rows = f"FROM orders WHERE total >= 0.5 AND customer_id = '{node['customerId']}'"
        count, total = connection.execute(f"SELECT count(*), sum(total) {rows}").fetchall()[0]
        assert node["orders"]["aggregate"] == {"count": count, "sum": {"total": _wire(total)}}
        assert node["orders"]["totalCount"] == count
        groups = f"SELECT status, count(*) AS n {rows} GROUP BY status ORDER BY n DESC, status NULLS LAST LIMIT 2"
        assert [leaves(it) for it in node["orders"]["groups"]] == connection.execute(groups).fetchall()


async def test_nested_totals_of_partners_are_those_of_each_parent(mesh: tuple[Asked, duckdb.DuckDBPyConnection]) -> None:
    asked, connection = mesh
    answer = await asked.ask(
        ANALYST,
        "{order{orders(first:1000){nodes{orderId payments{aggregate{sum{order{total}} min{order{customer{name}}}}"
        " groups(by:[{field:METHOD}]){key{method} max{order{customer{country}}}}}}}}}",
    )
    assert answer.errors == []
    for node in answer.data["order"]["orders"]["nodes"]:
        rows = (
            "FROM payments p LEFT JOIN orders o USING (order_id) LEFT JOIN customers c USING (customer_id) "
            f"WHERE p.order_id = '{node['orderId']}'"
        )
        total, name = connection.execute(f"SELECT sum(total), min(name) {rows}").fetchall()[0]
        assert leaves(node["payments"]["aggregate"]) == (_wire(total), name)
        groups = f"SELECT method, max(country) {rows} GROUP BY method ORDER BY method NULLS LAST"
        assert [leaves(it) for it in node["payments"]["groups"]] == connection.execute(groups).fetchall()


@pytest.mark.parametrize("level", [0, 1])
async def test_totals_are_the_same_over_the_wire(level: int) -> None:
    world = shop()
    connection = database(world)
    for at, contract in enumerate(world.contracts):
        port = OutputPort(type="rest-api", path=f"/data-products/{contract.metadata.name}")
        world.contracts[at] = contract.model_copy(update={"output_ports": (port,)})
    async with over_http(world, level) as asked:
        for operation, sql in PAIRS.values():
            answer = await asked.ask(ANALYST, operation)
            assert answer.errors == []
            assert rows_of(answer.data) == [tuple(map(_wire, row)) for row in connection.execute(sql).fetchall()]
    connection.close()


def _wire(cell: Any) -> Any:
    return cell if cell is None or isinstance(cell, int) else str(cell)


# -- generated -----------------------------------------------------------------------------------------------------------------

KEYS = {
    "{field: STATUS}": ("status", "status"),
    "{field: DAY, truncate: WEEK}": ("day", "date_trunc('week', day)::DATE"),
    "{field: CUSTOMER_ID}": ("customerId", "customer_id"),
    "{path: [CUSTOMER], field: COUNTRY}": ("customer { country }", "country"),
    "{path: [CUSTOMER], field: NAME}": ("customer { name }", "name"),
    "{path: [CUSTOMER, FRIEND], field: COUNTRY}": ("customer { friend { country } }", "f_country"),
}
TOTALS = {
    "count": ("count", "count(*)"),
    "countDistinct { status }": ("countDistinct: {status: %s}", "count(DISTINCT status)"),
    "countDistinct { day }": ("countDistinct: {day: %s}", "count(DISTINCT day)"),
    "sum { total }": ("sum: {total: %s}", "sum(total)"),
    "min { day }": ("min: {day: %s}", "min(day)"),
    "max { total }": ("max: {total: %s}", "max(total)"),
    "countDistinct { customer { country } }": ("countDistinct: {customer: {country: %s}}", "count(DISTINCT country)"),
    "max { customer { name } }": ("max: {customer: {name: %s}}", "max(name)"),
    "min { customer { friend { country } } }": ("min: {customer: {friend: {country: %s}}}", "min(f_country)"),
}
HAVING = {
    "{count: {gte: 3}}": "count(*) >= 3",
    '{sum: {total: {lt: "6"}}}': "sum(total) < 6",
    "{or: [{countDistinct: {status: {eq: 1}}}, {count: {eq: 2}}]}": "(count(DISTINCT status) = 1 OR count(*) = 2)",
    '{not: {max: {total: {gte: "3"}}}}': "NOT max(total) >= 3",
    "{countDistinct: {customer: {name: {gt: 1}, friend: {country: {gte: 1}}}}}": (
        "(count(DISTINCT name) > 1 AND count(DISTINCT f_country) >= 1)"
    ),
}
WHERE = {
    "": "TRUE",
    "{status: {ne: PAID}}": "status <> 'PAID'",
    '{or: [{total: {gt: "2"}}, {customerId: {isNull: true}}]}': "(total > 2 OR customer_id IS NULL)",
    '{day: {gte: "2026-11-05", lt: "2026-11-15"}}': "(day >= '2026-11-05' AND day < '2026-11-15')",
}
JOINED = (
    "(SELECT o.*, c.name, c.country, f.country AS f_country FROM orders o LEFT JOIN customers c USING (customer_id) "
    "LEFT JOIN customers f ON c.friend_id = f.customer_id) AS joined"
)


async def test_generated_groups_paged_to_their_end_are_those_of_one_database(mesh: tuple[Asked, duckdb.DuckDBPyConnection]) -> None:
    asked, connection = mesh
    random = Random(f"{SEED} groups")
    for _ in range(60):
        by = random.sample(list(KEYS), random.randint(1, 3))
        totals = random.sample(list(TOTALS), random.randint(1, 3))
        where, having = random.choice(list(WHERE)), random.choice((None, *HAVING))
        directions = [(it, random.choice(("ASC", "DESC", "DESC_NULLS_FIRST"))) for it in random.sample(list(TOTALS), random.randint(0, 2))]
        order = ", ".join(
            "{" + (f"count: {direction}" if it == "count" else TOTALS[it][0].replace("%s", direction)) + "}" for it, direction in directions
        )
        arguments = [f"by: [{', '.join(by)}]", f"first: {random.choice((3, 7, 1000))}", "after: $after", f"orderBy: [{order}]"]
        arguments += [f"having: {having}"] if having else []
        arguments += [f"where: {where}"] if where else []
        text = f"query($after: String) {{order{{orders{{groups({', '.join(arguments)})"
        text += f"{{key{{{' '.join(KEYS[it][0] for it in by)}}} {' '.join(totals)} cursor}}}}}}}}"
        sql_order = [
            f"{TOTALS[it][1]} {'ASC' if direction == 'ASC' else 'DESC'} NULLS {'FIRST' if direction.endswith('FIRST') else 'LAST'}"
            for it, direction in directions
        ] + [f"{KEYS[it][1]} NULLS LAST" for it in by]
        sql = f"SELECT {', '.join([KEYS[it][1] for it in by] + [TOTALS[it][1] for it in totals])} FROM {JOINED} WHERE {WHERE[where]} "
        sql += (
            f"GROUP BY {', '.join(KEYS[it][1] for it in by)}{f' HAVING {HAVING[having]}' if having else ''} ORDER BY {', '.join(sql_order)}"
        )
        expected = [tuple(map(_wire, row)) for row in connection.execute(sql).fetchall()]
        found: list[Any] = []
        after = None
        while True:
            answer = await asked.ask(ANALYST, text, None, {"after": after})
            assert answer.errors == [], (SEED, text, answer.errors)
            page = answer.data["order"]["orders"]["groups"]
            found += page
            if not page or len(found) >= 1000:
                break
            after = page[-1].pop("cursor")
            for group in page[:-1]:
                del group["cursor"]
        assert [_ordered(group, by, totals) for group in found] == expected, (SEED, text, json.dumps(found))
        figures.note("one database", "groups walked to their ends")


def _ordered(group: dict[str, Any], by: list[str], totals: list[str]) -> tuple[Any, ...]:
    """Read a group in the order of the SQL: selections of one function are one object in the answer."""
    cells: list[Any] = []
    for it in by:
        node: Any = group["key"]
        for name in KEYS[it][0].replace("{", " ").replace("}", " ").split():
            node = node[name]
        cells.append(node)
    for it in totals:
        node = group
        for name in it.replace("{", " ").replace("}", " ").split():
            node = node[name]
        cells.append(node)
    return tuple(cells)
