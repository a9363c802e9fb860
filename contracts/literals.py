"""Values in contracts, such as those of row filters, into Python values of a column's type.

Rejects what the column could never hold; messages are fit to be shown and never repeat the value.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import uuid
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any

from contracts.errors import nearest_of
from contracts.fields import Enumeration, FieldType, Kind, Scalar, Unit

__all__ = ["literal"]


_SUGGESTED_MAX = 50


def literal(value: Any, type_: FieldType) -> Any:
    """Read ``value`` as one of ``type_``. **Raises** ValueError if it cannot be one."""
    match type_:
        case Enumeration(symbols=symbols):
            if value not in symbols:
                near = nearest_of(value, symbols) if isinstance(value, str) and len(symbols) <= _SUGGESTED_MAX else None
                raise ValueError("expected one of the column's symbols" + (f', such as "{near}"' if near else ""))
            return value
        case Scalar(kind=kind) if kind in _READERS:
            return _READERS[kind](value, type_)
        case _:
            raise ValueError("columns of this type cannot be compared")


def _boolean(value: Any, _: Scalar) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")  # noqa: TRY004 -- one error for all that does not fit
    return value


def _integer(value: Any, type_: Scalar) -> int:
    bits = 31 if type_.kind is Kind.INT else 63
    if type(value) is not int or not -(2**bits) <= value < 2**bits:
        raise ValueError(f"expected a whole number of {bits + 1} bits")
    return value


def _float(value: Any, _: Scalar) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("expected a number")
    return float(value)


_DECIMAL = re.compile(r"[-+]?[0-9]{1,80}(\.[0-9]{1,80})?")


def _decimal(value: Any, type_: Scalar) -> Decimal:
    text = repr(value) if isinstance(value, float) else str(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or _DECIMAL.fullmatch(text) is None:
        raise ValueError('expected a decimal such as 12 or "12.50"')
    whole, _, fraction = text.lstrip("+-").partition(".")
    whole, fraction = whole.lstrip("0"), fraction.rstrip("0")
    if type_.precision is not None and type_.scale is not None:
        if len(fraction) > type_.scale or len(whole) > type_.precision - type_.scale:
            raise ValueError(f"expected a decimal of precision {type_.precision} and scale {type_.scale}")
        return Decimal(text).quantize(Decimal(1).scaleb(-type_.scale), context=_WIDE)
    return Decimal(text)


_WIDE = Context(prec=200)


def _string(value: Any, _: Scalar) -> str:
    if not isinstance(value, str):
        raise ValueError("expected text: put the value in quotes")  # noqa: TRY004 -- as above
    return value


def _uuid(value: Any, _: Scalar) -> str:
    try:
        return str(uuid.UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise ValueError("expected a UUID") from None


def _of(pattern: str, expected: str, read: Callable[[str], Any]) -> Callable[[Any, Scalar], Any]:
    shape = re.compile(pattern)

    def reader(value: Any, _: Scalar) -> Any:
        if isinstance(value, str) and shape.fullmatch(value) is not None:
            try:
                return read(value)
            except (ValueError, OverflowError):
                pass
        raise ValueError(f"expected {expected}")

    return reader


def _instant(value: Any, type_: Scalar) -> dt.datetime | str:
    match = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    try:
        if match is None:
            raise ValueError
        instant = dt.datetime.fromisoformat(match[1] + match[3]).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise ValueError('expected an instant such as "2026-11-23T12:30:00Z"') from None
    fraction = (match[2] or "").ljust(9, "0")
    if type_.unit is Unit.NANOS:
        return f"{instant:%Y-%m-%dT%H:%M:%S}.{fraction}Z"
    if fraction[6:] != "000":
        raise ValueError("expected at most microseconds")
    return instant.replace(microsecond=int(fraction[:6]))


_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
_INSTANT = re.compile(rf"({_DATE}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}})(?:\.([0-9]{{1,9}}))?(Z|[+-][0-9]{{2}}:[0-9]{{2}})")
_READERS: dict[Kind, Callable[[Any, Scalar], Any]] = {
    Kind.BOOLEAN: _boolean,
    Kind.INT: _integer,
    Kind.LONG: _integer,
    Kind.FLOAT: _float,
    Kind.DECIMAL: _decimal,
    Kind.STRING: _string,
    Kind.UUID: _uuid,
    Kind.DATE: _of(_DATE, 'a day such as "2026-11-23"', dt.date.fromisoformat),
    Kind.TIME: _of(_TIME, 'a time such as "12:30:00"', dt.time.fromisoformat),
    Kind.INSTANT: _instant,
    Kind.LOCAL_DATETIME: _of(rf"{_DATE}T{_TIME}", 'a wall-clock time such as "2026-11-23T12:30:00"', dt.datetime.fromisoformat),
}
