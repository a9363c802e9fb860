"""The texts that documents are made of: names, durations, days, percentages; each with its JSON Schema."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ConfigDict, WithJsonSchema
from pydantic import Field as Member

from contracts.durations import parse_duration
from contracts.model import Frozen
from contracts.names import PRODUCT_REF
from contracts.objectives import RatioObjective, TimeObjective, Unreadable, parse_ratio_objective, parse_time_objective

__all__ = [
    "AgeText",
    "ClaimText",
    "Day",
    "Document",
    "DurationText",
    "Name",
    "Names",
    "ProductRef",
    "RatioText",
    "Text",
    "form_of",
    "text_of",
]

Text = Annotated[str, Member(min_length=1, max_length=4_000)]
Name = Annotated[str, Member(min_length=1, max_length=128)]
Names = Annotated[tuple[Name, ...], Member(max_length=2_000)]
ProductRef = Annotated[str, Member(pattern=PRODUCT_REF, max_length=257)]
ClaimText = Annotated[str, Member(min_length=1, max_length=500)]


class Document(Frozen):
    """Part of a document: only the keys as documented, not their Python spelling, and no infinite numbers."""

    model_config = ConfigDict(populate_by_name=False, allow_inf_nan=False)


def form_of(value: Any) -> str:
    """Tell the short form of a value from the long one, for unions of both."""
    return "<text>" if isinstance(value, str) else "<mapping>"


def text_of(value: Any) -> str:
    """Take text and nothing else. **Raises** ValueError."""
    if not isinstance(value, str):
        raise ValueError("expected text")  # noqa: TRY004 -- what Pydantic collects
    return value


def _duration(value: Any) -> float:
    return parse_duration(text_of(value))


def _day(value: Any) -> dt.date:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text_of(value)) is None:
        raise ValueError('expected a day such as "2027-12-31"')
    return dt.date.fromisoformat(value)


T = TypeVar("T")


def _readable(parse: Callable[[str], T]) -> Callable[[Any], T | Unreadable]:
    def read(value: Any) -> T | Unreadable:
        text = text_of(value)
        try:
            return parse(text)
        except ValueError as error:
            return Unreadable(text, str(error))

    return read


DurationText = Annotated[
    float, BeforeValidator(_duration), WithJsonSchema({"type": "string", "examples": ["7 years", "1 hour", "15 min", "PT1H30M", "P2W"]})
]
Day = Annotated[dt.date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
RatioText = Annotated[
    RatioObjective | Unreadable,
    BeforeValidator(_readable(parse_ratio_objective)),
    WithJsonSchema({"type": "string", "pattern": r"^\s*(>=|>|≥)?\s*[0-9]{1,3}(\.[0-9]{1,9})?\s*%\s*$", "examples": ["> 99.5%", "99.95%"]}),
]
AgeText = Annotated[
    TimeObjective | Unreadable,
    BeforeValidator(_readable(parse_time_objective)),
    WithJsonSchema({"type": "string", "examples": ["< 1 hour", "15 min", "PT1H"]}),
]
