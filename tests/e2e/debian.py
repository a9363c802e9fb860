"""Prometheus and Alertmanager as Debian packages them, as processes of a test on free ports."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from tests.conftest import needs, within

__all__ = ["alertmanager", "eventually", "prometheus"]

_Found = TypeVar("_Found")


async def eventually(look: Callable[[], Awaitable[_Found | None]], *, seconds: float = 30.0) -> _Found:
    """Look again and again until there is something; what another process does tells nobody that it is done."""
    async with asyncio.timeout(within(seconds)):
        while not (found := await look()):
            await asyncio.sleep(0.1)
        return found


@contextlib.asynccontextmanager
async def prometheus(folder: Path, *, scrape: str, rules: str, bearer: str) -> AsyncIterator[httpx.AsyncClient]:
    """Run a Prometheus that scrapes ``/metrics`` of an address each second; gives a client of its API."""
    (folder / "rules.yml").write_text(rules)
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {
                "job_name": "meshgate",
                "authorization": {"credentials": bearer},
                "static_configs": [{"targets": [scrape.removeprefix("http://")]}],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    listen = f"127.0.0.1:{_free_port()}"
    command = [needs("prometheus"), "--config.file=prometheus.yml", f"--web.listen-address={listen}", "--storage.tsdb.path=data"]
    async with _running(command, folder, f"http://{listen}", "/-/ready") as client:
        yield client


@contextlib.asynccontextmanager
async def alertmanager(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Run an Alertmanager that keeps what it gets; gives a client of its API."""
    (folder / "alertmanager.yml").write_text(yaml.safe_dump({"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}))
    listen = f"127.0.0.1:{_free_port()}"
    command = [needs("prometheus-alertmanager"), "--config.file=alertmanager.yml", f"--web.listen-address={listen}"]
    command += ["--storage.path=data", "--cluster.listen-address="]
    async with _running(command, folder, f"http://{listen}", "/-/ready") as client:
        yield client


@contextlib.asynccontextmanager
async def _running(command: list[str], folder: Path, url: str, ready: str) -> AsyncIterator[httpx.AsyncClient]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as client:

                async def is_ready() -> Any:
                    assert process.poll() is None, (folder / "log").read_text()
                    with contextlib.suppress(httpx.TransportError):
                        return (await client.get(ready)).status_code == 200
                    return None

                await eventually(is_ready)
                yield client
        finally:
            process.terminate()
            process.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
