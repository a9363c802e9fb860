"""The wire as published documents: one JSON Schema, and the OpenAPI document that serves it up. See the README beside them."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["openapi", "protocol_schema", "schema_of"]


@cache
def protocol_schema() -> dict[str, Any]:
    """Give the JSON Schema of every document on the wire, by name under ``$defs``."""
    return _document("protocol.schema.json")


@cache
def openapi() -> dict[str, Any]:
    """Give the OpenAPI 3.1 document of levels 0 and 1; its components are the JSON Schema's definitions."""
    return _document("openapi.json")


def schema_of(name: str) -> dict[str, Any]:
    """Give a schema that validates one kind of document: ``Page``, ``Query``, ``Slo``, ``Capabilities``, ``Problem``..."""
    schema = protocol_schema()
    if name not in schema["$defs"]:
        raise KeyError(name)
    return {"$schema": schema["$schema"], "$ref": f"#/$defs/{name}", "$defs": schema["$defs"]}


def _document(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(files(__name__).joinpath(name).read_text(encoding="utf-8"))
    return document
