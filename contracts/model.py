"""A data contract as one frozen value: the document (``datamesh/v1``) and the columns its schema resolves to.

Reads no file and rejects nothing by itself beyond shape; `contracts.load` turns files into contracts and reports mistakes.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Member
from pydantic.alias_generators import to_camel

from contracts.errors import Problem
from contracts.fields import Field
from contracts.maintenance import Maintenance
from contracts.masks import Mask
from contracts.objectives import Objectives, Retention
from contracts.predicates import Predicate

__all__ = [
    "Access",
    "Aggregates",
    "Cardinality",
    "Consent",
    "Contract",
    "FieldClassification",
    "Grant",
    "InputPort",
    "Level",
    "Metadata",
    "OutputPort",
    "QualityRule",
    "Relationship",
    "Restriction",
    "Subject",
    "Support",
    "Times",
    "Use",
    "Visibility",
]


def _key(name: str) -> str:
    return to_camel(name.rstrip("_"))  # in_, from_: words that Python keeps for itself


class Frozen(BaseModel):
    """Immutable, camelCase in documents, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=_key, populate_by_name=True, arbitrary_types_allowed=True)


class Visibility(StrEnum):
    """``listed``: known to exist without access; ``hidden``: not distinguishable from a misspelling (SPEC A2)."""

    LISTED = "listed"
    HIDDEN = "hidden"


class Level(StrEnum):
    """How sensitive a field is, mildest first."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"


class Cardinality(StrEnum):
    """How many partners a row has on the other side."""

    ONE = "one"
    MANY = "many"


class Use(StrEnum):
    """What reads the planner may put a port to: pages of a list, rows by key, totals and groups, streamed lists."""

    LIST = "list"
    LOOKUP = "lookup"
    TOTALS = "totals"
    EXPORT = "export"


class Support(Frozen):
    """Where to ask about the product."""

    channel: str
    url: str | None = None


class Metadata(Frozen):
    """Who and what the product is."""

    name: str
    domain: str
    owner: str
    version: str
    id: str | None = None
    description: str | None = None
    status: Literal["proposed", "draft", "active", "deprecated", "retired"] = "active"
    tags: tuple[str, ...] = ()
    team: str | None = None
    support: tuple[Support, ...] = ()
    docs: str | None = None
    visibility: Visibility = Visibility.LISTED


class Times(Frozen):
    """Which columns say when: ``updated`` (freshness, ``since``), ``event`` (retention), ``deleted`` (tombstones)."""

    updated: str | None = None
    event: str | None = None
    deleted: str | None = None


class Subject(Frozen):
    """The person that a row is about: ``column`` holds the key of product ``of`` (``domain/name``)."""

    column: str
    of: str


class Consent(Frozen):
    """Rows are served only for subjects who agreed: the product that says who, and how old its word may be."""

    product: str
    max_age_s: float


class Aggregates(Frozen):
    """A masked field may be aggregated over true values, for at least ``min_group`` subjects, by ``functions`` only (SPEC A8)."""

    min_group: int
    functions: tuple[Literal["count", "sum", "avg"], ...]


class FieldClassification(Frozen):
    """How one field is classified. ``mask`` None: the mesh policy's mask for its tags applies.

    ``never_persist``: no copy of it may be kept outside its source, not even for a while.
    """

    level: Level | None = None
    tags: tuple[str, ...] = ()
    mask: Mask | None = None
    visibility: Visibility = Visibility.LISTED
    aggregates: Aggregates | None = None
    never_persist: bool = False

    @property
    def is_classified(self) -> bool:
        """Whether the field needs a clearing grant to be seen as it is."""
        return bool(self.tags) or self.mask is not None or self.level in (Level.CONFIDENTIAL, Level.RESTRICTED)


class Grant(Frozen):
    """Who may see what (SPEC A1).

    ``fields``: column names, ``("*",)`` for all, ``()`` for none but ``clear``. ``clear``: columns shown unmasked
    (``("*",)`` for all that nothing restricts). ``claims``: claim path -> required text, or ``present``.
    ``until``: last day (UTC) on which it holds. ``predicates``: True lifts SPEC A8 for masked fields, as a disclosure.
    """

    role: str
    fields: tuple[str, ...] = ()
    clear: tuple[str, ...] = ()
    row_filter: Predicate | None = None
    purposes: tuple[str, ...] = ()
    until: dt.date | None = None
    claims: tuple[tuple[str, str], ...] = ()
    predicates: bool = False


class Restriction(Frozen):
    """Takes away, never gives. Empty tuples match everything; ``products`` and ``fields`` are globs."""

    name: str
    effect: Literal["mask", "deny"]
    roles: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    unless_purpose: tuple[str, ...] = ()


class Access(Frozen):
    """The grants of one product, in document order."""

    grants: tuple[Grant, ...] = ()


class Relationship(Frozen):
    """A declared link from this product (owner of the foreign key) to another (SPEC E).

    ``to``: ``domain/name``; ``to_major``: the major version asked for, None for the newest. ``on``: (own column, other column) pairs.
    """

    name: str
    to: str
    to_major: int | None = None
    on: tuple[tuple[str, str], ...]
    cardinality: Cardinality = Cardinality.ONE
    inverse: str | None = None


class QualityRule(Frozen):
    """A quality promise in the words of ODCS; feeds the accuracy figure."""

    field: str | None = None
    metric: Literal["nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount"]
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    valid_values: tuple[str, ...] = ()
    dimension: str | None = None


class InputPort(Frozen):
    """Where the product's data comes from; documentation and lineage only. ``options``: whatever else the team states."""

    type: str
    name: str | None = None
    options: tuple[tuple[str, Any], ...] = ()


class OutputPort(Frozen):
    """Where the product can be read.

    ``path`` is appended to the product's endpoint. ``naming``: how columns are spelt there. ``lookup``: column -> query
    template with ``{keys}``; ``params``: this endpoint's names for ``since``, ``limit``, ``cursor``; ``filters``:
    column -> operator -> query template with ``{value}`` or ``{values}`` (SPEC B2). ``serves``: uses that the planner may put
    it to, empty for all. ``level``: protocol level if known, else it is probed. ``durations``: the unit of those that its ``/slo``
    writes as bare numbers (Go's are nanoseconds).
    """

    type: str
    path: str | None = None
    catalog: str | None = None
    name: str | None = None
    naming: Literal["asIs", "camelCase"] = "asIs"
    lookup: tuple[tuple[str, str], ...] = ()
    params: tuple[tuple[str, str], ...] = ()
    filters: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    serves: tuple[Use, ...] = ()
    level: Literal[0, 1] | None = None
    durations: Literal["s", "ms", "us", "ns"] = "s"
    alignment: Literal["source-aligned", "consumer-aligned", "aggregate"] | None = None


class Contract(Frozen):
    """One version of one product's promise, fully resolved."""

    metadata: Metadata
    fields: tuple[Field, ...]
    objectives: Objectives
    classification: Annotated[tuple[tuple[str, FieldClassification], ...], Member(default=())]
    retention: Retention | None = None
    alignment: Literal["source-aligned", "consumer-aligned", "aggregate"] | None = None
    primary_key: tuple[str, ...] = ()
    times: Times = Times()
    subject: Subject | None = None
    access: Access = Access()
    relationships: tuple[Relationship, ...] = ()
    quality: tuple[QualityRule, ...] = ()
    input_ports: tuple[InputPort, ...] = ()
    output_ports: tuple[OutputPort, ...] = ()
    restrictions: tuple[Restriction, ...] = ()
    """``restrict`` entries of this contract; they match this product only."""
    consent: Consent | None = None
    maintenance: tuple[Maintenance, ...] = ()
    """When alerts about the product are silent."""
    warnings: tuple[Problem, ...] = ()
    """What loads but deserves attention, such as retention that no column dates."""
    revision: str = ""
    """Hex digest over the document and every schema it refers to; equal text, equal revision."""

    @property
    def key(self) -> str:
        """``domain/name``, the product's name throughout the mesh."""
        return f"{self.metadata.domain}/{self.metadata.name}"

    @property
    def major(self) -> int:
        """The first number of the version."""
        return int(self.metadata.version.split(".", 1)[0])

    @cached_property
    def port_names(self) -> tuple[str, ...]:
        """What each output port is called, in their order: its name, else its type, the second of a type ``type-2``."""
        taken = {port.name for port in self.output_ports}
        found: list[str] = []
        for port in self.output_ports:
            name, number = port.name or port.type, 1
            while port.name is None and name in taken:
                number += 1
                name = f"{port.type}-{number}"
            taken.add(name)
            found.append(name)
        return tuple(found)

    @cached_property
    def field_by_name(self) -> dict[str, Field]:
        """Columns by contract name."""
        return {field.name: field for field in self.fields}

    @cached_property
    def classification_by_name(self) -> dict[str, FieldClassification]:
        """Classification of every column, unclassified ones included."""
        given = dict(self.classification)
        plain = FieldClassification()
        return {field.name: given.get(field.name, plain) for field in self.fields}
