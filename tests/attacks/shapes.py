"""Large and hostile operations with the ports that answer them: what the gateway has to work on for long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import msgspec

from contracts.fields import Kind, Scalar
from contracts.masks import Mask, MaskKind
from contracts.model import FieldClassification, Grant
from contracts.predicates import And, Compare, Not, Operator, Or
from domain_adapters.port import Capabilities, Read
from gateway.engine.budget import Bounds

from .lying import LEVEL_0, LEVEL_1, STRING, Lying, Mesh, contract, link, page

__all__ = ["CASES", "Case"]

MANY = 30_000
INT, LONG, DECIMAL = Scalar(Kind.INT), Scalar(Kind.LONG), Scalar(Kind.DECIMAL, 10, 2)
LARGE = Bounds(rows_max=10_000)
PAGES = replace(LEVEL_0, page_max=1_000)
Row = dict[str, Any]
Case = tuple[Mesh, str, dict[str, Any] | None]


def port(rows: Sequence[Row], capabilities: Capabilities = LEVEL_1) -> Lying:
    """Serve rows in pages of a thousand, written beforehand."""
    bodies = [page(rows[at : at + 1_000], str(at // 1_000 + 1) if at + 1_000 < len(rows) else None) for at in range(0, len(rows), 1_000)]
    return Lying(lambda read: bodies[int(read.cursor or 0)], capabilities)


def looked_up(rows_of: Callable[[Any], list[Row]]) -> Lying:
    """Serve what belongs to keys, written once for each batch of them, a thousand rows a page."""

    @cache
    def bodies(keys: tuple[Any, ...]) -> list[bytes]:
        rows = [row for (key,) in keys for row in rows_of(key)]
        return [page(rows[at : at + 1_000], str(at // 1_000 + 1) if at + 1_000 < len(rows) else None) for at in range(0, len(rows), 1_000)]

    def answer(read: Read) -> bytes:
        assert read.keys is not None
        return bodies(read.keys.values)[int(read.cursor or 0)]

    return Lying(answer)


def in_one_page(rows: Sequence[Row]) -> Lying:
    """Serve all rows as one page, however few are asked for, as endpoints without paging do."""
    body = page(rows)
    return Lying(lambda read: body, LEVEL_0)


def names(count: int) -> list[str]:
    return [f"c{number}" for number in range(count)]


def wide_rows() -> Case:
    columns = ["id", *names(199)]
    rows = [dict.fromkeys(columns, "some text") | {"id": f"{at}"} for at in range(1_000)]
    mesh = Mesh((contract("orders", dict.fromkeys(columns, STRING)), port(rows)))
    return mesh, f"{{ shop {{ orders(first: 1000) {{ nodes {{ {' '.join(columns)} }} }} }} }}", None


def ten_thousand_rows() -> Case:
    columns = {"id": LONG, "amount": DECIMAL, "at": Scalar(Kind.INSTANT), **dict.fromkeys(names(5), STRING)}
    rows = [dict.fromkeys(columns, "text") | {"id": at, "amount": f"{at}.25", "at": "2026-11-03T00:00:00Z"} for at in range(10_000)]
    mesh = Mesh((contract("orders", columns), port(rows)), bounds=LARGE)
    return mesh, f"{{ shop {{ orders(first: 10000) {{ edges {{ cursor node {{ {' '.join(columns)} }} }} }} }} }}", None


def masks_in_every_cell() -> Case:
    masked = {name: FieldClassification(tags=("pii",), mask=Mask(MaskKind.PSEUDONYM)) for name in names(15)}
    rows = [{"id": f"{at}"} | {name: f"{name} {at}" for name in names(15)} for at in range(5_000)]
    mesh = Mesh((contract("orders", dict.fromkeys(["id", *names(15)], STRING), classified=masked), port(rows)), bounds=LARGE)
    return mesh, f"{{ shop {{ orders(first: 10000) {{ nodes {{ id {' '.join(names(15))} }} }} }} }}", None


def rules_that_differ_by_row() -> Case:
    rule = Or((Compare("n", Operator.IN, (1, 2, 3)), And((Compare("t", Operator.NE, "y"), Not(Compare("id", Operator.EQ, 5))))))
    grants = (Grant(role="analyst", fields=("*",), row_filter=rule), Grant(role="analyst", fields=("id",), clear=("id", "n")))
    masked = {"t": FieldClassification(tags=("pii",))}
    rows = [{"id": at, "n": at % 7, "t": "x"} for at in range(10_000)]
    mesh = Mesh((contract("orders", {"id": LONG, "n": INT, "t": STRING}, grants=grants, classified=masked), port(rows)), bounds=LARGE)
    return mesh, "{ shop { orders(first: 10000) { nodes { id n t } } } }", None


def four_levels() -> Case:
    levels = ("a", "b", "c", "d")
    products = []
    for at, name in enumerate(levels):
        links = (link("up", f"shop/{levels[at - 1]}", {"up_id": "id"}, inverse="downs"),) if at else ()
        below = (10, 10, 3)[at - 1] if at else 0
        served = looked_up(lambda key, below=below: [{"id": key * 10 + it, "up_id": key, "name": "x" * 20} for it in range(below)])
        top = port([{"id": it, "up_id": 0, "name": "x"} for it in range(100)])
        products.append((contract(name, {"id": LONG, "up_id": LONG, "name": STRING}, links=links), served if at else top))
    inner = "downs(first: 10) { nodes { id name } }"
    for _ in range(2):
        inner = f"downs(first: 10) {{ totalCount nodes {{ id name {inner} }} }}"
    return Mesh(*products, bounds=LARGE), f"{{ shop {{ a(first: 100) {{ nodes {{ id {inner} }} }} }} }}", None


def a_list_of_each_of_ten_thousand() -> Case:
    links = (link("customer", "shop/customers", {"cid": "id"}, inverse="orders"),)
    orders = contract("orders", {"id": LONG, "cid": LONG, "amount": DECIMAL}, links=links)
    customers = contract("customers", {"id": LONG, "name": STRING})
    served = looked_up(lambda key: [{"id": key * 3 + it, "cid": key, "amount": "1.50"} for it in range(3)])
    mesh = Mesh((customers, port([{"id": at, "name": "Ann"} for at in range(10_000)])), (orders, served), bounds=LARGE)
    body = "totalCount edges { cursor node { id amount } } pageInfo { hasNextPage }"
    return mesh, f"{{ shop {{ customers(first: 10000) {{ nodes {{ id orders(first: 2) {{ {body} }} }} }} }} }}", None


def a_partner_of_each_of_ten_thousand() -> Case:
    links = (link("customer", "shop/customers", {"cid": "id"}),)
    orders = contract("orders", {"id": LONG, "cid": LONG}, links=links)
    customers = contract("customers", {"id": LONG, "name": STRING})
    served = looked_up(lambda key: [{"id": key, "name": "Ann"}])
    mesh = Mesh((orders, port([{"id": at, "cid": at} for at in range(10_000)])), (customers, served), bounds=LARGE)
    return mesh, "{ shop { orders(first: 10000) { nodes { id customer { id name } } } } }", None


def measured() -> list[Row]:
    return [{"id": at, "n": at % 7, "amount": f"{at}.25", "cid": at % 10_000} for at in range(MANY)]


MEASURED = {"id": LONG, "n": INT, "amount": DECIMAL, "cid": LONG}


def as_many_groups_as_rows() -> Case:
    mesh = Mesh((contract("orders", MEASURED), port(measured(), PAGES)))
    group = "groups(by: [{field: ID}], first: 1000, orderBy: [{sum: {amount: DESC}}])"
    return mesh, f"{{ shop {{ orders {{ {group} {{ key {{ id }} count sum {{ amount }} countDistinct {{ n }} }} }} }} }}", None


def few_groups_of_many_values() -> Case:
    mesh = Mesh((contract("orders", MEASURED), port(measured(), PAGES)))
    totals = "count avg { amount } countDistinct { id amount } min { amount }"
    return mesh, f"{{ shop {{ orders {{ groups(by: [{{field: N}}]) {{ key {{ n }} {totals} }} }} }} }}", None


def groups_along_ten_thousand_keys() -> Case:
    links = (link("customer", "shop/customers", {"cid": "id"}),)
    served = looked_up(lambda key: [{"id": key, "name": f"Ann {key}"}])
    customers = contract("customers", {"id": LONG, "name": STRING})
    mesh = Mesh((contract("orders", MEASURED, links=links), port(measured(), PAGES)), (customers, served))
    group = "groups(by: [{field: NAME, path: [CUSTOMER]}], first: 1000)"
    return mesh, f"{{ shop {{ orders {{ {group} {{ key {{ customer {{ name }} }} count sum {{ amount }} }} }} }} }}", None


def groups_of_the_port() -> Case:
    able = replace(LEVEL_1, aggregates=frozenset({"count", "sum"}))

    @cache
    def groups(functions: tuple[tuple[str, str], ...], at: int) -> bytes:
        values = {name: 3 if function == "count" else "7.50" for function, name in functions}
        made = [{"key": [key], "values": values} for key in range(at, at + 1_000)]
        rest = {"groups": made, "nextCursor": str(at + 1_000) if at + 1_000 < MANY else None, "metadata": {}}
        return msgspec.json.encode({"data": [], **rest})

    answering = Lying(lambda read: groups(tuple((it.function, it.name) for it in read.aggregates), int(read.cursor or 0)), able)
    mesh = Mesh((contract("orders", MEASURED), answering))
    group = 'groups(by: [{field: ID}], having: {sum: {amount: {gt: "3"}}}, first: 1000)'
    return mesh, f"{{ shop {{ orders {{ {group} {{ key {{ id }} count sum {{ amount }} }} }} }} }}", None


def sorted_here() -> Case:
    mesh = Mesh((contract("orders", MEASURED), port(measured(), PAGES)))
    arguments = "first: 1000, orderBy: [{amount: DESC}], where: {n: {gt: 2}}"
    return mesh, f"{{ shop {{ orders({arguments}) {{ totalCount nodes {{ id amount }} }} }} }}", None


def tens_of_thousands_of_keys_on_both_sides_of_a_condition() -> Case:
    rows = [{"id": at, "cid": at} for at in range(MANY)]
    orders = contract("orders", {"id": LONG, "cid": LONG}, links=(link("customer", "shop/customers", {"cid": "id"}),))
    customers = contract("customers", {"id": LONG, "name": STRING}), port([{"id": at, "name": f"Ann {at}"} for at in range(MANY)], PAGES)
    mesh = Mesh((orders, port(rows, PAGES)), customers)
    return (
        mesh,
        '{ shop { orders(where: {customer: {name: {ne: "x"}}}, first: 10) { nodes { id } totalCount aggregate { count } } } }',
        None,
    )


def partners_beyond_the_scan_budget_looked_up_by_tens_of_thousands_of_keys() -> Case:
    rows = [{"id": at, "cid": at} for at in range(MANY)]
    orders = contract("orders", {"id": LONG, "cid": LONG}, links=(link("customer", "shop/customers", {"cid": "id"}),))
    scanned = port([{"id": at, "name": f"Ann {at}"} for at in range(MANY + 5_000)], PAGES)
    by_key = looked_up(lambda key: [{"id": key, "name": f"Ann {key}"}])
    served = Lying(lambda read: scanned.answer(read) if read.keys is None else by_key.answer(read), replace(PAGES, keys=True))
    mesh = Mesh(
        (orders, port(rows, PAGES)), (contract("customers", {"id": LONG, "name": STRING}), served), bounds=Bounds(scan_rows_max=MANY)
    )
    return mesh, '{ shop { orders(where: {customer: {name: {ne: "x"}}}) { totalCount aggregate { count } } } }', None


def a_list_of_ten_thousand_values() -> Case:
    rows = [{"id": f"{at}", "n": at} for at in range(1_000)]
    mesh = Mesh((contract("orders", {"id": STRING, "n": INT}), port(rows, PAGES)))
    text = "query ($w: [String!]!) { shop { orders(first: 1000, where: {id: {in: $w}}) { totalCount edges { cursor } nodes { id } } } }"
    return mesh, text, {"w": [f"{at}" for at in range(10_000)]}


def cells_that_break_their_type() -> Case:
    columns = {"id": STRING, **dict.fromkeys(names(20), INT)}
    mesh = Mesh((contract("orders", columns), port([dict.fromkeys(columns, "bad") | {"id": f"{at}"} for at in range(1_000)])))
    return mesh, f"{{ shop {{ orders(first: 1000) {{ nodes {{ {' '.join(columns)} }} }} }} }}", None


def documents_in_cells() -> Case:
    document = {"k": [{"a": number, "b": "x" * 50} for number in range(100)]}
    rows = [{"id": f"{at}", "doc": document} for at in range(300)]
    bodies = [page(rows[at : at + 30], str(at // 30 + 1) if at < 270 else None) for at in range(0, 300, 30)]
    served = Lying(lambda read: bodies[int(read.cursor or 0)], replace(LEVEL_0, page_max=30))
    mesh = Mesh((contract("orders", {"id": STRING, "doc": Scalar(Kind.JSON)}), served))
    return mesh, "{ shop { orders(first: 300) { nodes { id doc } } } }", None


# -- pages that are large themselves ---------------------------------------------------------------------------------------------


PLAIN = {"id": LONG, "amount": DECIMAL, "n": INT}


def plain(count: int) -> list[Row]:
    return [{"id": at, "amount": f"{at}.25", "n": at % 7} for at in range(count)]


def a_page_of_far_more_rows_than_asked_for() -> Case:
    mesh = Mesh((contract("orders", PLAIN), in_one_page(plain(100_000))))
    return mesh, "{ shop { orders(first: 100) { edges { cursor node { id amount } } } } }", None


def totals_of_one_page() -> Case:
    mesh = Mesh((contract("orders", PLAIN), in_one_page(plain(50_000))))
    return mesh, "{ shop { orders { totalCount groups(by: [{field: N}]) { key { n } sum { amount } } } } }", None


def one_page_filtered_and_sorted_here() -> Case:
    mesh = Mesh((contract("orders", PLAIN), in_one_page(plain(100_000))))
    return mesh, "{ shop { orders(first: 100, orderBy: [{amount: DESC}], where: {n: {gt: 2}}) { totalCount nodes { id } } } }", None


def thirty_megabytes_in_one_page() -> Case:
    columns = {"id": LONG, **dict.fromkeys(names(8), STRING)}
    rows = [dict.fromkeys(columns, "fifty characters and an answer, more or less") | {"id": at} for at in range(60_000)]
    mesh = Mesh((contract("orders", columns), in_one_page(rows)))
    return mesh, f"{{ shop {{ orders(first: 1000) {{ nodes {{ id {' '.join(names(8))} }} }} }} }}", None


def one_page_of_bad_cells() -> Case:
    rows = [row | {"amount": "bad"} if row["id"] % 3 else row for row in plain(40_000)]
    mesh = Mesh((contract("orders", PLAIN), in_one_page(rows)))
    return mesh, "{ shop { orders(first: 1000, where: {n: {gt: 2}}) { totalCount nodes { id amount } aggregate { count } } } }", None


# -- answers, keys and totals that are large -------------------------------------------------------------------------------------


def two_thousand_wide_rows_with_cursors() -> Case:
    columns = {"id": LONG, **dict.fromkeys(names(99), DECIMAL)}
    rows = [dict.fromkeys(columns, "12345.25") | {"id": at} for at in range(2_000)]
    mesh = Mesh((contract("orders", columns), port(rows)), bounds=LARGE)
    return mesh, f"{{ shop {{ orders(first: 10000) {{ edges {{ cursor node {{ {' '.join(columns)} }} }} }} }} }}", None


def a_list_of_ten_thousand_decimals() -> Case:
    rows = [{"id": f"{at}.50", "n": at} for at in range(1_000)]
    mesh = Mesh((contract("orders", {"id": DECIMAL, "n": INT}), port(rows)))
    return (
        mesh,
        "query ($w: [Decimal!]!) { shop { orders(first: 1000, where: {id: {in: $w}}) { nodes { id } } } }",
        {"w": [f"{at}.5" for at in range(10_000)]},
    )


def thousands_of_conditions_on_hundreds_of_rows() -> Case:
    rows = [{"id": f"o{at}", "n": at} for at in range(600)]
    mesh = Mesh((contract("orders", {"id": STRING, "n": INT}), port(rows, PAGES)))
    text = "query ($w: ShopOrdersWhere) { shop { orders(where: $w) { totalCount nodes { id } } } }"
    return mesh, text, {"w": {"or": [{"id": {"eq": f"o{number}"}} for number in range(2_500, 500, -1)]}}


def ten_thousand_keys_of_partners_that_match() -> Case:
    links = (link("customer", "shop/customers", {"cid": "id"}),)
    customers = contract("customers", {"id": LONG, "name": STRING})
    served = port([{"id": at, "name": "Ann"} for at in range(9_900)])
    mesh = Mesh((contract("orders", MEASURED, links=links), port(measured())), (customers, served))
    return mesh, '{ shop { orders(first: 100, where: {customer: {name: {eq: "Ann"}}}) { nodes { id } } } }', None


def a_partner_by_two_columns_of_each_of_ten_thousand() -> Case:
    links = (link("customer", "shop/customers", {"cid": "id", "rid": "rid"}),)
    orders = contract("orders", {"id": LONG, "cid": LONG, "rid": DECIMAL}, links=links)
    customers = contract("customers", {"id": LONG, "rid": DECIMAL, "name": STRING}, key=("id", "rid"))

    @cache
    def bodies(keys: tuple[tuple[int, Any], ...]) -> bytes:
        return page([{"id": first, "rid": str(second), "name": "Ann"} for first, second in keys])

    def answer(read: Read) -> bytes:
        assert read.keys is not None
        return bodies(read.keys.values)

    rows = [{"id": at, "cid": at, "rid": f"{at}.50"} for at in range(10_000)]
    mesh = Mesh((orders, port(rows)), (customers, Lying(answer)), bounds=LARGE)
    return mesh, "{ shop { orders(first: 10000) { nodes { id customer { id name } } } } }", None


def of_each_of_ten_thousand(body: str) -> Case:
    links = (link("customer", "shop/customers", {"cid": "id"}, inverse="orders"),)
    orders = contract("orders", {"id": LONG, "cid": LONG, "amount": DECIMAL, "n": INT}, links=links)
    customers = contract("customers", {"id": LONG, "name": STRING})
    served = looked_up(lambda key: [{"id": key * 3 + it, "cid": key, "amount": "1.50", "n": it} for it in range(3)])
    mesh = Mesh((customers, port([{"id": at, "name": "Ann"} for at in range(10_000)])), (orders, served), bounds=LARGE)
    return mesh, f"{{ shop {{ customers(first: 10000) {{ nodes {{ id orders{body} }} }} }} }}", None


def totals_of_each_of_ten_thousand() -> Case:
    return of_each_of_ten_thousand("{ aggregate { count sum { amount } } groups(by: [{field: N}]) { key { n } sum { amount } } }")


def a_sorted_list_of_each_of_ten_thousand() -> Case:
    return of_each_of_ten_thousand("(first: 2, orderBy: [{amount: DESC}], where: {n: {lt: 2}}) { totalCount nodes { id amount } }")


def ninety_totals_of_each_of_a_thousand_groups() -> Case:
    columns = {"id": LONG, "n": INT, **dict.fromkeys(names(30), DECIMAL)}
    rows = [dict.fromkeys(columns, "12345.25") | {"id": at, "n": at % 1_000} for at in range(3_000)]
    mesh = Mesh((contract("orders", columns), port(rows, PAGES)))
    totals = " ".join(f"{function} {{ {' '.join(names(30))} }}" for function in ("sum", "avg", "min"))
    return mesh, f"{{ shop {{ orders {{ groups(by: [{{field: N}}], first: 1000) {{ key {{ n }} {totals} }} }} }} }}", None


CASES = (
    wide_rows,
    ten_thousand_rows,
    masks_in_every_cell,
    rules_that_differ_by_row,
    four_levels,
    a_list_of_each_of_ten_thousand,
    a_partner_of_each_of_ten_thousand,
    as_many_groups_as_rows,
    few_groups_of_many_values,
    groups_along_ten_thousand_keys,
    groups_of_the_port,
    sorted_here,
    tens_of_thousands_of_keys_on_both_sides_of_a_condition,
    partners_beyond_the_scan_budget_looked_up_by_tens_of_thousands_of_keys,
    a_list_of_ten_thousand_values,
    cells_that_break_their_type,
    documents_in_cells,
    a_page_of_far_more_rows_than_asked_for,
    totals_of_one_page,
    one_page_filtered_and_sorted_here,
    thirty_megabytes_in_one_page,
    one_page_of_bad_cells,
    two_thousand_wide_rows_with_cursors,
    a_list_of_ten_thousand_decimals,
    thousands_of_conditions_on_hundreds_of_rows,
    ten_thousand_keys_of_partners_that_match,
    a_partner_by_two_columns_of_each_of_ten_thousand,
    totals_of_each_of_ten_thousand,
    a_sorted_list_of_each_of_ten_thousand,
    ninety_totals_of_each_of_a_thousand_groups,
)
