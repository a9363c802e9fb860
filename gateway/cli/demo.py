"""``meshgate demo``: three domains and the gateway on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.cli.failure import told

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "demo",
        help="run the demo mesh",
        description="Generate data once, run three domain endpoints and the gateway, print how to ask. Ctrl-C stops all.",
    )
    parser.add_argument("--data", type=Path, default=Path(".demo"), help="folder of the generated data (default: .demo)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port of the gateway (default: 8000)")
    parser.add_argument(
        "--domain-ports", type=int, nargs=3, default=(9001, 9002, 9003), metavar="PORT", help="ports of order, payment, customer"
    )
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    from gateway import demo
    from gateway.cli.tokens import demo_token
    from gateway.settings import DEMO_KEY

    order, payment, customer = chosen.domain_ports
    with told(demo.DemoError):
        return demo.run(
            data=chosen.data,
            host=chosen.host,
            ports=demo.Ports(order, payment, customer, chosen.port),
            token_for=demo_token,
            environment={"MESHGATE_AUTH__DEMO_KEY": DEMO_KEY},
        )
