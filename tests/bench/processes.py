"""Processes under measurement: started on one core, watched by the CPU time they take, ended by their own id."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Process", "ahead", "cores", "pinned"]

_ROOT = Path(__file__).parents[2]
_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def cores() -> tuple[int | None, int | None]:
    """Choose the gateway's core and that of load and upstream; None where processes cannot be pinned."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else (None, None)


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Keep this thread, and the processes that it starts meanwhile for ever, to one core."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def ahead(wanted: bool = True) -> Iterator[bool]:
    """Run this thread, and the processes that it starts meanwhile for ever, before everybody else's; say whether that is allowed."""
    before = os.sched_getscheduler(0) if hasattr(os, "sched_setscheduler") else None
    if not wanted or before is None:
        yield False
        return
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, before, os.sched_param(0))


class Process:
    """One server. ``log``: where it says what is wrong."""

    def __init__(self, command: Sequence[str], *, core: int | None, log: Path, environment: Mapping[str, str] | None = None) -> None:
        # What measures coverage or sets up another gateway must not reach the measured one.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "COV_", "MESHGATE_"))}
        self._log = log
        with log.open("wb") as file, pinned(core):
            self._child = subprocess.Popen(
                list(command),
                cwd=_ROOT,
                env=kept | dict(environment or {}),
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._child.terminate()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._child.pid

    def check(self) -> None:
        """Raise RuntimeError, with the end of the log, if the process has ended."""
        if self._child.poll() is not None:
            raise RuntimeError(f"{self._log.stem} ended with {self._child.returncode}:\n{self._log.read_text()[-2_000:]}")

    def cpu_s(self) -> float:
        """CPU time of all its threads so far; NaN where the system does not tell."""
        if sys.platform != "linux":
            return float("nan")
        user, system = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / _TICKS_PER_S

    def memory_mib(self) -> float:
        """Resident memory; NaN where the system does not tell."""
        if sys.platform != "linux":
            return float("nan")
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def wait_until(ready: object, process: Process, *, within_s: float = 30.0) -> None:
    """Wait until ``ready()`` is true. Raises: RuntimeError."""
    assert callable(ready)
    until_s = time.monotonic() + within_s
    while True:
        process.check()
        with contextlib.suppress(OSError, ValueError, IndexError):
            if ready():
                return
        if time.monotonic() > until_s:
            raise RuntimeError("a server did not become ready in time")
        time.sleep(0.05)
