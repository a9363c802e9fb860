"""The demo as a user starts it: ``meshgate demo`` as a process, on free ports, with the full generated data."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from gateway.cli import main

__all__ = ["RunningDemo", "running_demo"]


@dataclass
class RunningDemo:
    """A demo that has greeted. ``lines``: what it said so far."""

    process: subprocess.Popen[str]
    ports: tuple[int, int, int, int]
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    def token(self, *arguments: str) -> str:
        """Sign a token as ``meshgate token`` does, without a process of its own."""
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            assert main(["token", *arguments]) == 0
        return told.getvalue().splitlines()[-1]

    def ask(self, query: str, token: str, variables: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        return httpx.post(
            f"{self.url}/graphql",
            json={"query": query, "variables": variables},
            headers={"authorization": f"Bearer {token}", **headers},
            timeout=30,
            trust_env=False,
        )

    def kill_domain(self, port: int) -> None:
        """Kill a domain as an accident would."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if (
                    b"--port" in words
                    and words[words.index(b"--port") + 1] == str(port).encode()
                    and any(b".domains." in it for it in words)
                ):
                    os.kill(int(entry.name), signal.SIGKILL)
        while self.listens(port):
            pass

    @staticmethod
    def listens(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def interrupt(self) -> int:
        """Press Ctrl-C and wait."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=30)


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    found = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return found


@contextmanager
def running_demo(data: Path) -> Iterator[RunningDemo]:
    """Start the demo, wait for its greeting, and stop it in the end."""
    gateway, *domains = _free_ports(4)
    command = [sys.executable, "-m", "gateway.cli", "demo", "--data", str(data), "--port", str(gateway)]
    command += ["--domain-ports", *map(str, domains)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    demo = RunningDemo(process, (gateway, *domains))  # type: ignore[arg-type]  # as many as there are domains
    greeted = threading.Event()

    def listen(stream: Any) -> None:
        for line in stream:
            demo.lines.append(line.rstrip("\n"))
            if "Ctrl-C stops all" in line:
                greeted.set()
        greeted.set()

    listener = threading.Thread(target=listen, args=(process.stdout,))
    listener.start()
    try:
        assert greeted.wait(120), "\n".join(demo.lines)
        assert process.poll() is None, "\n".join(demo.lines)
        yield demo
    finally:
        if process.poll() is None:
            demo.interrupt()
        listener.join()
        process.stdout.close()
