"""Sorting what a port cannot sort, without holding it all or holding up others."""

from __future__ import annotations

from operator import itemgetter
from random import Random

import pytest

from contracts.fields import Kind, Scalar
from domain_adapters.port import Read
from gateway.engine.reading.foremost import Foremost
from tests.conftest import within

from .lying import LEVEL_0, STRING, Lying, Mesh, contract, page
from .ticks import ticking


@pytest.mark.parametrize("size", [1, 2, 7, 100, 1_000])
def test_the_foremost_are_the_first_of_a_stable_sort(size: int) -> None:
    random = Random(size)
    rows = [(random.randrange(40), number) for number in range(500)]
    foremost = Foremost(size, itemgetter(0))
    for start in range(0, 500, 37):
        foremost.add(rows[start : start + 37])
    assert foremost.rows() == sorted(rows, key=itemgetter(0))[:size]


async def test_a_large_sort_in_the_gateway_lets_others_have_their_turn() -> None:
    def answer(read: Read) -> bytes:
        start = int(read.cursor or 0)
        rows = ({"id": f"o{n}", "amount": n * 7919 % 100_003} for n in range(start, start + 1_000))
        return page(rows, str(start + 1_000) if start < 99_000 else None)

    columns = {"id": STRING, "amount": Scalar(Kind.LONG)}
    mesh = Mesh((contract("orders", columns), Lying(answer, LEVEL_0)))
    async with ticking() as longest_s:
        found = await mesh.ask("{ shop { orders(first: 3, orderBy: [{amount: DESC}]) { totalCount nodes { amount } } } }")
    assert found.data["shop"]["orders"]["totalCount"] == 100_000
    assert [node["amount"] for node in found.data["shop"]["orders"]["nodes"]] == [100_002, 100_001, 100_000]
    assert longest_s() < within(0.1)  # CPU time of this thread, whatever else the machine does; it was over 0.5
