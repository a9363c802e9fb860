"""A mirror of an endpoint that only pages, judged as any port of level 1: in process and over the wire."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from domain_adapters.addresses import AddressPolicy
from domain_adapters.conformance import Outcome, Verdict, judge, report, sample_contract, sample_rows
from domain_adapters.endpoint import Endpoint
from domain_adapters.kinds import Surroundings
from domain_adapters.mirror import MirrorPort, open_mirror
from domain_adapters.serve import app
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from tests.conformance.serving import remote, serving

KEYED, UNKEYED = sample_contract(), sample_contract(keyed=False)
AROUND = Surroundings(policy=AddressPolicy(loopback=True))


async def filled(url: str, folder: Path, *, keyed: bool = True) -> MirrorPort:
    contract = KEYED if keyed else UNKEYED
    port = await open_mirror(contract, Endpoint(url), folder, policy=None, around=AROUND, clock=lambda: dt.datetime.now(dt.UTC))
    await port.refresher.refresh()
    if keyed:
        await port.refresher.refresh(everything=False)
    return port


def assert_right(verdicts: list[Verdict]) -> None:
    assert len(verdicts) > 50
    assert not [verdict for verdict in verdicts if verdict.outcome is Outcome.WRONG], report(verdicts)


async def test_a_mirror_keeps_every_promise(tmp_path: Path) -> None:
    origin = await open_sql(KEYED, Rows(sample_rows()))
    async with serving(app(KEYED, origin, levels=frozenset({0}))) as url:
        verdicts = await judge(KEYED, lambda: filled(url, tmp_path), rows=sample_rows(), every=8)
    assert_right(verdicts)
    assert {verdict.outcome for verdict in verdicts if verdict.capability != "cursor"} == {Outcome.RIGHT}


async def test_a_mirror_without_keys_pages_and_refuses_order(tmp_path: Path) -> None:
    origin = await open_sql(UNKEYED, Rows(sample_rows()))
    async with serving(app(UNKEYED, origin, levels=frozenset({0}))) as url:
        verdicts = await judge(UNKEYED, lambda: filled(url, tmp_path, keyed=False), rows=sample_rows(), every=25)
    assert_right(verdicts)
    assert {verdict.outcome for verdict in verdicts if verdict.capability == "orderBy"} == {Outcome.REFUSED}


async def test_a_mirror_keeps_every_promise_over_the_wire(tmp_path: Path) -> None:
    origin = await open_sql(KEYED, Rows(sample_rows()))
    async with serving(app(KEYED, origin, levels=frozenset({0}))) as url:
        port = await filled(url, tmp_path)
        async with serving(app(KEYED, port)) as mirror:
            verdicts = await judge(KEYED, lambda: remote(KEYED, mirror), rows=sample_rows(), every=20)
    assert_right(verdicts)
