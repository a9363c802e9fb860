"""What is kept for callers who never ask the same twice."""

from __future__ import annotations

import fnmatch
from random import Random

import msgspec

from contracts.fields import Field
from gateway.catalog.snapshot import snapshot_of
from gateway.compiler import structs
from gateway.engine.decoding.decode import RowDecoders
from gateway.exchange import Frame
from gateway.http.callers import Callers
from gateway.http.tokens import sign
from gateway.settings import load

from .lying import STRING, Mesh, analyst, contract

COLUMNS = [f"c{number}" for number in range(500)]


def test_classes_of_wide_answers_in_ever_other_orders_are_let_go() -> None:
    random = Random(1)
    for _ in range(300):
        made = structs.output_class(tuple(random.sample(COLUMNS, 480)))
        assert issubclass(made, msgspec.Struct)
    info = structs._wide.cache_info()
    assert info.currsize <= 64


def test_decoders_of_a_wide_product_are_bounded_by_their_fields() -> None:
    made = contract("orders", {"id": STRING, **dict.fromkeys(COLUMNS, STRING)})
    assert isinstance(made.fields[0], Field)
    (product,) = snapshot_of([made], {}).products.values()
    decoders = RowDecoders(product, {})
    random = Random(1)
    for _ in range(60):
        columns = frozenset(random.sample(range(500), 480))
        assert decoders.decoder(columns) is decoders.decoder(columns)
    assert sum(map(len, decoders._kept)) <= 8_192


async def test_tokens_with_long_claims_are_remembered_in_smaller_numbers() -> None:
    key = "a key for tests that is long enough to be one"
    callers = Callers(load(None, {"MESHGATE_AUTH__DEMO_KEY": key}).auth)
    for number in range(120):
        claims = {"countries": ["DE", "FR"] * 300, "number": number, "filler": "x" * 1_000}
        token = sign(["analyst"], claims, purposes=[], domain=None, key=key, lifetime_s=600)
        await callers.identify(b"Bearer " + token.encode(), None)
    sized = callers._remembered_bytes
    assert callers.remembered_count == 120
    assert sized == sum(entry.weight for entry in callers._remembered.values()) > 500_000
    callers._remembered_bytes = 8 * 1024 * 1024
    token = sign(["analyst"], {}, purposes=[], domain=None, key=key, lifetime_s=600)
    await callers.identify(b"Bearer " + token.encode(), None)
    assert callers.remembered_count == 120  # the oldest went for the newest


def test_scopes_are_not_remembered() -> None:
    mesh = Mesh((contract("orders", {"id": STRING}), None))
    before = fnmatch._compile_pattern.cache_info().currsize  # type: ignore[attr-defined]  # there at run time
    for number in range(50):
        frame = Frame(analyst(), 0.0, "r", scope=(f"shop/*{number}", "shop/ord?rs", "other/*"))
        assert "ShopOrders" in mesh.engine.sdl(frame)
    assert fnmatch._compile_pattern.cache_info().currsize == before  # type: ignore[attr-defined]  # there at run time
