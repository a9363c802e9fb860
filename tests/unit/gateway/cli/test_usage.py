"""``meshgate usage``: what gateways counted, from the store that they share."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.observe.usage import Usage
from gateway.observe.usage_keeping import UsageKeeping
from gateway.store.opening import open_store

TODAY = dt.datetime.now(dt.UTC).date()


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:{tmp_path}/store.db"
    monkeypatch.setenv("MESHGATE_STORE__URL", url)

    async def write() -> None:
        usage = Usage()
        for client, shape, back, times, fields in (
            ("dashboard", "a" * 32, 0, 5, ("order/orders.total", "order/orders.customer_id")),
            ("dashboard", "a" * 32, 3, 2, ()),
            ("note\x1b[2Jbook", "b" * 32, 1, 9, ("customer/customers.phone",)),
            ("old", "c" * 32, 60, 1, ("order/orders.total",)),
        ):
            for _ in range(times):
                if not usage.note(TODAY - dt.timedelta(back), client, shape):
                    usage.describe(shape, fields, operation="Totals" if fields and client == "dashboard" else None)
        store = open_store(url)
        kept = UsageKeeping(store, usage, clock=lambda: dt.datetime.now(dt.UTC))
        await kept.aclose()
        await store.aclose()

    asyncio.run(write())
    return url


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["usage", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_clients_and_operations_are_listed_those_who_ask_most_first(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    head, *rows = said(capsys)
    assert head.split() == ["CLIENT", "OPERATION", "SHAPE", "REQUESTS", "LAST", "DAY"]
    assert [row.split() for row in rows] == [
        ["note?[2Jbook", "b" * 12, "9", str(TODAY - dt.timedelta(1))],
        ["dashboard", "Totals", "a" * 12, "7", str(TODAY)],
    ]


def test_it_tells_whom_dropping_a_column_would_break(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert [row.split()[0] for row in said(capsys, "--field", "order/orders.total", "--days", "90")[1:]] == ["dashboard", "old"]
    assert said(capsys, "--field", "order/orders.nothing")[1:] == []
    assert len(said(capsys, "--product", "customer/customers")) == 2
    assert [row.split()[0] for row in said(capsys, "--client", "dashboard")[1:]] == ["dashboard"]


def test_days_are_told_apart_as_json(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(line) for line in said(capsys, "--json", "--client", "dashboard")]
    fields = ["order/orders.customer_id", "order/orders.total"]
    about = {"client": "dashboard", "operation": "Totals", "shape": "a" * 32, "fields": fields}
    assert rows == [about | {"day": str(TODAY - dt.timedelta(3)), "requests": 2}, about | {"day": str(TODAY), "requests": 5}]


def test_without_a_store_it_says_what_to_set(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MESHGATE_STORE__URL", raising=False)
    assert main(["usage"]) == 1
    assert "set store.url" in capsys.readouterr().err


def test_a_store_that_cannot_be_read_is_told_without_its_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.db").write_text("this is no database, and long enough to be looked at as one" * 20)
    monkeypatch.setenv("MESHGATE_STORE__URL", f"sqlite:{tmp_path}/secret.db")
    assert main(["usage"]) == 1
    assert "secret" not in capsys.readouterr().err
