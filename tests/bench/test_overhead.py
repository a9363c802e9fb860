"""What is added to the upstreams' time stays small, and the generator counts from when an answer was due.

`python -m tests.bench.overhead` is the real measurement.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.bench.arrivals import Spread, arrive
from tests.bench.overhead import GOAL_MS, measure, summary
from tests.bench.processes import ahead, cores

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
ASKED = b"GET / HTTP/1.1\r\n\r\n"


@pytest.mark.bench
@pytest.mark.skipif(None in cores(), reason="fewer than two cores that processes can be pinned to")
def test_the_gateway_adds_little_to_the_time_of_its_upstreams() -> None:
    # A fifth of what a core carries, and the best of some rounds: machines differ, neighbours come and go.
    with ahead():
        found = measure(["Q1", "Q4"], rounds=2, seconds=0.7, share=0.2)
    for question in ("Q1", "Q4"):
        added = [one.added for one in found if one.question == question]
        assert min(it.p50_ms for it in added) < GOAL_MS * 1.5, summary(found)
        assert min(it.p99_ms for it in added) < GOAL_MS * 4, summary(found)


@contextmanager
def _server(answers: list[bytes], *, pause_s: float = 0.0) -> Iterator[int]:
    """Serve one connection: each request gets the next answer, the first one after a pause."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for number, answer in enumerate(answers):
                    unread = b""
                    while not unread.endswith(b"\r\n\r\n"):
                        if not (piece := connection.recv(1_000)):
                            return
                        unread += piece
                    if number == 0 and pause_s:
                        time.sleep(pause_s)  # a server that stands still is the case
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def test_a_server_that_stands_still_is_charged_with_everybody_who_was_due_meanwhile() -> None:
    with _server([ANSWER] * 20, pause_s=0.3) as port:
        found = arrive([[[(port, ASKED)]]], per_s=100, seconds=0.2, clients=1)
    assert found.exchanges == 20
    assert found.failed == 0
    assert found.spread.p50_ms > 100, "half of them were due in the first tenth of a second, and answered after three"


def test_other_statuses_are_counted_and_an_answer_may_come_in_pieces() -> None:
    refusal = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000
    with _server([ANSWER, refusal, ANSWER]) as port:
        found = arrive([[[(port, ASKED)]]], per_s=1_000, seconds=0.003, clients=1)
    assert (found.exchanges, found.failed, found.bytes) == (3, 1, 2 * len(ANSWER) + len(refusal))


def test_a_step_begins_when_all_of_the_one_before_is_answered() -> None:
    with _server([ANSWER, ANSWER]) as one, _server([ANSWER], pause_s=0.2) as other:
        found = arrive([[[(one, ASKED), (other, ASKED)], [(one, ASKED)]]], per_s=1_000, seconds=0.001, clients=1)
    assert (found.exchanges, found.failed, found.bytes) == (1, 0, 3 * len(ANSWER))
    assert found.spread.p50_ms >= 200


def test_a_connection_that_is_closed_is_no_answer() -> None:
    with _server([b""]) as port, pytest.raises(ConnectionError):
        arrive([[[(port, ASKED)]]], per_s=1_000, seconds=0.001, clients=1)


def test_percentiles_are_of_spans_that_were() -> None:
    found = Spread.of([number / 1_000 for number in range(1_000)])
    assert (found.p50_ms, found.p99_ms, found.p999_ms) == (500.0, 990.0, 999.0)
    assert found.above(Spread(1.0, 2.0, 3.0)) == Spread(499.0, 988.0, 996.0)
    assert Spread.of([0.001]) == Spread(1.0, 1.0, 1.0)
