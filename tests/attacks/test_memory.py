"""What is kept for callers who never ask the same twice."""

from __future__ import annotations

import fnmatch
import gc
import tracemalloc
from collections.abc import Callable
from random import Random

import msgspec
import pytest

from contracts.fields import Field
from gateway.catalog.snapshot import snapshot_of
from gateway.compiler import structs
from gateway.compiler.limits import Limits
from gateway.compiler.readings import Readings, size_bytes
from gateway.engine.decoding.decode import RowDecoders
from gateway.exchange import Frame
from gateway.http.callers import Callers
from gateway.http.tokens import sign
from gateway.settings import load

from .lying import STRING, Mesh, analyst, contract

COLUMNS = [f"c{number}" for number in range(500)]
MANY = [f"c{number}" for number in range(1_600)]


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


DOCUMENTS: dict[str, Callable[[int], str]] = {
    "names": lambda number: f"{{ shop {{ o{number} {{ {' '.join(f'{name}of_some_length' for name in MANY)} }} }} }}",
    "values": lambda number: f"{{ shop(x: [{'1,' * 4_900}{number}]) }}",
    "objects": lambda number: f"{{ shop(x: {{ n{number}: 1 {' '.join(f'{name}: 1' for name in MANY)} }}) }}",
    "fragments": lambda number: f"{{ o{number} }}" + "".join(f" fragment {name} on T {{ a b c d e f }}" for name in COLUMNS[:99]),
    "a comment": lambda number: f"{{ o{number} }} #{'x' * 90_000}",
}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_documents_near_the_limits_are_remembered_within_a_budget_of_bytes(kind: str) -> None:
    text = DOCUMENTS[kind]
    gc.collect()
    tracemalloc.start()
    try:
        readings = Readings(Limits(), 4_000_000)
        for number in range(6):
            readings.of(text(number), None)
        gc.collect()
        measured = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert measured < 4_000_000
    assert measured < readings.size_bytes + 100_000
    last = readings.of(text(5), None)
    assert readings.of(text(5), None) is last
    assert size_bytes(last) <= readings.size_bytes <= 4_000_000


def test_a_document_that_is_larger_than_the_budget_is_read_again() -> None:
    readings = Readings(Limits(), 100)
    assert readings.of("{ a }", None) is not readings.of("{ a }", None)
    assert readings.size_bytes == 0


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
