"""What one request may spend: time until its deadline, rows scanned, keys looked up, bytes taken in."""

from __future__ import annotations

import asyncio
import sys
from copy import copy
from dataclasses import dataclass, replace

from domain_adapters.port import Call
from gateway.errors import GatewayError

__all__ = ["Bounds", "Budget"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The settings behind every budget. ``upstream_timeout_s``: for one read; ``body_max_bytes``: of one page, unpacked.

    ``stream_rows_max``: of a list that is streamed, read as well as answered.
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


# Of the time for a request, what is left for shaping and sending when reads have used up theirs.
_RESERVE_SHARE = 0.1
_RESERVE_MAX_S = 0.5
_MOMENT_S = 0.02


class Budget:
    """One request's. ``deadline_s`` is event-loop time; reads end a little before it, so that the rest is delivered in time."""

    __slots__ = ("_bytes_left", "bounds", "calls", "deadline_s", "headers", "rows")

    def __init__(self, bounds: Bounds, deadline_s: float, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.bounds = bounds
        self.deadline_s = deadline_s - min(_RESERVE_MAX_S, _RESERVE_SHARE * max(0.0, deadline_s - asyncio.get_running_loop().time()))
        self.headers = headers
        self.calls = 0
        self.rows = 0
        """Rows and groups read so far."""
        self._bytes_left = bounds.request_bytes_max

    def streamed(self) -> Budget:
        """Give the same time for a list that is streamed: rows up to ``stream_rows_max``, and bytes bounded page by page alone."""
        found = copy(self)
        found.bounds = replace(self.bounds, scan_rows_max=self.bounds.stream_rows_max)
        found._bytes_left = sys.maxsize
        return found

    def call(self) -> Call:
        """Frame the next upstream call. Raises: DEADLINE_EXCEEDED when there is no time left for it."""
        left_s = self.deadline_s - asyncio.get_running_loop().time()
        if left_s <= 0:
            raise GatewayError("DEADLINE_EXCEEDED", "The time for this request is over.")
        self.calls += 1
        return Call(min(left_s, self.bounds.upstream_timeout_s), min(self.bounds.body_max_bytes, self._bytes_left), self.headers)

    def is_over(self) -> bool:
        """Whether reads have no time left."""
        return asyncio.get_running_loop().time() >= self.deadline_s - _MOMENT_S

    def spend(self, body: bytes) -> bytes:
        """Count a page's bytes. Raises: LIMIT_EXCEEDED when a request takes in more than it may."""
        self._bytes_left -= len(body)
        if self._bytes_left < 0:
            raise GatewayError("LIMIT_EXCEEDED", "The products asked for answered more bytes than one request may take in.")
        return body
