"""Rows that spell columns otherwise than their contract."""

from __future__ import annotations

import datetime as dt

from contracts.fields import Field, Kind, Scalar
from contracts.model import Contract, Metadata
from contracts.objectives import Objectives
from gateway.slo.sample import Sampler

NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)


def contract(*names: str) -> Contract:
    return Contract(
        metadata=Metadata(name="things", domain="d", owner="o@example.com", version="1.0.0"),
        fields=tuple(Field(name, Scalar(Kind.STRING)) for name in names),
        objectives=Objectives(),
    )


def test_a_column_that_rows_spell_otherwise_is_found_and_its_rows_are_not_accurate() -> None:
    sampler = Sampler(contract("unit_price", "id"), {"unit_price": "unitPrice", "id": "id"}, NOW)
    sampler.judge([{"id": "a", "unit_price": "1"}, {"id": "b", "unitPrice": "1", "unit_price": "2"}, {"id": "c"}])
    found = sampler.sample()
    assert found.findings == ("rows spell otherwise than the contract unit_price",)
    assert found.bad == 1


def test_what_another_column_is_called_is_no_misspelling() -> None:
    sampler = Sampler(contract("unit_price", "net_price"), {"unit_price": "gross", "net_price": "unit_price"}, NOW)
    sampler.judge([{"unit_price": "1"}])
    assert sampler.sample().findings == ()
