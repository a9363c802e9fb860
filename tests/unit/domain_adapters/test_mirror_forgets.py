"""What a mirror must not keep: rows past their retention, subjects that were erased."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from contracts.fields import Field, Kind, Scalar
from contracts.model import Subject
from contracts.objectives import Retention
from tests.unit.domain_adapters.origin import Clock, Origin, ago, held, mirror_of
from tests.unit.domain_adapters.products import product


@pytest.mark.parametrize("kind", [Kind.INSTANT, Kind.DATE, Kind.LOCAL_DATETIME])
async def test_rows_past_their_retention_or_without_a_date_are_not_kept(tmp_path: Path, kind: Kind) -> None:
    contract = product(Field("on", Scalar(kind)), Field("updated", Scalar(Kind.INSTANT)), updated="updated").model_copy(
        update={"retention": Retention("30 days", 30 * 86_400.0, "on")}
    )
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)

    def on(**by: float) -> str:
        clock = (now - dt.timedelta(**by)).replace(tzinfo=None)
        return clock.date().isoformat() if kind is Kind.DATE else clock.isoformat() + ("Z" if kind is Kind.INSTANT else "")

    clock = Clock(now)
    origin = Origin([{"id": 1, "on": on(days=1)}, {"id": 2, "on": on(days=28)}, {"id": 3, "on": on(days=32)}, {"id": 4}])
    async with mirror_of(origin, contract, tmp_path, clock=clock) as port:
        await port.refresher.refresh()
        assert set(await held(port)) == {1, 2}
        clock.pass_by(days=4)
        await port.refresher.forget()
        assert set(await held(port)) == {1}


async def test_a_row_passes_its_retention_between_looks(tmp_path: Path) -> None:
    contract = product(Field("on", Scalar(Kind.INSTANT)), Field("updated", Scalar(Kind.INSTANT)), updated="updated").model_copy(
        update={"retention": Retention("2 s", 2.0, "on")}
    )
    now = dt.datetime.now(dt.UTC)
    origin = Origin(
        [{"id": 1, "on": (now + dt.timedelta(days=1)).isoformat()}, {"id": 2, "on": (now - dt.timedelta(seconds=9)).isoformat()}]
    )
    # By the mirror's own clock the second row is young; what is served is decided by the time of the read.
    async with mirror_of(origin, contract, tmp_path, clock=Clock(now - dt.timedelta(minutes=1))) as port:
        await port.refresher.refresh()
        assert set(await held(port)) == {1}


async def test_a_copy_found_on_disk_serves_nothing_past_its_retention(tmp_path: Path) -> None:
    contract = product(Field("on", Scalar(Kind.INSTANT)), Field("updated", Scalar(Kind.INSTANT)), updated="updated").model_copy(
        update={"retention": Retention("30 days", 30 * 86_400.0, "on")}
    )
    now = dt.datetime.now(dt.UTC)
    origin, clock = Origin([{"id": number, "on": now.isoformat(), "updated": now.isoformat()} for number in (1, 2)]), Clock(now)
    async with mirror_of(origin, contract, tmp_path, clock=clock) as port:
        await port.refresher.refresh()
        assert port.standing.facts.rows == 2
        # Same origin, same folder, another process later: nothing is asked of the origin for it.
        await port.refresher.aclose()
        clock.pass_by(days=31)
    asked = len(origin.asked)
    async with mirror_of(origin, contract, tmp_path, clock=clock) as port:
        assert port.standing.facts.rows == 0
        assert len(origin.asked) == asked


async def test_erased_subjects_are_taken_out_at_once_and_kept_out(tmp_path: Path) -> None:
    contract = product(Field("person", Scalar(Kind.LONG)), Field("updated", Scalar(Kind.INSTANT)), updated="updated").model_copy(
        update={"subject": Subject(column="person", of="test/people")}
    )
    erased: list[int] = []
    origin = Origin([{"id": number, "person": number % 3, "updated": ago(hours=1)} for number in range(6)] + [{"id": 9}])
    async with mirror_of(origin, contract, tmp_path, erased=lambda: erased) as port:
        await port.refresher.refresh()
        assert set(await held(port)) == {0, 1, 2, 3, 4, 5, 9}
        erased.append(1)
        await port.refresher.forget()
        # A row that is about nobody known may be about somebody erased.
        assert set(await held(port)) == {0, 2, 3, 5}
        origin.rows.append({"id": 7, "person": 1, "updated": ago(minutes=1)})
        await port.refresher.refresh(everything=False)
        await port.refresher.refresh(everything=True)
        assert set(await held(port)) == {0, 2, 3, 5}


# -- cursors and readers ----------------------------------------------------------------------------------------------------
