"""The JSON Schema of the contract document, generated from its models, as editors and other tools read it.

``python -m contracts.published`` writes ``contracts/datamesh-v1.schema.json`` anew; a test says when that is due.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contracts.document import ContractDocument

__all__ = ["PUBLISHED_AT", "document_schema", "write_document_schema"]

PUBLISHED_AT = Path(__file__).with_name("datamesh-v1.schema.json")


def document_schema() -> dict[str, Any]:
    """Generate the JSON Schema (2020-12) of a ``datamesh/v1`` contract."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://meshgate.dev/schemas/datamesh-v1.schema.json",
        **ContractDocument.model_json_schema(by_alias=True),
    }


def write_document_schema(path: Path = PUBLISHED_AT) -> None:
    """Write the JSON Schema to ``path``."""
    path.write_text(json.dumps(document_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_document_schema()
