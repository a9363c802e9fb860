"""Runs a command that cannot outlive its parent: ``python -m gateway.leash PARENT_PID COMMAND...``.

On Linux the kernel kills the command when the parent is gone, however it went; elsewhere the command simply runs. Exists because
a supervisor that is killed outright can clean up nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Tie this process to its parent and become the command. Raises: SystemExit with 127 if there is no such command."""
    parent, command = int(argv[0]), argv[1:]
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    # The parent may have gone before the tie was made.
    if os.getppid() != parent:
        sys.exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command is our own supervisor's
    except OSError:
        sys.stderr.write(f"{command[0]} cannot be started\n")
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
