"""A file of this process's own making, believed only with its seal: whoever lacks the key can neither change nor make one.

Written beside itself, flushed, then moved into place, so that whoever reads finds the last one or this one, whole, whatever is killed
meanwhile. Readable by its owner only. Touches that one file and its folder.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["SealError", "SealedFile"]

_HEAD = b"meshgate sealed 1\n"
_SEAL_BYTES = 32
_LEFT_OVER_S = 3_600.0


class SealError(Exception):
    """There is a file and it is not believed; the message says why, and nothing of what it holds."""


class SealedFile:
    """The file at ``path``, sealed with ``key``. Units: ``max_bytes``, above which nothing is read or written."""

    def __init__(self, path: Path, key: bytes, *, max_bytes: int = 256 * 1024 * 1024) -> None:
        self.path = path
        self._key = key
        self._max_bytes = max_bytes

    def read(self) -> bytes | None:
        """Read the content; None where there is no file. **Raises** `SealError`, `OSError`."""
        try:
            # Neither a link to elsewhere nor a pipe that nobody writes to is followed or waited for.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SealError("is no file")
            content = file.read(self._max_bytes + 1)
        if len(content) > self._max_bytes:
            raise SealError("is too large")
        head, seal, body = content[: len(_HEAD)], content[len(_HEAD) : len(_HEAD) + _SEAL_BYTES], content[len(_HEAD) + _SEAL_BYTES :]
        if head != _HEAD:
            raise SealError("was not written here")
        if not hmac.compare_digest(seal, self._seal(body)):
            raise SealError("was changed, cut short, or sealed with another secret")
        return body

    def write(self, body: bytes) -> None:
        """Put ``body`` in the file's place. **Raises** `SealError` (too large), `OSError`."""
        if len(_HEAD) + _SEAL_BYTES + len(body) > self._max_bytes:
            raise SealError("is too large")
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".new", dir=folder)  # mode 0600
        beside = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines((_HEAD, self._seal(body), body))
                file.flush()
                os.fsync(descriptor)
                written_at_s = os.fstat(descriptor).st_mtime
            beside.replace(self.path)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise
        _flush(folder)
        self._sweep(written_at_s - _LEFT_OVER_S)

    def _seal(self, body: bytes) -> bytes:
        return hashlib.blake2b(body, key=self._key, digest_size=_SEAL_BYTES, person=b"meshgate sealed").digest()

    def _sweep(self, before_s: float) -> None:
        # What processes left half written that were killed; younger files may be of one that is at it.
        for left in self.path.parent.glob(f".{self.path.name}.*.new"):
            with suppress(OSError):
                if left.stat().st_mtime < before_s:
                    left.unlink()


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
