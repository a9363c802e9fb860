from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from contracts import CatalogReading, MeshPolicy, judged, load, read_catalog
from contracts.judged import Judged, OutdatedError
from contracts.policy_document import parse_policy

from .test_packed import MAINTAINED
from .written import AVRO, CATALOG, POLICY, text


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """Three good contracts, one with a warning, one broken."""
    folder = tmp_path / "catalog"
    for name, spec in (
        ("orders", ""),
        ("parcels", MAINTAINED),
        ("visits", "  classification: {retention: 7 years}\n"),
        ("bad", "  x: 1\n"),
    ):
        (folder / name).mkdir(parents=True)
        (folder / name / "contract.yaml").write_text(text(spec, name=name))
        (folder / name / "rows.avsc").write_text(AVRO)
    return folder


@pytest.fixture
def policy() -> MeshPolicy:
    return parse_policy(POLICY.read_bytes())


def reading_of(catalog: Path, policy: MeshPolicy, before: bytes | None = None) -> tuple[CatalogReading, Judged]:
    found = Judged(policy, before)
    return read_catalog(catalog, policy, judged=found), found


def kept(catalog: Path, policy: MeshPolicy) -> bytes:
    content = reading_of(catalog, policy)[1].written()
    assert content is not None
    return content


def test_contracts_that_did_not_change_are_not_judged_again(catalog: Path, policy: MeshPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    (catalog / "bad" / "contract.yaml").unlink()
    before, content = read_catalog(catalog, policy), kept(catalog, policy)
    monkeypatch.setattr(load, "contract_of", lambda *_: pytest.fail("judged again"))
    after, found = reading_of(catalog, policy, content)
    assert (found.reused, found.count, found.is_changed) == (3, 3, False)
    assert after == before


def test_warnings_and_problems_are_those_of_the_files(catalog: Path, policy: MeshPolicy) -> None:
    plain = read_catalog(catalog, policy)
    assert plain.warnings
    assert plain.problems
    after, found = reading_of(catalog, policy, kept(catalog, policy))
    assert found.reused == 3
    assert after == plain


def test_one_changed_file_costs_only_itself(catalog: Path, policy: MeshPolicy) -> None:
    content = kept(catalog, policy)
    file = catalog / "orders" / "contract.yaml"
    file.write_text(file.read_text() + "  timestamp: at\n")
    after, found = reading_of(catalog, policy, content)
    assert (found.reused, found.is_changed) == (2, True)
    assert after == read_catalog(catalog, policy)
    again = found.written()
    assert again is not None
    assert reading_of(catalog, policy, again)[1].reused == 3


def test_a_changed_schema_is_read_again(catalog: Path, policy: MeshPolicy) -> None:
    content = kept(catalog, policy)
    (catalog / "orders" / "rows.avsc").write_text(AVRO.replace('"flag"', '"mark"'))
    after, found = reading_of(catalog, policy, content)
    assert found.reused == 2
    assert "mark" in after.contracts[0].field_by_name


def test_a_schema_that_is_gone_or_leads_elsewhere_is_told_as_ever(catalog: Path, policy: MeshPolicy, tmp_path: Path) -> None:
    content = kept(catalog, policy)
    schema = catalog / "orders" / "rows.avsc"
    shutil.move(schema, tmp_path / "rows.avsc")
    assert "no such file" in str(reading_of(catalog, policy, content)[0].problems[1])
    schema.symlink_to(tmp_path / "rows.avsc")
    assert "leads out of" in str(reading_of(catalog, policy, content)[0].problems[1])


def test_a_file_that_was_moved_is_judged_again_as_its_warnings_name_it(catalog: Path, policy: MeshPolicy) -> None:
    content = kept(catalog, policy)
    (catalog / "visits" / "contract.yaml").rename(catalog / "visits" / "other.yaml")
    after, found = reading_of(catalog, policy, content)
    assert found.reused == 2
    assert {warning.file for warning in after.warnings if warning.line} == {str(catalog / "visits" / "other.yaml")}


def test_a_file_that_is_gone_is_forgotten(catalog: Path, policy: MeshPolicy) -> None:
    content = kept(catalog, policy)
    (catalog / "visits" / "contract.yaml").unlink()
    _, found = reading_of(catalog, policy, content)
    assert (found.reused, found.is_changed) == (2, True)
    again = found.written()
    assert again is not None
    assert b"visits" not in again


def test_what_was_judged_under_another_policy_or_by_other_code_is_of_no_use(
    catalog: Path, policy: MeshPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = kept(catalog, policy)
    with pytest.raises(OutdatedError, match="under another policy"):
        Judged(parse_policy(POLICY.read_bytes() + b"\n# stricter\n"), content)
    monkeypatch.setattr(judged, "judge", lambda: "other code")
    with pytest.raises(OutdatedError, match="by other code"):
        Judged(policy, content)
    for nonsense in (b"", b"nonsense", msgspec.msgpack.encode([1, 2, 3])):
        with pytest.raises(OutdatedError, match="cannot be read"):
            Judged(policy, nonsense)


def test_the_judge_is_named_by_its_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(Path(judged.__file__).parent, tmp_path / "contracts", ignore=shutil.ignore_patterns("catalog", "__pycache__"))
    monkeypatch.setattr(judged, "__file__", str(tmp_path / "contracts" / "judged.py"))
    assert judged.judge.__wrapped__() == judged.judge()
    source = tmp_path / "contracts" / "schemas" / "avro.py"
    source.write_text(source.read_text() + "\n")
    assert judged.judge.__wrapped__() != judged.judge()


def test_nothing_is_kept_where_the_judge_cannot_be_told(catalog: Path, policy: MeshPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judged, "_LIBRARIES", ("no-such-library",))
    assert judged.judge.__wrapped__() is None
    monkeypatch.setattr(judged, "judge", lambda: None)
    assert reading_of(catalog, policy)[1].written() is None


def test_what_cannot_be_packed_is_judged_every_time(catalog: Path, policy: MeshPolicy) -> None:
    odd = text(f"  ports: {{input: [{{type: t, big: {10**30}}}]}}\n", name="orders")
    (catalog / "orders" / "contract.yaml").write_text(odd)
    after, found = reading_of(catalog, policy, kept(catalog, policy))
    assert found.reused == 2
    assert after.contracts[0].input_ports[0].options == (("big", 10**30),)


def test_an_entry_that_says_something_else_than_its_file_is_judged_again(catalog: Path, policy: MeshPolicy) -> None:
    pages = msgspec.msgpack.decode(kept(catalog, policy))
    by_file = {entry[0].split("/")[-2]: entry for entry in pages[2]}
    by_file["orders"][3] = by_file["parcels"][3]
    by_file["visits"][3] = b"no contract"
    after, found = reading_of(catalog, policy, msgspec.msgpack.encode(pages))
    assert found.reused == 1
    assert after == read_catalog(catalog, policy)


def test_a_time_zone_that_is_no_more_is_told_as_ever(catalog: Path, policy: MeshPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    content = kept(catalog, policy)
    monkeypatch.setattr("contracts.maintenance_document._zones", lambda: frozenset({"UTC"}))
    after, found = reading_of(catalog, policy, content)
    assert found.reused == 2
    assert any("no time zone" in str(problem) for problem in after.problems)


def test_the_demo_catalog_reads_the_same_from_what_was_kept(policy: MeshPolicy) -> None:
    after, found = reading_of(CATALOG, policy, kept(CATALOG, policy))
    assert found.reused == 3
    assert after == read_catalog(CATALOG, policy)
