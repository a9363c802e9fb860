"""A document whose shape is right, and its columns, into a `Contract`.

Short forms become their long meaning here; names are taken on trust and checked in `contracts.checks` afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts import document as doc
from contracts.access_document import GrantDocument, RestrictDocument
from contracts.errors import ProblemCode, quoted
from contracts.fields import Field
from contracts.maintenance_document import maintenance_of
from contracts.mask_document import MaskDocument, read_mask
from contracts.masks import Mask
from contracts.model import (
    Access,
    Aggregates,
    Cardinality,
    Consent,
    Contract,
    FieldClassification,
    Grant,
    InputPort,
    Metadata,
    OutputPort,
    QualityRule,
    Relationship,
    Restriction,
    Subject,
    Times,
)
from contracts.objectives import SPAN_MAX_S, SPAN_MIN_S, Objectives, RatioObjective, Retention, TimeObjective, Unreadable
from contracts.report import Report
from contracts.row_filters import row_filter
from contracts.slo_document import AgeDocument, RatioDocument, RetentionDocument, SloDocument
from contracts.yaml_source import Path

__all__ = ["build_contract", "grant_of", "mask_of", "restriction_of"]

_PII = "pii"


def build_contract(document: doc.ContractDocument, fields: tuple[Field, ...], report: Report, *, revision: str) -> Contract:
    """Make the contract; what contradicts itself goes to ``report``."""
    spec = document.spec
    columns = {field.name: field for field in fields}
    times = _times(spec, report)
    metadata = {name: getattr(document.metadata, name) for name in Metadata.model_fields}
    return Contract(
        metadata=Metadata(**metadata),
        fields=fields,
        objectives=_objectives(spec.slo, report),
        classification=_classification(spec.classification, report),
        retention=_retention(spec.classification.retention, times),
        alignment=spec.alignment,
        primary_key=spec.primary_key,
        times=times,
        subject=Subject(column=spec.subject.column, of=spec.subject.of) if spec.subject is not None else None,
        access=Access(
            grants=tuple(grant_of(grant, columns, report, ("spec", "access", index)) for index, grant in enumerate(spec.access)),
        ),
        relationships=tuple(_relationship(relationship) for relationship in spec.relationships),
        quality=tuple(QualityRule(**{name: getattr(rule, name) for name in QualityRule.model_fields}) for rule in spec.quality),
        input_ports=tuple(_input_port(port) for port in spec.ports.input),
        output_ports=tuple(_output_port(port) for port in spec.ports.output),
        restrictions=tuple(restriction_of(entry) for entry in spec.restrict),
        consent=Consent(product=spec.consent.product, max_age_s=spec.consent.max_age) if spec.consent is not None else None,
        maintenance=tuple(
            found
            for index, window in enumerate(spec.maintenance)
            if (found := maintenance_of(window, report, ("spec", "maintenance", index))) is not None
        ),
        revision=revision,
    )


def _objectives(slo: SloDocument, report: Report) -> Objectives:
    if isinstance(slo.availability, RatioDocument) and slo.availability.expected_rows is not None:
        report.add(ProblemCode.CONTRADICTION, ("spec", "slo", "availability", "expectedRows"), "availability is not counted in rows")
    freshness, unreadable = _told(slo, report)
    every_s = slo.measure.every if slo.measure is not None else None
    if freshness is not None and every_s is not None and freshness.limit_s < every_s:
        message = "freshness is promised within less than the measuring interval, so it is never known"
        report.warn(ProblemCode.CONTRADICTION, ("spec", "slo", "measure", "every"), message)
    for name in ("completeness", "accuracy", "availability"):
        _check_spans(getattr(slo, name), report, ("spec", "slo", name))
    return Objectives(
        freshness=freshness,
        completeness=_ratio(slo.completeness),
        accuracy=_ratio(slo.accuracy),
        availability=_ratio(slo.availability),
        unreadable=unreadable,
        measure_every_s=every_s,
        sample_rows=slo.measure.sample_rows if slo.measure is not None else None,
    )


def _told(slo: SloDocument, report: Report) -> tuple[TimeObjective | None, tuple[tuple[str, Unreadable], ...]]:
    """Set apart what cannot be read: it is told to the owner, and costs nothing but that objective."""
    unreadable: list[tuple[str, Unreadable]] = []
    for name in ("freshness", "completeness", "accuracy", "availability"):
        given = getattr(slo, name)
        is_mapping = isinstance(given, (AgeDocument, RatioDocument))
        if isinstance(found := given.target if is_mapping else given, Unreadable):
            unreadable.append((name, found))
            path = ("spec", "slo", name, "target") if is_mapping else ("spec", "slo", name)
            report.warn(ProblemCode.WRONG_VALUE, path, f"{found.reason}; the objective is never known")
    freshness = slo.freshness.target if isinstance(slo.freshness, AgeDocument) else slo.freshness
    return None if isinstance(freshness, Unreadable) else freshness, tuple(unreadable)


def _check_spans(given: RatioObjective | Unreadable | RatioDocument | None, report: Report, path: Path) -> None:
    if not isinstance(given, RatioDocument):
        return
    per_s = None if given.expected_rows is None else given.expected_rows.per
    for span_s, where in ((given.window, ("window",)), (per_s, ("expectedRows", "per"))):
        if span_s is not None and not SPAN_MIN_S <= span_s <= SPAN_MAX_S:
            report.warn(ProblemCode.WRONG_VALUE, (*path, *where), "is not between one minute and 92 days, so the objective is never known")


def _ratio(given: RatioObjective | Unreadable | RatioDocument | None) -> RatioObjective | None:
    if not isinstance(given, RatioDocument):
        return None if isinstance(given, Unreadable) else given
    if isinstance(given.target, Unreadable):
        return None
    rows = given.expected_rows
    return RatioObjective(
        given.target.text,
        given.target.target_ratio,
        window_s=given.window,
        expected_rows_min=rows.min if rows is not None else None,
        expected_rows_per_s=rows.per if rows is not None else None,
    )


def _retention(given: tuple[str, float] | RetentionDocument | None, times: Times) -> Retention | None:
    if given is None:
        return None
    if isinstance(given, RetentionDocument):
        return Retention(*given.period, given.from_ or times.event)
    return Retention(*given, times.event)


def _times(spec: doc.SpecDocument, report: Report) -> Times:
    if spec.timestamp is None:
        return spec.time if spec.time is not None else Times()
    if spec.time is not None:
        report.add(ProblemCode.CONTRADICTION, ("spec", "timestamp"), '"timestamp" is short for "time: {updated: ...}"; give one of them')
        return spec.time
    return Times(updated=spec.timestamp)


def _classification(given: doc.ClassificationDocument, report: Report) -> tuple[tuple[str, FieldClassification], ...]:
    here: Path = ("spec", "classification")
    made = {name: _field_classification(field, report, (*here, "fields", name)) for name, field in given.fields.items()}
    seen: set[str] = set()
    for index, name in enumerate(given.pii):
        if name in seen:
            report.add(ProblemCode.DUPLICATE, (*here, "pii", index), f"column {quoted(name)} is listed twice")
        seen.add(name)
        known = made.get(name, FieldClassification())
        if _PII not in known.tags:
            made[name] = known.model_copy(update={"tags": (_PII, *known.tags)})
    return tuple(made.items())


def _field_classification(given: doc.FieldDocument, report: Report, path: Path) -> FieldClassification:
    aggregates = given.aggregates
    return FieldClassification(
        level=given.classification,
        tags=tuple(dict.fromkeys(given.tags)),
        mask=mask_of(given.mask, report, (*path, "mask")),
        visibility=given.visibility,
        aggregates=Aggregates(min_group=aggregates.min_group, functions=aggregates.functions) if aggregates is not None else None,
        never_persist=given.never_persist,
    )


def mask_of(given: Mask | MaskDocument | None, report: Report, path: Path) -> Mask | None:
    """Read a mask in either form; a senseless one goes to ``report``."""
    if not isinstance(given, MaskDocument):
        return given
    try:
        return read_mask(given)
    except ValueError as error:
        report.add(ProblemCode.WRONG_VALUE, path, str(error))
        return None


def grant_of(given: GrantDocument, columns: Mapping[str, Field], report: Report, path: Path) -> Grant:
    """Read one entry of ``access``."""
    if not given.fields and not given.clear:
        report.add(ProblemCode.CONTRADICTION, path, 'grants nothing: needs "fields" or "clear"')
    return Grant(
        role=given.role,
        fields=given.fields,
        clear=given.clear,
        row_filter=row_filter(given.row_filter, columns, report, (*path, "rowFilter")) if given.row_filter is not None else None,
        purposes=given.purposes,
        until=given.until,
        claims=tuple(given.claims.items()),
        predicates=given.predicates == "allow",
    )


def restriction_of(given: RestrictDocument) -> Restriction:
    """Read one entry of ``restrict``."""
    return Restriction(**{name: getattr(given, name) for name in Restriction.model_fields})


def _relationship(given: doc.RelationshipDocument) -> Relationship:
    to, _, major = given.to.partition("@")
    return Relationship(
        name=given.name,
        to=to,
        to_major=int(major) if major else None,
        on=tuple(given.on.items()),
        cardinality=Cardinality(given.cardinality),
        inverse=given.inverse,
    )


def _input_port(given: doc.InputPortDocument) -> InputPort:
    options = tuple((name, _frozen(value)) for name, value in (given.model_extra or {}).items())
    return InputPort(type=given.type, name=given.name, options=options)


def _output_port(given: doc.OutputPortDocument) -> OutputPort:
    params = tuple((name, value) for name in doc.ParamsDocument.model_fields if (value := getattr(given.params, name)) is not None)
    return OutputPort(
        type=given.type,
        path=given.path,
        catalog=given.catalog,
        name=given.name,
        naming=given.naming,
        lookup=tuple(given.lookup.items()),
        params=params,
        filters=tuple((column, tuple(templates.items())) for column, templates in given.filters.items()),
        serves=given.serves,
        level=given.level,
        durations=given.durations,
        alignment=given.alignment,
    )


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((key, _frozen(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return tuple(_frozen(inner) for inner in value)
    return value
