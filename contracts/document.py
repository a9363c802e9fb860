"""The documents as teams write them: ``datamesh/v1`` with every optional block and short form.

From these models the published JSON Schema is generated. They check shapes and texts; what needs the schema's columns, the
policy or other contracts is checked in `contracts.checks`, `contracts.bounds` and `contracts.together`.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, StrictBool, StrictInt, Tag, WithJsonSchema
from pydantic import Field as Member

from contracts.durations import parse_duration
from contracts.masks import Mask, MaskKind
from contracts.model import Frozen, Level, Metadata, QualityRule, Support, Times, Visibility
from contracts.names import PRODUCT_NAME, PRODUCT_REF, VERSION
from contracts.objectives import RatioObjective, TimeObjective, parse_ratio_objective, parse_time_objective

__all__ = [
    "ClassificationDocument",
    "ContractDocument",
    "FieldDocument",
    "GrantDocument",
    "InlineField",
    "InlineType",
    "InputPortDocument",
    "MaskDocument",
    "OutputPortDocument",
    "RelationshipDocument",
    "RestrictDocument",
    "SchemaDocument",
    "SloDocument",
    "SpecDocument",
    "read_mask",
]

Text = Annotated[str, Member(min_length=1, max_length=4_000)]
Name = Annotated[str, Member(min_length=1, max_length=128)]
Names = Annotated[tuple[Name, ...], Member(max_length=2_000)]
ProductRef = Annotated[str, Member(pattern=PRODUCT_REF, max_length=257)]
ClaimText = Annotated[str, Member(min_length=1, max_length=500)]


class Document(Frozen):
    """Part of a document: only the keys as documented, not their Python spelling, and no infinite numbers."""

    model_config = ConfigDict(populate_by_name=False, allow_inf_nan=False)


def _form(value: Any) -> str:
    return "<text>" if isinstance(value, str) else "<mapping>"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected text")  # noqa: TRY004 -- what Pydantic collects
    return value


def _duration(value: Any) -> float:
    return parse_duration(_text(value))


def _day(value: Any) -> dt.date:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", _text(value)) is None:
        raise ValueError('expected a day such as "2027-12-31"')
    return dt.date.fromisoformat(value)


DurationText = Annotated[
    float, BeforeValidator(_duration), WithJsonSchema({"type": "string", "examples": ["7 years", "1 hour", "15 min", "PT1H30M", "P2W"]})
]
Day = Annotated[dt.date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
RatioText = Annotated[
    RatioObjective,
    BeforeValidator(lambda value: parse_ratio_objective(_text(value))),
    WithJsonSchema({"type": "string", "pattern": r"^\s*(>=|>|≥)?\s*[0-9]{1,3}(\.[0-9]{1,9})?\s*%\s*$", "examples": ["> 99.5%", "99.95%"]}),
]
AgeText = Annotated[
    TimeObjective,
    BeforeValidator(lambda value: parse_time_objective(_text(value))),
    WithJsonSchema({"type": "string", "examples": ["< 1 hour", "15 min", "PT1H"]}),
]


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


Ratio = Annotated[Annotated[RatioText, Tag("<text>")] | Annotated[RatioDocument, Tag("<mapping>")], Discriminator(_form)]
Age = Annotated[Annotated[AgeText, Tag("<text>")] | Annotated[AgeDocument, Tag("<mapping>")], Discriminator(_form)]


class SloDocument(Document):
    """What the product promises about its data."""

    freshness: Age | None = None
    completeness: Ratio | None = None
    accuracy: Ratio | None = None
    availability: Ratio | None = None
    measure: MeasureDocument | None = None


_RESERVED = ("bucket", "regex", "constant")
_KINDS = {**{kind.value: kind for kind in MaskKind}, "hash": MaskKind.PSEUDONYM}
_NEEDED: dict[MaskKind, str] = {
    MaskKind.PARTIAL: '"first" or "last"',
    MaskKind.TRUNCATE: '"to": year, month or day',
    MaskKind.ROUND: '"to": a step',
}


class MaskDocument(Document):
    """A mask with parameters: ``first`` and ``last`` for partial, ``to`` for truncate and round, ``scope`` for pseudonym."""

    type: Literal["redact", "nullify", "pseudonym", "hash", "email", "partial", "truncate", "round"]
    first: Annotated[StrictInt, Member(ge=0, le=100)] | None = None
    last: Annotated[StrictInt, Member(ge=0, le=100)] | None = None
    to: str | int | float | None = None
    scope: Literal["domain", "mesh"] | None = None


def read_mask(document: MaskDocument) -> Mask:
    """Make a mask of its document. **Raises** ValueError where a parameter is missing, senseless or another mask's."""
    kind = _KINDS[document.type]
    foreign = {
        "first": document.first is not None and kind is not MaskKind.PARTIAL,
        "last": document.last is not None and kind is not MaskKind.PARTIAL,
        "to": document.to is not None and kind not in (MaskKind.TRUNCATE, MaskKind.ROUND),
        "scope": document.scope is not None and kind is not MaskKind.PSEUDONYM,
    }
    if extra := [name for name, is_foreign in foreign.items() if is_foreign]:
        raise ValueError(f'mask {kind} takes no "{extra[0]}"')
    if kind is MaskKind.PARTIAL:
        first, last = document.first or 0, document.last or 0
        if first + last == 0:
            raise ValueError(f"mask partial needs {_NEEDED[kind]}")
        return Mask(kind, first=first, last=last)
    if kind is MaskKind.TRUNCATE:
        if document.to not in ("year", "month", "day"):
            raise ValueError(f"mask truncate needs {_NEEDED[kind]}")
        return Mask(kind, to=str(document.to))
    if kind is MaskKind.ROUND:
        return Mask(kind, to=_step(document.to))
    return Mask(kind, scope=document.scope or "domain")


def _step(to: str | float | None) -> str:
    text = str(to)
    if not isinstance(to, (int, float, str)) or re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?", text) is None or Decimal(text) == 0:
        raise ValueError('mask round needs "to": a step greater than zero, such as 10 or "0.25"')
    return format(Decimal(text).normalize(), "f")


def _named_mask(value: Any) -> Mask:
    name = _text(value)
    if name in _RESERVED:
        raise ValueError(f"mask {name} is reserved, and not there yet")
    if name not in _KINDS:
        raise ValueError(f"expected one of {', '.join(_KINDS)}")
    kind = _KINDS[name]
    if kind in _NEEDED:
        raise ValueError(f"mask {name} needs {_NEEDED[kind]}: write {{type: {name}, ...}}")
    return Mask(kind)


NamedMask = Annotated[Mask, BeforeValidator(_named_mask), WithJsonSchema({"enum": ["redact", "nullify", "pseudonym", "hash", "email"]})]
AnyMask = Annotated[Annotated[NamedMask, Tag("<text>")] | Annotated[MaskDocument, Tag("<mapping>")], Discriminator(_form)]


def _period(value: Any) -> tuple[str, float]:
    return _text(value), parse_duration(value)


PeriodText = Annotated[tuple[str, float], BeforeValidator(_period), WithJsonSchema({"type": "string", "examples": ["7 years", "P7Y"]})]


class RetentionDocument(Document):
    """How long rows are served, counted from a column."""

    period: PeriodText
    from_: Name | None = None


RetentionForm = Annotated[Annotated[PeriodText, Tag("<text>")] | Annotated[RetentionDocument, Tag("<mapping>")], Discriminator(_form)]


class AggregatesDocument(Document):
    """Aggregates over true values that a masked field allows."""

    min_group: Annotated[StrictInt, Member(alias="min_group", ge=2, le=1_000_000)]
    functions: Annotated[tuple[Literal["count", "sum", "avg"], ...], Member(min_length=1)]


class FieldDocument(Document):
    """How one column is classified."""

    classification: Level | None = None
    tags: Names = ()
    mask: AnyMask | None = None
    visibility: Visibility = Visibility.LISTED
    aggregates: AggregatesDocument | None = None


class ClassificationDocument(Document):
    """What is sensitive, how it is masked, how long it is served."""

    pii: Names = ()
    retention: RetentionForm | None = None
    fields: dict[Name, FieldDocument] = Member(default_factory=dict)


class ConditionDocument(Document):
    """Comparisons of one column that must all hold; ``$claims.path`` stands for a claim of the caller's token."""

    eq: Any = None
    ne: Any = None
    in_: Any = None
    not_in: Any = None
    lt: Any = None
    lte: Any = None
    gt: Any = None
    gte: Any = None
    contains: Any = None
    starts_with: Any = None
    is_null: StrictBool | None = None


class RowFilterDocument(Document):
    """Columns with their conditions, which must all hold; ``and``, ``or``, ``not`` combine further ones."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, ConditionDocument]

    and_: Annotated[tuple[RowFilterDocument, ...], Member(max_length=100)] | None = None
    or_: Annotated[tuple[RowFilterDocument, ...], Member(max_length=100)] | None = None
    not_: RowFilterDocument | None = None


class GrantDocument(Document):
    """Who may see what: deny by default, and an entry without ``fields`` grants only what it clears."""

    role: Name
    fields: Names = ()
    clear: Names = ()
    row_filter: RowFilterDocument | None = None
    purposes: Names = ()
    until: Day | None = None
    claims: dict[Name, ClaimText] = Member(default_factory=dict)
    predicates: Literal["allow", "deny"] = "deny"


class RestrictDocument(Document):
    """Takes away, never gives; what is left out matches everything."""

    name: Name
    effect: Literal["mask", "deny"]
    roles: Names = ()
    products: Names = ()
    fields: Names = ()
    tags: Names = ()
    unless_purpose: Names = ()


class SubjectDocument(Document):
    """The person that a row is about."""

    column: Name
    of: ProductRef


class ConsentDocument(Document):
    """Rows are served only for subjects who agreed."""

    product: ProductRef
    max_age: DurationText = 300.0


class RelationshipDocument(Document):
    """A link from this product, which holds the foreign key, to another."""

    name: Name
    to: Annotated[str, Member(pattern=PRODUCT_REF.removesuffix("$") + r"(@[0-9]{1,9})?$", max_length=270)]
    on: Annotated[dict[Name, Name], Member(min_length=1, max_length=16)]
    cardinality: Literal["one", "many"] = "one"
    inverse: Name | None = None


class InlineType(Document):
    """A type written in the contract: ``type`` names it, the rest says more where it needs more."""

    type: Name
    precision: Annotated[StrictInt, Member(ge=1, le=76)] | None = None
    scale: Annotated[StrictInt, Member(ge=0, le=76)] | None = None
    unit: Literal["s", "ms", "us", "ns"] | None = None
    symbols: Names | None = None
    fields: tuple[InlineField, ...] | None = None
    items: Annotated[Annotated[Name, Tag("<text>")] | Annotated[InlineType, Tag("<mapping>")], Discriminator(_form)] | None = None
    values: Annotated[Annotated[Name, Tag("<text>")] | Annotated[InlineType, Tag("<mapping>")], Discriminator(_form)] | None = None
    required: StrictBool = False


class InlineField(InlineType):
    """A column written in the contract."""

    name: Name
    description: Text | None = None
    physical_name: Name | None = None


class SchemaDocument(Document):
    """Where the columns are: a file in the contract's folder, or ``fields`` here."""

    type: Literal["avro", "json-schema", "inline"]
    ref: Annotated[str, Member(min_length=1, max_length=500)] | None = None
    fields: Annotated[tuple[InlineField, ...], Member(min_length=1, max_length=2_000)] | None = None


class InputPortDocument(Document):
    """Where the product's data comes from; the team may state more."""

    model_config = ConfigDict(extra="allow")

    type: Name
    name: Name | None = None


Template = Annotated[str, Member(min_length=1, max_length=1_000)]


class ParamsDocument(Document):
    """The endpoint's own names for the protocol's parameters."""

    since: Name | None = None
    limit: Name | None = None
    cursor: Name | None = None


class OutputPortDocument(Document):
    """Where the product can be read, and how this place spells things."""

    type: Name
    path: Annotated[str, Member(pattern=r"^/[^\s?#\\]*$", max_length=500)] | None = None
    catalog: Name | None = None
    name: Name | None = None
    naming: Literal["asIs", "camelCase"] = "asIs"
    lookup: dict[Name, Template] = Member(default_factory=dict)
    params: ParamsDocument = ParamsDocument()
    filters: dict[Name, dict[Name, Template]] = Member(default_factory=dict)
    serves: Names = ()
    level: Literal[0, 1] | None = None
    alignment: Literal["source-aligned", "consumer-aligned", "aggregate"] | None = None


class PortsDocument(Document):
    """Where data comes from and where it can be read."""

    input: Annotated[tuple[InputPortDocument, ...], Member(max_length=100)] = ()
    output: Annotated[tuple[OutputPortDocument, ...], Member(max_length=100)] = ()


class MetadataDocument(Document, Metadata):
    """Who and what the product is."""

    name: Annotated[str, Member(pattern=PRODUCT_NAME, max_length=128)]
    domain: Annotated[str, Member(pattern=PRODUCT_NAME, max_length=128)]
    owner: Annotated[str, Member(min_length=1, max_length=254)]
    version: Annotated[str, Member(pattern=VERSION)]
    id: Text | None = None
    description: Text | None = None
    tags: Names = ()
    team: Text | None = None
    support: Annotated[tuple[Support, ...], Member(max_length=100)] = ()
    docs: Text | None = None


class QualityDocument(Document, QualityRule):
    """A quality promise in the words of ODCS."""

    field: Name | None = None
    pattern: Text | None = None
    valid_values: Names = ()
    dimension: Name | None = None


class SpecDocument(Document):
    """What the product promises."""

    schema_: SchemaDocument
    slo: SloDocument = SloDocument()
    classification: ClassificationDocument = ClassificationDocument()
    ports: PortsDocument = PortsDocument()
    alignment: Literal["source-aligned", "consumer-aligned", "aggregate"] | None = None
    primary_key: Annotated[tuple[Name, ...], Member(max_length=16)] = ()
    time: Times | None = None
    timestamp: Name | None = None
    subject: SubjectDocument | None = None
    access: Annotated[tuple[GrantDocument, ...], Member(max_length=500)] = ()
    restrict: Annotated[tuple[RestrictDocument, ...], Member(max_length=500)] = ()
    consent: ConsentDocument | None = None
    relationships: Annotated[tuple[RelationshipDocument, ...], Member(max_length=100)] = ()
    quality: Annotated[tuple[QualityDocument, ...], Member(max_length=200)] = ()


class ContractDocument(Document):
    """A data contract of the mesh."""

    api_version: Literal["datamesh/v1"]
    kind: Literal["DataContract"]
    metadata: MetadataDocument
    spec: SpecDocument
