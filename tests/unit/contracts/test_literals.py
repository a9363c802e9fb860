from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from contracts.fields import Enumeration, FieldType, Kind, List, Record, Scalar, Unit
from contracts.literals import literal

MONEY = Scalar(Kind.DECIMAL, precision=5, scale=2)
INSTANT = Scalar(Kind.INSTANT, unit=Unit.MICROS)
NANOS = Scalar(Kind.INSTANT, unit=Unit.NANOS)


@pytest.mark.parametrize(
    ("value", "type_", "read"),
    [
        (True, Scalar(Kind.BOOLEAN), True),
        (-(2**31), Scalar(Kind.INT), -(2**31)),
        (2**63 - 1, Scalar(Kind.LONG), 2**63 - 1),
        (3, Scalar(Kind.FLOAT), 3.0),
        ("12.5", MONEY, Decimal("12.50")),
        (12, MONEY, Decimal("12.00")),
        (0.1, MONEY, Decimal("0.10")),
        ("-999.990", MONEY, Decimal("-999.99")),
        ("1.234567", Scalar(Kind.DECIMAL), Decimal("1.234567")),
        ("x", Scalar(Kind.STRING), "x"),
        ("6BA7B810-9DAD-11D1-80B4-00C04FD430C8", Scalar(Kind.UUID), "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        ("2026-11-23", Scalar(Kind.DATE), dt.date(2026, 11, 23)),
        ("12:30:00.5", Scalar(Kind.TIME), dt.time(12, 30, 0, 500_000)),
        ("2026-11-23T12:30:00+02:00", INSTANT, dt.datetime(2026, 11, 23, 10, 30, tzinfo=dt.UTC)),
        ("2026-11-23T12:30:00.25Z", INSTANT, dt.datetime(2026, 11, 23, 12, 30, 0, 250_000, tzinfo=dt.UTC)),
        ("2026-11-23T12:30:00.123456000Z", INSTANT, dt.datetime(2026, 11, 23, 12, 30, 0, 123_456, tzinfo=dt.UTC)),
        ("2026-11-23T12:30:00.1+02:00", NANOS, "2026-11-23T10:30:00.100000000Z"),
        ("2026-11-23T12:30:00", Scalar(Kind.LOCAL_DATETIME), dt.datetime(2026, 11, 23, 12, 30)),
        ("RED", Enumeration("C", ("RED",)), "RED"),
    ],
)
def test_literals_become_values_of_the_column(value: object, type_: FieldType, read: object) -> None:
    found = literal(value, type_)
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (1, Scalar(Kind.BOOLEAN)),
        (True, Scalar(Kind.INT)),
        (2**31, Scalar(Kind.INT)),
        (2**63, Scalar(Kind.LONG)),
        (1.0, Scalar(Kind.LONG)),
        (float("inf"), Scalar(Kind.FLOAT)),
        (True, Scalar(Kind.FLOAT)),
        ("1", Scalar(Kind.FLOAT)),
        ("1e5", MONEY),
        (True, MONEY),
        ("1000", MONEY),
        ("1.234", MONEY),
        (1, Scalar(Kind.STRING)),
        (1, Scalar(Kind.UUID)),
        ("x", Scalar(Kind.UUID)),
        ("2026-02-30", Scalar(Kind.DATE)),
        ("20260223", Scalar(Kind.DATE)),
        (20260223, Scalar(Kind.DATE)),
        ("25:00:00", Scalar(Kind.TIME)),
        ("2026-11-23T12:30:00", INSTANT),
        ("2026-11-23", INSTANT),
        ("2026-13-23T12:30:00Z", INSTANT),
        ("0001-01-01T00:00:00+23:00", INSTANT),
        ("2026-11-23T12:30:00.1234567Z", INSTANT),
        ("2026-11-23T12:30:00Z", Scalar(Kind.LOCAL_DATETIME)),
        ("BLUE", Enumeration("C", ("RED",))),
        (["RED"], Enumeration("C", ("RED",))),
        ({}, Scalar(Kind.JSON)),
        ("x", Scalar(Kind.BYTES)),
        ("x", List(Scalar(Kind.STRING))),
        ({}, Record("r", ())),
    ],
)
def test_what_the_column_could_never_hold_is_refused(value: object, type_: FieldType) -> None:
    with pytest.raises(ValueError, match=r"expected|cannot be compared"):
        literal(value, type_)
