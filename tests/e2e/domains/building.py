"""Builds the guide's handlers with the real Maven, Spring Boot and Go, and runs them as processes.

Sources lie beside this file; what is built lies in a folder of the test's, what is downloaded in the tools' own caches.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import lacking, needs

__all__ = ["Domain", "built_go", "built_spring", "running"]

HERE = Path(__file__).parent
_GO_LEAST = (1, 22)
_BUILD_S = 600


@dataclass
class Domain:
    """One running endpoint."""

    url: str
    process: subprocess.Popen[str]

    def kill(self) -> None:
        """Kill it as an accident would."""
        self.process.kill()
        self.process.wait()


def built_go(folder: Path) -> Sequence[str]:
    """Build the Go domain and give the command that runs it."""
    go = needs("go", what_for="the guide's Go domain")
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    said = subprocess.run([go, "version"], env=environment, capture_output=True, text=True, check=True, timeout=60).stdout
    version = tuple(int(part) for part in re.findall(r"\d+", said)[:2])
    if version < _GO_LEAST:
        lacking(f"Go is {version[0]}.{version[1]}; the guide's routes need {_GO_LEAST[0]}.{_GO_LEAST[1]}")
    program = folder / "payment"
    _build([go, "build", "-o", str(program), "./cmd/payment"], HERE / "go", environment)
    return [str(program)]


def built_spring(folder: Path) -> Sequence[str]:
    """Build the Spring Boot domain and give the command that runs it."""
    java, maven = (needs(tool, what_for="the guide's Spring Boot domain") for tool in ("java", "mvn"))
    needs("javac", what_for="the guide's Spring Boot domain")
    shutil.copytree(HERE / "spring", folder / "spring")
    _build([maven, "-q", "-B", "-ntp", "compile", "dependency:copy-dependencies"], folder / "spring", dict(os.environ))
    classes = f"{folder}/spring/target/classes:{folder}/spring/target/dependency/*"
    options = ["--server.port=0", "--server.address=127.0.0.1", "--spring.main.banner-mode=off", "--logging.level.root=warn"]
    return [java, "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", classes, "com.company.order.Application", *options]


def _build(command: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=_BUILD_S)
    if done.returncode == 0:
        return
    said = done.stdout + done.stderr
    if re.search(r"Could not transfer|Unknown host|UnresolvableModel|offline mode", said):
        lacking(f"what {Path(command[0]).name} downloads cannot be had")
    raise AssertionError(said)


@contextlib.contextmanager
def running(command: Sequence[str]) -> Iterator[Domain]:
    """Run a domain until the block ends; it says ``listening PORT`` once it does."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        port = next((line.split()[1] for line in process.stdout if line.startswith("listening ")), None)
        assert port is not None, f"{command[0]} did not start"
        yield Domain(f"http://127.0.0.1:{port}", process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
