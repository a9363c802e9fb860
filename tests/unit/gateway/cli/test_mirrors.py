"""``meshgate port serve --mirror``: what its options come to, and what it tells meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from domain_adapters.mirror import Bounds, Progress, running
from gateway.cli import main

ROOT = Path(__file__).parents[4]
CONTRACT = ROOT / "contracts" / "catalog" / "payment" / "payments.yaml"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def run(contract: Path, url: str, **options: Any) -> None:
        found.update(options, contract=contract, url=url)
        tell = options["on_progress"]
        tell(Progress("payment/payments", True, 1, 1_000, None, 0.25))
        tell(Progress("payment/payments", True, 3, 2_500, 2_500, 1.0, is_over=True))
        tell(Progress("payment/payments", False, 1, 7, None, 0.1, is_over=True))

    monkeypatch.setattr(running, "run", run)
    return found


def test_options_and_progress_are_passed_on(
    given: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("A_TOKEN", "secret")
    options = "--folder x --refresh 30s --rewalk PT1H --overlap 90s --disk-max 0.5 --memory-max 2"
    options += " --origin-auth env:B --token-env A_TOKEN --level 1"
    assert main(["port", "serve", str(CONTRACT), "--mirror", "http://127.0.0.1:9", *options.replace("30s", "30_s").split()]) == 1
    assert "expected a duration" in capsys.readouterr().err
    assert main(["port", "serve", str(CONTRACT), "--mirror", "http://127.0.0.1:9", *options.split()]) == 0
    assert given["bounds"] == Bounds(30.0, 3_600.0, 90.0, disk_max_bytes=512 * 1024**2, memory_max="2048MiB")
    assert (given["url"], given["folder"], given["auth"], given["token"]) == ("http://127.0.0.1:9", Path("x"), "env:B", "secret")
    assert given["levels"] == frozenset({1})
    assert {tag.tag for tag in given["policy"].tags} >= {"pii", "pci.pan"}
    assert capsys.readouterr().err.splitlines() == [
        "payment/payments: reading 1,000 rows, 0.2 s",
        "payment/payments: read 2,500 rows of about 2,500, 1.0 s",
    ]


def test_without_a_policy_nothing_explains_tags(given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MESHGATE_POLICY_FILE", raising=False)
    assert main(["port", "serve", str(CONTRACT), "--mirror", "http://127.0.0.1:9"]) == 0
    assert given["policy"] is None
