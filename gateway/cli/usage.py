"""``meshgate usage``: who asks for what, as the gateways that share a store counted it."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.failure import CommandError, settings_of, told

if TYPE_CHECKING:
    from gateway.observe.usage import Used

__all__ = ["add"]

_HEAD = ("CLIENT", "OPERATION", "SHAPE", "REQUESTS", "LAST DAY")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "usage",
        help="who asks for which fields",
        description="Show who asked for what, as all gateways that share the store (store.url) counted it: clients, shapes of operations "
        "and fields of products, never values.",
        epilog="example: meshgate usage --field customer/customers.birth_date    (whom would it break to drop that column?)",
    )
    parser.add_argument("--field", metavar="DOMAIN/PRODUCT.COLUMN", help="only operations that name this column or relationship")
    parser.add_argument("--product", metavar="DOMAIN/PRODUCT", help="only operations that name something of this product")
    parser.add_argument("--client", help="only this client's")
    parser.add_argument("--days", type=int, default=30, help="of so many days, today included (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="a JSON object per line, day by day, with all fields")
    parser.add_argument("--config", type=Path, help="settings file (default: $MESHGATE_CONFIG)")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    settings = settings_of(chosen.config)
    if settings.store.url is None:
        raise CommandError("usage is kept in memory only: set store.url for the gateways, and here")
    since = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=max(0, chosen.days - 1))
    found = [one for one in asyncio.run(_read(settings.store.url.get_secret_value(), since)) if _is_meant(one, chosen)]
    if chosen.json:
        for one in found:
            about = {"day": one.day.isoformat(), "client": one.client, "operation": one.operation, "shape": one.shape}
            print(json.dumps(about | {"requests": one.requests, "fields": one.fields}))
        return 0
    for line in _lines(found):
        print(line)
    return 0


async def _read(url: str, since: dt.date) -> list[Used]:
    from gateway.observe.usage_tables import PART, STEPS, read_usage
    from gateway.store.errors import StoreError
    from gateway.store.migrations import migrate
    from gateway.store.opening import open_store

    with told(StoreError, ValueError):
        store = open_store(url)
        try:
            await migrate(store, PART, STEPS)
            return await read_usage(store, since)
        finally:
            await store.aclose()


def _is_meant(one: Used, chosen: argparse.Namespace) -> bool:
    if chosen.client is not None and one.client != chosen.client:
        return False
    if chosen.product is not None and not any(field.rpartition(".")[0] == chosen.product for field in one.fields):
        return False
    return chosen.field is None or chosen.field in one.fields


def _lines(found: Iterable[Used]) -> Iterator[str]:
    """Write a table, a line per client and shape, those who ask most first."""
    counts: dict[tuple[str, str], tuple[int, dt.date, str]] = {}
    for one in found:
        key = (one.client, one.shape)
        requests, last, operation = counts.get(key, (0, one.day, ""))
        counts[key] = requests + one.requests, max(last, one.day), operation or one.operation or ""
    rows = [_HEAD]
    for (client, shape), (requests, last, operation) in sorted(counts.items(), key=lambda it: (-it[1][0], it[0])):
        rows.append((_shown(client), _shown(operation), shape[:12], str(requests), last.isoformat()))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _shown(name: str) -> str:
    """Make a name harmless for a terminal."""
    return "".join(char if char.isprintable() else "?" for char in name)
