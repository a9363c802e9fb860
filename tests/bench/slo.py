"""What measuring thousands of products costs one gateway: ``python -m tests.bench.slo``.

Real ports over HTTP against an upstream in another process, real rows, the real schedule, in a time that runs faster than the wall's: what
counts is the CPU time of a minute of measuring, however long that took. And how soon an answer's stamp shows a state that changes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from contracts.fields import Field, Kind, Scalar
from contracts.model import Contract, Metadata, OutputPort, Times
from contracts.objectives import Objectives, RatioObjective, TimeObjective
from domain_adapters.addresses import AddressPolicy
from domain_adapters.endpoint import Endpoint
from domain_adapters.kinds import Surroundings, open_port
from gateway.slo.board import Board
from gateway.slo.cadence import Cadence
from gateway.slo.upkeep import Upkeep

__all__ = ["Cost", "measure"]

_COLUMNS = 10
_WATCHED_S = 3.0
_OBJECTIVES = Objectives(
    freshness=TimeObjective("< 1 hour", 3_600.0),
    completeness=RatioObjective("> 99%", 0.99),
    accuracy=RatioObjective("> 99%", 0.99),
    availability=RatioObjective("99%", 0.99),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """``core_share``: CPU seconds per second of measuring. ``late_s``: how late the stamp showed a change of state, at most."""

    products: int
    core_share: float
    calls_a_minute: float
    late_s: float
    met: int


@dataclass(frozen=True, slots=True)
class _Product:
    id: str
    contract: Contract
    ports: tuple[Any, ...]


def measure(products: int = 3_000, *, minutes: float = 1.0, speed: float = 4.0) -> Cost:
    """Measure that many products for some minutes of a time that runs ``speed`` times as fast."""
    with subprocess.Popen([sys.executable, "-m", "tests.bench.slo", "--serve"], stdout=subprocess.PIPE, text=True) as upstream:
        try:
            assert upstream.stdout is not None
            return asyncio.run(_measured(products, int(upstream.stdout.readline()), minutes, speed))
        finally:
            upstream.terminate()


async def _measured(count: int, port: int, minutes: float, speed: float) -> Cost:
    began_s, began_at = time.monotonic(), dt.datetime.now(dt.UTC)

    def time_s() -> float:
        return (time.monotonic() - began_s) * speed

    def clock() -> dt.datetime:
        return began_at + dt.timedelta(seconds=time_s())

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / speed)

    around = Surroundings(AddressPolicy(loopback=True))
    endpoint = Endpoint(f"http://127.0.0.1:{port}", level=0)
    found: dict[str, _Product] = {}
    for number in range(count):
        contract = _contract(f"p{number}")
        found[contract.key] = _Product(contract.key, contract, (open_port(contract, contract.output_ports[0], endpoint, around),))
    cadence = Cadence()
    board = Board([it.contract for it in found.values()], clock, cadence=cadence)
    # Far ahead of any that is measured: its state changes by itself while the others are measured.
    watched = _contract("watched", limit_s=speed * _WATCHED_S)
    board.replace([*(it.contract for it in found.values()), watched])
    upkeep = Upkeep(board, lambda: found, clock=clock, cadence=cadence)
    upkeep.measurer._sleep, upkeep.measurer._time_s = sleep, time_s
    running = asyncio.create_task(upkeep.run())
    try:
        await upkeep.first_round_done.wait()
        cpu_s, from_s = time.process_time(), time_s()
        late_s = await _watched(board, watched, clock, until_s=from_s + minutes * 60.0, time_s=time_s)
        spent_s, passed_s = time.process_time() - cpu_s, time_s() - from_s
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        for product in found.values():
            await product.ports[0].aclose()
    met = sum(slo.status.value == "MET" for slo in board.products())
    calls = count * (60.0 / cadence.freshness_s + 60.0 / cadence.sample_s)
    return Cost(count, spent_s / passed_s, calls, late_s, met)


async def _watched(board: Board, watched: Contract, clock: Any, *, until_s: float, time_s: Any) -> float:
    from gateway.slo.measured import ObjectiveName
    from gateway.slo.reading import Reading

    paths = ((watched.key, ("d.watched",)),)
    late_s = 0.0
    while time_s() < until_s:
        for _ in range(2):  # a breach is left after two good measurements
            now = clock()
            board.take(watched.key, [Reading(ObjectiveName.FRESHNESS, now, now + dt.timedelta(hours=1), 0.0, "slo", last_update_at=now)])
        begun_s = time.monotonic()
        for share, status in ((0.8, "AT_RISK"), (1.0, "BREACHED")):
            due_s = begun_s + share * _WATCHED_S
            await asyncio.sleep(due_s - time.monotonic())
            while board.stamp(paths)[1] not in {status, "BREACHED"}:
                await asyncio.sleep(0.005)
            late_s = max(late_s, time.monotonic() - due_s)
    return late_s


def _contract(name: str, *, limit_s: float = 0.0) -> Contract:
    fields = [Field(f"c{number}", Scalar(Kind.STRING if number % 2 else Kind.LONG), required=True) for number in range(_COLUMNS - 1)]
    fields.append(Field("updated_at", Scalar(Kind.INSTANT), required=True))
    objectives = _OBJECTIVES if not limit_s else Objectives(freshness=TimeObjective("soon", limit_s), measure_every_s=limit_s)
    return Contract(
        metadata=Metadata(name=name, domain="d", owner="o@x", version="1.0.0"),
        fields=tuple(fields),
        objectives=objectives,
        times=Times(updated="updated_at"),
        output_ports=(OutputPort(type="rest-api", path=f"/{name}", level=0),),
        revision=name,
    )


def _serve() -> None:
    at = dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
    row = {f"c{number}": "some text" if number % 2 else number for number in range(_COLUMNS - 1)} | {"updated_at": at}
    page = json.dumps({"data": [row] * 500, "nextCursor": None}).encode()
    slo = json.dumps({"freshness": {"lastUpdateAt": at}}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = slo if b"/slo " in head.partition(b"\r\n")[0] + b" " else page
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        writer.close()

    async def run() -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=4_096)
        server = await asyncio.start_server(answer, sock=listener)
        print(listener.getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(run())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=3_000)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--speed", type=float, default=4.0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        with contextlib.suppress(KeyboardInterrupt):
            _serve()
        sys.exit()
    cost = measure(chosen.products, minutes=chosen.minutes, speed=chosen.speed)
    print(f"{cost.products} products, {cost.met} of them MET, {cost.calls_a_minute:.0f} calls a minute")
    print(f"{cost.core_share:.3f} of a core; a change of state was shown {cost.late_s:.3f} s late at most")
