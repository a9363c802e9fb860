"""The wire's value table: what is read as what, what is refused, what is written."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from contracts.fields import Enumeration, Field, FieldType, Kind, List, Map, Record, Scalar, Unit
from domain_adapters.values import ValueMismatchError, canonical_instant, emit, parse
from domain_adapters.wire import raw_json

BOOLEAN, INT, LONG, FLOAT = Scalar(Kind.BOOLEAN), Scalar(Kind.INT), Scalar(Kind.LONG), Scalar(Kind.FLOAT)
STRING, BYTES, UUID, DATE, JSON = Scalar(Kind.STRING), Scalar(Kind.BYTES), Scalar(Kind.UUID), Scalar(Kind.DATE), Scalar(Kind.JSON)
MONEY = Scalar(Kind.DECIMAL, precision=10, scale=2)
ANY_DECIMAL = Scalar(Kind.DECIMAL)
TIME, TIME_MS = Scalar(Kind.TIME), Scalar(Kind.TIME, unit=Unit.MILLIS)
TIME_NS = Scalar(Kind.TIME, unit=Unit.NANOS)
INSTANT, INSTANT_S = Scalar(Kind.INSTANT), Scalar(Kind.INSTANT, unit=Unit.SECONDS)
INSTANT_MS, INSTANT_NS = Scalar(Kind.INSTANT, unit=Unit.MILLIS), Scalar(Kind.INSTANT, unit=Unit.NANOS)
LOCAL, LOCAL_US = Scalar(Kind.LOCAL_DATETIME), Scalar(Kind.LOCAL_DATETIME, unit=Unit.MICROS)
COLOUR = Enumeration("Colour", ("RED", "GRÜN"))
POINT = Record("Point", (Field("x", MONEY), Field("when", DATE, physical_name="at_day")))
TAGS, LOOSE = List(STRING), List(INT, item_required=False)
PRICES = Map(MONEY)
Z = dt.UTC
NAIVE = dt.datetime

FITS: list[tuple[FieldType, str, Any]] = [
    (BOOLEAN, "true", True),
    (BOOLEAN, "null", None),
    (INT, "2147483647", 2147483647),
    (INT, "10.0", 10),
    (INT, "1e3", 1000),
    (LONG, "-9223372036854775808", -(1 << 63)),
    (LONG, "9223372036854775807.0", (1 << 63) - 1),
    (FLOAT, "1", 1.0),
    (FLOAT, "0.1", 0.1),
    (FLOAT, "1e-400", 0.0),
    (MONEY, '"12.30"', Decimal("12.30")),
    (MONEY, "12.3", Decimal("12.30")),
    (MONEY, "12.3000", Decimal("12.30")),
    (MONEY, "12", Decimal("12.00")),
    (MONEY, '"-0.00"', Decimal("0.00")),
    (MONEY, "0e999999999", Decimal("0.00")),
    (MONEY, '"1e3"', Decimal("1000.00")),
    (MONEY, "99999999.99", Decimal("99999999.99")),
    (Scalar(Kind.DECIMAL, precision=38, scale=2), "123456789012345678901234567890.12", Decimal("123456789012345678901234567890.12")),
    (ANY_DECIMAL, '"0.000000000000000000001"', Decimal("0.000000000000000000001")),
    (STRING, '"\\u0000é\U0001f600"', "\0é\U0001f600"),
    (BYTES, '"aGk="', "aGk="),
    (BYTES, '""', ""),
    (UUID, '"0F8FAD5B-D9CB-469F-A165-70867728950E"', "0f8fad5b-d9cb-469f-a165-70867728950e"),
    (DATE, '"2024-02-29"', dt.date(2024, 2, 29)),
    (DATE, "19782", dt.date(2024, 2, 29)),
    (DATE, "-1", dt.date(1969, 12, 31)),
    (TIME, '"23:59:59.999999"', dt.time(23, 59, 59, 999999)),
    (TIME, '"01:02:03.5000000000"', dt.time(1, 2, 3, 500000)),
    (TIME_MS, "3723004", dt.time(1, 2, 3, 4000)),
    (INSTANT, '"2026-11-23T01:02:03Z"', dt.datetime(2026, 11, 23, 1, 2, 3, tzinfo=Z)),
    (INSTANT, '"2026-11-23T01:02:03.120000000+05:30"', dt.datetime(2026, 11, 22, 19, 32, 3, 120000, tzinfo=Z)),
    (INSTANT, '"2026-11-23 01:02:03-0100"', dt.datetime(2026, 11, 23, 2, 2, 3, tzinfo=Z)),
    (INSTANT_S, "1700000000", dt.datetime(2023, 11, 14, 22, 13, 20, tzinfo=Z)),
    (INSTANT_S, "1700000000.25", dt.datetime(2023, 11, 14, 22, 13, 20, 250000, tzinfo=Z)),
    (INSTANT_MS, "-1", dt.datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=Z)),
    (INSTANT_NS, '"2026-11-23T01:02:03.123456789+01:00"', "2026-11-23T00:02:03.123456789Z"),
    (INSTANT_NS, '"2026-11-23T01:02:03Z"', "2026-11-23T01:02:03.000000000Z"),
    (INSTANT_NS, "1700000000000000001", "2023-11-14T22:13:20.000000001Z"),
    (LOCAL, '"2026-11-23T01:02:03.5"', NAIVE(2026, 11, 23, 1, 2, 3, 500000)),
    (LOCAL_US, "1000001", NAIVE(1970, 1, 1, 0, 0, 1, 1)),
    (COLOUR, '"GRÜN"', "GRÜN"),
    (POINT, '{"x": "1.5", "at_day": "2024-01-01", "z": 1}', {"x": Decimal("1.50"), "when": dt.date(2024, 1, 1)}),
    (POINT, "{}", {"x": None, "when": None}),
    (TAGS, '["a", "b"]', ["a", "b"]),
    (LOOSE, "[1, null]", [1, None]),
    (PRICES, '{"a": "1.00", "b": null}', {"a": Decimal("1.00"), "b": None}),
    (JSON, '{"a": [1, 1.5, "x", null, true]}', {"a": [1, 1.5, "x", None, True]}),
]

MISFITS: list[tuple[FieldType, str]] = [
    (BOOLEAN, "1"),
    (BOOLEAN, '"true"'),
    (INT, "2147483648"),
    (INT, "1.5"),
    (INT, "true"),
    (INT, '"1"'),
    (INT, "1e999999999"),
    (LONG, "9223372036854775808"),
    (FLOAT, "1e999"),
    (FLOAT, "true"),
    (FLOAT, '"NaN"'),
    (MONEY, "12.345"),
    (MONEY, "100000000.00"),
    (MONEY, '"NaN"'),
    (MONEY, '"Infinity"'),
    (MONEY, '" 1"'),
    (MONEY, '"1_0"'),
    (MONEY, '"١"'),
    (MONEY, "true"),
    (MONEY, "1e999999999"),
    (MONEY, "[]"),
    (ANY_DECIMAL, "1e101"),
    (ANY_DECIMAL, f'"{"1" * 121}"'),
    (ANY_DECIMAL, "1" * 130),
    (STRING, "1"),
    (BYTES, '"a"'),
    (BYTES, '"é"'),
    (BYTES, "1"),
    (UUID, '"0f8fad5bd9cb469fa16570867728950e"'),
    (UUID, '"{0f8fad5b-d9cb-469f-a165-70867728950e}"'),
    (DATE, '"2023-02-29"'),
    (DATE, '"2024-2-9"'),
    (DATE, '"2024-02-29T00:00:00Z"'),
    (DATE, "99999999999"),
    (DATE, "1e29"),
    (DATE, "1.5"),
    (TIME, '"24:00:00"'),
    (TIME, '"1:02:03"'),
    (TIME, '"01:02:03Z"'),
    (TIME, '"01:02:03.0000001"'),
    (TIME, "1000"),
    (TIME_MS, "86400000"),
    (TIME_MS, "-1"),
    (TIME_NS, "1"),
    (INSTANT, '"2026-11-23T01:02:03"'),
    (INSTANT, '"2026-11-23T01:02:60Z"'),
    (INSTANT, '"2026-13-23T01:02:03Z"'),
    (INSTANT, '"2026-11-23T01:02:03.1234567Z"'),
    (INSTANT, '"2026-11-23T01:02:03+24:00"'),
    (INSTANT, '"0001-01-01T00:00:00+01:00"'),
    (INSTANT, '"2026-11-23"'),
    (INSTANT, "1700000000"),
    (INSTANT_S, "1e20"),
    (INSTANT_S, "0.0000001"),
    (INSTANT_NS, '"2026-11-23T01:02:03.1234567891Z"'),
    (INSTANT_NS, "0.5"),
    (LOCAL, '"2026-11-23T01:02:03Z"'),
    (COLOUR, '"red"'),
    (COLOUR, "[]"),
    (POINT, "[]"),
    (POINT, '{"x": "1.555"}'),
    (TAGS, '["a", null]'),
    (TAGS, '"a"'),
    (LOOSE, '["a"]'),
    (PRICES, "[]"),
    (PRICES, '{"a": "x"}'),
    (JSON, "1e999"),
    (JSON, '{"a": 123456789012345678901234567890}'),
]

WRITTEN: list[tuple[FieldType, Any, Any]] = [
    (BOOLEAN, False, False),
    (LONG, 1 << 40, 1 << 40),
    (FLOAT, 0.1, 0.1),
    (MONEY, Decimal("1E+3"), "1000.00"),
    (MONEY, Decimal("-0"), "0.00"),
    (ANY_DECIMAL, Decimal("1E-9"), "0.000000001"),
    (STRING, "ü", "ü"),
    (DATE, dt.date(2024, 2, 29), "2024-02-29"),
    (TIME, dt.time(1, 2, 3), "01:02:03"),
    (TIME, dt.time(1, 2, 3, 40), "01:02:03.000040"),
    (INSTANT, dt.datetime(2026, 1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))), "2025-12-31T23:00:00Z"),
    (INSTANT, dt.datetime(2026, 1, 1, 0, 0, 0, 1000, tzinfo=Z), "2026-01-01T00:00:00.001000Z"),
    (INSTANT_NS, "2026-01-01T00:00:00.000000001Z", "2026-01-01T00:00:00.000000001Z"),
    (LOCAL, NAIVE(2026, 1, 1), "2026-01-01T00:00:00"),
    (COLOUR, "RED", "RED"),
    (POINT, {"x": Decimal(1)}, {"x": "1.00", "when": None}),
    (TAGS, ["a"], ["a"]),
    (PRICES, {"a": Decimal("1.5")}, {"a": "1.50"}),
    (JSON, {"a": [1]}, {"a": [1]}),
    (MONEY, None, None),
]

UNWRITABLE: list[tuple[FieldType, Any]] = [
    (MONEY, Decimal("1.234")),
    (MONEY, Decimal("NaN")),
    (DATE, dt.datetime(2026, 1, 1, tzinfo=Z)),
    (DATE, "2026-01-01"),
    (TIME, dt.time(1, tzinfo=Z)),
    (INSTANT, NAIVE(2026, 1, 1)),
    (INSTANT, "2026-01-01T00:00:00Z"),
    (INSTANT, dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))),
    (LOCAL, dt.datetime(2026, 1, 1, tzinfo=Z)),
    (POINT, []),
    (TAGS, [None]),
    (FLOAT, float("nan")),
    (INT, True),
]


@pytest.mark.parametrize(("type_", "wire", "value"), FITS)
def test_a_fitting_wire_value_becomes_the_python_value(type_: FieldType, wire: str, value: Any) -> None:
    parsed = parse(type_, raw_json(wire.encode()))
    assert parsed == value
    assert type(parsed) is type(value)
    assert str(parsed) == str(value)


@pytest.mark.parametrize(("type_", "wire"), MISFITS)
def test_a_misfit_is_refused_without_quoting_it(type_: FieldType, wire: str) -> None:
    raw = raw_json(wire.encode())
    with pytest.raises(ValueMismatchError) as refusal:
        parse(type_, raw)
    assert str(refusal.value).startswith("expected ")
    assert len(wire) < 8 or wire.strip('"') not in str(refusal.value)


@pytest.mark.parametrize(("type_", "value", "wire"), WRITTEN)
def test_a_python_value_is_written_in_its_canonical_form(type_: FieldType, value: Any, wire: Any) -> None:
    assert emit(type_, value) == wire
    assert emit(type_, parse(type_, emit(type_, value))) == wire


@pytest.mark.parametrize(("type_", "value"), UNWRITABLE)
def test_a_value_of_another_type_is_not_written(type_: FieldType, value: Any) -> None:
    with pytest.raises(ValueMismatchError):
        emit(type_, value)


def test_floats_count_as_their_shortest_decimal_text() -> None:
    assert parse(MONEY, 0.1) == Decimal("0.10")
    assert parse(INT, 10.0) == 10
    with pytest.raises(ValueMismatchError):
        parse(MONEY, float("inf"))
    with pytest.raises(ValueMismatchError):
        parse(MONEY, 1 << 500)


def test_an_instant_without_zone_has_no_canonical_text() -> None:
    with pytest.raises(ValueMismatchError):
        canonical_instant(NAIVE(2026, 1, 1))
