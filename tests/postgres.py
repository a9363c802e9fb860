"""A real PostgreSQL server of a test's own, from Debian's package: its own folder, its own port, gone with the test."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import needs

__all__ = ["Server", "running_postgres"]

_OPTIONS = ("fsync=off", "max_connections=40", "shared_buffers=16MB", "listen_addresses=127.0.0.1", "unix_socket_directories=")


class Server:
    """One cluster; it can be stopped as an accident would, and started again."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder = folder
        self._programs = programs
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        # The server refuses to run as root.
        self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://mesh@127.0.0.1:{self._port}/postgres"

    def initialise(self) -> None:
        if self._as:
            shutil.chown(self._folder, "postgres", "postgres")
        made = [
            *self._as,
            str(self._programs / "initdb"),
            "-D",
            str(self._folder / "data"),
            "-U",
            "mesh",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "-N",
        ]
        subprocess.run(made, check=True, capture_output=True, timeout=120, cwd=self._folder, env=self._environment())

    def start(self) -> None:
        options = [part for option in (*_OPTIONS, f"port={self._port}") for part in ("-c", option)]
        command = [*self._as, str(self._programs / "postgres"), "-D", str(self._folder / "data"), *options]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder, env=self._environment())
        until_s = time.monotonic() + 60
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        while subprocess.run(ready, check=False, timeout=30).returncode:
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < until_s
            time.sleep(0.05)

    def kill(self) -> None:
        """Stop it as an accident would: what it had not finished is undone when it starts again."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=60)
            self._process = None

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}


@contextmanager
def running_postgres(folder: Path) -> Iterator[Server]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        needs("postgres", what_for="a real PostgreSQL server (Debian: postgresql)")
    # Folders of tests are their owner's alone; the server's user has to come by.
    for parent in (folder, *folder.parents):
        if os.geteuid() == 0 and len(parent.parts) > 2:
            parent.chmod(parent.stat().st_mode | 0o011)
    server = Server(folder, found[-1].parent)
    server.initialise()
    server.start()
    try:
        yield server
    finally:
        server.stop()
