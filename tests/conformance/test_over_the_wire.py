"""The served app, asked through our own client: both levels, and levels with holes."""

from __future__ import annotations

from domain_adapters.conformance import Outcome, Verdict, judge, report, sample_contract, sample_rows
from domain_adapters.port import Capabilities
from domain_adapters.serve import app
from domain_adapters.sources import Rows
from domain_adapters.sql import open_sql
from tests.conformance.serving import remote, serving

CONTRACT = sample_contract()


async def judged(*, levels: frozenset[int], capabilities: Capabilities | None = None, every: int) -> list[Verdict]:
    port = await open_sql(CONTRACT, Rows(sample_rows()), capabilities=capabilities)
    async with serving(app(CONTRACT, port, levels=levels)) as url:
        verdicts = await judge(CONTRACT, lambda: remote(CONTRACT, url), rows=sample_rows(), every=every)
    assert not [verdict for verdict in verdicts if verdict.outcome is Outcome.WRONG], report(verdicts)
    return verdicts


async def test_level_1_keeps_every_promise() -> None:
    verdicts = await judged(levels=frozenset({0, 1}), every=5)
    assert {verdict.outcome for verdict in verdicts if verdict.capability != "cursor"} == {Outcome.RIGHT}


async def test_level_1_alone_is_enough_for_our_client() -> None:
    await judged(levels=frozenset({1}), every=40)


async def test_level_0_pages_filters_by_since_and_refuses_the_rest() -> None:
    verdicts = await judged(levels=frozenset({0}), every=1)
    right = {verdict.capability for verdict in verdicts if verdict.outcome is Outcome.RIGHT}
    # The one tree it answers is the empty one, which asks for nothing.
    assert right == {"paging", "select", "since", "stats", "boolean"}


async def test_level_1_with_holes_refuses_what_it_lacks() -> None:
    verdicts = await judged(levels=frozenset({0, 1}), capabilities=Capabilities(level=1, select=True, count=True), every=3)
    refused = {verdict.capability for verdict in verdicts if verdict.outcome is Outcome.REFUSED}
    assert {"orderBy", "keys", "groupBy", "operator eq", "boolean"} <= refused


async def test_a_team_can_judge_an_endpoint_without_saying_what_it_holds() -> None:
    port = await open_sql(CONTRACT, Rows(sample_rows()))
    async with serving(app(CONTRACT, port)) as url:
        verdicts = await judge(CONTRACT, lambda: remote(CONTRACT, url), every=25)
    assert not [verdict for verdict in verdicts if verdict.outcome is Outcome.WRONG], report(verdicts)
    assert "paging: 1 right" in report(verdicts)
