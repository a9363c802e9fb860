"""Logs: events as JSON lines, through the standard library's logging.

A line holds codes, ids, names of products, counts and times. Texts of operations, variables, tokens, subjects, cells and the
messages of exceptions never get in: what an exception quotes may be a value, so its type and frames are written instead.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

__all__ = ["LOGGER", "JsonLines", "Pseudonym", "configure", "event", "fault"]

LOGGER = logging.getLogger("meshgate")
_FRAMES_MAX = 30
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Pseudonym:
    """Turns subjects into names that are the same for the same subject, and tell nothing without the key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, subject: str) -> str:
        """Name a subject. Shapes: 16 hexadecimal digits."""
        return hashlib.blake2b(subject.encode("utf-8", "surrogatepass"), key=self._key, digest_size=8).hexdigest()


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON; of exceptions only the types and where they passed."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record. A record of another library keeps its template without the arguments, which may be values."""
        own = record.name == LOGGER.name
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": str(record.msg),
        }
        if not own:
            line["logger"] = record.name
        line.update(getattr(record, "fields", {}))
        if record.exc_info is not None and record.exc_info[1] is not None:
            line["exception"] = _described(record.exc_info[1])
        return _encode(line).decode()


def configure(level: str, stream: TextIO | None = None) -> logging.Handler:
    """Write everything from ``level`` up to ``stream`` (stderr when None); other libraries from warnings up."""
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    LOGGER.setLevel(level.upper())
    return handler


def event(name: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Write one event. INVARIANT: ``fields`` hold nothing that a ruling could hide."""
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, name, extra={"fields": fields})


def fault(name: str, error: BaseException, **fields: Any) -> None:
    """Write an error of ours: its type and frames, not its message."""
    LOGGER.error(name, exc_info=(type(error), error, error.__traceback__), extra={"fields": fields})


def _described(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_MAX:]
    found: dict[str, Any] = {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "frames": [f"{frame.filename}:{frame.lineno}:{frame.name}" for frame in frames],
    }
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        found["cause"] = f"{type(cause).__module__}.{type(cause).__qualname__}"
    return found
