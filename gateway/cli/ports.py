"""``meshgate port serve``: a domain endpoint from a contract and data, without code."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from gateway.cli import mirrors
from gateway.cli.failure import CommandError, told

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    port = commands.add_parser("port", help="run a domain endpoint", description="Commands for domain teams.")
    serve = port.add_subparsers(title="commands", metavar="COMMAND", required=True).add_parser(
        "serve",
        help="serve a contract over both levels of the protocol",
        description="Serve a product from data, from plausible rows made from the contract alone, or from a copy of an endpoint's rows.",
        epilog="examples: meshgate port serve orders.yaml --data orders.parquet    meshgate port serve orders.yaml --mock --rows 500    "
        "meshgate port serve payments.yaml --mirror http://127.0.0.1:9002 --port 9012",
    )
    serve.add_argument("contract", type=Path, metavar="CONTRACT", help="the contract")
    source = serve.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", metavar="SOURCE", help="a Parquet, CSV or JSON file, or a DuckDB table (file.duckdb::table)")
    source.add_argument("--mock", action="store_true", help="make rows up")
    source.add_argument("--mirror", metavar="URL", help="base address of an endpoint that serves the contract at level 0")
    serve.add_argument("--rows", type=int, default=1_000, help="rows to make up (default: 1000)")
    serve.add_argument("--seed", type=int, default=1, help="seed of the rows made up (default: 1)")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument("--port", type=int, default=9001, help="port to listen on (default: 9001)")
    serve.add_argument("--level", type=int, choices=(0, 1), action="append", help="serve this level only (default: both)")
    serve.add_argument("--token-env", metavar="NAME", help="environment variable with the token that callers must send")
    mirrors.add_options(serve)
    serve.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    from contracts.errors import ContractError
    from domain_adapters.errors import SourceError
    from domain_adapters.serve import run

    token = None
    if chosen.token_env is not None:
        token = os.environ.get(chosen.token_env)
        if not token:
            raise CommandError(f"the environment variable {chosen.token_env} is not set")
    if chosen.mirror is not None:
        return mirrors.run(chosen, token)
    with told(ContractError, SourceError):
        run(
            chosen.contract,
            chosen.data,
            host=chosen.host,
            port=chosen.port,
            mock=chosen.mock,
            rows=chosen.rows,
            seed=chosen.seed,
            token=token,
            levels=frozenset(chosen.level or (0, 1)),
        )
    return 0
