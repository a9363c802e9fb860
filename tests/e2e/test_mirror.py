"""``meshgate port serve --mirror`` as a process: killed in the middle of a walk, started again, told what it may not do."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from gateway.cli import main
from tests.conftest import PATIENCE_S
from tests.unit.domain_adapters.origin import Origin, page_of
from tests.unit.gateway.http.served import served

pytestmark = pytest.mark.e2e
CONTRACT = """
apiVersion: datamesh/v1
kind: DataContract
metadata: {name: things, domain: test, owner: team@example.com, version: "1.0.0"}
spec:
  schema:
    type: inline
    fields: [{name: id, type: long, required: true}, {name: size, type: int}, {name: updated, type: timestamp}]
  primaryKey: [id]
  timestamp: updated
  ports: {output: [{type: rest-api, path: /things}]}
"""
SUM = {"aggregates": [{"fn": "sum", "col": "size", "as": "size"}, {"fn": "count", "as": "rows"}]}


def thing(number: int, size: int) -> dict[str, Any]:
    return {"id": number, "size": size, "updated": f"2026-11-0{size}T00:00:00Z"}


class Mirror:
    """One process; ``said``: its lines on stderr."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/things"
        command = [sys.executable, "-m", "gateway.cli", "port", "serve", *arguments, "--port", str(port)]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        self.process = subprocess.Popen(command, cwd=cwd, env=environment, stderr=subprocess.PIPE, text=True)

    def totals(self) -> Any:
        """Ask for totals until there is a copy."""
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            try:
                answer = httpx.post(f"{self.url}/query", json=SUM, trust_env=False)
            except httpx.TransportError:
                assert self.process.poll() is None, self.process.communicate()[1]
                continue
            if answer.status_code == 200:
                return answer.json()["groups"][0]["values"]
            assert answer.json()["code"] == "FILLING"
        raise AssertionError("no copy in time")


@contextmanager
def mirror(*arguments: str, cwd: Path) -> Iterator[Mirror]:
    running = Mirror(*arguments, cwd=cwd)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


def test_a_mirror_killed_in_mid_walk_serves_the_last_complete_copy_when_it_is_back(tmp_path: Path) -> None:
    (tmp_path / "things.yaml").write_text(CONTRACT)
    reached = threading.Event()
    origin = Origin([thing(number, 1) for number in range(50)])

    async def answer(given: dict[str, str]) -> Response | None:
        if origin.rows[0]["size"] == 1:
            return None
        if "cursor" not in given:
            return page_of([thing(number, 2) for number in range(25)], "more")
        reached.set()  # half of the walk is in the database now
        await asyncio.Event().wait()
        return None

    origin.answer = answer
    with served(origin.app, timeout_graceful_shutdown=1) as url:
        arguments = ["things.yaml", "--mirror", url, "--folder", "copies", "--refresh", "1 s", "--rewalk", "1 s"]
        with mirror(*arguments, cwd=tmp_path) as first:
            assert first.totals() == {"size": 50, "rows": 50}
            as_of = httpx.get(f"{first.url}/slo", trust_env=False).json()["asOf"]
            with mirror(*arguments, cwd=tmp_path) as second:
                assert "another process mirrors into" in second.process.communicate(timeout=PATIENCE_S)[1]
                assert second.process.returncode == 1
            origin.rows = [thing(0, 2)]
            assert reached.wait(PATIENCE_S)
            assert first.totals() == {"size": 50, "rows": 50}
            first.process.send_signal(signal.SIGKILL)
            first.process.wait(PATIENCE_S)
    with mirror(*arguments, cwd=tmp_path) as again:
        assert again.totals() == {"size": 50, "rows": 50}
        slo = httpx.get(f"{again.url}/slo", trust_env=False).json()
        assert as_of <= slo["asOf"] < slo["measuredAt"]
        assert slo["freshness"] == {"lastUpdateAt": "2026-11-01T00:00:00Z"}
        again.process.send_signal(signal.SIGTERM)
        again.process.wait(PATIENCE_S)
    files = sorted(path.name for path in (tmp_path / "copies" / "test.things").iterdir())
    assert files in (["copy.duckdb", "lock"], ["copy.duckdb", "copy.duckdb.wal", "lock"])
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "copies").rglob("*")} == {0}


def test_a_mirror_killed_whenever_always_has_a_whole_copy(tmp_path: Path) -> None:
    (tmp_path / "things.yaml").write_text(CONTRACT)
    walks = 0
    origin = Origin()

    async def answer(given: dict[str, str]) -> Response:
        nonlocal walks
        if "cursor" not in given:
            walks += 1
        at, size = int(given.get("cursor", 0)), 1 + walks % 9
        return page_of([thing(number, size) for number in range(at, at + 500)], str(at + 500) if at < 1_500 else None)

    origin.answer = answer
    with served(origin.app) as url:
        for _ in range(4):
            with mirror("things.yaml", "--mirror", url, "--refresh", "0.01 s", "--rewalk", "0.01 s", cwd=tmp_path) as running:
                until_walk = walks + 3
                totals = running.totals()
                while walks < until_walk:
                    totals = running.totals()
                    assert totals["rows"] == 2_000
                    assert totals["size"] % 2_000 == 0
                running.process.send_signal(signal.SIGKILL)
                running.process.wait(PATIENCE_S)


def test_a_walk_needs_no_more_memory_however_many_rows_there_are(tmp_path: Path) -> None:
    (tmp_path / "things.yaml").write_text(CONTRACT)
    rows = 150_000

    async def answer(given: dict[str, str]) -> Response:
        at = int(given.get("cursor", 0))
        return page_of([thing(number, 1) for number in range(at, at + 1_000)], str(at + 1_000) if at + 1_000 < rows else None)

    with ExitStack() as stack:
        url = stack.enter_context(served(Origin(answer=answer).app))
        with mirror("things.yaml", "--mirror", url, "--memory-max", "0.0625", cwd=tmp_path) as running:
            assert running.process.stderr is not None
            memory: dict[int, int] = {}
            for line in running.process.stderr:
                words = line.split()
                memory[int(words[2].replace(",", ""))] = _resident_kib(running.process.pid)
                if words[1] == "read":
                    break
            assert running.totals() == {"size": rows, "rows": rows}
            early = min(kib for read, kib in memory.items() if read >= 1_000)
            assert max(memory) == rows
            # The rows alone, as Python holds them, would be half as much again.
            assert _resident_kib(running.process.pid) - early < 32 * 1024


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def test_the_command_says_what_may_not_be_mirrored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contract = tmp_path / "things.yaml"
    contract.write_text(CONTRACT.replace("  ports:", "  classification: {fields: {size: {neverPersist: true}}}\n  ports:"))
    asked = ["port", "serve", str(contract), "--mirror", "http://127.0.0.1:9", "--folder", str(tmp_path)]
    for more, said in (
        ([], 'no copy may be kept of "size"'),
        (["--refresh", "often"], "expected a duration"),
        (["--policy", str(tmp_path / "none.yaml")], "cannot be read"),
    ):
        assert main([*asked, *more]) == 1
        assert said in capsys.readouterr().err
    contract.write_text(CONTRACT)
    assert main([*asked[:3], "--mirror", "ftp://nowhere"]) == 1
    assert "starts with http:// or https://" in capsys.readouterr().err
