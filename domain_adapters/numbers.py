"""Turns wire numbers into exact Python numbers: integers of a width, finite floats, decimals of a precision and scale.

Rejects what would lose digits, overflow or not end (``NaN``, ``1e999999999``); sizes are checked before a number is built.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any

from contracts.fields import Scalar
from domain_adapters.errors import ValueMismatchError

__all__ = ["EXACT", "decimal_parser", "exact", "integer_parser", "integral", "parse_float"]

EXACT = Context(prec=300)
_DIGITS_MAX = 100
_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)


def integral(raw: Any, what: str) -> int:
    """Read a whole number of any width below 10^30 (integers as they are); ``10.0`` is one. Raises: `ValueMismatchError`."""
    if isinstance(raw, bool):
        raise ValueMismatchError.of(what)
    if isinstance(raw, int):
        return raw
    if isinstance(raw, float) and math.isfinite(raw) and raw.is_integer():
        return int(raw)
    # A number such as 1E+999999 is integral too: its size is checked before it is built.
    if isinstance(raw, Decimal) and raw.is_finite() and raw.adjusted() < 30 and raw == raw.to_integral_value(context=EXACT):
        return int(raw)
    raise ValueMismatchError.of(what)


def integer_parser(bits: int) -> Callable[[Any], Any]:
    """Give the parser of signed integers of so many bits."""
    low, high, what = -(1 << bits - 1), (1 << bits - 1) - 1, f"an integer of {bits} bits"

    def parse_integer(raw: Any) -> int:
        number = integral(raw, what)
        if low <= number <= high:
            return number
        raise ValueMismatchError.of(what)

    return parse_integer


def parse_float(raw: Any) -> float:
    """Read a finite double. Raises: `ValueMismatchError`."""
    if isinstance(raw, (int, float, Decimal)) and not isinstance(raw, bool):
        try:
            number = float(raw)
        except (OverflowError, ValueError):
            raise ValueMismatchError.of("a finite number") from None
        if math.isfinite(number):
            return number
    raise ValueMismatchError.of("a finite number")


def exact(raw: Any, what: str) -> Decimal:
    """Read a finite decimal of at most 100 digits from a number or its text; a float counts as its shortest text."""
    if isinstance(raw, bool):
        raise ValueMismatchError.of(what)
    if isinstance(raw, Decimal):
        number = raw
    elif isinstance(raw, int):
        if raw.bit_length() > 400:
            raise ValueMismatchError.of(what)
        number = Decimal(raw)
    elif isinstance(raw, float):
        number = Decimal(repr(raw))
    elif isinstance(raw, str) and len(raw) <= _DIGITS_MAX + 20 and _DECIMAL.fullmatch(raw):
        number = Decimal(raw)
    else:
        raise ValueMismatchError.of(what)
    if number.is_zero():
        return Decimal(0)
    if not number.is_finite() or len(number.as_tuple().digits) > _DIGITS_MAX or abs(number.adjusted()) > _DIGITS_MAX:
        raise ValueMismatchError.of(what)
    return number


def decimal_parser(type_: Scalar) -> Callable[[Any], Any]:
    """Give the parser of decimals of the type's precision and scale; more digits after the point only if they are zeros."""
    scale = type_.scale if type_.scale is not None else 0 if type_.precision is not None else None
    whole_max = type_.precision - (scale or 0) if type_.precision is not None else None
    what = f"a decimal of at most {type_.precision} digits, {scale} after the point" if scale is not None else "a finite decimal"
    step = Decimal(1).scaleb(-scale) if scale is not None else None

    def parse_decimal(raw: Any) -> Decimal:
        number = exact(raw, what)
        if step is not None:
            fixed = number.quantize(step, context=EXACT)
            if fixed != number:
                raise ValueMismatchError.of(what)
            number = fixed
        if whole_max is not None and number and number.adjusted() >= whole_max:
            raise ValueMismatchError.of(what)
        return number or number.copy_abs()

    return parse_decimal
