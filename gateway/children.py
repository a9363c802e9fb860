"""Child processes in groups of their own: started on a leash, their output passed on, stopped without leftovers.

Touches processes and pipes only. A child that is told to stop and does not is killed, with all of its group.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

__all__ = ["Child", "Program", "Say", "start"]

Say = Callable[[str], None]

_POLL_S = 0.1
_LINE_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and the address that answers 200 once it is ready."""

    name: str
    command: tuple[str, ...]
    ready_url: str


async def start(program: Program, environment: Mapping[str, str], say: Say) -> Child:
    """Start a program in a process group of its own, tied to this process; ``say`` gets its output line by line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway.leash",
        str(os.getpid()),
        *program.command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(environment),
        start_new_session=True,
        limit=_LINE_MAX_BYTES,
    )
    return Child(program, process, say)


class Child:
    """A started program."""

    def __init__(self, program: Program, process: asyncio.subprocess.Process, say: Say) -> None:
        self.program = program
        self._process = process
        self._say = say
        self._printing = asyncio.get_running_loop().create_task(self._print())

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        return self._process.returncode

    async def ended(self) -> Child:
        """Wait until the program has ended and all it said was passed on."""
        await self._process.wait()
        # Somebody else may hold the other end of the pipe; what they say is not waited for.
        await asyncio.wait((self._printing,), timeout=1.0)
        return self

    async def ready(self) -> bool:
        """Wait until the program answers; False when it ended before."""
        async with httpx.AsyncClient(trust_env=False, timeout=2.0) as client:
            while self.status is None:
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(self.program.ready_url)).status_code == 200:
                        return True
                await asyncio.sleep(_POLL_S)
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group, which may outlive its first process."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def stop(self, grace_s: float) -> None:
        """Ask to end, wait, then kill what is left of the group."""
        if self.status is None:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._process.wait()
        self.signal(signal.SIGKILL)
        await self.ended()
        self._printing.cancel()
        await asyncio.gather(self._printing, return_exceptions=True)

    async def _print(self) -> None:
        output = self._process.stdout
        while output is not None:
            try:
                line = await output.readline()
            except ValueError:  # longer than anybody would read; the reader has dropped it
                continue
            if not line:
                return
            self._say(f"[{self.program.name}] {line.decode(errors='replace').rstrip()}")
