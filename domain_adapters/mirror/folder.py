"""The folder of one copy: nobody else's to read, one process's to use. Touches the disk; refuses with `SourceError`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from domain_adapters.errors import SourceError

__all__ = ["Folder"]

_PRIVATE_FOLDER, _PRIVATE_FILE = 0o700, 0o600


class Folder:
    """``{root}/{domain}.{name}``, made if missing and locked until closed; the lock ends with the process, however it ends."""

    def __init__(self, root: Path, product: str) -> None:
        """Make and lock the folder. Raises: `SourceError` where it cannot be used or another process uses it."""
        self._path = root / product.replace("/", ".")
        try:
            self._path.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
            self._path.chmod(_PRIVATE_FOLDER)
            self._lock = os.open(self._path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
        except OSError as error:
            raise SourceError(f"the mirror's folder {self._path} cannot be used: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise SourceError(f"another process mirrors into {self._path}; give this one another folder") from None

    @property
    def database(self) -> Path:
        """The copy's file."""
        return self._path / "copy.duckdb"

    @property
    def spill(self) -> Path:
        """Where the database puts what does not fit into memory."""
        return self._path / "spill"

    @property
    def size_bytes(self) -> int:
        """What the folder holds."""
        return sum(size for _, size in self._files())

    def guard(self) -> None:
        """Keep everybody else from the files, whatever the process's mask is."""
        for path, _ in self._files():
            with contextlib.suppress(FileNotFoundError):  # the database has tidied up meanwhile
                path.chmod(_PRIVATE_FILE)

    def clear(self) -> None:
        """Throw the copy away."""
        for path in (self.database, self.database.with_name(f"{self.database.name}.wal")):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.spill, ignore_errors=True)

    def close(self) -> None:
        """Let another process have the folder."""
        os.close(self._lock)

    def _files(self) -> Iterator[tuple[Path, int]]:
        for folder, _, names in os.walk(self._path):
            for name in names:
                path = Path(folder) / name
                with contextlib.suppress(FileNotFoundError):
                    yield path, path.stat().st_size
