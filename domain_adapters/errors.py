"""What can go wrong with a port, by who can do something about it.

    PortError
    ├── PortUnavailableError    retry: refused, reset, timed out, overloaded (429, 502-504), circuit open
    ├── PortRefusedError        refuse: the port cannot or will not (capability absent, 4xx)
    │   └── PortCannotError     the capability that a read needs is absent
    └── PortBrokenPromiseError  broken promise: not JSON, too large, redirected, repeated cursor, wrong envelope

Messages never quote a value from an answer: they may reach a log that fewer people may read than the data.
"""

from __future__ import annotations

__all__ = ["PortBrokenPromiseError", "PortCannotError", "PortError", "PortRefusedError", "PortUnavailableError"]


class PortError(Exception):
    """A read failed. ``reason`` is a short stable word for metrics (``timeout``, ``too_large``, ``not_json``...)."""

    def __init__(self, message: str, *, reason: str, status: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


class PortUnavailableError(PortError):
    """Nobody answered in time, or the answer was to come back later."""


class PortRefusedError(PortError):
    """The port understood and said no."""


class PortCannotError(PortRefusedError):
    """The read needs a capability that this port does not have."""


class PortBrokenPromiseError(PortError):
    """The port answered something that the protocol does not allow."""
