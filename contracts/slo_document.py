"""Objectives and retention as contracts write them, in short and long form."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, StrictInt, Tag, WithJsonSchema
from pydantic import Field as Member

from contracts.durations import parse_duration
from contracts.texts import AgeText, Document, DurationText, Name, RatioText, form_of, text_of

__all__ = ["AgeDocument", "RatioDocument", "RetentionDocument", "RetentionForm", "SloDocument"]


class ExpectedRows(Document):
    """At least ``min`` rows per period."""

    per: DurationText
    min: Annotated[StrictInt, Member(ge=1)]


class RatioDocument(Document):
    """A share that the product promises, with how it is counted."""

    target: RatioText
    window: DurationText | None = None
    expected_rows: ExpectedRows | None = None


class AgeDocument(Document):
    """An age that the product promises."""

    target: AgeText


class MeasureDocument(Document):
    """How the objectives are measured."""

    every: DurationText | None = None
    sample_rows: Annotated[StrictInt, Member(ge=1, le=1_000_000)] | None = None


Ratio = Annotated[Annotated[RatioText, Tag("<text>")] | Annotated[RatioDocument, Tag("<mapping>")], Discriminator(form_of)]
Age = Annotated[Annotated[AgeText, Tag("<text>")] | Annotated[AgeDocument, Tag("<mapping>")], Discriminator(form_of)]


class SloDocument(Document):
    """What the product promises about its data."""

    freshness: Age | None = None
    completeness: Ratio | None = None
    accuracy: Ratio | None = None
    availability: Ratio | None = None
    measure: MeasureDocument | None = None


def _period(value: Any) -> tuple[str, float]:
    return text_of(value), parse_duration(value)


PeriodText = Annotated[tuple[str, float], BeforeValidator(_period), WithJsonSchema({"type": "string", "examples": ["7 years", "P7Y"]})]


class RetentionDocument(Document):
    """How long rows are served, counted from a column."""

    period: PeriodText
    from_: Name | None = None


RetentionForm = Annotated[Annotated[PeriodText, Tag("<text>")] | Annotated[RetentionDocument, Tag("<mapping>")], Discriminator(form_of)]
