from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contracts.published import PUBLISHED_AT, document_schema, write_document_schema
from contracts.yaml_source import read_yaml

from .test_load import EVERYTHING
from .written import CATALOG, GUIDE, text

VALIDATOR = Draft202012Validator(json.loads(PUBLISHED_AT.read_text(encoding="utf-8")))
CONTRACTS = [GUIDE, text(EVERYTHING), *(path.read_text(encoding="utf-8") for path in sorted(CATALOG.glob("*/*.yaml")))]


def test_the_published_schema_is_up_to_date(tmp_path: Path) -> None:
    write_document_schema(tmp_path / "s.json")
    assert PUBLISHED_AT.read_text(encoding="utf-8") == (tmp_path / "s.json").read_text(encoding="utf-8"), (
        "run python -m contracts.published"
    )
    Draft202012Validator.check_schema(document_schema())


@pytest.mark.parametrize("document", CONTRACTS)
def test_it_accepts_what_loads(document: str) -> None:
    assert list(VALIDATOR.iter_errors(read_yaml(document, "f").data)) == []


@pytest.mark.parametrize(
    "path",
    [
        (),
        ("metadata",),
        ("spec",),
        ("spec", "slo"),
        ("spec", "classification"),
        ("spec", "access", 0),
        ("spec", "ports", "output", 0),
        ("spec", "relationships", 0),
    ],
)
def test_it_refuses_unknown_keys(path: tuple[Any, ...]) -> None:
    data = copy.deepcopy(read_yaml(text(EVERYTHING), "f").data)
    place = data
    for step in path:
        place = place[step]
    place["unheardOf"] = 1
    assert not VALIDATOR.is_valid(data)


@pytest.mark.parametrize("key", ["apiVersion", "kind", "metadata", "spec"])
def test_it_refuses_documents_without_their_blocks(key: str) -> None:
    data = read_yaml(GUIDE, "f").data
    del data[key]
    assert not VALIDATOR.is_valid(data)
