"""What a mirror leaves on disk, who may have it, and what may not be mirrored at all."""

from __future__ import annotations

import stat
from pathlib import Path

import duckdb
import pytest

from contracts.fields import Field, Kind, Scalar
from contracts.model import Contract, FieldClassification, OutputPort
from contracts.objectives import Retention
from contracts.policy import MeshPolicy, TagPolicy
from domain_adapters.errors import PortUnavailableError, SourceError
from domain_adapters.mirror import refuse_unfit
from domain_adapters.port import Read
from tests.conformance.serving import serving
from tests.unit.domain_adapters.origin import CALL, Clock, Origin, ago, held, mirror_of, mirroring, slo_of
from tests.unit.domain_adapters.products import THINGS, product

POLICY = MeshPolicy(roles=("analyst",), tags=(TagPolicy(tag="pii"), TagPolicy(tag="pci.sad", never_persist=True)))


def classified(*tags: str, never_persist: bool = False) -> Contract:
    contract = product(Field("code", Scalar(Kind.STRING)), Field("updated", Scalar(Kind.INSTANT)), updated="updated")
    return contract.model_copy(update={"classification": (("code", FieldClassification(tags=tags, never_persist=never_persist)),)})


def rows(count: int) -> list[dict[str, object]]:
    return [{"id": number, "name": "a", "price": 1, "updated": ago(hours=1)} for number in range(count)]


async def test_the_last_complete_copy_is_served_while_the_origin_is_away(tmp_path: Path) -> None:
    clock = Clock()
    async with serving(Origin(rows(3)).app) as url, mirroring(THINGS, url, tmp_path, clock=clock) as port:
        await port.refresher.refresh()
    clock.pass_by(days=2)
    async with mirroring(THINGS, url, tmp_path, clock=clock) as port:
        assert len(await held(port)) == 3
        with pytest.raises(PortUnavailableError):
            await port.refresher.refresh()
        assert len(await held(port)) == 3
        document = await slo_of(port)
        assert (document["asOf"], document["measuredAt"]) == ("2026-11-23T12:00:00Z", "2026-11-25T12:00:00Z")
        assert document["mirror"]["failure"] == "refused"


async def test_nobody_else_may_read_the_copy(tmp_path: Path) -> None:
    async with mirror_of(Origin(rows(3)), THINGS, tmp_path) as port:
        await port.refresher.refresh()
        folder = tmp_path / "test.things"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {"copy.duckdb": 0o600, "lock": 0o600}


async def test_a_folder_has_one_user_at_a_time(tmp_path: Path) -> None:
    origin = Origin(rows(1))
    async with mirror_of(origin, THINGS, tmp_path):
        with pytest.raises(SourceError, match="another process mirrors into"):
            async with mirror_of(origin, THINGS, tmp_path):
                pass
    async with mirror_of(origin, THINGS, tmp_path) as port:
        await port.refresher.refresh()


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SourceError, match="cannot be used"):
        async with mirror_of(Origin(), THINGS, tmp_path / "file"):
            pass


@pytest.mark.parametrize("damage", [b"no database at all", b"\0" * 100_000])
async def test_a_damaged_copy_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    origin = Origin(rows(3))
    async with mirror_of(origin, THINGS, tmp_path) as port:
        await port.refresher.refresh()
    (tmp_path / "test.things" / "copy.duckdb").write_bytes(damage)
    async with mirror_of(origin, THINGS, tmp_path) as port:
        with pytest.raises(PortUnavailableError, match="first walk"):
            await port.read(Read(), CALL)
        await port.refresher.refresh()
        assert len(await held(port)) == 3


async def test_a_copy_that_cannot_be_opened_for_another_reason_is_not_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "test.things" / "copy.duckdb").mkdir(parents=True)
    with pytest.raises(SourceError, match="cannot be opened"):
        async with mirror_of(Origin(), THINGS, tmp_path):
            pass


async def test_a_database_of_somebody_elses_is_not_served(tmp_path: Path) -> None:
    folder = tmp_path / "test.things"
    folder.mkdir()
    with duckdb.connect(str(folder / "copy.duckdb")) as connection:
        connection.execute("CREATE TABLE mirrored AS SELECT 1 AS c0")
    async with mirror_of(Origin(rows(2)), THINGS, tmp_path) as port:
        await port.refresher.refresh()
        assert len(await held(port)) == 2


async def test_another_shape_or_another_origin_begins_another_copy(tmp_path: Path) -> None:
    origin = Origin(rows(3))
    async with serving(origin.app) as first, serving(origin.app) as second:
        async with mirroring(THINGS, first, tmp_path) as port:
            await port.refresher.refresh()
        async with mirroring(THINGS, first, tmp_path) as port:
            assert len(await held(port)) == 3
        async with mirroring(THINGS, second, tmp_path) as port:
            with pytest.raises(PortUnavailableError):
                await held(port)
            await port.refresher.refresh()
        wider = THINGS.model_copy(update={"fields": (*THINGS.fields, Field("more", Scalar(Kind.STRING)))})
        async with mirroring(wider, second, tmp_path) as port:
            with pytest.raises(PortUnavailableError):
                await held(port)


async def test_a_walk_that_died_leaves_nothing(tmp_path: Path) -> None:
    origin = Origin(rows(3))
    async with serving(origin.app) as url:
        async with mirroring(THINGS, url, tmp_path) as port:
            await port.refresher.refresh()
        with duckdb.connect(str(tmp_path / "test.things" / "copy.duckdb")) as connection:
            connection.execute("CREATE TABLE gathered AS SELECT * FROM mirrored")
        async with mirroring(THINGS, url, tmp_path) as port:
            assert len(await held(port)) == 3
            await port.refresher.refresh()


def test_what_may_never_be_persisted_is_not_mirrored() -> None:
    refuse_unfit(classified(), None)
    refuse_unfit(classified("pii"), POLICY)
    for contract, policy in (
        (classified(never_persist=True), POLICY),
        (classified("pii", "pci.sad"), POLICY),
        (classified("unheard-of"), POLICY),
        (classified("pii"), None),
    ):
        with pytest.raises(SourceError, match=r"no copy may be kept of \"code\""):
            refuse_unfit(contract, policy)


def test_retention_that_no_column_dates_is_not_mirrored() -> None:
    with pytest.raises(SourceError, match="no column dates them"):
        refuse_unfit(classified().model_copy(update={"retention": Retention("1 year", 365 * 86_400.0, None)}), None)


def test_a_product_without_rest_port_is_not_mirrored() -> None:
    for output in (OutputPort(type="iceberg-table", catalog="a.b"), OutputPort(type="rest-api", path="/things", level=1)):
        with pytest.raises(SourceError, match="no output port of type rest-api and level 0"):
            refuse_unfit(classified().model_copy(update={"output_ports": (output,)}), None)
