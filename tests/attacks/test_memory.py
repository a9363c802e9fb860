"""What is kept for callers who never ask the same twice."""

from __future__ import annotations

from random import Random

import msgspec

from contracts.fields import Field
from gateway.catalog.snapshot import snapshot_of
from gateway.compiler import structs
from gateway.engine.decode import RowDecoders

from .lying import STRING, contract

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
