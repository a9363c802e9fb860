"""The documents as teams write them: ``datamesh/v1`` with every optional block and short form.

From these models the published JSON Schema is generated. They check shapes and texts; what needs the schema's columns, the
policy or other contracts is checked in `contracts.checks`, `contracts.bounds` and `contracts.together`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Discriminator, StrictBool, StrictInt, Tag
from pydantic import Field as Member

from contracts.access_document import GrantDocument, RestrictDocument
from contracts.maintenance_document import MaintenanceDocument
from contracts.mask_document import AnyMask
from contracts.model import Level, Metadata, QualityRule, Support, Times, Use, Visibility
from contracts.names import PRODUCT_NAME, PRODUCT_REF, VERSION
from contracts.slo_document import RetentionForm, SloDocument
from contracts.texts import Document, DurationText, Name, Names, ProductRef, Text, form_of

__all__ = [
    "AggregatesDocument",
    "ClassificationDocument",
    "ContractDocument",
    "FieldDocument",
    "InlineField",
    "InlineType",
    "InputPortDocument",
    "OutputPortDocument",
    "ParamsDocument",
    "RelationshipDocument",
    "SchemaDocument",
    "SpecDocument",
]


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
    never_persist: StrictBool = False


class ClassificationDocument(Document):
    """What is sensitive, how it is masked, how long it is served."""

    pii: Names = ()
    retention: RetentionForm | None = None
    fields: dict[Name, FieldDocument] = Member(default_factory=dict)


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
    items: Annotated[Annotated[Name, Tag("<text>")] | Annotated[InlineType, Tag("<mapping>")], Discriminator(form_of)] | None = None
    values: Annotated[Annotated[Name, Tag("<text>")] | Annotated[InlineType, Tag("<mapping>")], Discriminator(form_of)] | None = None
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
    serves: Annotated[tuple[Use, ...], Member(max_length=100)] = ()
    level: Literal[0, 1] | None = None
    durations: Literal["s", "ms", "us", "ns"] = "s"
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
    maintenance: Annotated[tuple[MaintenanceDocument, ...], Member(max_length=50)] = ()


class ContractDocument(Document):
    """A data contract of the mesh."""

    api_version: Literal["datamesh/v1"]
    kind: Literal["DataContract"]
    metadata: MetadataDocument
    spec: SpecDocument
