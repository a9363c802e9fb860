"""What can go wrong with a port, by who can do something about it.

    PortError
    ├── PortUnavailableError    retry: refused, reset, timed out, overloaded (429, 502-504), circuit open
    ├── PortRefusedError        refuse: the port cannot or will not (capability absent, 4xx)
    │   ├── PortCannotError     the capability that a read needs is absent
    │   └── ReadInvalidError    the read itself is wrong: unknown column, unfit value, absurd size, a cursor of another read
    └── PortBrokenPromiseError  broken promise: not JSON, too large, redirected, repeated cursor, wrong envelope

Messages never quote a value from an answer: they may reach a log that fewer people may read than the data.
"""

from __future__ import annotations

__all__ = [
    "NoRoomError",
    "PortBrokenPromiseError",
    "PortCannotError",
    "PortError",
    "PortRefusedError",
    "PortUnavailableError",
    "ReadInvalidError",
    "SourceError",
    "ValueMismatchError",
]


class PortError(Exception):
    """A read failed. ``reason`` is a short stable word for metrics (``timeout``, ``too_large``, ``not_json``...).

    ``retry_after_s``: how long the port itself asked to be left alone, where it did.
    """

    def __init__(self, message: str, *, reason: str, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status
        self.retry_after_s = retry_after_s


class PortUnavailableError(PortError):
    """Nobody answered in time, or the answer was to come back later."""


class NoRoomError(PortError):
    """The bytes that all ports together may hold in this process are used up. It is ours, and says nothing about the port."""

    def __init__(self) -> None:
        super().__init__("there is no room for more bytes in this process", reason="no_room")


class PortRefusedError(PortError):
    """The port understood and said no."""


class PortCannotError(PortRefusedError):
    """The read needs a capability that this port does not have."""


class ReadInvalidError(PortRefusedError):
    """The read itself is wrong; asking again will not help. Names what is wrong, never a value."""

    def __init__(self, message: str, *, reason: str = "invalid_read", status: int | None = 400) -> None:
        super().__init__(message, reason=reason, status=status)


class PortBrokenPromiseError(PortError):
    """The port answered something that the protocol does not allow."""


class ValueMismatchError(ValueError):
    """A value does not fit its type; the message names the type, never the value. No `PortError`: the reader decides what it costs."""

    @classmethod
    def of(cls, expected: str) -> ValueMismatchError:
        """Say what was expected."""
        return cls(f"expected {expected}")


class SourceError(ValueError):
    """A source cannot serve the contract: a column is missing or of another type, a row does not fit. Found when a port is opened."""
