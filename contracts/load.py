"""Contract files into contracts: read, validate, resolve the schema, build, check; every mistake at once.

`parse_contract` does it from memory and touches nothing; `load_contract` and `load_catalog` read files below the given
path only. Rejects with `ContractInvalidError`, whose problems carry file, line and the nearest right name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.bounds import check_bounds
from contracts.build import build_contract
from contracts.checks import check_contract
from contracts.document import ContractDocument, SchemaDocument
from contracts.errors import ContractInvalidError, Problem, ProblemCode, quoted
from contracts.fields import Field
from contracts.judged import Judged, revision_of
from contracts.model import Contract
from contracts.policy import MeshPolicy
from contracts.report import Report
from contracts.schemas.avro import avro_fields
from contracts.schemas.inline import inline_fields
from contracts.schemas.json_schema import json_schema_fields
from contracts.schemas.json_text import read_json
from contracts.schemas.references import ReferenceRefusedError, References, from_folder, from_texts
from contracts.together import check_together
from contracts.validation import validated
from contracts.yaml_source import DEFAULT_LIMITS, Source, read_yaml

__all__ = ["CatalogReading", "contract_of", "load_catalog", "load_contract", "parse_contract", "read_catalog"]


@dataclass(frozen=True, slots=True)
class CatalogReading:
    """What a folder of contracts holds: the contracts that are right, and what is wrong or odd with the others."""

    contracts: tuple[Contract, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


# A contract whose name is missing is refused, but its schema is judged all the same.
_NAMED = {"name": "unnamed", "domain": "unnamed", "owner": "nobody", "version": "0.0.0"}
_STAND_INS: dict[tuple[str | int, ...], Any] = {("metadata",): _NAMED, **{("metadata", key): value for key, value in _NAMED.items()}}


def load_contract(path: Path | str, policy: MeshPolicy | None = None) -> Contract:
    """Load one contract; its schema references resolve against its folder. **Raises** `ContractInvalidError`."""
    return _loaded(Path(path), policy, None)


def _loaded(path: Path, policy: MeshPolicy | None, judged: Judged | None) -> Contract:
    text, references, file = _file_text(path), from_folder(path.parent), str(path)
    if judged is not None and (found := judged.find(file, text, references)) is not None:
        return found
    source = read_yaml(text, file)
    contract = contract_of(source, text, references, policy)
    if judged is not None:
        judged.note(file, contract, source.data["spec"]["schema"].get("ref"))
    return contract


def parse_contract(
    document: str | bytes,
    schemas: Mapping[str, str | bytes] | None = None,
    policy: MeshPolicy | None = None,
    *,
    file: str = "contract.yaml",
) -> Contract:
    """Load a contract from memory; ``schemas`` are the texts that it refers to, by reference. **Raises** `ContractInvalidError`."""
    text = document.encode("utf-8", "surrogatepass") if isinstance(document, str) else document
    return contract_of(read_yaml(document, file), text, from_texts(schemas or {}), policy)


def load_catalog(folder: Path | str, policy: MeshPolicy | None = None) -> tuple[Contract, ...]:
    """Load every contract below ``folder``, sorted by product and version.

    **Raises** `ContractInvalidError` with all problems of all files.
    """
    reading = read_catalog(folder, policy)
    if reading.problems:
        raise ContractInvalidError(reading.problems)
    return reading.contracts


def read_catalog(folder: Path | str, policy: MeshPolicy | None = None, *, judged: Judged | None = None) -> CatalogReading:
    """Load what can be loaded below ``folder`` (``*.yaml``, ``*.yml``, but not in folders named ``schemas``), and say what cannot.

    Of each product one version per major is served; a second one is a problem. ``judged``: what was judged before, under the same
    policy, and is not judged again; it holds this reading afterwards.
    """
    found: dict[tuple[str, int], Contract] = {}
    problems: list[Problem] = []
    for path in sorted(_files(Path(folder))):
        try:
            contract = _loaded(path, policy, judged)
        except ContractInvalidError as error:
            problems.extend(error.problems)
            continue
        key = (contract.key, contract.major)
        if key in found:
            message = f"{contract.key}, major version {contract.major}, is in another file already"
            problems.append(Problem(ProblemCode.DUPLICATE, message, str(path), 1, "metadata"))
        else:
            found[key] = contract
    contracts = tuple(found[key] for key in sorted(found))
    together = check_together(contracts)
    warnings = [warning for contract in contracts for warning in contract.warnings]
    return CatalogReading(contracts, (*problems, *together.problems), (*warnings, *together.warnings))


def _files(folder: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = [it for it in folders if it != "schemas" and not it.startswith(".")]
        yield from (Path(here, it) for it in files if it.endswith((".yaml", ".yml")) and not it.startswith("."))


def _file_text(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(DEFAULT_LIMITS.bytes_max + 1)
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise ContractInvalidError([Problem(ProblemCode.BAD_REFERENCE, f"cannot be read: {reason}", str(path))]) from None


def contract_of(source: Source, text: bytes, references: References, policy: MeshPolicy | None) -> Contract:
    """Turn one read document into a contract. ``text``: what its revision is computed from."""
    report = Report(source)
    _refuse_other_kinds(source, report)
    document = validated(ContractDocument, source.data, report, stand_ins=_STAND_INS) if not report.problems else None
    if document is None:
        raise ContractInvalidError(_ordered(report))
    read: list[tuple[str, str]] = []
    fields = _fields(document.spec.schema_, references, report, read)
    contract = build_contract(document, fields, report, revision=revision_of(text, *read))
    if fields:  # without columns every name in the contract would be wrong, and say so
        check_contract(contract, document.spec, report)
    if policy is not None:
        check_bounds(contract, policy, report)
    if report.problems:
        raise ContractInvalidError(_ordered(report))
    return contract.model_copy(update={"warnings": tuple(report.warnings)}) if report.warnings else contract


def _ordered(report: Report) -> list[Problem]:
    return sorted(report.problems, key=lambda problem: (problem.file != report.document.file, problem.file, problem.line or 0))


def _refuse_other_kinds(source: Source, report: Report) -> None:
    data = source.data
    if not isinstance(data, dict):
        report.add(ProblemCode.WRONG_VALUE, (), "expected a mapping with apiVersion, kind, metadata and spec")
        return
    version = data.get("apiVersion")
    if isinstance(version, str) and version.startswith("v3."):
        report.add(ProblemCode.UNSUPPORTED, ("apiVersion",), 'ODCS contracts cannot be loaded yet; write "datamesh/v1"')


def _fields(schema: SchemaDocument, references: References, report: Report, read: list[tuple[str, str]]) -> tuple[Field, ...]:
    path = ("spec", "schema")
    if schema.type == "inline":
        if schema.ref is not None or schema.fields is None:
            report.add(ProblemCode.CONTRADICTION, path, 'an inline schema has "fields" and no "ref"')
            return ()
        return inline_fields(schema.fields, report, (*path, "fields"))
    if schema.ref is None or schema.fields is not None:
        report.add(ProblemCode.CONTRADICTION, path, f'a schema of type {schema.type} has "ref" and no "fields"')
        return ()
    try:
        text = references(schema.ref)
    except ReferenceRefusedError as error:
        report.add(ProblemCode.BAD_REFERENCE, (*path, "ref"), f"{quoted(schema.ref)} {error}")
        return ()
    read.append((schema.ref, text))
    return _referred(schema, text, report)


def _referred(schema: SchemaDocument, text: str, report: Report) -> tuple[Field, ...]:
    file = f"{report.document.file} -> {schema.ref}"
    try:
        is_yaml = schema.type == "json-schema" and str(schema.ref).endswith((".yaml", ".yml"))
        read = read_yaml(text, file) if is_yaml else read_json(text, file)
    except ContractInvalidError as error:
        report.problems.extend(error.problems)
        return ()
    inner = Report(read)
    fields = avro_fields(read.data, inner) if schema.type == "avro" else json_schema_fields(read.data, inner)
    report.problems.extend(inner.problems)
    return fields
