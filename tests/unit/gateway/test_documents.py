"""What the documents show is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.errors import CODES
from gateway.errors_page import page
from gateway.settings import load

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


def test_links_between_documents_lead_somewhere() -> None:
    for path in (ROOT / "README.md", *ROOT.glob("*/README.md"), *ROOT.glob("*/*/README.md")):
        if ".venv" in path.parts or "node_modules" in path.parts:
            continue
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path}: {target}"
