"""Runs one demo domain as a process: its arguments, its server, its end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Coroutine
from importlib import resources
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

__all__ = ["arguments", "contract_file", "main", "serve"]


def arguments(domain: str, port: int) -> argparse.ArgumentParser:
    """Describe the arguments that every demo domain has."""
    parser = argparse.ArgumentParser(prog=f"python -m domain_adapters.domains.{domain}", description=f"The demo's {domain} domain.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=port, help="port to listen on (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=Path(".demo"), help="folder of the generated data (default: %(default)s)")
    return parser


def contract_file(domain: str, product: str) -> Path:
    """Locate a contract of the demo."""
    return Path(str(resources.files("contracts"))) / "catalog" / domain / f"{product}.yaml"


async def serve(app: ASGIApp, host: str, port: int) -> None:
    """Serve until told to stop by a signal; what is in flight has three seconds to finish."""
    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=3, server_header=False
    )
    await uvicorn.Server(config).serve()


def main(work: Coroutine[Any, Any, None]) -> None:
    """Run a domain until it is stopped; on uvloop where there is one."""
    factory = None
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work)
    sys.exit(0)
