"""The judge itself: ports that cheat in one way each are found out, and only for that."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from msgspec import structs

from contracts.fields import Field, Kind, Scalar, Unit
from contracts.model import Contract, Times
from contracts.predicates import TRUE
from domain_adapters.conformance import Outcome, judge, report, sample_contract, sample_rows
from domain_adapters.errors import PortBrokenPromiseError, PortCannotError, PortRefusedError, PortUnavailableError
from domain_adapters.port import Call, Capabilities, Nulls, Read
from domain_adapters.sources import Rows
from domain_adapters.sql import SqlPort, capabilities_for, open_sql

CONTRACT = sample_contract()
Page = dict[str, Any]


class Cheat:
    """The SQL port behind something that changes reads on the way in or pages on the way out."""

    def __init__(self, port: SqlPort, change: Callable[[Read], Read], spoil: Callable[[Page, Read], Page]) -> None:
        self._port = port
        self._change = change
        self._spoil = spoil
        self.claimed: Capabilities | None = None

    @property
    def name(self) -> str:
        return self._port.name

    @property
    def capabilities(self) -> Capabilities:
        return self.claimed or self._port.capabilities

    @property
    def spelling(self) -> dict[str, str]:
        return self._port.spelling

    async def read(self, read: Read, call: Call) -> bytes:
        page = msgspec.json.decode(await self._port.read(self._change(read), call))
        return msgspec.json.encode(self._spoil(page, read))

    async def slo(self, call: Call) -> bytes:
        return await self._port.slo(call)

    async def aclose(self) -> None:
        await self._port.aclose()


def same(read: Read) -> Read:
    return read


def whole(page: Page, _: Read) -> Page:
    return page


def counts_everything(page: Page, _: Read) -> Page:
    return {**page, "count": page["metadata"]["totalRecords"]} if "count" in page else page


def repeats_its_last_row(page: Page, _: Read) -> Page:
    return {**page, "data": page["data"] + page["data"][-1:]} if page["nextCursor"] else page


def stops_early(page: Page, _: Read) -> Page:
    return {**page, "nextCursor": None}


def repeats_its_cursor(page: Page, _: Read) -> Page:
    return {**page, "nextCursor": page["nextCursor"] and "again"}


def adds_a_column(page: Page, read: Read) -> Page:
    return {**page, "data": [{**row, "card_number": "4111"} for row in page["data"]]} if read.select else page


def writes_numbers(page: Page, _: Read) -> Page:
    return {**page, "data": [{**row, "number": str(row["number"])} if "number" in row else row for row in page["data"]]}


def rounds_sums(page: Page, _: Read) -> Page:
    for group in page.get("groups", ()):
        group["values"] = {
            name: value[:-1] if isinstance(value, str) and "sum" in name else value for name, value in group["values"].items()
        }
    return page


def without(member: str) -> Callable[[Page, Read], Page]:
    """Leave a member out of every group."""
    return lambda page, _: {
        **page,
        "groups": [{name: part for name, part in group.items() if name != member} for group in page.get("groups", ())],
    }


def forgets_a_total(page: Page, _: Read) -> Page:
    return {**page, "groups": [{**group, "values": {}} for group in page.get("groups", ())]}


def drops_the_last_group(page: Page, _: Read) -> Page:
    return {**page, "groups": page["groups"][:-1]} if page.get("groups") and page["nextCursor"] is None else page


def turns_groups_round(page: Page, _: Read) -> Page:
    return {**page, "groups": page["groups"][::-1]} if "groups" in page else page


CHEATS: dict[str, tuple[str, Callable[[Read], Read], Callable[[Page, Read], Page]]] = {
    "counts rows that the filter drops": ("count", same, counts_everything),
    "ignores the filter": ("operator eq", lambda read: structs.replace(read, where=None), whole),
    "ignores the filter of groups": ("groupBy", lambda read: structs.replace(read, where=TRUE) if read.group_by else read, whole),
    "ignores having": ("having", lambda read: structs.replace(read, having=None), whole),
    "ignores since": ("since", lambda read: structs.replace(read, since=None), whole),
    "takes since as exclusive": (
        "since",
        lambda read: (
            read
            if read.since is None
            else structs.replace(read, since=str(dt.datetime.fromisoformat(read.since) + dt.timedelta(seconds=1)))
        ),
        whole,
    ),
    "ignores the keys": ("keys", lambda read: structs.replace(read, keys=None, limit_per_key=None), whole),
    "ignores the limit per key": ("limitPerKey", lambda read: structs.replace(read, limit_per_key=None), whole),
    "sorts nulls the other way": (
        "orderBy",
        lambda read: structs.replace(read, order_by=tuple(replace(term, nulls=Nulls.FIRST) for term in read.order_by)),
        whole,
    ),
    "ignores the order": ("orderBy", lambda read: structs.replace(read, order_by=()), whole),
    "ignores the time zone": (
        "truncation day",
        lambda read: structs.replace(read, group_by=tuple(replace(item, time_zone=None) for item in read.group_by)),
        whole,
    ),
    "repeats a row": ("paging", same, repeats_its_last_row),
    "stops early": ("paging", same, stops_early),
    "repeats a cursor": ("paging", lambda read: structs.replace(read, cursor=None), repeats_its_cursor),
    "adds a column that was not selected": ("select", same, adds_a_column),
    "writes numbers as text": ("paging", same, writes_numbers),
    "loses digits of a sum": ("aggregate sum", same, rounds_sums),
    "answers no object": ("paging", same, lambda page, _: [page]),  # type: ignore[dict-item,return-value]  # what the judge must not be told
    "answers rows that are no objects": ("paging", same, lambda page, _: {**page, "data": [1]}),
    "answers longer pages": ("paging", lambda read: structs.replace(read, limit=None), whole),
    "changes a value": ("paging", same, lambda page, _: {**page, "data": [{**row, "label": "x"} for row in page["data"]]}),
    "gives one key only": (
        "limitPerKey",
        lambda read: read if read.keys is None else structs.replace(read, keys=replace(read.keys, values=read.keys.values[:1])),
        whole,
    ),
    "answers groups without keys": ("groupBy", same, without("key")),
    "answers groups without totals": ("groupBy", same, forgets_a_total),
    "loses a group": ("groupBy", same, drops_the_last_group),
    "orders groups as it likes": ("groupBy", same, turns_groups_round),
    "answers without data": ("paging", same, lambda page, _: {"groups": page}),
    "takes any cursor": ("cursor", lambda read: structs.replace(read, cursor=None), whole),
}


@pytest.mark.parametrize("name", CHEATS)
async def test_a_port_that_cheats_is_found_out(name: str) -> None:
    capability, change, spoil = CHEATS[name]

    async def cheat() -> Cheat:
        return Cheat(await open_sql(CONTRACT, Rows(sample_rows()[:40])), change, spoil)

    verdicts = await judge(CONTRACT, cheat, rows=sample_rows()[:40], every=2, only=frozenset({capability}))
    wrong = {verdict.capability for verdict in verdicts if verdict.outcome is Outcome.WRONG}
    assert capability in wrong
    assert "WRONG" in report(verdicts)


async def test_a_port_that_does_what_it_says_it_cannot_is_found_out() -> None:
    async def modest() -> Cheat:
        port = Cheat(await open_sql(CONTRACT, Rows(sample_rows()[:20])), same, whole)
        port.claimed = replace(capabilities_for(CONTRACT), order_by=False)
        return port

    verdicts = await judge(CONTRACT, modest, rows=sample_rows()[:20], every=9, only=frozenset({"orderBy"}))
    assert {verdict.detail for verdict in verdicts if verdict.capability == "orderBy"} == {"answered without the capability orderBy"}


@pytest.mark.parametrize(
    ("type_", "cells"),
    [
        (Scalar(Kind.DATE), [dt.date(2026, 1, day) for day in range(1, 9)]),
        (Scalar(Kind.LOCAL_DATETIME), [dt.datetime(2026, 1, day, 1) for day in range(1, 9)]),
        (Scalar(Kind.INSTANT, unit=Unit.NANOS), [f"2026-01-0{day}T00:00:00.999999999Z" for day in range(1, 9)]),
    ],
)
@pytest.mark.parametrize("required", [True, False])
async def test_products_of_few_columns_are_judged_too(type_: Scalar, cells: list[Any], required: bool) -> None:
    contract = CONTRACT.model_copy(
        update={
            "fields": (Field("when", type_), Field("note", Scalar(Kind.JSON))),
            "primary_key": ("when",) if required else (),
            "times": Times(updated="when") if required else Times(),
        }
    )
    rows = [{"when": cell, "note": {"n": [1.5, None]}} for cell in cells]
    contract = Contract(**{name: getattr(contract, name) for name in Contract.model_fields})
    verdicts = await judge(contract, lambda: open_sql(contract, Rows(rows)), rows=rows, every=2)
    assert not [verdict for verdict in verdicts if verdict.outcome is Outcome.WRONG], report(verdicts)
    assert ("since" in {verdict.capability for verdict in verdicts}) is required


async def test_a_product_without_rows_is_judged_too() -> None:
    verdicts = await judge(CONTRACT, lambda: open_sql(CONTRACT, Rows([])), every=4)
    assert not [verdict for verdict in verdicts if verdict.outcome is Outcome.WRONG], report(verdicts)


class Failing(Cheat):
    """Raises instead of answering."""

    failure: Exception = PortRefusedError("no", reason="no")

    async def read(self, read: Read, call: Call) -> bytes:
        if isinstance(self.failure, ValueError):
            return b"<html>"
        raise self.failure

    async def slo(self, call: Call) -> bytes:
        if isinstance(self.failure, ValueError):
            return b"[]"
        raise self.failure


@pytest.mark.parametrize(
    ("failure", "detail"),
    [
        (PortUnavailableError("away", reason="refused"), "failed: refused"),
        (PortBrokenPromiseError("odd", reason="too_large"), "failed: too_large"),
        (PortCannotError("no", reason="paging"), "refused (paging) though it says it can"),
        (ValueError(), "the answer is not JSON"),
    ],
)
async def test_a_port_that_fails_is_wrong_and_does_not_stop_the_suite(failure: Exception, detail: str) -> None:
    async def failing() -> Failing:
        port = Failing(await open_sql(CONTRACT, Rows([])), same, whole)
        port.failure = failure
        return port

    verdicts = await judge(CONTRACT, failing, rows=sample_rows()[:10], every=50)
    assert {verdict.detail for verdict in verdicts if verdict.capability not in ("cursor", "stats")} == {detail}
    assert {verdict.outcome for verdict in verdicts if verdict.capability != "cursor"} == {Outcome.WRONG}


async def test_a_product_too_large_to_judge_is_refused() -> None:
    rows = sample_rows()
    with pytest.raises(PortCannotError):
        await judge(CONTRACT, lambda: open_sql(CONTRACT, Rows([])), rows=rows * 200)
