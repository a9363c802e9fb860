"""A mesh four times as wide costs four times as much to start, and no more to ask. `python -m tests.bench.scale` measures in earnest."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gateway.exchange import Frame, Question
from tests.attacks.lying import STRING, Mesh, analyst, contract, link
from tests.bench.scale import MISSPELT, Figures, measure
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
    assert replies["catalogue: count all products, again"]["data"]["mesh"]["productsCount"] == figures.products - figures.products // 97


def test_a_thousand_products_in_a_row_are_described_and_followed_without_recursion() -> None:
    columns = {"id": STRING, "next_id": STRING}
    chain = [
        (contract(f"p{number}", columns, links=(link("next", f"shop/p{(number + 1) % 1_000}", {"next_id": "id"}, inverse="last"),)), None)
        for number in range(1_000)
    ]
    mesh = Mesh(*chain)
    mesh.engine._described._products_max = 1_000
    printed = mesh.engine.sdl(Frame(analyst(), 0.0, "r"))
    assert printed.count("\ntype ShopP999 {") == 1
    nested = "{ id " * 15 + "}" * 15
    text = "{ shop { p990(first: 1) { nodes " + nested.replace("{ id ", "{ id next ", 14) + " } } }"
    executable = mesh.engine.explained(Question(text), Frame(analyst(), 0.0, "r")).executable
    assert len(executable.products) == 15
