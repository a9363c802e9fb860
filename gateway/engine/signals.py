"""What an engine tells whoever watches it, beside its answers: metrics, logs, the audit, drift."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.engine.reading.pages import OnRead
from gateway.engine.reading.ports import OnFailover

__all__ = ["Signals"]


@dataclass(frozen=True, slots=True)
class Signals:
    """Listeners, none of which may raise or wait. What is not listened to costs nothing."""

    compiled: Callable[[float], None] = lambda _seconds: None
    """Seconds that judging or compiling an operation took."""
    executable: Callable[[bool], None] = lambda _found: None
    """Whether an operation was found ready to run."""
    read: OnRead = lambda _product, _outcome, _seconds, _port, _level: None
    """A finished upstream read."""
    failover: OnFailover = lambda _product, _port, _level: None
    """A read that another port than the one that suits best answered, because that one is away or could not after all."""
    internal: Callable[[BaseException, str], None] = lambda _error, _request_id: None
    """A fault of the gateway's own, in the request of that id."""
    dropped: Callable[[str, int], None] = lambda _product, _rows: None
    """Rows that a port sent and a row rule does not let through."""
    disclosed: Callable[[str, tuple[str, ...], str], None] = lambda _product, _columns, _request_id: None
    """Masked columns that a grant let a request filter, sort or total by."""
    cost: Callable[[float, int, int | None], None] = lambda _cost, _estimated, _read: None
    """An operation's estimated cost and rows, and the rows read (None where that is not known)."""
    drift: Callable[[str, str, list[int]], None] = lambda _product, _subject, _rows: None
    """Rows of a product, by hashed key and version, that did not keep their types, and who met them."""
