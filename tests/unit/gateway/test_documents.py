"""What the documents show is what the code does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from gateway.errors import CODES
from gateway.errors_page import page
from gateway.settings import Settings, load

ROOT = Path(__file__).parents[3]


def test_the_page_of_error_codes_is_written_from_the_table() -> None:
    assert (ROOT / "gateway/docs/errors.md").read_text() == page(), "run: python -m gateway.errors_page > gateway/docs/errors.md"
    assert all(f"`{name}`" in page() for name in CODES)


def test_every_code_that_the_gateway_raises_is_in_the_table() -> None:
    raised = {
        code
        for path in (ROOT / "gateway").rglob("*.py")
        for code in re.findall(r'(?:GatewayError|_error|_from_graphql|RefusalError)\(\s*"([A-Z][A-Z_]+)"', path.read_text())
    }
    assert len(raised) > 10
    assert raised <= CODES.keys()


def test_the_settings_to_start_from_can_be_loaded() -> None:
    settings = load(ROOT / "deploy/meshgate.toml", {"MESHGATE_SECRET": "a secret that is long enough to be one"})
    assert settings.catalog_dir.resolve() == ROOT / "contracts/catalog"
    assert set(settings.products) == {"order/orders-daily", "payment/payments", "customer/customers"}
    assert settings.auth.roles_claim == "realm_access.roles"


def documents() -> Iterator[Path]:
    for path in (*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("*/*/*.md"), *ROOT.glob("*/*/*/*.md")):
        if ".venv" not in path.parts and "node_modules" not in path.parts:
            yield path


def test_every_file_that_documents_name_is_there() -> None:
    for path in documents():
        for name in re.findall(r"`((?:contracts|domain_adapters|gateway|tests|deploy)/[\w/.-]+)`", path.read_text()):
            assert (ROOT / name).exists() or (ROOT / f"{name}.py").exists(), f"{path}: {name}"


def test_every_setting_that_documents_name_is_there() -> None:
    sections = {
        name: set(it.annotation.model_fields) for name, it in Settings.model_fields.items() if hasattr(it.annotation, "model_fields")
    }
    found = 0
    for path in (ROOT / "README.md", ROOT / "gateway/README.md", *(ROOT / "gateway/docs").glob("*.md")):
        for section, name in re.findall(rf"`({'|'.join(sections)})\.([a-z_]+)\b", path.read_text()):
            assert name in sections[section], f"{path}: {section}.{name}"
            found += 1
    assert found > 100


def test_links_between_documents_lead_somewhere() -> None:
    for path in (ROOT / "README.md", *ROOT.glob("*/README.md"), *ROOT.glob("*/*/README.md")):
        if ".venv" in path.parts or "node_modules" in path.parts:
            continue
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path}: {target}"


def test_the_tests_that_promises_are_shown_by_are_there() -> None:
    named = re.findall(r"`((?:attacks|bench|differential|e2e|property)/[\w./]+)`", (ROOT / "tests/README.md").read_text())
    assert len(named) > 20
    assert [it for it in named if not (ROOT / "tests" / it).exists()] == []
