"""Operations made to break the gateway, or to learn what is not shown."""

from __future__ import annotations

from .lying import STRING, Lying, Mesh, contract, page

ORDERS = {"id": STRING, "country": STRING}


async def test_an_order_term_whose_variable_is_left_out_is_the_callers_mistake() -> None:
    mesh = Mesh((contract("orders", ORDERS), Lying(lambda _: page([{"id": "o1"}]))))
    found = await mesh.ask("query ($d: SortDirection) { shop { orders(orderBy: [{country: $d}]) { nodes { id } } } }")
    assert mesh.failures == []
    assert found.codes == ["BAD_USER_INPUT"]
