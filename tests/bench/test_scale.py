"""A mesh four times as wide costs four times as much to start, and no more to ask. `python -m tests.bench.scale` measures in earnest."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from contracts import Contract, check_together
from gateway.catalog.change import changed
from gateway.exchange import Frame, Question
from tests.attacks.lying import STRING, Mesh, analyst, contract, link
from tests.bench.scale import INTROSPECTION, MISSPELT, Figures, measure
from tests.conftest import within

ASKED_ONCE = (
    "4 products in one operation, third time",
    "introspect 20 linked products, seen before",
    "misspelt: domain",
    "misspelt: product",
)


@pytest.mark.bench
def test_what_a_wide_mesh_costs_grows_with_it_to_start_and_not_to_ask(tmp_path: Path) -> None:
    narrow, wide = (measure(tmp_path / str(products), products) for products in (250, 1_000))
    shown = "\n".join((*narrow.lines(), *wide.lines()))
    start = "start: read contracts, make the mesh, open ports"
    assert wide.seconds[start] < 8 * narrow.seconds[start], shown
    assert wide.seconds[start] < within(8), shown
    for name in ASKED_ONCE:
        assert wide.seconds[name] < 3 * narrow.seconds[name] + 0.01, (name, shown)
    assert wide.seconds["introspect 20 linked products, seen before"] < within(0.1), shown
    assert wide.seconds["introspect 20 linked products, nothing seen before"] < within(1), shown
    assert wide.seconds["misspelt: domain, by who has access to nothing"] < within(0.1), shown
    assert wide.seconds["  longest turn of the loop meanwhile"] < within(0.05), shown
    assert wide.seconds["start from the copy"] < within(4), shown
    assert wide.mib["held: contracts, mesh, ports, board"] + wide.mib["held more after all questions"] < 200, shown
    assert wide.seconds["change one product"] < within(0.5), shown
    assert wide.answered >= 24
    assert "asked while products change" not in wide.replies
    _answers(wide)


def _answers(figures: Figures) -> None:
    replies = {name: msgspec.json.decode(reply.body) for name, reply in figures.replies.items()}
    for what, (_, meant) in MISSPELT.items():
        told = replies[f"misspelt: {what}"]["errors"][0]["message"].partition("Did you mean ")[2]
        assert told.partition("'")[2].partition("'")[0] == meant, (what, told)
    row = replies["4 products in one operation, third time"]["data"]["area000"]["orders00000"]["nodes"][0]
    assert row["ref0"]["ref0"]["ref0"]["status"] == "OPEN"
    types = replies["introspect 20 linked products, seen before"]["data"]["__schema"]["types"]
    assert {type_["name"] for type_ in types} >= {"Area000Orders00000", "Area000Claims00019", "Area000Orders00020Where"}
    assert len(replies["catalogue: its first 100 products"]["data"]["mesh"]["products"]) == 100
    assert replies["catalogue: count all products"]["data"]["mesh"]["productsCount"] == figures.products - figures.products // 97


@contextmanager
def shallow(frames: int) -> Iterator[None]:
    """Let nothing be nested deeper than so many frames."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(frames)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def in_a_row(number: int, *, of: int, inverse: str = "last") -> Contract:
    """One of so many products, each of which leads to the next, the last one to the first."""
    columns = {"id": STRING, "next_id": STRING}
    return contract(f"p{number:04}", columns, links=(link("next", f"shop/p{(number + 1) % of:04}", {"next_id": "id"}, inverse=inverse),))


async def test_three_thousand_products_in_a_row_are_checked_described_followed_and_changed_without_recursion() -> None:
    chain = [in_a_row(number, of=3_000) for number in range(3_000)]
    with shallow(450):
        assert check_together(chain).problems == ()
        mesh = Mesh(*((it, None) for it in chain))
        mesh.engine._described._products_max = 300
        frame = Frame(analyst(), asyncio.get_running_loop().time() + 300, "r", scope=("shop/p1[0-2]*",))
        printed = mesh.engine.sdl(frame)
        assert (printed.count("\ntype ShopP1299 {"), printed.count("\ntype ShopP1300 {")) == (1, 0)
        types = msgspec.json.decode((await mesh.engine.answer(Question(INTROSPECTION), frame)).body)["data"]["__schema"]["types"]
        assert {"ShopP1000", "ShopP1299"} <= {it["name"] for it in types}
        nested = "{ id " * 15 + "}" * 15
        text = "{ shop { p2990(first: 1) { nodes " + nested.replace("{ id ", "{ id next ", 14) + " } } }"
        assert len(mesh.engine.explained(Question(text), frame).executable.products) == 15
        catalogue = await mesh.ask("{ mesh { products(first: 1000) { relationships { to } } } }")
        assert {len(it["relationships"]) for it in catalogue.data["mesh"]["products"]} == {2}
        change = changed(mesh.engine.snapshot, "shop/p1500", [in_a_row(1500, of=3_000, inverse="before")], {}, revision="2")
        assert change.touched == {"shop/p1499", "shop/p1500", "shop/p1501"}
        after = mesh.engine.successor(change)
        assert "before" in after.snapshot.products["shop/p1501"].relation_by_name
    assert mesh.failures == []


@pytest.mark.parametrize("levels", [100, 20_000])
async def test_what_is_nested_deeper_than_the_limit_is_refused_without_recursion(levels: int) -> None:
    mesh = Mesh((in_a_row(0, of=1), None))
    levels_of = {
        "rows": "{ shop { p0000 { nodes " + "{ next " * levels + "{ id }" + " }" * levels + " } } }",
        "fragments": "{ shop { p0000 { nodes { ..." + " { ... " * levels + "{ id }" + " }" * levels + " } } } }",
        "conditions": "{ shop { p0000(where: " + "{not: " * levels + "{}" + "}" * levels + ") { totalCount } } }",
        "partners": "{ shop { p0000(where: " + "{next: " * levels + "{}" + "}" * levels + ") { totalCount } } }",
        "lists": "{ shop { p0000(orderBy: " + "[" * 4 * levels + "]" * 4 * levels + ") { totalCount } } }",
    }
    with shallow(450):
        for what, text in levels_of.items():
            found = await mesh.ask(text)
            assert found.refusal == "LIMIT_EXCEEDED", what
        where: dict[str, object] = {}
        for _ in range(min(levels, 300)):
            where = {"not": where}
        found = await mesh.ask("query ($w: ShopP0000Where) { shop { p0000(where: $w) { totalCount } } }", {"w": where})
        assert found.refusal == "LIMIT_EXCEEDED"
    assert mesh.failures == []
