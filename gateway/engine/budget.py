"""What one request may spend: time until its deadline, rows scanned, keys looked up, bytes taken in.

What it took in counts against what all requests together may hold, until its budget is closed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace
from time import monotonic

from domain_adapters.allowance import Allowance, Share
from domain_adapters.errors import NoRoomError
from domain_adapters.port import Call
from gateway.errors import GatewayError

__all__ = ["Bounds", "Budget", "Budgets", "overloaded"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The settings behind every budget. ``upstream_timeout_s``: for one read; ``body_max_bytes``: of one page, unpacked.

    ``stream_rows_max``: of a list that is streamed, read as well as answered. ``allowance``: what all requests together may hold.
    """

    rows_default: int = 20
    rows_max: int = 1_000
    scan_rows_max: int = 200_000
    keys_max: int = 10_000
    links_max: int = 20
    link_depth_max: int = 4
    upstream_timeout_s: float = 10.0
    body_max_bytes: int = 64 * 1024 * 1024
    request_bytes_max: int = 512 * 1024 * 1024
    stream_rows_max: int = 10_000_000
    allowance: Allowance = field(default_factory=Allowance, repr=False, compare=False)


# Of the time for a request, what is left for shaping and sending when reads have used up theirs.
_RESERVE_SHARE = 0.1
_RESERVE_MAX_S = 0.5
_MOMENT_S = 0.02
_UNCOUNTED_BYTES = 256 * 1024
"""What a request takes in up to this is neither counted nor refused for what others hold."""


class Budget:
    """One request's; whoever makes it closes it.

    ``deadline_s`` is event-loop time; reads end a little before it, so that the rest is delivered in time.
    """

    __slots__ = ("_room", "_share", "_taken", "bounds", "calls", "deadline_s", "headers", "rows")

    def __init__(self, bounds: Bounds, deadline_s: float, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.bounds = bounds
        self.deadline_s = deadline_s - min(_RESERVE_MAX_S, _RESERVE_SHARE * max(0.0, deadline_s - monotonic()))
        self.headers = headers
        self.calls = 0
        self.rows = 0
        """Rows and groups read so far."""
        self._begin()

    def streamed(self) -> Budget:
        """Give the same time for a list that is streamed: rows up to ``stream_rows_max``, and bytes bounded page by page alone.

        It is closed by whoever asked for it, beside this one.
        """
        found = copy(self)
        found.bounds = replace(self.bounds, scan_rows_max=self.bounds.stream_rows_max, request_bytes_max=sys.maxsize)
        found._begin()
        return found

    def call(self) -> Call:
        """Frame the next upstream call. Raises: DEADLINE_EXCEEDED when there is no time left for it."""
        left_s = self.deadline_s - monotonic()
        if left_s <= 0:
            raise GatewayError("DEADLINE_EXCEEDED", "The time for this request is over.")
        self.calls += 1
        return Call(min(left_s, self.bounds.upstream_timeout_s), min(self.bounds.body_max_bytes, self.left_bytes), self.headers)

    def is_over(self) -> bool:
        """Whether reads have no time left."""
        return monotonic() >= self.deadline_s - _MOMENT_S

    def spend(self, body: bytes) -> bytes:
        """Count the bytes of a page, or of a part of a long answer.

        Raises: LIMIT_EXCEEDED (more than a request may take in, or answer), OVERLOADED (all together hold too much).
        """
        self._taken += len(body)
        if self._taken > self._room:
            self._make_room()
        return body

    @property
    def is_large(self) -> bool:
        """Whether it took in so much that its answer may take long to be written."""
        return self._taken > _UNCOUNTED_BYTES

    @property
    def left_bytes(self) -> int:
        """What the request may still take in."""
        return max(0, self.bounds.request_bytes_max - self._taken)

    def too_much(self) -> GatewayError:
        """Make the refusal of a request that takes in more than it may."""
        return GatewayError("LIMIT_EXCEEDED", "This takes in, or answers, more bytes than one request may.")

    def let_go(self) -> None:
        """Begin to count anew: what was taken in is no longer held."""
        self._share.close()
        self._taken, self._room = 0, min(_UNCOUNTED_BYTES, self.bounds.request_bytes_max)

    def close(self) -> None:
        """Give back all that was counted; nothing is counted any more."""
        self._share.close()
        self._room = sys.maxsize

    def _begin(self) -> None:
        self._share = Share(self.bounds.allowance, _UNCOUNTED_BYTES)
        self.let_go()

    def _make_room(self) -> None:
        if self._taken > self.bounds.request_bytes_max:
            raise self.too_much()
        try:
            self._share.reach(self._taken)
        except NoRoomError:
            raise overloaded() from None
        self._room = self._taken


class Budgets:
    """Those of a streamed answer: one for what is read before its batches, which lasts, then one for each batch."""

    __slots__ = ("_lasting", "_make", "current")

    def __init__(self, make: Callable[[], Budget]) -> None:
        self._make = make
        self.current = self._lasting = make()

    def batch(self) -> None:
        """Begin the next batch; what was read for the last one is no longer held."""
        if self.current is not self._lasting:
            self.current.close()
        self.current = self._make()

    def close(self) -> None:
        """Give back everything."""
        self.current.close()
        self._lasting.close()


def overloaded() -> GatewayError:
    """Make the refusal of a request for which there is no room at the moment; it belongs to the whole request and tells of nobody else."""
    return GatewayError("OVERLOADED", "The gateway holds as much data for requests as it may.")
