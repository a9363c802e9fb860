"""Whether a contract agrees with itself: names against columns, masks against types, promises against what they need.

Pure. Adds every mistake to the report; what loads but cannot be kept as stated becomes a warning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import re2

from contracts.document import ClassificationDocument, SpecDocument
from contracts.errors import ProblemCode, quoted
from contracts.fields import Enumeration, Field, Kind, Scalar
from contracts.masks import Mask, fits
from contracts.model import Contract, Grant, OutputPort
from contracts.names import CLAIM_PATH, column_mistake
from contracts.predicates import Operator
from contracts.report import Report
from contracts.row_filters import operators_of
from contracts.yaml_source import Path

__all__ = ["PAN_LIMIT", "check_contract", "shows_too_much"]

_KEY_KINDS = frozenset(Kind) - {Kind.JSON, Kind.FLOAT, Kind.BYTES}
_TIME_KINDS = frozenset({Kind.INSTANT, Kind.DATE})
_PAN_FIRST_MAX, _PAN_LAST_MAX = 6, 4
PAN_LIMIT = f"at most the first {_PAN_FIRST_MAX} and the last {_PAN_LAST_MAX} characters of PCI data may be shown"
_PATTERN_MAX = 200


def check_contract(contract: Contract, spec: SpecDocument, report: Report) -> None:
    """Check one contract against its own columns. ``spec``: as it was written, to say where."""
    known = contract.field_by_name
    _check_keys(contract, known, report)
    _check_times(contract, spec, known, report)
    _check_classification(contract, spec.classification, known, report)
    _check_retention(contract, report)
    for index, grant in enumerate(contract.access.grants):
        _check_grant(contract, grant, report, ("spec", "access", index))
    _check_relationships(contract, known, report)
    _check_quality(contract, known, report)
    names: set[str] = set()
    for index, port in enumerate(contract.output_ports):
        path: Path = ("spec", "ports", "output", index)
        _check_port(port, known, report, path)
        if port.name in names:
            report.add(ProblemCode.DUPLICATE, (*path, "name"), f"two output ports are called {quoted(port.name)}")
        names.update(filter(None, (port.name,)))


def _column(name: str, known: dict[str, Field], report: Report, path: Path) -> Field | None:
    field = known.get(name)
    if field is None:
        report.add(ProblemCode.UNKNOWN_COLUMN, path, f"no column {quoted(name)}", nearest=report.nearest(name, known))
    return field


def _check_keys(contract: Contract, known: dict[str, Field], report: Report) -> None:
    here: Path = ("spec", "primaryKey")
    for index, name in enumerate(contract.primary_key):
        field = _column(name, known, report, (*here, index))
        if name in contract.primary_key[:index]:
            report.add(ProblemCode.DUPLICATE, (*here, index), f"column {quoted(name)} is named twice")
        if field is None:
            continue
        if not _is_key(field):
            report.add(ProblemCode.UNFIT_COLUMN, (*here, index), "a key column must be a scalar that compares exactly")
        elif not field.required:
            report.warn(ProblemCode.UNFIT_COLUMN, (*here, index), f"key column {quoted(name)} may be null by its schema")
    if contract.subject is not None:
        _column(contract.subject.column, known, report, ("spec", "subject", "column"))


def _is_key(field: Field) -> bool:
    match field.type:
        case Enumeration():
            return True
        case Scalar(kind=kind):
            return kind in _KEY_KINDS
        case _:
            return False


def _is_time(field: Field) -> bool:
    return isinstance(field.type, Scalar) and field.type.kind in _TIME_KINDS


def _check_times(contract: Contract, spec: SpecDocument, known: dict[str, Field], report: Report) -> None:
    for word in ("updated", "event", "deleted"):
        name = getattr(contract.times, word)
        if name is None:
            continue
        path: Path = ("spec", "timestamp") if spec.time is None else ("spec", "time", word)
        field = _column(name, known, report, path)
        if field is not None and not _is_time(field):
            report.add(ProblemCode.UNFIT_COLUMN, path, f"column {quoted(name)} is neither an instant nor a date")


def _check_classification(contract: Contract, written: ClassificationDocument, known: dict[str, Field], report: Report) -> None:
    here: Path = ("spec", "classification")
    for name, given in contract.classification:
        path: Path = (*here, "fields", name) if name in written.fields else (*here, "pii", written.pii.index(name))
        field = _column(name, known, report, path)
        if field is None or given.mask is None:
            continue
        if not fits(given.mask, field.type):
            report.add(ProblemCode.UNFIT_MASK, (*path, "mask"), f"mask {given.mask.kind} does not fit the type of column {quoted(name)}")
        if shows_too_much(given.tags, given.mask):
            report.add(ProblemCode.OUT_OF_BOUNDS, (*path, "mask"), PAN_LIMIT)


def shows_too_much(tags: Iterable[str], mask: Mask) -> bool:
    """Whether a mask shows more of a card number than PCI DSS lets anybody see. **Source** PCI DSS 4.0, 3.4.1."""
    return any(tag.startswith("pci.") for tag in tags) and (mask.first > _PAN_FIRST_MAX or mask.last > _PAN_LAST_MAX)


def _check_retention(contract: Contract, report: Report) -> None:
    retention = contract.retention
    if retention is None:
        return
    path: Path = ("spec", "classification", "retention")
    if retention.from_column is None:
        report.warn(ProblemCode.NOT_ENFORCEABLE, path, 'no column dates the rows: name one with "from", or as "time.event"')
    if retention.from_column in (None, contract.times.event):
        return
    field = _column(str(retention.from_column), contract.field_by_name, report, (*path, "from"))
    if field is not None and not _is_time(field):
        report.add(ProblemCode.UNFIT_COLUMN, (*path, "from"), f"column {quoted(field.name)} is neither an instant nor a date")


def _check_grant(contract: Contract, grant: Grant, report: Report, path: Path) -> None:
    known = contract.field_by_name
    for word, names in (("fields", grant.fields), ("clear", grant.clear)):
        seen: set[str] = set()
        for index, name in enumerate(names):
            field = _column(name, known, report, (*path, word, index)) if name != "*" else None
            if name in seen:
                report.add(ProblemCode.DUPLICATE, (*path, word, index), f"column {quoted(name)} is named twice")
            elif field is not None and word == "clear" and not contract.classification_by_name[name].is_classified:
                report.warn(ProblemCode.CONTRADICTION, (*path, word, index), f"column {quoted(name)} is not classified: clear without that")
            seen.add(name)
    for claim, _ in grant.claims:
        if CLAIM_PATH.fullmatch(claim) is None:
            report.add(ProblemCode.BAD_NAME, (*path, "claims", claim), "is no path to a claim")


def _check_relationships(contract: Contract, known: dict[str, Field], report: Report) -> None:
    seen: set[str] = set()
    for index, relationship in enumerate(contract.relationships):
        path: Path = ("spec", "relationships", index)
        for word, name in (("name", relationship.name), ("inverse", relationship.inverse)):
            if name is not None and (mistake := column_mistake(name)) is not None:
                report.add(ProblemCode.BAD_NAME, (*path, word), mistake)
        if relationship.name in seen:
            report.add(ProblemCode.DUPLICATE, (*path, "name"), f"relationship {quoted(relationship.name)} is declared twice")
        elif relationship.name in known:
            report.add(ProblemCode.CONTRADICTION, (*path, "name"), f"{quoted(relationship.name)} is a column already")
        seen.add(relationship.name)
        for own, _ in relationship.on:
            field = _column(own, known, report, (*path, "on", own))
            if field is not None and not _is_key(field):
                report.add(ProblemCode.UNFIT_COLUMN, (*path, "on", own), "a key column must be a scalar that compares exactly")


def _check_quality(contract: Contract, known: dict[str, Field], report: Report) -> None:
    for index, rule in enumerate(contract.quality):
        path: Path = ("spec", "quality", index)
        if rule.field is not None:
            _column(rule.field, known, report, (*path, "field"))
        elif rule.metric not in ("rowCount", "duplicateValues"):
            report.add(ProblemCode.MISSING_KEY, (*path, "field"), f"metric {rule.metric} needs it")
        if rule.minimum is not None and rule.maximum is not None and rule.minimum > rule.maximum:
            report.add(ProblemCode.CONTRADICTION, (*path, "minimum"), "the minimum is greater than the maximum")
        if rule.pattern is not None:
            _check_pattern(rule.pattern, report, (*path, "pattern"))


def _check_pattern(pattern: str, report: Report, path: Path) -> None:
    # RE2 runs in linear time, so that no contract's pattern can hold up a probe.
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 18
    try:
        if len(pattern) > _PATTERN_MAX:
            raise ValueError
        re2.compile(pattern, options)
    except (re2.error, ValueError):
        report.add(ProblemCode.WRONG_VALUE, path, f"expected a regular expression that RE2 understands, at most {_PATTERN_MAX} characters")


def _check_port(port: OutputPort, known: dict[str, Field], report: Report, path: Path) -> None:
    if port.type == "rest-api" and port.path is None:
        report.add(ProblemCode.MISSING_KEY, (*path, "path"), "a rest-api needs it")
    if port.path is not None and (port.path.startswith("//") or ".." in port.path.split("/")):
        report.add(ProblemCode.WRONG_VALUE, (*path, "path"), 'expected a path below the endpoint, without ".." and without a host')
    if port.type == "iceberg-table" and port.catalog is None:
        report.add(ProblemCode.MISSING_KEY, (*path, "catalog"), "an iceberg-table needs it")
    for column, template in port.lookup:
        _column(column, known, report, (*path, "lookup", column))
        _check_template(template, ("keys",), report, (*path, "lookup", column))
    for column, templates in port.filters:
        field = _column(column, known, report, (*path, "filters", column))
        for operator, template in templates:
            here = (*path, "filters", column, operator)
            allowed = operators_of(field.type) if field is not None else frozenset(Operator)
            if operator not in allowed:
                message = f"column {quoted(column)} has no operator {quoted(operator)}"
                report.add(ProblemCode.WRONG_VALUE, here, message, nearest=report.nearest(operator, sorted(allowed)))
            _check_template(template, ("values",) if operator in ("in", "notIn") else ("value",), report, here)
    for index, use in enumerate(port.serves):
        if use in port.serves[:index]:
            report.add(ProblemCode.DUPLICATE, (*path, "serves", index), f"{use.value} is named twice")
    names = [name for _, name in port.params]
    if len(set(names)) != len(names):
        report.add(ProblemCode.CONTRADICTION, (*path, "params"), "two parameters have the same name")


_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_HARMLESS: Callable[[str], object] = re.compile(r"[^\s#\\\x00-\x1f]+").fullmatch


def _check_template(template: str, expected: Iterable[str], report: Report, path: Path) -> None:
    wanted = list(expected)
    if _PLACEHOLDER.findall(template) != wanted or _PLACEHOLDER.sub("", template).count("{"):
        report.add(ProblemCode.WRONG_VALUE, path, f"expected a query template with one {{{wanted[0]}}}")
    elif _HARMLESS(template) is None:
        report.add(ProblemCode.WRONG_VALUE, path, "a query template holds no spaces, # or backslashes")
