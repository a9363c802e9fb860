"""Turns a contract's columns into the JSON Schema of its rows: what ``{path}/schema`` answers, in the words that contracts are written in.

Loading the document gives the same columns again, but for units and physical names, which its readers need not know. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contracts.fields import Enumeration, Field, FieldType, Kind, List, Map, Record, Scalar, Unit
from contracts.model import Contract

__all__ = ["schema_document"]

_TYPES: dict[Kind, dict[str, Any]] = {
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.INT: {"type": "integer", "format": "int32"},
    Kind.LONG: {"type": "integer", "format": "int64"},
    Kind.FLOAT: {"type": "number"},
    Kind.STRING: {"type": "string"},
    Kind.BYTES: {"type": "string", "contentEncoding": "base64"},
    Kind.UUID: {"type": "string", "format": "uuid"},
    Kind.DATE: {"type": "string", "format": "date"},
    Kind.TIME: {"type": "string", "format": "time"},
    Kind.INSTANT: {"type": "string", "format": "date-time"},
    Kind.LOCAL_DATETIME: {"type": "string", "format": "local-date-time"},
}


def schema_document(contract: Contract) -> dict[str, Any]:
    """Describe the rows of a product."""
    metadata = contract.metadata
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": metadata.name,
        "x-product": contract.key,
        "x-version": metadata.version,
        "x-primary-key": list(contract.primary_key),
    }
    if metadata.description is not None:
        document["description"] = metadata.description
    return document | _object(contract.fields)


def _object(fields: Sequence[Field]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {field.name: _member(field) for field in fields},
        "required": [field.name for field in fields if field.required],
    }


def _member(field: Field) -> dict[str, Any]:
    schema = _nullable(_schema(field.type), null=not field.required)
    return schema if field.description is None else {**schema, "description": field.description}


def _nullable(schema: dict[str, Any], *, null: bool) -> dict[str, Any]:
    if not null or "type" not in schema:
        return schema
    schema = {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    return schema


def _schema(type_: FieldType) -> dict[str, Any]:
    match type_:
        case Enumeration(name=name, symbols=symbols):
            return {"type": "string", "title": name, "enum": list(symbols)}
        case Record(name=name, fields=fields):
            return {**_object(fields), "title": name}
        case List(item=item, item_required=required):
            return {"type": "array", "items": _nullable(_schema(item), null=not required)}
        case Map(value=value):
            return {"type": "object", "additionalProperties": _nullable(_schema(value), null=True)}
        case Scalar(kind=Kind.DECIMAL, precision=precision, scale=scale):
            digits = {} if precision is None else {"x-precision": precision, "x-scale": scale or 0}
            return {"type": "string", "format": "decimal", **digits}
        case Scalar(kind=Kind.JSON):
            return {}
        case Scalar(kind=kind, unit=unit):
            return {**_TYPES[kind], "x-unit": "ns"} if unit is Unit.NANOS else dict(_TYPES[kind])
