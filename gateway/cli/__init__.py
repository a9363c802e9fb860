"""The command line: ``meshgate demo | serve | port serve | check | slo | usage | token | explain``.

Exit status: 0 done, 1 something is wrong and was said on stderr, 2 the command was not understood, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from gateway.cli import check, demo, explain, ports, serve, slo, tokens, usage
from gateway.cli.failure import CommandError

__all__ = ["main"]

_EXAMPLES = """\
examples:
  meshgate demo                                    three domains and the gateway, on this machine
  meshgate token --role analyst --claim countries=DE,FR
  meshgate check contracts/catalog                 all mistakes, with file and line
  meshgate port serve contracts/catalog/order/orders-daily.yaml --mock
  meshgate slo rules contracts/catalog             burn-rate and alerting rules for Prometheus
  meshgate explain query.graphql --role analyst    plan, rulings and upstream calls
  meshgate slo --watch                             how products keep their promises, live
  meshgate usage --field customer/customers.phone  who asks for a column
  meshgate serve --config meshgate.toml
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    parser = argparse.ArgumentParser(
        prog="meshgate",
        description="A federated GraphQL gateway for data meshes.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (demo, serve, ports, check, slo, usage, tokens, explain):
        command.add(commands)
    chosen = parser.parse_args(arguments)
    try:
        status = int(chosen.run(chosen))
        sys.stdout.flush()
        return status
    except CommandError as error:
        print(f"meshgate: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has read enough; nothing is left to flush at exit then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
