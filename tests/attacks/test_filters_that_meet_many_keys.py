"""Conditions on related products that meet more keys than ports may be told of: what is answered, what refused, and what it costs."""

from __future__ import annotations

from dataclasses import replace

from gateway.engine.budget import Bounds

from .lying import LEVEL_0, LEVEL_1, STRING, Lying, Mesh, contract, link
from .purchases import FEW, ORDERS, PEOPLE, bought, held, ids, people


async def test_more_keys_than_may_be_passed_on_are_found_from_the_side_that_has_fewer() -> None:
    many, page_max = people(3_000), replace(LEVEL_1, page_max=100)
    orders, persons = held(FEW), held(many, page_max)
    mesh = Mesh((ORDERS, orders), (PEOPLE, persons), bounds=Bounds(keys_max=500))
    assert ids(await mesh.ask("{ shop { orders(where: {person: {}}) { nodes { id } } } }")) == ["o1", "o2", "o4", "o5"]
    # One page of the people shows that they are many; the orders' four keys are then looked up among them.
    assert (len(orders.asked), len(persons.asked)) == (2, 2)
    assert [read.keys.values for read in persons.asked if read.keys] == [(("c1",), ("c2",), ("c99",))]


async def test_no_rows_have_no_partners_to_look_up() -> None:
    orders, persons = held(FEW), held(people(3_000), replace(LEVEL_1, page_max=100))
    mesh = Mesh((ORDERS, orders), (PEOPLE, persons), bounds=Bounds(keys_max=500))
    answer = await mesh.ask("{ shop { orders(where: {person: {}, size: {gt: 99}}) { nodes { id } totalCount aggregate { count } } } }")
    assert answer.errors == []
    assert answer.data["shop"]["orders"] == {"nodes": [], "totalCount": 0, "aggregate": {"count": 0}}
    assert (len(orders.asked), len(persons.asked)) == (1, 1)


async def test_nested_lists_are_found_from_their_own_side_as_well() -> None:
    orders, persons = held(FEW), held(people(3_000), replace(LEVEL_1, page_max=100))
    mesh = Mesh((ORDERS, orders), (PEOPLE, persons), bounds=Bounds(keys_max=500))
    text = """{ shop { people(first: 4) { nodes { id
      orders(where: {person: {land: {eq: "DE"}}}) { nodes { id } totalCount aggregate { count } } } } } }"""
    answer = await mesh.ask(text)
    assert answer.errors == []
    found = {it["id"]: [one["id"] for one in it["orders"]["nodes"]] for it in answer.data["shop"]["people"]["nodes"]}
    assert found == {"c0": [], "c1": ["o1", "o5"], "c10": [], "c100": []}


def large(**bounds: int) -> tuple[Mesh, Lying, Lying]:
    able = replace(LEVEL_1, page_max=100)
    orders = held(bought((f"o{at:04}", f"c{at}") for at in range(5_000)), able)
    persons = held(people(5_000), able)
    return Mesh((ORDERS, orders), (PEOPLE, persons), bounds=Bounds(keys_max=700, **bounds)), orders, persons


async def test_a_page_is_filled_by_looking_up_its_rows_partners_where_both_sides_have_too_many_keys() -> None:
    mesh, orders, persons = large()
    text = """query ($w: ShopOrdersWhere, $after: String) { shop { orders(where: $w, first: 2, after: $after, orderBy: [{id: ASC}]) {
      nodes { id } pageInfo { hasNextPage endCursor } } } }"""
    where = {"person": {"land": {"eq": "DE"}}, "size": {"gte": 10}}
    first = await mesh.ask(text, {"w": where})
    assert ids(first) == ["o0011", "o0013"]
    info = first.data["shop"]["orders"]["pageInfo"]
    assert info["hasNextPage"] is True
    # From either side eight pages tell that there are too many; then the list is read on and its rows' partners looked up.
    assert len(orders.asked) + len(persons.asked) < 2 * 8 + 5 + 5
    assert ids(await mesh.ask(text, {"w": where, "after": info["endCursor"]})) == ["o0015", "o0017"]
    negated = {"not": {"person": {"land": {"eq": "DE"}}}}
    assert ids(await mesh.ask(text, {"w": negated})) == ["o0000", "o0002"]
    either = {"or": [{"id": {"eq": "o0007"}}, {"person": {"orders": {"some": {"size": {"in": [3, 9]}}}}}]}
    assert ids(await mesh.ask(text, {"w": either}))[:1] == ["o0003"]


async def test_a_page_filled_so_has_cursors_that_lead_on() -> None:
    mesh, _, _ = large()
    text = "query ($after: String) { shop { orders(where: {person: {}}, first: 2, after: $after) { edges { cursor node { id } } } } }"
    first = await mesh.ask(text)
    edges = first.data["shop"]["orders"]["edges"]
    second = await mesh.ask(text, {"after": edges[0]["cursor"]})
    assert [it["node"]["id"] for it in second.data["shop"]["orders"]["edges"]] == ["o0001", "o0002"]


async def test_a_page_that_would_need_the_whole_list_for_every_page_is_read_whole_once() -> None:
    able = replace(LEVEL_0, page_max=500, keys=True, key_columns=frozenset({("id",)}))
    orders, persons = held(bought((f"o{at:04}", f"c{at}") for at in range(2_000)), able), held(people(2_000), able)
    mesh = Mesh((ORDERS, orders), (PEOPLE, persons), bounds=Bounds(keys_max=700))
    assert ids(await mesh.ask("{ shop { orders(where: {person: {}}, orderBy: [{size: DESC}], first: 2) { nodes { id } } } }")) == [
        "o1999",
        "o1998",
    ]
    # Each is read until it has shown more than 700 keys; then the people to their end, and the orders once.
    assert (len(orders.asked), len(persons.asked)) == (2 + 4, 4)
    # In the endpoint's own order a page is found without.
    orders.asked.clear()
    assert ids(await mesh.ask("{ shop { orders(where: {person: {}}, first: 2) { nodes { id } } } }")) == ["o0000", "o0001"]
    assert len(orders.asked) == 2 + 1


GERMANS = '{person: {land: {eq: "DE"}}}'


async def test_numbers_and_totals_are_exact_where_both_sides_have_more_keys_than_may_be_passed_on() -> None:
    mesh, orders, persons = large()
    answer = await mesh.ask(
        f"""{{ shop {{ orders(where: {GERMANS}, first: 2, orderBy: [{{size: DESC}}]) {{
          nodes {{ id }} totalCount aggregate {{ count }} groups(by: [{{field: SIZE}}], first: 2) {{ key {{ size }} count }}
        }} }} }}"""
    )
    assert answer.errors == []
    assert answer.data["shop"]["orders"] == {
        "nodes": [{"id": "o4999"}, {"id": "o4997"}],
        "totalCount": 2_500,
        "aggregate": {"count": 2_500},
        "groups": [{"key": {"size": 1}, "count": 1}, {"key": {"size": 3}, "count": 1}],
    }
    # No port was told of all these keys, and the Germans were read once: their 25 pages, and 8 of orders to find out that those are many.
    assert not any(read.keys for read in persons.asked)
    assert len(persons.asked) == 25
    assert len(orders.asked) == 8 + 3 * 50
    negated = await mesh.ask(f"{{ shop {{ orders(where: {{not: {GERMANS}}}) {{ totalCount }} }} }}")
    assert negated.data["shop"]["orders"]["totalCount"] == 2_500


async def test_partners_beyond_the_scan_budget_are_looked_up_by_the_rows_that_lead_to_them() -> None:
    able = replace(LEVEL_1, page_max=100)
    orders = held(bought((f"o{at:04}", f"c{at}") for at in range(900)), able)
    persons = held(people(5_000), able)
    mesh = Mesh((ORDERS, orders), (PEOPLE, persons), bounds=Bounds(keys_max=300, scan_rows_max=1_000))
    answer = await mesh.ask(f"{{ shop {{ orders(where: {GERMANS}) {{ totalCount aggregate {{ count }} }} }} }}")
    assert answer.errors == []
    assert answer.data["shop"]["orders"] == {"totalCount": 450, "aggregate": {"count": 450}}
    # All 900 keys go to the port, a page of them at a time, once for both.
    assert [len(read.keys.values) for read in persons.asked if read.keys] == [100] * 9


async def test_what_needs_more_rows_than_may_be_scanned_is_refused_by_the_limits_name_and_costs_nothing_else() -> None:
    mesh, orders, persons = large(scan_rows_max=2_000)
    text = "{ shop { orders(where: {person: {}}) { nodes { id } totalCount aggregate { count } } people(first: 1) { nodes { id } } } }"
    answer = await mesh.ask(text)
    assert sorted(it["path"][-1] for it in answer.errors) == ["aggregate", "totalCount"]
    assert {it["extensions"]["code"] for it in answer.errors} <= {"LIMIT_EXCEEDED", "PORT_CANNOT"}
    assert all("arrow" in it["extensions"]["hint"] for it in answer.errors)
    assert len(answer.data["shop"]["orders"]["nodes"]) == 20
    assert answer.data["shop"]["orders"]["totalCount"] is answer.data["shop"]["orders"]["aggregate"] is None
    assert answer.data["shop"]["people"]["nodes"]
    # Either side is read to its bound once, however many parts ask for it.
    assert len(orders.asked) + len(persons.asked) < 2 * 8 + 2 * 21 + 5


async def test_rows_that_are_too_far_to_find_are_refused_after_bounded_reads() -> None:
    mesh, orders, persons = large(scan_rows_max=2_000)
    for where in (
        '{person: {land: {ne: "XX"}}, not: {person: {land: {ne: "XX"}}}}',
        '{person: {land: {in: ["DE", "FR"]}, id: {gt: "c1"}, orders: {none: {size: {gte: 0}}}}}',
    ):
        orders.asked.clear()
        persons.asked.clear()
        answer = await mesh.ask(f"{{ shop {{ orders(where: {where}) {{ nodes {{ id }} }} }} }}")
        assert answer.codes[0] in ("LIMIT_EXCEEDED", "PORT_CANNOT")
        assert answer.data["shop"]["orders"] is None
        assert len(orders.asked) + len(persons.asked) < 120


# -- lists in lists --------------------------------------------------------------------------------------------------------


ITEMS = contract(
    "items", {"id": STRING, "order_id": STRING, "kind": STRING}, links=(link("order", "shop/orders", {"order_id": "id"}, inverse="items"),)
)


def baskets(**bounds: int) -> tuple[Mesh, Lying, Lying]:
    """Ten people with 500 orders each, of which every third has an item of kind ``a``."""
    able = replace(LEVEL_1, page_max=1_000)
    orders = held(bought((f"o{at:04}", f"c{at % 10}") for at in range(5_000)), able)
    items = held([{"id": f"i{at:04}", "order_id": f"o{at:04}", "kind": "b" if at % 3 else "a"} for at in range(5_000)], able)
    return Mesh((ORDERS, orders), (PEOPLE, held(people(10))), (ITEMS, items), bounds=Bounds(keys_max=500, **bounds)), orders, items


async def test_lists_in_lists_are_filled_by_looking_up_their_rows_partners() -> None:
    mesh, orders, items = baskets()
    text = """query ($w: ShopOrdersWhere) { shop { people(first: 3) { nodes { id
      orders(where: $w, first: 2, orderBy: [{id: DESC}]) { nodes { id } pageInfo { hasNextPage } } } } } }"""
    answer = await mesh.ask(text, {"w": {"items": {"some": {"kind": {"eq": "a"}}}}})
    assert answer.errors == []
    found = {it["id"]: it["orders"] for it in answer.data["shop"]["people"]["nodes"]}
    assert found["c0"] == {"nodes": [{"id": "o4980"}, {"id": "o4950"}], "pageInfo": {"hasNextPage": True}}
    assert found["c1"] == {"nodes": [{"id": "o4971"}, {"id": "o4941"}], "pageInfo": {"hasNextPage": True}}
    # Of each list some rows were read, and the items of those were looked up; no more than that.
    (sift,) = [read for read in orders.asked if read.limit_per_key]
    assert (sift.limit_per_key, len(sift.keys.values)) == (10, 3)
    assert [len(read.keys.values) for read in items.asked if read.keys] == [33]


async def test_lists_that_have_too_few_rows_at_first_are_read_further() -> None:
    mesh, orders, _ = baskets()
    text = """{ shop { people(first: 2) { nodes { orders(where: {items: {some: {kind: {eq: "a"}, id: {lt: "i0200"}}}, size: {gte: 0}},
      orderBy: [{size: DESC}], first: 1) { nodes { id } pageInfo { hasNextPage } } } } } }"""
    # So few items match that their keys are passed on; as many as do not, and they are looked for.
    few_match = await mesh.ask(text)
    many = await mesh.ask(
        text.replace('kind: {eq: "a"}, id: {lt: "i0200"}', 'or: [{id: {lt: "i0200"}}, {order: {person: {id: {eq: "c9"}}}}]')
    )
    expected = [{"orders": {"nodes": [{"id": found}], "pageInfo": {"hasNextPage": True}}} for found in ("o0180", "o0171")]
    assert few_match.data["shop"]["people"]["nodes"] == expected
    assert many.errors == []
    assert [it["orders"]["nodes"] for it in many.data["shop"]["people"]["nodes"]] == [[{"id": "o0190"}], [{"id": "o0191"}]]
    limits = [read.limit_per_key for read in orders.asked if read.limit_per_key]
    assert limits[-4:] == [10, 40, 160, 640]


async def test_numbers_and_totals_of_lists_in_lists_are_exact_as_well() -> None:
    mesh, _, _ = baskets()
    text = """{ shop { people(first: 2) { nodes {
      orders(where: {items: {none: {kind: {eq: "b"}}}}, first: 1) { nodes { id } totalCount aggregate { count } } } } } }"""
    answer = await mesh.ask(text)
    assert answer.errors == []
    assert answer.data["shop"]["people"]["nodes"] == [
        {"orders": {"nodes": [{"id": "o0000"}], "totalCount": 167, "aggregate": {"count": 167}}},
        {"orders": {"nodes": [{"id": "o0021"}], "totalCount": 166, "aggregate": {"count": 166}}},
    ]


async def test_a_number_that_needs_too_many_rows_leaves_the_lists_in_lists() -> None:
    mesh, _, _ = baskets(scan_rows_max=900)
    text = """{ shop { people(first: 2) { nodes {
      orders(where: {items: {some: {kind: {eq: "b"}}}}, first: 1) { nodes { id } totalCount } } } } }"""
    answer = await mesh.ask(text)
    assert [error["path"][-1] for error in answer.errors] == ["totalCount"]
    assert [it["orders"] for it in answer.data["shop"]["people"]["nodes"]] == [
        {"nodes": [{"id": "o0010"}], "totalCount": None},
        {"nodes": [{"id": "o0001"}], "totalCount": None},
    ]


async def test_lists_in_lists_that_are_too_far_to_find_are_refused_and_cost_nothing_else() -> None:
    mesh, orders, items = baskets(scan_rows_max=900)
    text = """{ shop { people(first: 2) { nodes { id
      orders(where: {items: {some: {kind: {ne: "x"}}}, not: {items: {some: {kind: {ne: "x"}}}}}) { nodes { id } } } } } }"""
    answer = await mesh.ask(text)
    assert answer.codes[0] in ("LIMIT_EXCEEDED", "PORT_CANNOT")
    assert answer.data["shop"]["people"]["nodes"] == [{"id": "c0", "orders": None}, {"id": "c1", "orders": None}]
    assert len(orders.asked) + len(items.asked) < 60


async def test_a_few_rows_are_followed_along_two_relationships_that_lead_through_too_many_keys() -> None:
    able = replace(LEVEL_1, page_max=100)
    paid = contract("payments", {"id": STRING, "order_id": STRING}, links=(link("order", "shop/orders", {"order_id": "id"}),))
    payments = held([{"id": "p1", "order_id": "o0001"}, {"id": "p2", "order_id": "o0002"}, {"id": "p3", "order_id": None}])
    orders = held(bought((f"o{at:04}", f"c{at}") for at in range(5_000)), able)
    persons = held(people(5_000), able)
    mesh = Mesh((paid, payments), (ORDERS, orders), (PEOPLE, persons), bounds=Bounds(keys_max=700))
    text = '{ shop { payments(where: {order: {person: {land: {eq: "DE"}}}}) { nodes { id } totalCount aggregate { count } } } }'
    answer = await mesh.ask(text)
    assert ids(answer, "payments") == ["p1"]
    assert answer.data["shop"]["payments"]["totalCount"] == answer.data["shop"]["payments"]["aggregate"]["count"] == 1


async def test_what_cannot_be_scanned_is_refused_with_the_remedy() -> None:
    able = replace(LEVEL_0, page_max=50)
    mesh = Mesh(
        (ORDERS, held(bought((f"o{at}", f"c{at}") for at in range(900)), able)),
        (PEOPLE, held(people(900), able)),
        bounds=Bounds(scan_rows_max=200),
    )
    answer = await mesh.ask('{ shop { orders(where: {person: {land: {eq: "DE"}}}) { nodes { id } } } }')
    assert answer.codes == ["PORT_CANNOT"]
    assert "ask shop@example.com for a level 1 port" in answer.errors[0]["extensions"]["hint"]
