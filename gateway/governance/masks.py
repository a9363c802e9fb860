"""Masks at work: a declared `Mask` for a column's type becomes a function from cell to cell (SPEC A9).

The functions run per cell in compiled code: pure, no memory of values, never raising. Null stays null; what does not have the expected
form is redacted: text becomes ``***``, everything else null. A mask that does not fit its type is refused here with `ValueError`.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from decimal import Context, Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contracts.fields import FieldType, Kind, List, Scalar, Unit
from contracts.masks import Mask, MaskKind, fits

__all__ = ["REDACTED", "MaskFunction", "MaskKeys", "fitting", "mask_function"]

REDACTED = "***"
MaskFunction = Callable[[Any], Any]

_SECRET_BYTES_MIN = 16
_DOMAINS_KEPT = 4_096
_EMAIL_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}").fullmatch
_EMAIL_DOMAIN = re.compile(
    r"(?=.{1,253}\Z)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
).fullmatch
_NANOS_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", re.ASCII).fullmatch
_STEP_TEXT = re.compile(r"\d{1,40}(?:\.\d{1,40})?", re.ASCII).fullmatch
# A double has at most 309 digits before the point and a step at most 40 after it: quotients and remainders are exact within this.
_EXACT = Context(prec=1_200, Emax=999_999, Emin=-999_999)
_INT_BITS = {Kind.INT: 31, Kind.LONG: 63}
_PARTS = {"year": 4, "month": 7, "day": 10}
_FIRST = "0000-01-01"


class MaskKeys:
    """The keys of pseudonyms: one per domain and one for the mesh, derived from the mesh's secret. ``version`` prefixes each pseudonym."""

    __slots__ = ("_secret", "version")

    def __init__(self, secret: bytes, version: int = 1) -> None:
        if len(secret) < _SECRET_BYTES_MIN:
            raise ValueError(f"the mask secret needs at least {_SECRET_BYTES_MIN} bytes")
        self._secret = secret
        self.version = version

    def key(self, domain: str, scope: str) -> bytes:
        """Derive the key for a domain's pseudonyms, or the mesh's for ``scope`` mesh."""
        owner = "mesh" if scope == "mesh" else f"domain:{domain}"
        return HKDF(SHA256(), 32, salt=None, info=f"meshgate pseudonym v{self.version} {owner}".encode()).derive(self._secret)

    def __repr__(self) -> str:
        return f"MaskKeys(version={self.version})"


def mask_function(mask: Mask, type_: FieldType, keys: MaskKeys, domain: str) -> MaskFunction:
    """Make the function that masks one cell; lists are masked item by item.

    Raises: `ValueError` where the mask does not fit the type.
    """
    if mask.kind is MaskKind.ROUND and (mask.to is None or _STEP_TEXT(mask.to) is None):
        raise ValueError("round needs to: a positive step in decimal digits")
    if not fits(mask, type_):
        raise ValueError(f"mask {mask.kind} does not fit type {_name(type_)}")
    if mask.kind is MaskKind.NULLIFY:
        return _nullify
    if isinstance(type_, List):
        return _each(mask_function(mask, type_.item, keys, domain))
    if not isinstance(type_, Scalar):
        raise ValueError(f"mask {mask.kind} does not fit type {_name(type_)}")  # noqa: TRY004 - a misfit, whatever the type
    match mask.kind:
        case MaskKind.REDACT:
            return _redact
        case MaskKind.PSEUDONYM:
            return _pseudonym(keys.key(domain, mask.scope), keys.version)
        case MaskKind.EMAIL:
            return _email()
        case MaskKind.PARTIAL:
            return _partial(mask.first, mask.last)
        case MaskKind.TRUNCATE:
            return _truncate(mask.to, type_)
        case MaskKind.ROUND:
            return _round(mask.to, type_)


def fitting(mask: Mask, type_: FieldType) -> Mask:
    """Keep a mask that fits; replace one that came from the other end of a relationship and does not (SPEC A7)."""
    if fits(mask, type_):
        return mask
    redact = Mask(MaskKind.REDACT)
    return redact if fits(redact, type_) else Mask(MaskKind.NULLIFY)


def _name(type_: FieldType) -> str:
    return type_.kind.value if isinstance(type_, Scalar) else type(type_).__name__.lower()


def _nullify(_: Any) -> None:
    return None


def _redact(value: Any) -> str | None:
    return None if value is None else REDACTED


def _each(item: MaskFunction) -> MaskFunction:
    def each(value: Any) -> Any:
        return [item(one) for one in value] if isinstance(value, (list, tuple)) else None

    return each


def _pseudonym(key: bytes, version: int) -> MaskFunction:
    copy = blake2b(key=key, digest_size=16).copy
    prefix = f"v{version}:"

    def pseudonym(value: Any) -> Any:
        if value is None:
            return None
        digest = copy()
        try:
            digest.update(value.encode("utf-8", "surrogatepass"))
        except (AttributeError, TypeError, LookupError):
            return REDACTED
        return prefix + digest.hexdigest()

    return pseudonym


def _email() -> MaskFunction:
    # Only domains are remembered, which the mask shows anyway.
    tails: dict[str, str] = {}
    tail_of = tails.get

    def email(value: Any) -> Any:
        if value is None:
            return None
        try:
            local, domain = value.split("@")
            tail = tail_of(domain) or learn(domain)
            if local.isascii() and (local.replace(".", "").isalnum() or _EMAIL_LOCAL(local)):
                return local[0] + tail
        except (AttributeError, TypeError, ValueError):
            pass
        return REDACTED

    def learn(domain: str) -> str:
        if _EMAIL_DOMAIN(domain) is None:
            raise ValueError
        if len(tails) >= _DOMAINS_KEPT:
            tails.clear()
        tails[domain] = tail = f"***@{domain}"
        return tail

    return email


def _partial(first: int, last: int) -> MaskFunction:
    if first < 0 or last < 0:
        raise ValueError("partial keeps no negative number of characters")
    kept = first + last

    def partial(value: Any) -> Any:
        if not isinstance(value, str):
            return None if value is None else REDACTED
        hidden = len(value) - kept
        if hidden <= 0:
            return "*" * len(value)
        return f"{value[:first]}{'*' * hidden}{value[-last:] if last else ''}"

    return partial


def _truncate(to: str | None, type_: Scalar) -> MaskFunction:
    if to not in _PARTS:
        raise ValueError("truncate needs to: year, month or day")
    in_year, in_month = to == "year", to != "day"
    if type_.kind is Kind.DATE:

        def truncate_date(value: Any) -> Any:
            if type(value) is not dt.date:
                return None
            return dt.date(value.year, 1 if in_year else value.month, 1 if in_month else value.day)

        return truncate_date
    if type_.unit is Unit.NANOS:
        kept = _PARTS[to]
        rest = f"{_FIRST[kept:]}T00:00:00.000000000Z"

        def truncate_text(value: Any) -> Any:
            return value[:kept] + rest if isinstance(value, str) and _NANOS_INSTANT(value) else None

        if type_.kind is Kind.INSTANT:
            return truncate_text
    zone = dt.UTC if type_.kind is Kind.INSTANT else None
    made = dt.datetime

    def truncate_time(value: Any) -> Any:
        if type(value) is not made or (value.tzinfo is None) is not (zone is None):
            return None
        if zone is not None and value.tzinfo is not zone:
            try:
                value = value.astimezone(zone)
            except (OverflowError, ValueError):
                return None
        return made(value.year, 1 if in_year else value.month, 1 if in_month else value.day, 0, 0, 0, 0, zone)

    return truncate_time


def _round(to: str | None, type_: Scalar) -> MaskFunction:
    step = Decimal(to or 0)
    if type_.kind in _INT_BITS:
        return _round_int(int(step), _INT_BITS[type_.kind])
    return _round_float(step) if type_.kind is Kind.FLOAT else _round_decimal(step, type_.scale or 0, type_.precision)


def _round_int(step: int, bits: int) -> MaskFunction:
    least, most = -(1 << bits), (1 << bits) - 1

    def round_int(value: Any) -> Any:
        if type(value) is not int:
            return None
        times, over = divmod(value, step)
        if 2 * over > step or (2 * over == step and times & 1):
            times += 1
        rounded = times * step
        if rounded > most:
            return rounded - step
        return rounded + step if rounded < least else rounded

    return round_int


def _nearest(value: Decimal, step: Decimal) -> Decimal:
    # Half goes to the even multiple; quotient and remainder are exact, so no digit is rounded twice.
    times, over = _EXACT.divmod(abs(value), step)
    twice = _EXACT.multiply(over, Decimal(2))
    if twice > step or (twice == step and int(times) & 1):
        times = _EXACT.add(times, Decimal(1))
    return _EXACT.copy_sign(_EXACT.multiply(times, step), value)


def _toward_zero(rounded: Decimal, step: Decimal) -> Decimal:
    return _EXACT.copy_sign(_EXACT.subtract(abs(rounded), step), rounded)


def _round_float(step: Decimal) -> MaskFunction:
    def round_float(value: Any) -> Any:
        if type(value) not in (float, int):
            return None
        try:
            rounded = _nearest(Decimal(repr(value)), step)
            found = float(rounded)
            if math.isinf(found):
                found = float(_toward_zero(rounded, step))
        except (InvalidOperation, OverflowError, ValueError):
            return None
        return found + 0.0 if math.isfinite(found) else None

    return round_float


def _round_decimal(step: Decimal, scale: int, precision: int | None) -> MaskFunction:
    unit = Decimal(1).scaleb(-scale)
    most = None if precision is None else Decimal(10) ** (precision - scale)

    def round_decimal(value: Any) -> Any:
        if not isinstance(value, Decimal):
            return None
        try:
            rounded = _nearest(value, step)
            if most is not None and abs(rounded) >= most:
                rounded = _toward_zero(rounded, step)
            return _EXACT.add(_EXACT.quantize(rounded, unit), Decimal(0))
        except InvalidOperation:
            return None

    return round_decimal
