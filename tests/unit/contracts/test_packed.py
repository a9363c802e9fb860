from __future__ import annotations

import dataclasses
import datetime as dt
import types
import typing
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import Contract, load_catalog
from contracts.fields import Field
from contracts.model import InputPort
from contracts.packed import CLASSES, Unpacking, packed
from contracts.predicates import Among, Compare, Operator

from .test_load import EVERYTHING
from .written import CATALOG, contract

MAINTAINED = """\
  maintenance:
    - {timeZone: Europe/Berlin, from: "2026-12-24T20:00", to: "2026-12-25T06:00", reason: Feast}
    - {timeZone: Asia/Seoul, days: [SAT, SUN], at: "02:00", for: 2 hours}
"""
FILTERED = """\
  access:
    - role: analyst
      fields: ["*"]
      rowFilter:
        amount: {gt: "12.50"}
        or: [{day: {gte: "2026-01-01"}}, {at: {lt: "2026-11-23T12:30:00Z"}}, {not: {flag: {eq: true}}}]
        count: {notIn: [1, 2]}
"""
RICH = (contract(EVERYTHING), contract(EVERYTHING + MAINTAINED), contract(FILTERED), contract("  slo: {freshness: soon}\n"))


def again(made: Contract) -> Contract:
    content = packed(made)
    assert content is not None
    return Unpacking().contract(content)


def test_a_contract_comes_back_as_it_was() -> None:
    for made in (*RICH, *load_catalog(CATALOG)):
        back = again(made)
        assert back == made
        assert (hash(back), packed(back)) == (hash(made), packed(made))  # not the text: sets have no order
        assert back.field_by_name == made.field_by_name
        assert back.classification_by_name == made.classification_by_name


def test_every_class_that_a_contract_may_hold_can_be_packed() -> None:
    assert _classes_within(Contract) <= set(CLASSES)


def _classes_within(annotation: Any, found: set[type] | None = None) -> set[type]:
    found = set() if found is None else found
    for inner in typing.get_args(annotation) if not isinstance(annotation, type) or typing.get_args(annotation) else (annotation,):
        if isinstance(inner, type) and inner.__module__.startswith("contracts.") and inner not in found:
            found.add(inner)
            members = typing.get_type_hints(inner).values() if dataclasses.is_dataclass(inner) or hasattr(inner, "model_fields") else ()
            for member in members:
                _classes_within(member, found)
        elif not isinstance(inner, type) or isinstance(inner, types.GenericAlias):
            _classes_within(inner, found) if typing.get_args(inner) else None
    return found


def test_the_walk_over_classes_finds_those_deep_inside() -> None:
    assert {Field, Among, Operator, Compare} <= _classes_within(Contract)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.decimals(allow_nan=False)
    | st.dates()
    | (st.times() | st.datetimes() | st.datetimes(timezones=st.just(dt.UTC))).map(lambda it: it.replace(fold=0)),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=20,
)


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), VALUES), max_size=4))
def test_whatever_a_contract_states_besides_keeps_its_value_and_its_type(stated: list[tuple[str, Any]]) -> None:
    made = RICH[0].model_copy(update={"input_ports": (InputPort(type="t", options=tuple(stated)),)})
    assert repr(again(made).input_ports) == repr(made.input_ports)


def test_contracts_that_are_read_together_share_what_is_equal() -> None:
    first, second = (contract(EVERYTHING, name=name) for name in ("orders", "parcels"))
    reading = Unpacking()
    one, other = (reading.contract(packed(it) or b"") for it in (first, second))
    assert one.fields is other.fields
    assert one.metadata.name != other.metadata.name


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, "\ud800", object(), [1], {"a": 1}])
def test_what_cannot_be_said_exactly_is_not_packed(value: Any) -> None:
    made = RICH[0].model_copy(update={"input_ports": (InputPort(type="t", options=(("a", value),)),)})
    assert packed(made) is None


@pytest.mark.parametrize("class_", [str, Decimal])
def test_a_class_of_ones_own_is_not_packed_as_its_base(class_: type) -> None:
    made = RICH[0].model_copy(update={"input_ports": (InputPort(type="t", options=(("a", type("Own", (class_,), {})("1")),)),)})
    assert packed(made) is None


def _extension(number: int, *members: Any) -> bytes:
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(number, msgspec.msgpack.encode(members)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode("text"),
        msgspec.msgpack.encode({"a": 1}),
        _extension(99),
        _extension(-5),
        _extension(100, 1),
        _extension(0, 1, 2),
        _extension(CLASSES.index(Operator), "no such operator"),
        _extension(CLASSES.index(Field)),
        _extension(102, "no decimal"),
        (packed(RICH[0]) or b"")[:-1],
        (packed(RICH[0]) or b"") + b"\x00",
    ],
)
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a contract as it is packed here"):
        Unpacking().contract(content)


def test_bytes_nested_without_end_are_refused() -> None:
    content = msgspec.msgpack.encode(1)
    for _ in range(5_000):
        content = msgspec.msgpack.encode(msgspec.msgpack.Ext(100, b"\x91" + content))
    with pytest.raises(ValueError, match="not a contract as it is packed here"):
        Unpacking().contract(content)


@given(st.binary(max_size=200), st.integers(0, 2_000))
def test_changed_bytes_give_a_contract_or_a_refusal(noise: bytes, place: int) -> None:
    content = packed(RICH[1]) or b""
    changed = content[:place] + noise + content[place + len(noise) :]
    try:
        made = Unpacking().contract(changed)
    except ValueError:
        return
    assert isinstance(made, Contract)
