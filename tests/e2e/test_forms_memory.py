"""Many rows through a gateway process: its memory does not grow with them, its loop is not held, a slow reader slows the reading."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.ipc
import pytest

from tests.bench.forms import QUERY, StreamingMesh, frames, streaming_mesh

pytestmark = pytest.mark.e2e
ROWS = 200_000
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamingMesh]:
    with streaming_mesh(tmp_path_factory.mktemp("forms"), ROWS) as found:
        yield found


@pytest.mark.parametrize("accept", ["text/csv", "application/jsonl", ARROW])
def test_memory_does_not_grow_with_the_rows_and_the_loop_is_never_held_long(mesh: StreamingMesh, accept: str) -> None:
    mesh.measured(accept, QUERY.replace("10000000", "1000"))  # what is imported and compiled once
    found = mesh.measured(accept)
    assert accept == ARROW or found.rows >= ROWS
    assert found.grown_bytes < 64 * 1024 * 1024
    assert found.held_s < 0.05


def test_the_first_arrow_stream_does_not_hold_the_loop_for_its_imports(tmp_path: Path) -> None:
    with streaming_mesh(tmp_path, 10) as fresh:
        fresh.measured("application/jsonl")
        assert fresh.measured(ARROW).held_s < 0.05


def test_the_readmes_example_fills_frames(mesh: StreamingMesh) -> None:
    found = frames(mesh)
    assert len(found["pandas_frame"]) == len(found["polars_frame"]) == ROWS
    assert found["polars_frame"]["orderId"].n_unique() == ROWS
    assert set(found["pandas_frame"]["email"]) == {"p***@example.com"}


def test_groups_leave_in_every_form(mesh: StreamingMesh) -> None:
    groups = (
        "{ order { orders { byDay: groups(by: [{field: ORDERED_AT, truncate: DAY}, {path: [CUSTOMER], field: COUNTRY}], first: 1000)"
        " { key { orderedAt customer { country } } count sum { total } } } } }"
    )
    connection, response = mesh.ask("text/csv", groups)
    head, *lines = response.read().decode().splitlines()
    assert (response.headers["mesh-first"], response.headers["mesh-slo-status"]) == ("1000", "UNKNOWN")
    assert response.headers["content-disposition"] == 'attachment; filename="byDay.csv"'
    connection.close()
    assert head == "key.orderedAt,key.customer.country,count,sum.total"
    assert lines[0].startswith('2026-01-01T00:00:00Z,"DE",42')
    connection, response = mesh.ask("application/jsonl", groups)
    *rows, end = map(json.loads, response.read().splitlines())
    connection.close()
    assert end == {"end": {"rows": len(lines), "hasNextPage": False}}
    assert sum(row["count"] for row in rows) == ROWS
    connection, response = mesh.ask(ARROW, groups)
    table = pyarrow.ipc.open_stream(response).read_all()
    connection.close()
    assert [str(it) for it in table.schema.types] == ["timestamp[us, tz=UTC]", "string", "int64", "decimal128(38, 2)"]
    assert table["key.customer.country"].to_pylist() == [row["key"]["customer"]["country"] for row in rows]
    assert b"customer/customers" in table.schema.metadata[b"mesh.slo"]


def test_rows_are_those_that_were_put_in(mesh: StreamingMesh) -> None:
    connection, response = mesh.ask("application/jsonl")
    assert response.headers["mesh-masked"] == "order.orders.nodes.email:email"
    assert response.headers["mesh-first"] == "10000000"
    assert response.headers["mesh-slo-status"] == "UNKNOWN"
    for number in range(ROWS):
        row = json.loads(response.readline())
        assert row["orderId"] == number
        if number % 9_973 == 0:
            assert row["email"] == "p***@example.com"
            assert row["total"] == f"{number % 100_000 / 100:.2f}"
            known = number % 5_000 < 4_900
            assert row["customer"] == ({"country": "DE" if number % 2 == 0 else "FR"} if known else None)
    assert json.loads(response.readline()) == {"end": {"rows": ROWS, "hasNextPage": False}}
    assert response.readline() == b""
    connection.close()


def test_who_reads_slowly_is_waited_for_with_no_more_in_memory(mesh: StreamingMesh) -> None:
    before, before_reads = mesh.memory_bytes(), mesh.upstream_reads()
    connection, response = mesh.ask("application/jsonl")
    response.readline()
    reads, last = -1, -2
    while reads != last:  # until the gateway reads no more
        last, reads = reads, mesh.upstream_reads()
        time.sleep(0.5)
    assert reads - before_reads < ROWS / 1_000  # two reads, orders and customers, of a thousand rows
    assert mesh.memory_bytes() - before < 64 * 1024 * 1024
    rest = response.read()
    assert json.loads(rest.splitlines()[-1])["end"]["rows"] == ROWS
    connection.close()
