"""The published protocol: valid documents, and real traffic of both sides that obeys them."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any

import httpx
import jsonschema
import pytest
from msgspec import structs
from openapi_spec_validator import validate

from contracts.report import Report
from contracts.schemas.json_schema import json_schema_fields
from domain_adapters.conformance import sample_contract, sample_rows
from domain_adapters.conformance.cases import cases_for
from domain_adapters.protocol import openapi, protocol_schema, schema_of
from domain_adapters.query import decode_read
from domain_adapters.serve import app
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from domain_adapters.wire import encode_read

CONTRACT = sample_contract()
PATH = "/data-products/sample"
README = files("domain_adapters.protocol").joinpath("README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json (query|refused)\n(.*?)```", README, re.DOTALL)


def obeys(name: str, document: Any) -> None:
    jsonschema.Draft202012Validator(schema_of(name), format_checker=jsonschema.FormatChecker()).validate(document)


@pytest.fixture
async def endpoint() -> AsyncIterator[httpx.AsyncClient]:
    port = await open_sql(CONTRACT, Rows(sample_rows()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app(CONTRACT, port)), base_url="http://sample") as client:
        yield client
    await port.aclose()


def test_the_documents_are_a_valid_json_schema_and_openapi_3_1() -> None:
    jsonschema.Draft202012Validator.check_schema(protocol_schema())
    validate(openapi())
    assert openapi()["openapi"].startswith("3.1")


def test_openapi_holds_the_definitions_of_the_json_schema() -> None:
    moved = json.dumps(protocol_schema()["$defs"]).replace("#/$defs/", "#/components/schemas/")
    assert openapi()["components"]["schemas"] == json.loads(moved)


def test_an_unknown_document_has_no_schema() -> None:
    with pytest.raises(KeyError):
        schema_of("Nothing")


async def test_every_path_of_openapi_is_served(endpoint: httpx.AsyncClient) -> None:
    for path, methods in openapi()["paths"].items():
        for method in methods:
            answer = await endpoint.request(method, f"{PATH}{path}".rstrip("/"), json={} if method == "post" else None)
            assert answer.status_code == 200, path


async def test_answers_of_the_server_obey_the_schema(endpoint: httpx.AsyncClient) -> None:
    page = (await endpoint.get(PATH, params={"limit": 3, "since": "1970-01-01T00:00:00Z"})).json()
    obeys("Page", page)
    assert len(page["data"]) == 3
    obeys("Slo", (await endpoint.get(f"{PATH}/slo")).json())
    obeys("Capabilities", (await endpoint.get(f"{PATH}/capabilities")).json())
    obeys("Problem", (await endpoint.get(PATH, params={"limit": "x"})).json())
    obeys("Problem", (await endpoint.get("/nowhere")).json())


async def test_rows_obey_the_schema_that_the_endpoint_serves(endpoint: httpx.AsyncClient) -> None:
    schema = (await endpoint.get(f"{PATH}/schema")).json()
    rows = (await endpoint.get(PATH, params={"limit": 1000})).json()["data"]
    assert len(rows) == len(sample_rows())
    for row in rows:
        jsonschema.Draft202012Validator(schema).validate(row)


async def test_the_served_schema_loads_as_the_contracts_own_columns(endpoint: httpx.AsyncClient) -> None:
    report = Report("schema.json")
    loaded = json_schema_fields((await endpoint.get(f"{PATH}/schema")).json(), report)
    assert not report.problems
    names = {field.name: field.required for field in loaded}
    assert names == {field.name: field.required for field in CONTRACT.fields}
    by_name = {field.name: field.type for field in loaded}
    assert by_name["exact"] == CONTRACT.field_by_name["exact"].type
    assert by_name["rates"] == CONTRACT.field_by_name["rates"].type
    assert by_name["scores"] == CONTRACT.field_by_name["scores"].type
    assert by_name["status"] == CONTRACT.field_by_name["status"].type


def test_every_query_that_our_client_writes_obeys_the_schema_and_is_read_back_the_same() -> None:
    validator = jsonschema.Draft202012Validator(schema_of("Query"))
    cases = list(cases_for(CONTRACT, sample_rows()[:40]))
    assert len(cases) > 300
    for case in cases:
        read = structs.replace(case.read, limit=case.page)
        body = encode_read(read)
        assert decode_read(body, CONTRACT) == read, case.name
        validator.validate(json.loads(body))


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
async def test_the_readmes_examples_hold(endpoint: httpx.AsyncClient, number: int) -> None:
    kind, text = EXAMPLES[number]
    answer = await endpoint.post(f"{PATH}/query", content=text, headers={"content-type": "application/json"})
    if kind == "refused":
        assert answer.status_code == 400
        obeys("Problem", answer.json())
        return
    assert answer.status_code == 200, answer.text
    obeys("Query", json.loads(text))
    obeys("Page", answer.json())
    assert answer.json()["data"] or answer.json()["groups"]


def test_the_readme_has_examples_of_both_kinds() -> None:
    assert {kind for kind, _ in EXAMPLES} == {"query", "refused"}
