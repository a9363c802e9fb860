"""``python -m tests.bench.ready [PRODUCTS]``: how long `meshgate serve` takes from its start as a process until ``/readyz`` says 200.

Imports included. Endpoints are left out of the settings: how long measuring them takes is up to them. First from YAML, then from the copy
that the first start kept. CPU time is the process's own, and holds still when others use the machine; seconds do not.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.wide import WideMesh, write

__all__ = ["Start", "Starts", "started"]

_TICKS = os.sysconf("SC_CLK_TCK")
_WAIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Start:
    """One start. ``unchanged``: contracts that were not judged again; ``copies``: files in the folder of copies when it was over."""

    wall_s: float
    cpu_s: float
    unchanged: int
    copies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Starts:
    """A gateway over one mesh, to be started again and again."""

    folder: Path
    mesh: WideMesh

    @property
    def copies(self) -> Path:
        """The folder of copies."""
        return self.folder / "copies"

    def start(self, *, until: Callable[[], bool] = lambda: True) -> Start:
        """Start the gateway, wait for ``/readyz``, then for ``until``, and stop it."""
        config = self.folder / "meshgate.toml"
        config.write_text(
            f'catalog_dir = "{self.mesh.catalog}"\npolicy_file = "{self.mesh.policy}"\nsecret = "a secret for a bench, long enough"\n'
            f'[auth]\ndemo_key = "a key for a bench, long enough for it"\n[http]\nport = 0\n[cache]\ncontracts_dir = "{self.copies}"\n'
        )
        began_s = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "serve", "--config", str(config)], stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stderr is not None
                told = {}
                while "listening" not in told:
                    line = json.loads(process.stderr.readline())
                    told[line["event"]] = line
                _wait(lambda: _is_ready(told["listening"]["port"]))
                wall_s, cpu_s = time.perf_counter() - began_s, _cpu_s(process.pid)
                _wait(until)
            finally:
                process.terminate()
                process.communicate()
        kept = tuple(it.name for it in self.copies.iterdir()) if self.copies.exists() else ()
        return Start(wall_s, cpu_s, told["contracts_read"]["unchanged"], kept)


def started(folder: Path, products: int) -> Starts:
    """Write a mesh of so many products below ``folder``, for a gateway to be started over."""
    return Starts(folder, write(folder, products))


def _wait(for_: Callable[[], bool]) -> None:
    until_s = time.monotonic() + _WAIT_S
    while not for_():
        if time.monotonic() > until_s:
            raise TimeoutError("the gateway did not become ready")
        time.sleep(0.01)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_WAIT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        answer.read()
        return answer.status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def main() -> int:
    """Measure and print."""
    products = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000
    with tempfile.TemporaryDirectory() as folder:
        gateway = started(Path(folder), products)
        copies = gateway.copies
        starts = [("from YAML", gateway.start(until=lambda: copies.exists() and any(copies.glob("*.contracts"))))]
        starts += [("from the copy", gateway.start()) for _ in range(3)]
    for name, it in starts:
        sys.stdout.write(f"{products} products, {name:14} {it.wall_s:6.2f} s, {it.cpu_s:5.2f} s CPU, {it.unchanged} not judged again\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
