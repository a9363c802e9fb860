"""Three products of three domains, small enough to read, and the same rows in one DuckDB."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from random import Random
from typing import Any

import duckdb

from contracts.fields import Enumeration, Field, Kind, Scalar
from contracts.model import Access, Contract, Grant, Metadata, Relationship, Times
from contracts.objectives import Objectives
from contracts.policy import MeshPolicy
from domain_adapters.sources import Live, Rows
from domain_adapters.sql import open_sql
from gateway.caller import Caller
from gateway.catalog.snapshot import snapshot_of

from .plain_port import PlainPort
from .running import Asked, engine_of
from .worlds import NOW, World

__all__ = ["ALL", "ANALYST", "LEVELS", "database", "opened", "shop", "shop_engine"]

ANALYST = Caller("someone", frozenset({"analyst"}))
_TEXT, _INT = Scalar(Kind.STRING), Scalar(Kind.INT)
_MONEY = Scalar(Kind.DECIMAL, 10, 2)
_AT = Scalar(Kind.INSTANT)
_STATUS = Enumeration("Status", ("PLACED", "PAID", "SHIPPED"))


def _contract(domain: str, name: str, fields: dict[str, Any], key: tuple[str, ...], *links: Relationship) -> Contract:
    return Contract(
        metadata=Metadata(name=name, domain=domain, owner=f"{domain}@example.com", version="1.0.0"),
        fields=tuple(Field(column, type_) for column, type_ in fields.items()),
        objectives=Objectives(),
        primary_key=key,
        times=Times(updated="updated_at"),
        access=Access(grants=(Grant(role="analyst", fields=("*",)),)),
        relationships=links,
        revision=name,
    )


def shop() -> World:
    """Make the shop's world."""
    random = Random(7)
    contracts = [
        _contract(
            "order",
            "orders",
            {"order_id": _TEXT, "customer_id": _TEXT, "status": _STATUS, "total": _MONEY, "day": Scalar(Kind.DATE), "updated_at": _AT},
            ("order_id",),
            Relationship(name="customer", to="customer/customers", on=(("customer_id", "customer_id"),), inverse="orders"),
        ),
        _contract(
            "payment",
            "payments",
            {"order_id": _TEXT, "number": _INT, "amount": _MONEY, "method": _TEXT, "updated_at": _AT},
            ("order_id", "number"),
            Relationship(name="order", to="order/orders", on=(("order_id", "order_id"),), inverse="payments"),
        ),
        _contract(
            "customer",
            "customers",
            {"customer_id": _TEXT, "name": _TEXT, "country": _TEXT, "friend_id": _TEXT, "updated_at": _AT},
            ("customer_id",),
            Relationship(name="friend", to="customer/customers", on=(("friend_id", "customer_id"),), inverse="friends"),
        ),
    ]
    rows: dict[str, list[dict[str, Any]]] = {"order/orders": [], "payment/payments": [], "customer/customers": []}
    for number in range(12):
        rows["customer/customers"].append(
            {
                "customer_id": f"C{number}",
                "name": random.choice(("Ann", "Bob", "Zoë", "日本", None)),
                "country": random.choice(("DE", "FR", "US", None)),
                "friend_id": random.choice(
                    (None, f"C{random.randrange(12)}", f"C{random.randrange(12)}", f"C{random.randrange(4)}", "C99")
                ),
                "updated_at": NOW - dt.timedelta(days=number),
            }
        )
    for number in range(60):
        order = f"O{number:02}"
        rows["order/orders"].append(
            {
                "order_id": order,
                "customer_id": random.choice((f"C{random.randrange(12)}", f"C{random.randrange(4)}", "C77", None)),
                "status": random.choice(("PLACED", "PAID", "SHIPPED", None)),
                "total": Decimal(random.randrange(8)) / 2,
                "day": dt.date(2026, 11, 1 + number % 20),
                "updated_at": NOW - dt.timedelta(hours=number),
            }
        )
        rows["payment/payments"].extend(
            {
                "order_id": order,
                "number": line,
                "amount": Decimal(random.randrange(400)) / 100,
                "method": random.choice(("CARD", "BANK", None)),
                "updated_at": NOW - dt.timedelta(hours=number, minutes=line),
            }
            for line in range(random.choice((0, 1, 1, 2, 5)))
        )
    return World("shop", contracts, MeshPolicy(roles=("analyst",)), rows, lookups={"payment/payments": frozenset({"order_id"})})


def database(world: World) -> duckdb.DuckDBPyConnection:
    """Put all rows into one database, a table per product."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    types = {_TEXT: "VARCHAR", _INT: "INTEGER", _MONEY: "DECIMAL(10,2)", _AT: "TIMESTAMPTZ", Scalar(Kind.DATE): "DATE", _STATUS: "VARCHAR"}
    for contract in world.contracts:
        table = contract.metadata.name
        connection.execute(f"CREATE TABLE {table} ({', '.join(f'{it.name} {types[it.type]}' for it in contract.fields)})")
        marks = ", ".join("?" for _ in contract.fields)
        connection.executemany(
            f"INSERT INTO {table} VALUES ({marks})", [[row[it.name] for it in contract.fields] for row in world.rows[contract.key]]
        )
    return connection


ALL = ("order/orders", "payment/payments", "customer/customers")
LEVELS = {"level 1": frozenset[str](), "payments at level 0": frozenset(ALL[1:2]), "level 0": frozenset(ALL)}
"""Which products only page."""


@asynccontextmanager
async def opened(level0: frozenset[str]) -> AsyncIterator[tuple[Asked, duckdb.DuckDBPyConnection]]:
    """Open the shop and its database, and close both."""
    world = shop()
    with database(world) as connection:
        asked = await shop_engine(world, connection, level0=level0)
        yield asked, connection
        for port in asked.ports:
            await port.aclose()


async def shop_engine(world: World, connection: duckdb.DuckDBPyConnection, *, level0: frozenset[str] = frozenset()) -> Asked:
    """Make an engine over the shop; products in ``level0`` only page, the others are read from the database itself."""
    ports: dict[str, Any] = {}
    for contract in world.contracts:
        if contract.key in level0:
            ports[contract.key] = (PlainPort(contract, world.rows[contract.key], world.lookups.get(contract.key, frozenset()), "shop"),)
        elif contract.key not in world.absent:
            source = Live(connection, contract.metadata.name) if contract.key == "order/orders" else Rows(world.rows[contract.key])
            ports[contract.key] = (await open_sql(contract, source, clock=lambda: NOW, cursors=1),)
    return engine_of(snapshot_of(world.contracts, ports), world)
