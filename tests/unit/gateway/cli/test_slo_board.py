from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from gateway.cli.failure import CommandError
from gateway.cli.slo_board import _asked


def paged(products: int, *, gone: int = 0) -> httpx.Client:
    """A gateway that lists so many products, a hundred to a page, though it counts some that are ``gone`` meanwhile."""

    def answer(request: httpx.Request) -> httpx.Response:
        variables = json.loads(request.content)["variables"]
        start = 0 if variables["after"] is None else int(variables["after"]) + 1
        page = [{"id": f"d/{place}", "cursor": str(place)} for place in range(start, min(start + 100, products))]
        return httpx.Response(200, json={"data": {"mesh": {"productsCount": products + gone, "products": page}}})

    return httpx.Client(transport=httpx.MockTransport(answer))


@pytest.mark.parametrize(("products", "gone"), [(0, 0), (3, 0), (100, 0), (250, 0), (250, 5)])
def test_the_board_asks_for_every_page(products: int, gone: int) -> None:
    with paged(products, gone=gone) as client:
        found: list[dict[str, Any]] = _asked(client, "http://gateway", None)
    assert [it["id"] for it in found] == [f"d/{place}" for place in range(products)]


def test_an_answer_without_a_catalogue_is_said_so() -> None:
    with (
        httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json={"data": {"mesh": None}}))) as client,
        pytest.raises(CommandError, match="did not answer as a gateway does"),
    ):
        _asked(client, "http://gateway", None)
