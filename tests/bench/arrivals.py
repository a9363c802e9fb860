"""Open-loop load: exchanges begin at a constant rate whether or not earlier ones have ended, and count from when they were *due*.

So a server that stands still for a moment is charged with everybody who would have come meanwhile (no "coordinated omission", as `wrk` and
every other closed loop has it). Raw sockets and one thread; `Arrived.late_ms` says how late the generator itself was, which is part of
every figure, as the answer to whoever was due is late by it.
"""

from __future__ import annotations

import gc
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Arrived", "Exchange", "Spread", "arrive"]

Exchange = Sequence[Sequence[tuple[int, bytes]]]
"""What one arrival asks: steps, one after the other, of requests (port, bytes) that go out at once."""

_PIECE_BYTES = 256 * 1024
_SILENT_S = 30.0


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of spans of time."""

    p50_ms: float
    p99_ms: float
    p999_ms: float

    @classmethod
    def of(cls, spans_s: Sequence[float]) -> Spread:
        """Take them, each as the first span that is at least as long as that share of all."""
        ordered = sorted(spans_s)
        return cls(*(1_000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.99, 0.999)))

    def above(self, other: Spread) -> Spread:
        """Subtract."""
        return Spread(self.p50_ms - other.p50_ms, self.p99_ms - other.p99_ms, self.p999_ms - other.p999_ms)


@dataclass(frozen=True, slots=True)
class Arrived:
    """What came back. ``bytes``: heads included; ``failed``: statuses other than 200; ``late``: how long after it was due each was sent."""

    spread: Spread
    late: Spread
    exchanges: int
    bytes: int
    failed: int


@dataclass(slots=True, eq=False)
class _Line:
    """One client: a connection to each port. ``waits_for``: answers that the step still wants."""

    connections: dict[int, socket.socket]
    due_s: float = 0.0
    exchange: Exchange = ()
    step: int = 0
    waits_for: dict[socket.socket, _Answer] = field(default_factory=dict)


@dataclass(slots=True)
class _Answer:
    left: int | None = None
    head: bytes = b""


def arrive(exchanges: Sequence[Exchange], *, per_s: float, seconds: float, clients: int = 64) -> Arrived:
    """Have exchanges begin in turn. Raises: OSError; TimeoutError when nothing is answered any more."""
    lines = [_open(exchanges) for _ in range(clients)]
    was_on = gc.isenabled()
    gc.disable()
    try:
        return _run(exchanges, deque(lines), count=max(1, round(per_s * seconds)), every_s=1.0 / per_s)
    finally:
        if was_on:
            gc.enable()
        for line in lines:
            for connection in line.connections.values():
                connection.close()


def _open(exchanges: Sequence[Exchange]) -> _Line:
    found = {}
    for port in sorted({port for exchange in exchanges for step in exchange for port, _ in step}):
        found[port] = connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _Line(found)


def _run(exchanges: Sequence[Exchange], idle: deque[_Line], *, count: int, every_s: float) -> Arrived:
    clock = time.perf_counter
    spans_s: list[float] = []
    late_s: list[float] = []
    busy: dict[socket.socket, _Line] = {}
    taken = failed = 0
    sent = 0
    began_s = clock() + 0.01
    heard_s = began_s
    while len(spans_s) < count:
        now_s = clock()
        while sent < count and idle and (due_s := began_s + sent * every_s) <= now_s:
            line = idle.popleft()
            line.due_s, line.exchange, line.step = due_s, exchanges[sent % len(exchanges)], 0
            _send(line, busy)
            sent += 1
            late_s.append((now_s := clock()) - due_s)
        # Without an idle client, whoever is due waits for one, and that counts.
        until_s = began_s + sent * every_s - now_s if sent < count and idle else 1.0
        ready, _, _ = select.select(list(busy), (), (), max(0.0, until_s))
        for connection in ready:
            line = busy[connection]
            piece = connection.recv(_PIECE_BYTES)
            heard_s = clock()
            if not piece:
                raise ConnectionError("a connection was closed instead of answered")
            taken += len(piece)
            answer = line.waits_for[connection]
            failed += _is_failure(answer, piece)
            if answer.left != 0:
                continue
            del line.waits_for[connection], busy[connection]
            if line.waits_for:
                continue
            line.step += 1
            if line.step < len(line.exchange):
                _send(line, busy)
                continue
            spans_s.append(clock() - line.due_s)
            idle.append(line)
        if busy and clock() - heard_s > _SILENT_S:
            raise TimeoutError(f"{len(busy)} requests were not answered in {_SILENT_S:.0f} s")
    return Arrived(Spread.of(spans_s), Spread.of(late_s), count, taken, failed)


def _send(line: _Line, busy: dict[socket.socket, _Line]) -> None:
    for port, request in line.exchange[line.step]:
        connection = line.connections[port]
        line.waits_for[connection] = _Answer()
        busy[connection] = line
        connection.sendall(request)


def _is_failure(answer: _Answer, piece: bytes) -> bool:
    """Take a piece in; tell whether it began an answer of another status than 200."""
    if answer.left is not None:
        answer.left -= len(piece)
        return False
    answer.head += piece
    head, end, rest = answer.head.partition(b"\r\n\r\n")
    if not end:
        return False
    at = head.lower().index(b"content-length:")
    answer.left = int(head[at + 15 :].split(b"\r\n", 1)[0]) - len(rest)
    answer.head = b""
    return not head.startswith(b"HTTP/1.1 200")
