"""A circuit breaker: stops asking a port that does not answer, and lets one request at a time try whether it is back.

Pure but for the clock it is given.

    closed --failures in a row--> open --rest over--> half-open --success--> closed
                                   ^-----------failure-----|
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

from domain_adapters.errors import PortUnavailableError

__all__ = ["Breaker", "Circuit"]


class Circuit(StrEnum):
    """Whether requests pass."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """The circuit of one port. Each failed trial doubles the rest, up to ``rest_max_s``."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        failures_max: int = 5,
        rest_s: float = 1.0,
        rest_max_s: float = 30.0,
    ) -> None:
        self._clock = clock
        self._failures_max = failures_max
        self._first_rest_s = self._rest_s = rest_s
        self._rest_max_s = rest_max_s
        self._failures = 0
        self._open_until_s: float | None = None
        self._on_trial = False

    @property
    def circuit(self) -> Circuit:
        """The state as of now."""
        if self._open_until_s is None:
            return Circuit.CLOSED
        return Circuit.OPEN if self._clock() < self._open_until_s else Circuit.HALF_OPEN

    def enter(self) -> None:
        """Ask to pass. Raises: `PortUnavailableError` with reason ``circuit_open``; else one of the next three must follow."""
        if self._open_until_s is None:
            return
        if self._on_trial or self._clock() < self._open_until_s:
            raise PortUnavailableError("the endpoint failed repeatedly and is left alone for a while", reason="circuit_open")
        self._on_trial = True

    def succeeded(self) -> None:
        """Close the circuit: the endpoint answered, be it with a refusal."""
        self._failures = 0
        self._open_until_s = None
        self._on_trial = False
        self._rest_s = self._first_rest_s

    def failed(self, retry_after_s: float | None = None) -> None:
        """Count a failure; ``retry_after_s``: the endpoint asked to be left alone for so long, which makes the rest longer.

        It does not open the circuit: one request that was too much must not take the port from all others.
        """
        self._failures += 1
        if self._on_trial:
            self._rest_s = min(self._rest_s * 2, self._rest_max_s)
        elif self._failures < self._failures_max:
            return
        self._on_trial = False
        self._open_until_s = self._clock() + min(max(self._rest_s, retry_after_s or 0.0), self._rest_max_s)

    def abandoned(self) -> None:
        """Note that the request ended without telling anything about the endpoint."""
        self._on_trial = False
