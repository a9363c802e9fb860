"""Makes up plausible rows from a contract alone, so that a product can be queried before its data exists.

The same seed gives the same rows. Names decide what text looks like, foreign keys stay in the range of their partners' keys, instants
end now, optional columns are null now and then. Pure but for the clock, which may be given.
"""

from __future__ import annotations

import base64
import datetime as dt
import random
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from contracts.fields import Enumeration, Field, FieldType, Kind, List, Map, Record, Scalar, Unit
from contracts.model import Contract
from domain_adapters.columns import digits_of

__all__ = ["mock_rows"]

_DAYS = 730
_NULL_SHARE = 0.08
_NAMES = (
    "Ana Müller",
    "Łukasz Nowak",
    "José García",
    "Søren Øst",
    "Zoë O’Neill",
    "김민준",
    "山田 花子",
    "Ελένη Παππά",
    "Ivan Petrov",
    "Aïcha Diallo",
)
_CITIES = ("Köln", "Łódź", "Málaga", "Århus", "서울", "東京", "Αθήνα", "Lyon", "Bern", "São Paulo")
_WORDS = ("amber", "brisk", "cedar", "delta", "ember", "fjord", "größe", "harbour", "indigo", "jasmin")
_COUNTRIES = ("DE", "FR", "ES", "IT", "PL", "NL", "SE", "KR", "JP", "BR")
_CURRENCIES = ("EUR", "USD", "PLN", "KRW")
_TEXTS: tuple[tuple[str, Callable[[random.Random, int], str]], ...] = (
    ("mail", lambda dice, row: f"user{row}.{dice.choice(_WORDS[:6])}@example.com"),
    ("phone", lambda dice, row: f"+49 30 {dice.randrange(10**7):07d}"),
    ("country", lambda dice, row: dice.choice(_COUNTRIES)),
    ("currency", lambda dice, row: dice.choice(_CURRENCIES)),
    ("card", lambda dice, row: f"4{dice.randrange(10**15):015d}"),
    ("city", lambda dice, row: dice.choice(_CITIES)),
    ("url", lambda dice, row: f"https://example.com/{dice.choice(_WORDS[:6])}/{row}"),
    ("name", lambda dice, row: dice.choice(_NAMES)),
)


def mock_rows(contract: Contract, *, rows: int = 1_000, seed: int = 1, now: dt.datetime | None = None) -> Iterator[dict[str, Any]]:
    """Make up rows of Python values by column name; primary keys are unique."""
    now = (now or dt.datetime.now(dt.UTC)).replace(microsecond=0)
    dice = random.Random(f"{contract.key}:{seed}")  # noqa: S311 - made-up rows are no secrets
    partners = {own: other for relationship in contract.relationships for own, other in relationship.on}
    unique = _unique_of(contract)
    for row in range(rows):
        # Instants of one row lie together and end with the newest row.
        moment = now - dt.timedelta(seconds=(rows - 1 - row) * _DAYS * 86_400 / max(rows, 1))
        yield {
            field.name: _cell(field, contract, partners, dice, row=row, rows=rows, moment=moment, unique=unique)
            for field in contract.fields
        }


def _unique_of(contract: Contract) -> str | None:
    """Choose the key column that makes rows differ: the last that has values enough."""
    keys = [contract.field_by_name[name] for name in contract.primary_key]
    wide = [key.name for key in keys if not isinstance(key.type, Enumeration) and key.type != Scalar(Kind.BOOLEAN)]
    return wide[-1] if wide else None


def _cell(
    field: Field,
    contract: Contract,
    partners: Mapping[str, str],
    dice: random.Random,
    *,
    row: int,
    rows: int,
    moment: dt.datetime,
    unique: str | None,
) -> Any:
    if field.name in contract.primary_key:
        return _numbered(field.name, field.type, row if field.name == unique else row // 3)
    if not field.required and dice.random() < _NULL_SHARE:
        return None
    if field.name in partners:
        return _numbered(partners[field.name], field.type, dice.randrange(max(rows // 5, 1)))
    return _value(field.name, field.type, dice, row, moment)


def _numbered(name: str, type_: FieldType, number: int) -> Any:
    """Give the key number ``number`` of a column: what a partner would call the same thing."""
    match type_:
        case Enumeration(symbols=symbols):
            return symbols[number % len(symbols)]
        case Scalar(kind=Kind.INT | Kind.LONG):
            return number + 1
        case Scalar(kind=Kind.FLOAT):
            return float(number + 1)
        case Scalar(kind=Kind.DECIMAL):
            return Decimal(number + 1)
        case Scalar(kind=Kind.UUID):
            return str(UUID(int=number + 1))
        case Scalar(kind=Kind.DATE):
            return dt.date(2000, 1, 1) + dt.timedelta(days=number)
        case Scalar(kind=Kind.INSTANT, unit=unit):
            return _instant(dt.datetime(2000, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=number), unit)
        case Scalar(kind=Kind.LOCAL_DATETIME):
            return dt.datetime(2000, 1, 1) + dt.timedelta(minutes=number)
        case Scalar(kind=Kind.STRING):
            return f"{name.removesuffix('_id').removesuffix('Id')[:12]}-{number + 1:06d}"
    return _value(name, type_, random.Random(number), number, dt.datetime(2000, 1, 1, tzinfo=dt.UTC))  # noqa: S311  # as above


def _value(name: str, type_: FieldType, dice: random.Random, row: int, moment: dt.datetime) -> Any:
    match type_:
        case Enumeration(symbols=symbols):
            # Skewed as real states are: earlier symbols are more frequent.
            return symbols[min(int(dice.expovariate(1.2)), len(symbols) - 1)]
        case Record(fields=fields):
            return {field.name: _value(field.name, field.type, dice, row, moment) for field in fields}
        case List(item=item):
            return [_value(name, item, dice, row, moment) for _ in range(dice.randrange(4))]
        case Map(value=value):
            return {word: _value(name, value, dice, row, moment) for word in dice.sample(_WORDS, dice.randrange(3))}
        case Scalar():
            return _scalar(name, type_, dice, row, moment)


def _scalar(name: str, type_: Scalar, dice: random.Random, row: int, moment: dt.datetime) -> Any:
    match type_.kind:
        case Kind.BOOLEAN:
            return dice.random() < 0.5
        case Kind.INT | Kind.LONG:
            return int(dice.expovariate(0.02))
        case Kind.FLOAT:
            return round(dice.gauss(50, 20), 3)
        case Kind.DECIMAL:
            precision, scale = digits_of(type_)
            return Decimal(int(dice.lognormvariate(4, 1) * 10**scale) % 10 ** min(precision, 15)).scaleb(-scale)
        case Kind.STRING:
            return _text(name, dice, row)
        case Kind.BYTES:
            return base64.b64encode(dice.randbytes(8)).decode()
        case Kind.UUID:
            return str(UUID(int=dice.getrandbits(128), version=4))
        case Kind.JSON:
            return {"note": dice.choice(_WORDS), "rank": dice.randrange(10)}
    return _clock(type_, dice, moment)


def _text(name: str, dice: random.Random, row: int) -> str:
    lowered = name.lower()
    made = next((make for word, make in _TEXTS if word in lowered), None)
    return f"{dice.choice(_WORDS)} {dice.choice(_WORDS)}" if made is None else made(dice, row)


def _clock(type_: Scalar, dice: random.Random, moment: dt.datetime) -> Any:
    match type_.kind:
        case Kind.DATE:
            return moment.date()
        case Kind.TIME:
            return dt.time(dice.randrange(24), dice.randrange(60), dice.randrange(60))
        case Kind.LOCAL_DATETIME:
            return moment.replace(tzinfo=None)
    return _instant(moment, type_.unit)


def _instant(moment: dt.datetime, unit: Unit | None) -> Any:
    return f"{moment.replace(tzinfo=None).isoformat()}.000000000Z" if unit is Unit.NANOS else moment
