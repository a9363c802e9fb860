from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from contracts import Contract, load, read_catalog
from contracts.yaml_source import Source
from gateway import sealed
from gateway.caller import Caller
from gateway.contracts_copy import ContractsCopy
from gateway.exchange import Frame, Question
from gateway.observe.metrics import Metrics
from gateway.service import Service, build
from gateway.settings import Settings
from gateway.settings_sections import CacheSettings
from tests.bench.wide import WideMesh, contract_text, write

SECRET = "a secret for tests, long enough to be one"
PRODUCTS = 102
ANALYST = Frame(Caller("ann", frozenset({"analyst"})), 1e9, "r")
CATALOGUE = """{ mesh { products { id version owner description accessible retention relationships { name to many }
  fields { name column type access mask because } objectives { freshness completeness } } } }"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> WideMesh:
    """Contracts of which one does not load, one warns, and one leads to what is not there."""
    made = write(tmp_path_factory.mktemp("mesh"), PRODUCTS)
    broken, odd, lonely = (made.catalog / f"{made.products[number]}.yaml" for number in (5, 6, 7))
    broken.write_text(broken.read_text().replace("primaryKey: [id]", "primaryKey: [idd]"))
    odd.write_text(odd.read_text().replace("  classification:\n", "  classification:\n    retention: 7 years\n"))
    lonely.write_text(lonely.read_text().replace("to: area-000/", "to: nowhere/").replace("to: area-001/", "to: nowhere/"))
    return made


def settings(mesh: WideMesh, folder: Path | str, *, secret: str | None = SECRET) -> Settings:
    given = {} if secret is None else {"secret": secret}
    return Settings(catalog_dir=mesh.catalog, policy_file=mesh.policy, cache=CacheSettings(contracts_dir=folder), **given)  # type: ignore[arg-type]


def started(mesh: WideMesh, folder: Path | str, *, secret: str | None = SECRET) -> Service:
    """Build a gateway, start it, and stop it when it is ready."""
    service: Service

    async def run() -> None:
        nonlocal service
        service = build(settings(mesh, folder, secret=secret), metrics=Metrics())
        await service.start()
        async with asyncio.timeout(60):
            while service.readiness():
                await asyncio.sleep(0)
        for _ in range(3):  # until what waited for that has begun
            await asyncio.sleep(0)
        await service.aclose()

    asyncio.run(run())  # ends when the threads have
    return service


def shown(service: Service) -> tuple[object, ...]:
    engine = service.answerer.engine
    sdl = engine.sdl(Frame(ANALYST.caller, 0.0, "r", scope=("area-000/*-0000*",)))
    reply = asyncio.run(engine.answer(Question(CATALOGUE), ANALYST))
    return (service.reading, service.snapshot.findings, dict(service.snapshot.names), sdl, reply.body)


@pytest.fixture(scope="module")
def plain(mesh: WideMesh) -> tuple[object, ...]:
    """What a gateway shows that keeps no copy."""
    return shown(started(mesh, "off"))


def copies(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


def reasons(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    return [record.__dict__["fields"]["reason"] for record in caplog.records if record.getMessage() == event]


def unchanged(caplog: pytest.LogCaptureFixture) -> list[int]:
    return [record.__dict__["fields"]["unchanged"] for record in caplog.records if record.getMessage() == "contracts_read"]


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="meshgate")


def test_the_next_start_judges_only_what_changed_and_serves_the_same(
    mesh: WideMesh, plain: tuple[object, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shown(started(mesh, tmp_path))
    judged: list[str] = []
    judge = load.contract_of

    def noted(source: Source, *given: Any) -> Contract:
        judged.append(source.file)
        return judge(source, *given)

    monkeypatch.setattr(load, "contract_of", noted)
    second = shown(started(mesh, tmp_path))
    assert plain == first == second
    assert plain[1]  # findings
    assert len(judged) == 1  # what does not load is judged each time
    assert unchanged(caplog) == [0, PRODUCTS - 1]


def test_the_copy_is_for_its_owner_only_and_written_only_when_something_changed(mesh: WideMesh, tmp_path: Path) -> None:
    started(mesh, tmp_path)
    (copy,) = copies(tmp_path)
    assert copy.stat().st_mode & 0o777 == 0o600
    before = copy.stat().st_ino
    started(mesh, tmp_path)
    assert copy.stat().st_ino == before
    changed = mesh.catalog / f"{mesh.products[9]}.yaml"
    text = changed.read_text()
    try:
        changed.write_text(contract_text(9, PRODUCTS, version="1.1.0"))
        service = started(mesh, tmp_path)
    finally:
        changed.write_text(text)
    assert copy.stat().st_ino != before
    assert service.snapshot.products[mesh.products[9]].contract.metadata.version == "1.1.0"


@pytest.mark.parametrize("damage", ["changed", "cut", "emptied", "another secret", "another policy", "another version"])
def test_a_copy_that_is_not_right_in_every_byte_is_not_believed_and_is_made_anew(
    mesh: WideMesh,
    plain: tuple[object, ...],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
) -> None:
    started(mesh, tmp_path, secret="another secret, just as long as it must be" if damage == "another secret" else SECRET)
    (copy,) = copies(tmp_path)
    content = copy.read_bytes()
    policy = mesh.policy.read_text()
    if damage == "changed":  # a grant for stewards becomes one for analysts
        copy.write_bytes(content.replace(b"steward", b"analyst"))
    elif damage == "cut":
        copy.write_bytes(content[: len(content) // 2])
    elif damage == "emptied":
        copy.write_bytes(b"")
    elif damage == "another policy":
        mesh.policy.write_text(policy + "# later\n")
    elif damage == "another version":
        monkeypatch.setattr("contracts.judged.judge", lambda: "a later version")
    try:
        assert shown(started(mesh, tmp_path)) == plain
        assert len(reasons(caplog, "contracts_copy_not_used")) == 1
        assert unchanged(caplog) == [0, 0]
        started(mesh, tmp_path)
    finally:
        mesh.policy.write_text(policy)
    assert unchanged(caplog) == [0, 0, PRODUCTS - 1]
    assert not reasons(caplog, "contracts_copy_not_kept")


def test_a_place_that_cannot_be_read_or_written_stops_nothing(
    mesh: WideMesh, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    assert started(mesh, tmp_path / "file" / "below").snapshot.products
    assert reasons(caplog, "contracts_copy_not_used") == ["Not a directory"]
    assert reasons(caplog, "contracts_copy_not_kept") == ["Not a directory"]

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sealed.SealedFile, "write", broken)
    assert started(mesh, tmp_path / "folder").snapshot.products
    assert any(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in caplog.records)


def test_a_copy_in_a_pipe_is_not_waited_for(mesh: WideMesh, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    started(mesh, tmp_path)
    (copy,) = copies(tmp_path)
    copy.unlink()
    os.mkfifo(copy)
    ContractsCopy(settings(mesh, tmp_path), build(settings(mesh, "off")).policy)
    assert reasons(caplog, "contracts_copy_not_used") == ["is no file"]


def test_a_copy_that_grew_too_large_is_not_kept(
    mesh: WideMesh, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed.SealedFile.__init__, "__kwdefaults__", {"max_bytes": 10})
    started(mesh, tmp_path)
    assert reasons(caplog, "contracts_copy_not_kept") == ["is too large"]
    assert copies(tmp_path) == []


def test_nothing_is_kept_where_it_is_off_or_there_is_no_secret_to_seal_it_with_or_no_home(
    mesh: WideMesh, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    started(mesh, "off")
    started(mesh, "~/copies", secret=None)
    assert copies(tmp_path) == []
    started(mesh, "~/copies")
    assert len(copies(tmp_path / "copies")) == 1
    caplog.clear()
    started(mesh, "~nobody-of-this-name/copies")
    assert reasons(caplog, "contracts_copy_not_used") == ["there is no home folder; set cache.contracts_dir"]


def test_what_was_judged_is_let_go_of_once_it_is_kept(mesh: WideMesh, tmp_path: Path) -> None:
    policy = build(settings(mesh, "off")).policy
    copy = ContractsCopy(settings(mesh, tmp_path), policy)
    read_catalog(mesh.catalog, policy, judged=copy.judged)
    assert copy.judged.count == PRODUCTS - 1
    copy.keep()
    assert copy.judged.count == 0
    assert len(copies(tmp_path)) == 1


def test_few_contracts_are_not_worth_a_copy(tmp_path: Path) -> None:
    started(write(tmp_path / "small", 20), tmp_path / "copies")
    assert copies(tmp_path / "copies") == []


def test_gateways_over_other_catalogs_have_copies_of_their_own(mesh: WideMesh, tmp_path: Path) -> None:
    started(mesh, tmp_path / "copies")
    started(write(tmp_path / "other", PRODUCTS), tmp_path / "copies")
    assert len(copies(tmp_path / "copies")) == 2
